import { AppError } from "../core/errors.ts";
import type { CertificateStore } from "./store.ts";

/** What we must show for a name, and how it is taken away again. */
export interface Proof {
  /** http-01 or dns-01. */
  readonly type: string;
  /** @param host without "*." */
  present(host: string, token: string, answer: string): Promise<void>;
  /** Once after all have been presented: time for them to be seen. */
  settle(): Promise<void>;
  cleanUp(host: string, token: string, answer: string): Promise<void>;
}

/** The server fetches our answer over plain HTTP from port 80 of the name. @see RFC 8555 section 8.3 */
export function httpProof(store: CertificateStore): Proof {
  return {
    type: "http-01",
    present: (_host, token, answer) => store.putChallenge(token, answer),
    settle: async () => undefined,
    cleanUp: (_host, token) => store.removeChallenge(token),
  };
}

const HOOK_DEADLINE_MS = 120_000;
const MAX_HOOK_WORDS = 500;

export interface DnsProofOptions {
  /** Path of an executable. */
  hook: string;
  waitMs: number;
}

/**
 * The server reads a TXT record, which a program of the operator sets: `HOOK present|cleanup RECORD VALUE`. A name and
 * its wildcard have the same record with two values, so the program adds rather than replaces.
 * @see RFC 8555 section 8.4
 */
export function dnsProof({ hook, waitMs }: DnsProofOptions): Proof {
  return {
    type: "dns-01",
    present: (host, _token, answer) => runHook(hook, "present", host, answer),
    settle: () => Bun.sleep(waitMs),
    cleanUp: (host, _token, answer) => runHook(hook, "cleanup", host, answer),
  };
}

async function runHook(hook: string, action: "present" | "cleanup", host: string, value: string): Promise<void> {
  if (hook === "") throw new AppError("invalid_request", "dns-01 需要设置 common.ssl_info.acme.dns_hook");
  const record = `_acme-challenge.${host}`;
  let child: ReturnType<typeof spawn>;
  try {
    child = spawn([hook, action, record, value]);
  } catch (error) {
    throw hookFailed(hook, error instanceof Error ? error.message : String(error));
  }
  const words = (await new Response(child.stderr).text()).trim().slice(-MAX_HOOK_WORDS);
  const code = await child.exited;
  if (code !== 0) throw hookFailed(hook, `${action} ${record}: exit code ${code}${words === "" ? "" : `, ${words}`}`);
}

function spawn(command: string[]) {
  return Bun.spawn(command, {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: HOOK_DEADLINE_MS,
    killSignal: "SIGKILL",
  });
}

function hookFailed(hook: string, reason: string): AppError {
  return new AppError("upstream_refused", `dns_hook 失败：${hook}: ${reason}`);
}

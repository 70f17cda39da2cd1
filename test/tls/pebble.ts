import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority, createSelfSigned } from "../../src/tls/self-signed.ts";

/** Debian's ACME test server with its DNS, on free ports. */
export interface Pebble {
  directory: string;
  /** File with the CA that pebble's own HTTPS is signed by (`acme.ca_file`). */
  caFile: string;
  ca: string;
  /** Port on which pebble fetches http-01 answers. */
  httpPort: number;
  /** PEM of the root of the certificates that it issues. */
  root(): Promise<string>;
  /** Address of the DNS's management: `POST /set-txt { host, value }` and the like. */
  dns: string;
  /** A program for dns-01 that sets and clears TXT records there. */
  dnsHook: string;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface PebbleOptions {
  /** Per cent of good nonces that are refused. */
  nonceReject?: number;
  eab?: { kid: string; hmacKey: string };
  httpPort?: number;
}

export async function startPebble(options: PebbleOptions = {}): Promise<Pebble> {
  const folder = await mkdtemp(join(tmpdir(), "lx-pebble-"));
  const [acme = 0, management = 0, dnsPort = 0, dnsManagement = 0, tls = 0, free = 0] = freePorts(6);
  const httpPort = options.httpPort ?? free;
  const now = Date.now();
  const authority = await createAuthority("ec", now);
  const own = await createSelfSigned({ names: ["localhost", "127.0.0.1"], keyType: "ec", authority, now });
  const file = (name: string) => join(folder, name);
  await Bun.write(file("ca.pem"), authority.cert);
  await Bun.write(file("cert.pem"), own.cert);
  await Bun.write(file("key.pem"), own.key);
  await Bun.write(
    file("pebble.json"),
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${acme}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: file("cert.pem"),
        privateKey: file("key.pem"),
        httpPort,
        tlsPort: tls,
        ocspResponderURL: "",
        externalAccountBindingRequired: options.eab !== undefined,
        ...(options.eab === undefined ? {} : { externalAccountMACKeys: { [options.eab.kid]: options.eab.hmacKey } }),
      },
    }),
  );
  const dns = `http://127.0.0.1:${dnsManagement}`;
  const hook = file("dns-hook.sh");
  await Bun.write(
    hook,
    `#!/bin/sh\nset -e\ncase "$1" in\n  present) curl -sf -d "{\\"host\\":\\"$2.\\",\\"value\\":\\"$3\\"}" ${dns}/set-txt ;;\n  cleanup) curl -sf -d "{\\"host\\":\\"$2.\\"}" ${dns}/clear-txt ;;\nesac\necho "$1 $2" >> ${file("hook.log")}\n`,
  );
  await Bun.$`chmod 755 ${hook}`.quiet();
  const run = (command: string[], env: Record<string, string>) =>
    Bun.spawn(command, {
      cwd: folder,
      env: { PATH: process.env["PATH"] ?? "", ...env },
      stdout: "ignore",
      stderr: "ignore",
    });
  const children = [
    run(
      // biome-ignore format: one option with its value each
      ["pebble-challtestsrv", "-management", `127.0.0.1:${dnsManagement}`, "-dns01", `127.0.0.1:${dnsPort}`,
        "-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""],
      {},
    ),
    run(["pebble", "-config", file("pebble.json"), "-dnsserver", `127.0.0.1:${dnsPort}`], {
      PEBBLE_VA_NOSLEEP: "1",
      PEBBLE_AUTHZREUSE: "0",
      PEBBLE_WFE_NONCEREJECT: String(options.nonceReject ?? 0),
    }),
  ];
  const directory = `https://127.0.0.1:${acme}/dir`;
  await answers(directory, authority.cert);
  await answers(`${dns}/`, undefined);
  const stop = async () => {
    for (const child of children) child.kill("SIGKILL");
    await Promise.all(children.map((child) => child.exited));
  };
  return {
    directory,
    caFile: file("ca.pem"),
    ca: authority.cert,
    httpPort,
    dns,
    dnsHook: hook,
    root: async () => (await fetch(`https://127.0.0.1:${management}/roots/0`, { tls: { ca: authority.cert } })).text(),
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Ports that nobody has now. */
export function freePorts(count: number): number[] {
  const servers = Array.from({ length: count }, () =>
    Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() }),
  );
  const ports = servers.map((server) => server.port ?? 0);
  for (const server of servers) server.stop(true);
  return ports;
}

async function answers(url: string, ca: string | undefined): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    try {
      await fetch(url, { ...(ca === undefined ? {} : { tls: { ca } }), signal: AbortSignal.timeout(1000) });
      return;
    } catch {
      await Bun.sleep(20);
    }
  }
  throw new Error(`${url} does not answer`);
}

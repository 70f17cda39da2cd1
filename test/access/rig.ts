import { type Access, createAccess } from "../../src/access/access.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { Peer } from "../../src/http/context.ts";
import { type AccessRules, createAccessGate } from "../../src/http/plugins/access.ts";
import type { AccessDecision } from "../../src/http/server.ts";
import { targetOf } from "../../src/http/target.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { type Logger, silentLogger } from "../../src/ops/log.ts";

/** A peer that is neither local nor private by anyone's reckoning. */
export const PUBLIC = "93.184.216.34";

export interface Rig {
  access: Access;
  gate: AccessRules;
  /** Moves the clock on. */
  pass(seconds: number): void;
  /** One request through the gate. */
  ask(target: string, options?: AskOptions): Promise<AccessDecision & { peer: Peer }>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface AskOptions {
  method?: string;
  /** Host header; null = none. */
  host?: string | null;
  headers?: Record<string, string>;
  peer?: string;
  body?: string;
}

/** Keys as in the YAML file, dotted: `{ "security.key.enable": true }`. */
export function configOf(keys: Record<string, unknown>) {
  const root: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(keys)) {
    const names = path.split(".");
    const last = names.pop() ?? "";
    let at = root;
    for (const name of names) {
      const next = at[name] ?? {};
      if (typeof next !== "object" || next === null) throw new Error(`${path}: ${name} is a value`);
      at[name] = next;
      at = next as Record<string, unknown>;
    }
    at[last] = value;
  }
  const config = parseConfig(JSON.stringify(root));
  return { security: config.security, reverse_proxy: config.common.reverse_proxy };
}

export interface RigOptions {
  log?: Logger;
  /** Real time instead of a clock that the test moves. */
  realTime?: boolean;
  db?: ReturnType<typeof openDatabase>;
  gcspPath?: string;
}

export async function createRig(keys: Record<string, unknown> = {}, options: RigOptions = {}): Promise<Rig> {
  const log = options.log ?? silentLogger;
  const db = options.db ?? openDatabase(":memory:", log);
  let time = Date.now();
  const access = await createAccess({
    db,
    // Tables of the full size cost milliseconds to make, which tests of rules need not pay.
    config: configOf({ "security.rate_limit.addresses": 1000, ...keys }),
    log,
    ...(options.realTime === true ? {} : { now: () => time }),
  });
  const gate = createAccessGate({ access, gcspPath: () => options.gcspPath });
  return {
    access,
    gate,
    pass(seconds) {
      time += seconds * 1000;
    },
    async ask(target, { method = "GET", host = "music.example.com", headers = {}, peer = PUBLIC, body } = {}) {
      const request = new Request(`http://localhost${target}`, {
        method,
        headers: { ...(host === null ? {} : { host }), ...headers },
        ...(body === undefined ? {} : { body }),
      });
      const remote = { address: peer };
      const decision = await gate.check(request, targetOf(request.url), remote);
      return { ...decision, peer: gate.peerOf(request.headers, remote) };
    },
    async [Symbol.asyncDispose]() {
      await access.close();
      db.close();
    },
  };
}

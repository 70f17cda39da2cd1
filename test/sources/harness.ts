import { afterAll, beforeEach } from "bun:test";
import type { TObject, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { type AppError, isAppError } from "../../src/core/errors.ts";
import { createHttpClient } from "../../src/net/fetch.ts";
import type { Logger } from "../../src/ops/log.ts";
import type { Account, SourceDeps } from "../../src/sources/source.ts";
import { SONGS } from "../platforms/catalog.ts";
import { startEmulator } from "../platforms/emulator.ts";
import type { CatalogSong, EmulatedAccount, Fault, Platform, PlatformRequest } from "../platforms/world.ts";

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };
export const NOW = 1_795_242_000_000;
const DEADLINE_MS = 5000;

/** One emulated platform for a test file, and what a source of it is made of. */
export function platformFor<S extends TObject<Record<string, TSchema>>>(
  platform: Platform,
  section: S,
  songs: CatalogSong[] = SONGS,
) {
  const emulator = startEmulator([platform], 0, songs);
  afterAll(() => emulator.stop());
  beforeEach(() => {
    emulator.reset();
    emulator.world.accounts.length = 0;
  });

  return {
    emulator,
    world: emulator.world,
    requests: (): PlatformRequest[] => emulator.world.requests,
    /** The only request that was made. */
    only(): PlatformRequest {
      const [first, ...more] = emulator.world.requests;
      if (first === undefined || more.length > 0)
        throw new Error(`${emulator.world.requests.length} requests, not one`);
      return first;
    },
    fault: (kind: Fault["kind"], more: Partial<Fault> = {}) => emulator.world.faults.push({ kind, ...more }),
    account(state: EmulatedAccount["state"], more: Partial<EmulatedAccount> = {}): EmulatedAccount {
      const account = { source: platform.source, id: "10001", token: "TOKEN", state, requests: 0, ...more };
      emulator.world.accounts.push(account);
      return account;
    },
    deps(change: (config: ReturnType<typeof defaults>) => void = () => {}, options: { deadlineMs?: number } = {}) {
      const config = defaults();
      change(config);
      const http = createHttpClient({
        deadlineMs: options.deadlineMs ?? DEADLINE_MS,
        maxBytes: 4_000_000,
        retries: 0,
        gateway: emulator.origin,
      });
      return { config, http, log: silent, now: () => NOW, random: () => 0.5 } satisfies SourceDeps<typeof config>;
    },
  };

  function defaults() {
    return Value.Create(section);
  }
}

export function accountWith(source: string, credentials: Record<string, string>): Account {
  return { id: `${source}:${credentials["uin"] ?? credentials["uid"]}`, label: "账号 1", credentials };
}

/** The failure of a promise that must fail with one of ours. */
export async function failure(promise: Promise<unknown>): Promise<AppError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("value" in outcome) throw new Error(`no failure, but ${JSON.stringify(outcome.value)}`);
  if (!isAppError(outcome.error)) throw outcome.error;
  return outcome.error;
}

/** Steps that a call noted: names and fields. */
export function steps() {
  const noted: { name: string; fields: Record<string, unknown> }[] = [];
  return {
    noted,
    names: () => noted.map((step) => step.name),
    call: { step: (name: string, fields: Record<string, unknown> = {}) => void noted.push({ name, fields }) },
  };
}

/** What every ability must make of a platform that breaks: fault -> the kinds that are true answers. */
export const BREAKAGES: { fault: Fault["kind"]; kinds: string[] }[] = [
  { fault: "reset", kinds: ["upstream_unreachable"] },
  { fault: "http500", kinds: ["upstream_unreachable", "upstream_changed"] },
  { fault: "html", kinds: ["upstream_changed"] },
  { fault: "garbage", kinds: ["upstream_changed"] },
  { fault: "empty", kinds: ["upstream_changed"] },
  { fault: "reshaped", kinds: ["upstream_changed"] },
];

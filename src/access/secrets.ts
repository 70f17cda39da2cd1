import type { Database } from "bun:sqlite";
import type { Redis } from "ioredis";
import type { Logger } from "../ops/log.ts";
import { touch } from "./store.ts";

/** One secret of this server that changes from time to time; the one before stays good until `keepMs` have passed. */
export interface RotatingSecret {
  /** Newest first; the first one signs. */
  current(): readonly Uint8Array[];
  /** Makes a new one now: everything signed before the last one ends. */
  rotate(): void;
  reload(): void;
  close(): void;
}

export interface SecretOptions {
  db: Database;
  /** Row name: "links", "sessions". */
  name: string;
  /** Age at which a secret stops signing, in ms. */
  rotateMs: number;
  /** How much longer it verifies, in ms: the life of what it signed. */
  keepMs: number;
  /** The operator's own secret, the same on all instances; turns rotation off. */
  fixed?: string | undefined;
  now?: () => number;
}

const CHECK_MS = 60_000;

interface Row {
  created_at: number;
  value: Uint8Array;
}

export function createSecret({ db, name, rotateMs, keepMs, fixed, now = Date.now }: SecretOptions): RotatingSecret {
  let secrets: Uint8Array[] = [];

  const stored = () =>
    db
      .query<Row, [string]>("SELECT created_at, value FROM access_secrets WHERE name = ? ORDER BY created_at DESC")
      .all(name);

  function load(): void {
    if (fixed !== undefined && fixed !== "") {
      secrets = [new TextEncoder().encode(fixed)];
      return;
    }
    if ((stored()[0]?.created_at ?? 0) + rotateMs <= now()) add();
    const rows = stored();
    // One verifies while anything that it signed can be alive: until its successor is `keepMs` old.
    const good = rows.filter((_, index) => index === 0 || (rows[index - 1]?.created_at ?? 0) + keepMs > now());
    secrets = good.map((row) => new Uint8Array(row.value));
  }

  function add(): void {
    const time = now();
    db.transaction(() => {
      const value = crypto.getRandomValues(new Uint8Array(32));
      db.query("INSERT OR REPLACE INTO access_secrets VALUES (?, ?, ?)").run(name, time, value);
      db.query("DELETE FROM access_secrets WHERE name = ? AND created_at < ?").run(name, time - rotateMs - keepMs);
      touch(db, "secrets");
    })();
  }

  load();
  const timer = setInterval(load, CHECK_MS);
  timer.unref();
  return {
    current: () => secrets,
    rotate() {
      add();
      load();
    },
    reload: load,
    close: () => clearInterval(timer),
  };
}

const SHARE_DEADLINE_MS = 2000;

/**
 * One secret for all instances: the first to come puts its newest into Redis, the others take it from there, so that
 * a link which one instance signed opens on every other.
 * @returns the shared secret, to be used as `fixed`; undefined when Redis does not answer.
 */
export async function sharedSecret(redis: Redis, key: string, log: Logger): Promise<string | undefined> {
  const own = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), SHARE_DEADLINE_MS);
  });
  try {
    const agreed = redis.set(key, own, "NX").then(() => redis.get(key));
    return (await Promise.race([agreed, late])) ?? undefined;
  } catch (error) {
    log.warn("the secret of signed links is not shared", { error });
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

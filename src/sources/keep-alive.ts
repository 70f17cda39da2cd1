import type { Logger } from "../ops/log.ts";
import type { Schedule } from "../ops/schedule.ts";
import type { AccountRow } from "./account-store.ts";
import { type AccountView, handleOf } from "./account-view.ts";

export interface KeepAliveDeps {
  pool: {
    rows(): AccountRow[];
    health(): AccountView[];
    refresh(handle: string): Promise<unknown>;
    signIn(handle: string): Promise<unknown>;
  };
  log: Logger;
  now: () => number;
  random: () => number;
}

export interface KeepAlive {
  /** Does what is due now; one account after the other. */
  tick(): Promise<void>;
  /** Ticks every minute until the schedule stops. */
  start(schedule: Schedule): void;
}

type Job = "refresh" | "signIn";
const JOBS = ["refresh", "signIn"] as const;

const TICK_MS = 60_000;
/** Accounts of unknown age are refreshed within this time after the start, each at its own moment. */
const FIRST_WITHIN_MS = 600_000;
const RETRY_MS = 3_600_000;
const JITTER = 0.1;
const DAY_MS = 86_400_000;

/**
 * Refreshes logins and signs in, each account in its own rhythm: a pool that acts in the same second every day looks
 * like what it is. Announces accounts that are about to die once a day.
 */
export function createKeepAlive(deps: KeepAliveDeps): KeepAlive {
  /** When each job of each account runs next, Unix ms; planned anew when its interval changes. */
  const due = new Map<string, { at: number; seconds: number }>();
  const warned = new Map<string, number>();

  const jittered = (ms: number) => ms * (1 + JITTER * (2 * deps.random() - 1));

  function plan(row: AccountRow, job: Job): number | undefined {
    const seconds = job === "refresh" ? row.schedule.refreshSeconds : row.schedule.signInSeconds;
    if (seconds === undefined || row.state !== "healthy") return undefined;
    const key = `${job} ${row.id}`;
    const planned = due.get(key);
    if (planned !== undefined && planned.seconds === seconds) return planned.at;
    const last = job === "refresh" ? row.details.refreshedAt : row.details.signedInAt;
    const at = last === undefined ? deps.now() + deps.random() * FIRST_WITHIN_MS : last + jittered(seconds * 1000);
    due.set(key, { at, seconds });
    return at;
  }

  async function run(row: AccountRow, job: Job): Promise<void> {
    const key = `${job} ${row.id}`;
    const seconds = due.get(key)?.seconds ?? 0;
    const fields = { source: row.source, account: row.label, job };
    try {
      await deps.pool[job](handleOf(row));
      due.set(key, { at: deps.now() + jittered(seconds * 1000), seconds });
      deps.log.info("account kept alive", fields);
    } catch (error) {
      due.set(key, { at: deps.now() + jittered(Math.min(RETRY_MS, seconds * 1000)), seconds });
      deps.log.warn("account could not be kept alive", { ...fields, error });
    }
  }

  function forgetRemoved(rows: AccountRow[]): void {
    const keys = new Set(rows.flatMap((row) => JOBS.map((job) => `${job} ${row.id}`)));
    for (const key of due.keys()) if (!keys.has(key)) due.delete(key);
  }

  function warn(): void {
    const now = deps.now();
    const soon = deps.pool.health().filter((view) => view.expiresSoon);
    for (const { handle, source, label, expiresAt } of soon) {
      if (now - (warned.get(handle) ?? Number.NEGATIVE_INFINITY) < DAY_MS) continue;
      warned.set(handle, now);
      const hours = Math.max(0, Math.floor(((expiresAt ?? now) - now) / 3_600_000));
      deps.log.warn("account will expire soon", { source, account: label, hoursLeft: hours });
    }
    const still = new Set(soon.map((view) => view.handle));
    for (const handle of warned.keys()) if (!still.has(handle)) warned.delete(handle);
  }

  async function tick(): Promise<void> {
    const rows = deps.pool.rows();
    forgetRemoved(rows);
    for (const row of rows) {
      for (const job of JOBS) {
        const at = plan(row, job);
        if (at !== undefined && at <= deps.now()) await run(row, job);
      }
    }
    warn();
  }

  return {
    tick,
    start: (schedule) =>
      schedule.every("accounts keep alive", { intervalMs: () => TICK_MS, firstMs: TICK_MS / 4 }, tick),
  };
}

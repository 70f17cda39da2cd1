import type { Logger } from "../ops/log.ts";
import { createSqliteFile } from "./sqlite-file.ts";
import { type CacheTable, type Change, rowId } from "./sqlite-table.ts";
import type { CacheTier, Drop } from "./tier.ts";

export interface SqliteOptions {
  /** The database file. One of its own is best: a cache that broke is thrown away, accounts are not. */
  path: string;
  maxRows: number;
  /** Keys, contents and a share for the indexes. */
  maxBytes: number;
  /** The file never grows beyond this, whatever happens (bytes); by default twice `maxBytes` and some room. */
  maxFileBytes?: number;
  /** Gap between batches (ms). */
  flushMs: number;
  /** Unix ms. */
  now: () => number;
  log: Logger;
  /** Told of what another process on the same file has dropped. */
  onForeignDrop?: (drop: Drop) => void;
}

export interface SqliteTier extends CacheTier {
  /** Writes what waits. @returns false when the database would not take it; it is tried again later. */
  flush(): boolean;
  /** Entries that wait to be written. */
  waiting(): number;
  /** The last fault of writing; undefined = the last batch went through. */
  fault(): Error | undefined;
  deletePrefix(prefix: string): Promise<number>;
}

const SPARE_BYTES = 16 << 20;
const BATCH = 500;
const SLICE = 500;
/** Bounds of what waits while the database takes nothing. */
const MAX_WAITING = 10_000;
const MAX_WAITING_CHARACTERS = 16 << 20;
/** Beyond the bounds above only keys are kept, up to this many; then the tier counts as down. */
const MAX_MARKED = 100_000;
const MAX_TOUCHED = 10_000;
/** `used_at` is that coarse: a hot row is written once a minute, not at every hit. */
const TOUCH_MS = 60_000;
const TOUCH_FLUSH_MS = 5_000;
const RETRY_MAX_MS = 10_000;
const DRAIN_MS = 15_000;
const LOOK_MS = 1_000;

/** Entries in one table of SQLite, written in batches off the request path; see `sqlite-table.ts` for the statements. */
export function createSqliteTier(options: SqliteOptions): SqliteTier {
  const { now, log } = options;
  const file = createSqliteFile({
    path: options.path,
    maxFileBytes: options.maxFileBytes ?? options.maxBytes * 2 + SPARE_BYTES,
    now,
    log,
  });
  const { using } = file;
  let closed = false;
  let waiting = new Map<string, Change>();
  let waitingCharacters = 0;
  let touched = new Map<bigint, number>();
  let timer: Timer | undefined;
  let due = Number.POSITIVE_INFINITY;
  let failures = 0;
  let fault: Error | undefined;

  function schedule(ms: number): void {
    const at = performance.now() + ms;
    if (closed || at >= due) return;
    clearTimeout(timer);
    due = at;
    timer = setTimeout(() => {
      due = Number.POSITIVE_INFINITY;
      flush();
    }, ms);
    timer.unref();
  }

  function put(key: string, change: Change): void {
    if (waiting.size >= MAX_MARKED && !waiting.has(key)) throw fault ?? new Error("too much waits to be written");
    const before = waiting.get(key);
    waitingCharacters -= before?.value.length ?? 0;
    // Too much waits: what the table holds of this key is no longer true, so it goes; the new value is not kept.
    const full = waiting.size >= MAX_WAITING || waitingCharacters > MAX_WAITING_CHARACTERS;
    const kept = full ? undefined : change;
    waiting.set(key, kept);
    waitingCharacters += kept?.value.length ?? 0;
    schedule(fault === undefined ? options.flushMs : retryMs());
  }

  const retryMs = () => Math.min(options.flushMs * 2 ** Math.min(failures, 12), RETRY_MAX_MS);

  function flush(): boolean {
    if (closed) return false;
    const all = waiting.size <= BATCH;
    const batch = all ? waiting : new Map([...waiting].slice(0, BATCH));
    const touches = touched;
    try {
      using((open) => {
        if (batch.size > 0 || touches.size > 0) open.apply(batch, touches);
      }, undefined);
    } catch (error) {
      noteFault(error);
      return false;
    }
    touched = new Map();
    if (all) waiting = new Map();
    else for (const key of batch.keys()) waiting.delete(key);
    waitingCharacters = 0;
    for (const change of waiting.values()) waitingCharacters += change?.value.length ?? 0;
    if (fault !== undefined) log.info("cache database takes writes again", { path: options.path });
    fault = undefined;
    failures = 0;
    if (shrink() || waiting.size > 0) schedule(options.flushMs);
    return true;
  }

  function noteFault(error: unknown): void {
    failures += 1;
    const full = error instanceof Error && "code" in error && error.code === "SQLITE_FULL";
    if (fault === undefined) log.warn("cache database takes no writes", { path: options.path, error });
    fault = error instanceof Error ? error : new Error(String(error));
    if (full) {
      // Pages of old entries are used again, so that a disk without room still serves the newest ones.
      try {
        using((open) => open.dropOldest(SLICE), 0);
      } catch {
        // As full as before; the next try comes with the next batch.
      }
    }
    schedule(retryMs());
  }

  /** Drops a slice of what is expired or too much. @returns whether more is left to drop. */
  function shrink(): boolean {
    try {
      return using((open) => {
        const expired = open.dropExpired(now(), SLICE);
        const { rows, bytes } = open.totals();
        if (rows <= options.maxRows && bytes <= options.maxBytes) return expired === SLICE;
        return open.dropOldest(Math.max(1, Math.min(SLICE, Math.ceil(rows / 10)))) > 0;
      }, false);
    } catch {
      // The next batch tries again.
      return false;
    }
  }

  function touch(id: bigint, usedAt: number): void {
    const time = now();
    if (time - usedAt < TOUCH_MS || touched.size >= MAX_TOUCHED || touched.has(id)) return;
    touched.set(id, time);
    schedule(TOUCH_FLUSH_MS);
  }

  const look = setInterval(() => {
    try {
      const drops = file.news();
      if (options.onForeignDrop !== undefined) for (const drop of drops) options.onForeignDrop(drop);
    } catch {
      // Seen at the next look.
    }
  }, LOOK_MS);
  look.unref();

  return {
    name: "sqlite",
    flush,
    waiting: () => waiting.size,
    fault: () => fault,

    async get(key) {
      if (waiting.has(key)) {
        const change = waiting.get(key);
        return change !== undefined && change.expiresAt > now() ? { ...change } : undefined;
      }
      const id = rowId(key);
      const row = using((open) => open.find(id), undefined);
      if (row === undefined || row.key !== key || row.expiresAt <= now()) return undefined;
      touch(id, row.usedAt);
      return { value: row.value, expiresAt: row.expiresAt };
    },

    async set(key, entry) {
      put(key, { value: entry.value, expiresAt: entry.expiresAt });
    },

    async delete(key) {
      put(key, undefined);
    },

    async close() {
      clearTimeout(timer);
      clearInterval(look);
      while (waiting.size > 0 || touched.size > 0) if (!flush()) break;
      clearTimeout(timer);
      closed = true;
      file.close();
    },

    async size() {
      flush();
      const { rows, bytes } = using((open) => open.totals(), { rows: 0, bytes: 0 });
      return { entries: rows, bytes };
    },

    async *entries(prefix) {
      while (waiting.size > 0 && flush());
      for (let after: bigint | undefined; ; ) {
        const slice: ReturnType<CacheTable["slice"]> = using((open) => open.slice(after, SLICE), []);
        for (const { row } of slice) {
          if (row !== undefined && row.expiresAt > now() && row.key.startsWith(prefix)) {
            yield [row.key, { value: row.value, expiresAt: row.expiresAt }];
          }
        }
        after = slice.at(-1)?.id;
        if (after === undefined) return;
        await Bun.sleep(0);
      }
    },

    async prune() {
      let dropped = 0;
      for (;;) {
        const slice = using((open) => open.dropExpired(now(), SLICE), 0);
        dropped += slice;
        if (slice < SLICE) break;
        await Bun.sleep(0);
      }
      while (shrink()) await Bun.sleep(0);
      return dropped;
    },

    async deletePrefix(prefix) {
      let dropped = 0;
      for (const [key, change] of waiting) {
        if (!key.startsWith(prefix)) continue;
        if (change !== undefined) dropped += 1;
        put(key, undefined);
      }
      while (waiting.size > 0 && flush());
      for (let after: bigint | undefined; ; ) {
        const slice: ReturnType<CacheTable["slice"]> = using((open) => open.slice(after, SLICE), []);
        const ids = slice.filter(({ row }) => row?.key.startsWith(prefix)).map(({ id }) => id);
        if (ids.length > 0) dropped += using((open) => open.dropIds(ids), 0);
        after = slice.at(-1)?.id;
        if (after === undefined) break;
        await Bun.sleep(0);
      }
      return dropped;
    },

    async drain() {
      const deadline = performance.now() + DRAIN_MS;
      while (waiting.size > 0) {
        const written = flush();
        if (performance.now() > deadline) throw fault ?? new Error("cache database is too slow");
        await Bun.sleep(written ? 0 : 20);
      }
    },

    async announce(drop) {
      // Others would read again, and keep, what is not deleted yet.
      flush();
      using((open) => open.announce(drop), undefined);
    },
  };
}

import type { Database } from "bun:sqlite";
import type { Drop, Entry } from "./tier.ts";

/** A write that waits for the next batch; undefined = the key is to go. */
export type Change = Entry | undefined;

export interface Row extends Entry {
  key: string;
  /** Unix ms, coarse. */
  usedAt: number;
}

/**
 * The tables and statements of the SQLite tier. All calls are synchronous, and short: every statement touches one row
 * by its number or a bounded slice of an index.
 */
export interface CacheTable {
  find(id: bigint): Row | undefined;
  /** One transaction. Throws when the database is locked, full or broken; then nothing has changed. */
  apply(changes: ReadonlyMap<string, Change>, touched: ReadonlyMap<bigint, number>): void;
  totals(): { rows: number; bytes: number };
  /** Drops up to `limit` entries past their deadline. */
  dropExpired(now: number, limit: number): number;
  /** Drops the `limit` entries that were not used for longest. */
  dropOldest(limit: number): number;
  /** The next slice in order of ids; from the start with undefined. A damaged row has no content. */
  slice(after: bigint | undefined, limit: number): { id: bigint; row: Row | undefined }[];
  dropIds(ids: bigint[]): number;
  /** Tells other processes on this file what has gone. */
  announce(drop: Drop): void;
  /** What others announced since the last call. */
  announced(): Drop[];
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS cache_entries_v1 (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sum INTEGER NOT NULL
  );
  CREATE INDEX IF NOT EXISTS cache_entries_v1_used ON cache_entries_v1 (used_at);
  CREATE INDEX IF NOT EXISTS cache_entries_v1_expires ON cache_entries_v1 (expires_at);
  CREATE TABLE IF NOT EXISTS cache_totals_v1 (
    one INTEGER PRIMARY KEY CHECK (one = 1), rows INTEGER NOT NULL, bytes INTEGER NOT NULL
  );
  INSERT OR IGNORE INTO cache_totals_v1 VALUES (1, 0, 0);
  CREATE TABLE IF NOT EXISTS cache_dropped_v1 (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, exact INTEGER NOT NULL, origin TEXT NOT NULL
  );
`;

/** Stands for Infinity, which SQLite's integers do not have. */
const NEVER = 9_000_000_000_000_000;
/** Announcements that are kept for processes that are late to look. */
const KEPT_ANNOUNCEMENTS = 200;
/** Row header, index entries and page slack (bytes). */
const ROW_OVERHEAD = 120;

/** The row's number: a look-up by number is one short walk, however long the key is. */
export function rowId(key: string): bigint {
  return BigInt.asIntN(64, Bun.hash.xxHash64(key));
}

/** Guards against bytes that a failing disk changed behind SQLite's back. */
function sumOf(key: string, value: string, expiresAt: number): number {
  return Bun.hash.xxHash32(`${key}\n${expiresAt}\n${value}`);
}

interface RawRow {
  key: string;
  value: string;
  expires_at: number;
  used_at: number;
  sum: number;
}

function decodeRow(raw: RawRow | null): Row | undefined {
  if (raw === null || raw.sum !== sumOf(raw.key, raw.value, raw.expires_at)) return undefined;
  return {
    key: raw.key,
    value: raw.value,
    expiresAt: raw.expires_at >= NEVER ? Number.POSITIVE_INFINITY : raw.expires_at,
    usedAt: raw.used_at,
  };
}

export function openCacheTable(db: Database, now: () => number): CacheTable {
  db.run(SCHEMA);
  const origin = crypto.randomUUID();
  const select = db.query<RawRow, [bigint]>(
    "SELECT key, value, expires_at, used_at, sum FROM cache_entries_v1 WHERE id = ?",
  );
  const selectSlice = db.query<RawRow & { number: string }, [bigint, number]>(
    `SELECT CAST(id AS TEXT) AS number, key, value, expires_at, used_at, sum FROM cache_entries_v1
     WHERE id > ? ORDER BY id LIMIT ?`,
  );
  const upsert = db.query<null, [bigint, string, string, number, number, number, number]>(
    `INSERT INTO cache_entries_v1 (id, key, value, expires_at, used_at, bytes, sum) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET key = excluded.key, value = excluded.value, expires_at = excluded.expires_at,
       used_at = excluded.used_at, bytes = excluded.bytes, sum = excluded.sum`,
  );
  const bytesOf = db.query<{ bytes: number }, [bigint]>("SELECT bytes FROM cache_entries_v1 WHERE id = ?");
  const remove = db.query<{ bytes: number }, [bigint]>("DELETE FROM cache_entries_v1 WHERE id = ? RETURNING bytes");
  const touch = db.query<null, [number, bigint]>("UPDATE cache_entries_v1 SET used_at = ?1 WHERE id = ?2");
  const removeExpired = db.query<{ bytes: number }, [number, number]>(
    `DELETE FROM cache_entries_v1 WHERE id IN (SELECT id FROM cache_entries_v1 WHERE expires_at <= ? LIMIT ?)
     RETURNING bytes`,
  );
  const removeOldest = db.query<{ bytes: number }, [number]>(
    `DELETE FROM cache_entries_v1 WHERE id IN (SELECT id FROM cache_entries_v1 ORDER BY used_at LIMIT ?)
     RETURNING bytes`,
  );
  const addTotals = db.query<null, [number, number]>(
    "UPDATE cache_totals_v1 SET rows = max(0, rows + ?), bytes = max(0, bytes + ?)",
  );
  const readTotals = db.query<{ rows: number; bytes: number }, []>("SELECT rows, bytes FROM cache_totals_v1");
  const newest = db.query<{ seq: number }, []>("SELECT coalesce(max(seq), 0) AS seq FROM cache_dropped_v1");
  const dataVersion = db.query<{ data_version: number }, []>("PRAGMA data_version");
  let seenVersion = dataVersion.get()?.data_version;
  let seenSeq = newest.get()?.seq ?? 0;

  function put(key: string, entry: Entry): [rows: number, bytes: number] {
    const id = rowId(key);
    const expiresAt = Math.min(Math.floor(entry.expiresAt), NEVER);
    const bytes = Buffer.byteLength(key) + Buffer.byteLength(entry.value) + ROW_OVERHEAD;
    const before = bytesOf.get(id)?.bytes;
    upsert.run(id, key, entry.value, expiresAt, now(), bytes, sumOf(key, entry.value, expiresAt));
    return [before === undefined ? 1 : 0, bytes - (before ?? 0)];
  }

  /** Runs statements that return the bytes of what they dropped, and keeps the totals right. */
  const dropping = (work: () => { bytes: number }[]) =>
    db
      .transaction(() => {
        const gone = work();
        if (gone.length > 0) addTotals.run(-gone.length, -gone.reduce((sum, row) => sum + row.bytes, 0));
        return gone.length;
      })
      .immediate();

  const applyAll = db.transaction((changes: ReadonlyMap<string, Change>, touched: ReadonlyMap<bigint, number>) => {
    let rows = 0;
    let bytes = 0;
    for (const [key, entry] of changes) {
      if (entry === undefined) {
        const gone = remove.get(rowId(key));
        if (gone !== null) {
          rows -= 1;
          bytes -= gone.bytes;
        }
      } else {
        const [row, size] = put(key, entry);
        rows += row;
        bytes += size;
      }
    }
    for (const [id, time] of touched) touch.run(time, id);
    if (rows !== 0 || bytes !== 0) addTotals.run(rows, bytes);
  });

  return {
    find: (id) => decodeRow(select.get(id)),
    apply: (changes, touched) => applyAll.immediate(changes, touched),
    totals: () => readTotals.get() ?? { rows: 0, bytes: 0 },
    dropExpired: (time, limit) => dropping(() => removeExpired.all(time, limit)),
    dropOldest: (limit) => dropping(() => removeOldest.all(limit)),
    slice(after, limit) {
      const rows = selectSlice.all(after ?? -(2n ** 63n), limit);
      return rows.map((raw) => ({ id: BigInt(raw.number), row: decodeRow(raw) }));
    },
    dropIds: (ids) => dropping(() => ids.flatMap((id) => remove.all(id))),
    announce({ key, exact }) {
      db.query("INSERT INTO cache_dropped_v1 (key, exact, origin) VALUES (?, ?, ?)").run(key, exact ? 1 : 0, origin);
      db.query("DELETE FROM cache_dropped_v1 WHERE seq <= (SELECT max(seq) FROM cache_dropped_v1) - ?").run(
        KEPT_ANNOUNCEMENTS,
      );
    },
    announced() {
      const version = dataVersion.get()?.data_version;
      if (version === seenVersion) return [];
      seenVersion = version;
      const rows = db
        .query<{ seq: number; key: string; exact: number; origin: string }, [number]>(
          "SELECT seq, key, exact, origin FROM cache_dropped_v1 WHERE seq > ? ORDER BY seq",
        )
        .all(seenSeq);
      seenSeq = rows.at(-1)?.seq ?? seenSeq;
      return rows.filter((row) => row.origin !== origin).map((row) => ({ key: row.key, exact: row.exact === 1 }));
    },
  };
}

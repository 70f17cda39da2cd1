import type { Database } from "bun:sqlite";
import { statSync } from "node:fs";
import { isCorrupt, openDatabase, setAside } from "../ops/database.ts";
import type { Logger } from "../ops/log.ts";
import { type CacheTable, openCacheTable } from "./sqlite-table.ts";
import type { Drop } from "./tier.ts";

export interface SqliteFileOptions {
  path: string;
  maxFileBytes: number;
  now: () => number;
  log: Logger;
}

/** The connection to the cache's file: opened again when it was lost, and made anew when it is corrupt. */
export interface SqliteFile {
  /**
   * Runs `work`. A corrupt file is set aside, and a new one takes its place with nothing in it: then `empty`.
   * @throws what SQLite throws when the file is locked, full or cannot be opened.
   */
  using<T>(work: (table: CacheTable) => T, empty: T): T;
  /** What other processes have dropped since the last call; also notices that the file was deleted or replaced. */
  news(): Drop[];
  close(): void;
}

/** A writer of another process is waited for this long, since waiting stops the event loop (ms). */
const BUSY_MS = 5;
const PAGE_BYTES = 4096;
/** SQLite's own page cache (KiB): the inner pages of a large table and the rows in use. */
const PAGES_KIB = 16_000;
/** Of a cache, a damaged file is worth a look and no more; a failing disk must not be filled with them. */
const KEPT_ASIDE = 1;

export function createSqliteFile({ path, maxFileBytes, now, log }: SqliteFileOptions): SqliteFile {
  let open: { db: Database; table: CacheTable; number: number | undefined } | undefined;
  let closed = false;

  /** On first use and again after a failure, so that a locked file at the start costs nothing but itself. */
  function connect(): CacheTable {
    if (closed) throw new Error("cache is closed");
    if (open !== undefined) return open.table;
    const db = openDatabase(path, log, KEPT_ASIDE);
    try {
      db.run(`PRAGMA busy_timeout = ${BUSY_MS}`);
      db.run(`PRAGMA cache_size = -${PAGES_KIB}`);
      db.run(`PRAGMA max_page_count = ${Math.ceil(maxFileBytes / PAGE_BYTES)}`);
      open = { db, table: openCacheTable(db, now), number: numberOf(path) };
      return open.table;
    } catch (error) {
      db.close();
      if (!isCorrupt(error)) throw error;
      setAside(path, error, log, KEPT_ASIDE);
      return connect();
    }
  }

  function disconnect(): void {
    const old = open;
    open = undefined;
    try {
      old?.db.close();
    } catch {
      // A broken database may refuse even this; the handle is given up either way.
    }
  }

  function using<T>(work: (table: CacheTable) => T, empty: T): T {
    try {
      return work(connect());
    } catch (error) {
      if (isLost(error)) disconnect();
      if (!isCorrupt(error) || path === ":memory:") throw error;
      disconnect();
      setAside(path, error, log, KEPT_ASIDE);
      connect();
      return empty;
    }
  }

  try {
    connect();
  } catch (error) {
    log.warn("cache database cannot be opened yet", { path, error });
  }

  return {
    using,
    news() {
      if (open === undefined) return [];
      if (numberOf(path) === open.number) return open.table.announced();
      // Deleted or replaced by somebody: without this, writes would go on into a file that nobody can find.
      disconnect();
      return [];
    },
    close() {
      closed = true;
      disconnect();
    },
  };
}

/** Tells one file from another under the same name; undefined = there is none. */
function numberOf(path: string): number | undefined {
  return path === ":memory:" ? undefined : statSync(path, { throwIfNoEntry: false })?.ino;
}

/** The file under this connection is gone, cut or on a failing disk: the next call opens it anew. */
function isLost(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code.startsWith("SQLITE_IOERR") || code === "SQLITE_READONLY_DBMOVED" || code === "SQLITE_CANTOPEN";
}

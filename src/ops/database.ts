import { Database } from "bun:sqlite";
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Logger } from "./log.ts";

/**
 * Opens `lx.db` in WAL mode. Each feature creates its own tables (`CREATE TABLE IF NOT EXISTS`).
 * @param keep see `setAside`
 * A file that is not a sound database is set aside as `<file>.corrupt-<time>` and a new one takes its place.
 */
export function openDatabase(path: string, log: Logger, keep?: number): Database {
  if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true });
  try {
    return open(path);
  } catch (error) {
    if (path === ":memory:" || !isCorrupt(error)) throw error;
    setAside(path, error, log, keep);
    return open(path);
  }
}

/**
 * Moves a corrupt database (closed by now) out of the way as `<file>.corrupt-<time>`.
 * @param keep how many of them may lie there; the oldest go. By default all: what they hold may be had nowhere else.
 */
export function setAside(path: string, error: unknown, log: Logger, keep = Number.POSITIVE_INFINITY): void {
  const aside = `${path}.corrupt-${Date.now()}`;
  for (const suffix of ["", "-wal", "-shm"]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
  }
  log.error("database was corrupt and has been set aside", { path, aside, error });
  const prefix = `${basename(path)}.corrupt-`;
  const all = readdirSync(dirname(path)).filter(
    (name) => name.startsWith(prefix) && /^\d+$/.test(name.slice(prefix.length)),
  );
  const tooMany = all.toSorted().slice(0, Math.max(0, all.length - keep));
  for (const name of tooMany) {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(join(dirname(path), name + suffix), { force: true });
  }
}

export function isCorrupt(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code.startsWith("SQLITE_CORRUPT") || code.startsWith("SQLITE_NOTADB");
}

function open(path: string): Database {
  // The file's own mode decides that of -wal and -shm: it must be private before they are made.
  if (path !== ":memory:") {
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
  }
  const db = new Database(path, { create: true, strict: true });
  try {
    db.run("PRAGMA journal_mode = WAL");
    // A lost power cable costs the last transactions, never the file: WAL keeps it sound with NORMAL.
    db.run("PRAGMA synchronous = NORMAL");
    db.run("PRAGMA busy_timeout = 2000");
    db.run("PRAGMA foreign_keys = ON");
    db.query("SELECT count(*) FROM sqlite_schema").get();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

import type { Database } from "bun:sqlite";

const SCHEMA = `
CREATE TABLE IF NOT EXISTS access_versions (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS access_secrets (
  name TEXT NOT NULL, created_at INTEGER NOT NULL, value BLOB NOT NULL, PRIMARY KEY (name, created_at)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS access_keys (
  name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, note TEXT NOT NULL, per_minute INTEGER NOT NULL,
  per_day INTEGER NOT NULL, sources TEXT NOT NULL, qualities TEXT NOT NULL, created_at INTEGER NOT NULL,
  expires_at INTEGER
);
CREATE TABLE IF NOT EXISTS access_key_use (
  id INTEGER PRIMARY KEY, used_at INTEGER NOT NULL, uses INTEGER NOT NULL, day_counts TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS access_bans (
  target TEXT PRIMARY KEY, reason TEXT NOT NULL, note TEXT NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER, times INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS access_bans_expiry ON access_bans (expires_at);
CREATE TABLE IF NOT EXISTS access_users (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, password TEXT NOT NULL, role TEXT NOT NULL,
  created_at INTEGER NOT NULL, password_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS access_sessions (
  id TEXT PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES access_users (id) ON DELETE CASCADE,
  refresh BLOB NOT NULL, previous BLOB, created_at INTEGER NOT NULL, used_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS access_sessions_user ON access_sessions (user_id);
CREATE TABLE IF NOT EXISTS access_tokens (
  name TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, role TEXT NOT NULL,
  user_id INTEGER NOT NULL REFERENCES access_users (id) ON DELETE CASCADE, created_at INTEGER NOT NULL,
  expires_at INTEGER, used_at INTEGER
);
CREATE TABLE IF NOT EXISTS access_audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, actor TEXT NOT NULL, address TEXT NOT NULL,
  action TEXT NOT NULL, target TEXT NOT NULL, detail TEXT NOT NULL, request_id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS access_audit_at ON access_audit (at);
`;

/** What another process (a command beside the running server) may change under us. */
export type Part = "keys" | "bans" | "secrets";

/** Creates the tables of this room. All times in them are Unix milliseconds. */
export function createTables(db: Database): void {
  db.run(SCHEMA);
}

/** Tells other processes that this part has changed; inside the same transaction as the change. */
export function touch(db: Database, part: Part): void {
  db.query("INSERT INTO access_versions VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET version = version + 1").run(
    part,
  );
}

const POLL_MS = 2000;

/**
 * Calls `reload` soon after another process has changed a part, so that `key remove` works without a restart.
 * @returns a function that stops watching.
 */
export function watchOthers(db: Database, reload: (part: Part) => void): () => void {
  const dataVersion = db.query<{ data_version: number }, []>("PRAGMA data_version");
  const versions = db.query<{ name: Part; version: number }, []>("SELECT name, version FROM access_versions");
  const read = () => new Map(versions.all().map((row) => [row.name, row.version]));
  let seen = dataVersion.get()?.data_version;
  let known = read();
  const timer = setInterval(() => {
    const current = dataVersion.get()?.data_version;
    if (current === seen) return;
    seen = current;
    const next = read();
    for (const [part, version] of next) if (known.get(part) !== version) reload(part);
    known = next;
  }, POLL_MS);
  timer.unref();
  return () => clearInterval(timer);
}

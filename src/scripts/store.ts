import type { Database } from "bun:sqlite";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { writeAtomic } from "../config/store.ts";
import { AppError } from "../core/errors.ts";
import { fileFault } from "../core/file-fault.ts";
import { SOURCE_IDS, type SourceId } from "../core/types.ts";
import type { ScriptHeader } from "./header.ts";
import { createNoteStore, type NoteStore } from "./notes.ts";
import { check, SCRIPT_ENVS, type ScriptEnv } from "./protocol.ts";

export interface StoredVersion {
  /** SHA-256 of the text, first 32 hexadecimal digits. */
  hash: string;
  header: ScriptHeader;
  /** Characters. */
  size: number;
  /** Unix ms. */
  addedAt: number;
}

export interface ScriptAlert {
  log: string;
  updateUrl: string | null;
  /** Unix ms. */
  at: number;
}

/** One script as it is kept, whether it runs or not. */
export interface StoredScript {
  id: string;
  name: string;
  /** Where updates come from; undefined = it was added as a file. */
  url: string | undefined;
  enabled: boolean;
  /** Undefined = as the config says. */
  env: ScriptEnv | undefined;
  /** Hosts that it may ask; undefined = all public ones. */
  allowHosts: string[] | undefined;
  hash: string;
  /** A version that is not to be installed again by an update: it was rolled back or refused. */
  heldHash: string | undefined;
  etag: string | undefined;
  lastModified: string | undefined;
  /** Unix ms of the last update check; 0 = never. */
  checkedAt: number;
  /** What the last update check found, for people. */
  checkResult: string;
  alert: ScriptAlert | undefined;
  addedAt: number;
}

export type ScriptChange = Partial<
  Pick<
    StoredScript,
    | "enabled"
    | "env"
    | "allowHosts"
    | "heldHash"
    | "etag"
    | "lastModified"
    | "checkedAt"
    | "checkResult"
    | "alert"
    | "url"
  >
>;

export interface ScriptStore {
  readonly notes: NoteStore;
  /** Whether this address of the config was taken up before: one that the operator has removed does not come back. */
  isTaken(url: string): boolean;
  take(url: string): void;
  list(): StoredScript[];
  /** By id, or by name when only one script has it. @throws AppError `not_found`, `conflict`. */
  find(idOrName: string): StoredScript;
  /** Stores a new script, disabled or not. @throws AppError `conflict` when the same text or address is there. */
  add(script: NewScript): Promise<StoredScript>;
  /** Stores a version and makes it the current one. */
  install(id: string, text: string, header: ScriptHeader): Promise<StoredScript>;
  /** Makes a stored version the current one. @throws AppError `not_found`. */
  select(id: string, hash: string): StoredScript;
  change(id: string, change: ScriptChange): StoredScript;
  remove(id: string): Promise<void>;
  /** Newest first. */
  versions(id: string): StoredVersion[];
  /** The exact text. @throws AppError `storage_failed` when the file is gone or is not what was stored. */
  text(id: string, hash: string): Promise<string>;
  order(platform: SourceId): string[];
  setOrder(platform: SourceId, ids: readonly string[]): void;
  /** Differs after another process has changed the database. */
  foreignChanges(): number;
}

export interface NewScript {
  text: string;
  header: ScriptHeader;
  url?: string | undefined;
  env?: ScriptEnv | undefined;
  enabled: boolean;
  allowHosts?: string[] | undefined;
}

export interface StoreDeps {
  db: Database;
  /** `external_scripts` of the data folder. */
  folder: string;
  keepVersions: () => number;
  now: () => number;
}

const headerSchema = Type.Object({
  name: Type.String(),
  description: Type.String(),
  version: Type.String(),
  author: Type.String(),
  homepage: Type.String(),
});
const alertSchema = Type.Object({
  log: Type.String(),
  updateUrl: Type.Union([Type.String(), Type.Null()]),
  at: Type.Number(),
});
const nullable = Type.Union([Type.String(), Type.Null()]);
const rowSchema = Type.Object({
  id: Type.String(),
  name: Type.String(),
  url: nullable,
  enabled: Type.Integer(),
  env: nullable,
  allow_hosts: nullable,
  hash: Type.String(),
  held_hash: nullable,
  etag: nullable,
  last_modified: nullable,
  checked_at: Type.Integer(),
  check_result: Type.String(),
  alert: nullable,
  added_at: Type.Integer(),
});
const versionSchema = Type.Object({
  hash: Type.String(),
  header: Type.String(),
  size: Type.Integer(),
  added_at: Type.Integer(),
});

/** The script's text as a name: what `versions` and files are called by. */
export function scriptHash(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex").slice(0, 32);
}

/** Scripts on disk (`external_scripts/<id>/<hash>.js`) and what is known of them in `lx.db`. */
export function createScriptStore({ db, folder, keepVersions, now }: StoreDeps): ScriptStore {
  db.run(`CREATE TABLE IF NOT EXISTS scripts (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT UNIQUE, enabled INTEGER NOT NULL, env TEXT, allow_hosts TEXT,
    hash TEXT NOT NULL, held_hash TEXT, etag TEXT, last_modified TEXT, checked_at INTEGER NOT NULL DEFAULT 0,
    check_result TEXT NOT NULL DEFAULT '', alert TEXT, added_at INTEGER NOT NULL) STRICT`);
  db.run(`CREATE TABLE IF NOT EXISTS script_versions (
    script_id TEXT NOT NULL REFERENCES scripts(id) ON DELETE CASCADE, hash TEXT NOT NULL, header TEXT NOT NULL,
    size INTEGER NOT NULL, added_at INTEGER NOT NULL, PRIMARY KEY (script_id, hash)) STRICT`);
  db.run(`CREATE TABLE IF NOT EXISTS script_order (
    platform TEXT NOT NULL, position INTEGER NOT NULL, script_id TEXT NOT NULL REFERENCES scripts(id) ON DELETE CASCADE,
    PRIMARY KEY (platform, script_id)) STRICT`);

  db.run("CREATE TABLE IF NOT EXISTS script_config_urls (url TEXT PRIMARY KEY) STRICT");
  const notes = createNoteStore(db);

  const fileOf = (id: string, hash: string) => join(folder, id, `${hash}.js`);
  const rows = () => db.query("SELECT * FROM scripts ORDER BY added_at, id").all().map(toScript);

  function get(id: string): StoredScript {
    const row = db.query("SELECT * FROM scripts WHERE id = ?").get(id);
    if (row === null) throw new AppError("not_found", `没有脚本 ${id}`);
    return toScript(row);
  }

  async function write(id: string, text: string): Promise<string> {
    const hash = scriptHash(text);
    const file = fileOf(id, hash);
    try {
      await writeAtomic(file, text);
    } catch (error) {
      throw new AppError("storage_failed", "脚本无法保存", { detail: fileFault(error, file) });
    }
    return hash;
  }

  function noteVersion(id: string, hash: string, text: string, header: ScriptHeader): void {
    db.query(
      "INSERT OR REPLACE INTO script_versions (script_id, hash, header, size, added_at) VALUES (?, ?, ?, ?, ?)",
    ).run(id, hash, JSON.stringify(header), text.length, now());
  }

  async function prune(script: StoredScript): Promise<void> {
    const old = versions(script.id).filter((version) => version.hash !== script.hash);
    for (const { hash } of old.slice(keepVersions())) {
      db.query("DELETE FROM script_versions WHERE script_id = ? AND hash = ?").run(script.id, hash);
      await rm(fileOf(script.id, hash), { force: true });
    }
  }

  function versions(id: string): StoredVersion[] {
    return db
      .query(
        "SELECT hash, header, size, added_at FROM script_versions WHERE script_id = ? ORDER BY added_at DESC, rowid DESC",
      )
      .all(id)
      .flatMap(toVersion);
  }

  function select(id: string, hash: string): StoredScript {
    const version = versions(id).find((item) => item.hash === hash);
    if (version === undefined) throw new AppError("not_found", "没有这个版本");
    db.query("UPDATE scripts SET hash = ?, name = ? WHERE id = ?").run(hash, version.header.name, id);
    return get(id);
  }

  return {
    notes,
    isTaken: (url) => db.query("SELECT 1 FROM script_config_urls WHERE url = ?").get(url) !== null,
    take: (url) => void db.query("INSERT OR IGNORE INTO script_config_urls (url) VALUES (?)").run(url),
    list: rows,
    find(idOrName) {
      const all = rows();
      const byId = all.find((script) => script.id === idOrName);
      if (byId !== undefined) return byId;
      const [first, second] = all.filter((script) => script.name === idOrName || script.url === idOrName);
      if (first === undefined) throw new AppError("not_found", `没有脚本 ${idOrName}`);
      if (second !== undefined) throw new AppError("conflict", `有多个脚本叫 ${idOrName}，请用编号`);
      return first;
    },
    async add({ text, header, url, env, enabled, allowHosts }) {
      const hash = scriptHash(text);
      const same = rows().find((script) => script.hash === hash || (url !== undefined && script.url === url));
      if (same !== undefined) throw new AppError("conflict", `脚本已存在：${same.name}（${same.id}）`);
      const id = scriptHash(url ?? text).slice(0, 8);
      await write(id, text);
      db.transaction(() => {
        db.query(
          "INSERT INTO scripts (id, name, url, enabled, env, allow_hosts, hash, added_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        ).run(id, header.name, url ?? null, Number(enabled), env ?? null, jsonOrNull(allowHosts), hash, now());
        noteVersion(id, hash, text, header);
      })();
      return get(id);
    },
    async install(id, text, header) {
      get(id);
      const hash = await write(id, text);
      noteVersion(id, hash, text, header);
      const script = select(id, hash);
      await prune(script);
      return script;
    },
    select,
    change(id, change) {
      const next = { ...get(id), ...change };
      db.query(
        `UPDATE scripts SET enabled = ?, env = ?, allow_hosts = ?, held_hash = ?, etag = ?, last_modified = ?,
         checked_at = ?, check_result = ?, alert = ?, url = ? WHERE id = ?`,
      ).run(
        Number(next.enabled),
        next.env ?? null,
        jsonOrNull(next.allowHosts),
        next.heldHash ?? null,
        next.etag ?? null,
        next.lastModified ?? null,
        next.checkedAt,
        next.checkResult,
        jsonOrNull(next.alert),
        next.url ?? null,
        id,
      );
      return get(id);
    },
    async remove(id) {
      get(id);
      db.query("DELETE FROM scripts WHERE id = ?").run(id);
      await rm(join(folder, id), { recursive: true, force: true });
    },
    versions,
    async text(id, hash) {
      const file = fileOf(id, hash);
      const text = await readFile(file, "utf8").catch((error: unknown) => {
        throw new AppError("storage_failed", "脚本文件无法读取", { detail: fileFault(error, file) });
      });
      if (scriptHash(text) !== hash) throw new AppError("storage_failed", "脚本文件已损坏", { detail: { file } });
      return text;
    },
    order(platform) {
      const found = db
        .query("SELECT script_id FROM script_order WHERE platform = ? ORDER BY position")
        .values(platform);
      return found.map((row) => String(row[0]));
    },
    setOrder(platform, ids) {
      db.transaction(() => {
        db.query("DELETE FROM script_order WHERE platform = ?").run(platform);
        const insert = db.query("INSERT INTO script_order (platform, position, script_id) VALUES (?, ?, ?)");
        for (const [position, id] of ids.entries()) insert.run(platform, position, id);
      })();
    },
    foreignChanges: () => Number(db.query("PRAGMA data_version").values()[0]?.[0] ?? 0),
  };
}

export const isPlatform = (value: string): value is SourceId => (SOURCE_IDS as readonly string[]).includes(value);

const jsonOrNull = (value: unknown) => (value === undefined ? null : JSON.stringify(value));

function toScript(value: unknown): StoredScript {
  const row = check(rowSchema, value);
  if (row === undefined) throw new AppError("storage_failed", "脚本数据表已损坏");
  return {
    id: row.id,
    name: row.name,
    url: row.url ?? undefined,
    enabled: row.enabled !== 0,
    env: SCRIPT_ENVS.find((env) => env === row.env),
    allowHosts: fromJson(Type.Array(Type.String()), row.allow_hosts),
    hash: row.hash,
    heldHash: row.held_hash ?? undefined,
    etag: row.etag ?? undefined,
    lastModified: row.last_modified ?? undefined,
    checkedAt: row.checked_at,
    checkResult: row.check_result,
    alert: fromJson(alertSchema, row.alert),
    addedAt: row.added_at,
  };
}

function toVersion(value: unknown): StoredVersion[] {
  const row = check(versionSchema, value);
  const header = fromJson(headerSchema, row?.header ?? null);
  return row === undefined || header === undefined
    ? []
    : [{ hash: row.hash, header, size: row.size, addedAt: row.added_at }];
}

function fromJson<T extends Parameters<typeof check>[0]>(schema: T, text: string | null): Static<T> | undefined {
  if (text === null) return undefined;
  try {
    return check(schema, JSON.parse(text));
  } catch {
    return undefined;
  }
}

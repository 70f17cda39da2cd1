import type { Database } from "bun:sqlite";
import { AppError } from "../core/errors.ts";
import { isQuality, isSourceId, type Quality, type SourceId } from "../core/types.ts";
import { createDigestIndex, newSecret, sha256 } from "./digest.ts";
import { createQuota, DAY, MINUTE } from "./quota.ts";
import type { SharedQuota } from "./quota-redis.ts";
import { touch } from "./store.ts";

/** What a key allows. Zero and empty = no limit. */
export interface KeyRights {
  note: string;
  perMinute: number;
  perDay: number;
  sources: SourceId[];
  qualities: Quality[];
  /** Unix ms; undefined = never. */
  expiresAt?: number | undefined;
}

export interface RequestKey extends KeyRights {
  /** From the key's hash: the same in every process that knows the key. */
  readonly id: number;
  readonly name: string;
  /** `config` keys stand in `security.key.values`; `stored` ones in `lx.db`, as hashes. */
  readonly origin: "config" | "stored";
  readonly createdAt?: number;
  usedAt?: number;
  uses: number;
}

export interface KeysDeps {
  db: Database;
  /** `security.key.values`. */
  configured: readonly string[];
  /** Counts quotas for all instances together. */
  shared?: SharedQuota | undefined;
  now?: () => number;
}

/** Why a good key does not help; undefined = it does. */
export interface QuotaVerdict {
  message: string;
  retryAfterSeconds: number;
}

export interface Keys {
  /** In constant time. Expired keys are found too: see `isExpired`. */
  find(presented: string): RequestKey | undefined;
  byName(name: string): RequestKey | undefined;
  isExpired(key: RequestKey): boolean;
  /** Counts one request of this key. */
  charge(key: RequestKey): QuotaVerdict | undefined | Promise<QuotaVerdict | undefined>;
  /** The secret is given here once, and cannot be read again. @throws AppError `invalid_request`, `conflict` */
  add(name: string, rights: Partial<KeyRights>): { secret: string; key: RequestKey };
  /** Changes what a stored key allows. @throws AppError `not_found`, `invalid_request` */
  update(name: string, rights: Partial<KeyRights>): RequestKey;
  /** False when there is no stored key of this name. */
  remove(name: string): boolean;
  list(): RequestKey[];
  /** New `security.key.values`. */
  configure(values: readonly string[]): void;
  reload(): void;
  /** Writes what is known of the last uses. Done every half minute, and by `close`. */
  flush(): void;
  close(): void;
}

const MAX_KEYS = 10_000;
const FLUSH_MS = 30_000;
/** Longer than any key of ours; hashing megabytes for a stranger is work that nobody asked for. */
export const MAX_PRESENTED = 512;

interface Row {
  name: string;
  digest: Uint8Array;
  note: string;
  per_minute: number;
  per_day: number;
  sources: string;
  qualities: string;
  created_at: number;
  expires_at: number | null;
}

export function createKeys({ db, configured, shared, now = Date.now }: KeysDeps): Keys {
  const index = createDigestIndex<RequestKey>();
  const minute = createQuota(MINUTE);
  const day = createQuota(DAY);
  let all: RequestKey[] = [];
  let names = new Map<string, RequestKey>();
  let values = configured;
  const used = new Set<RequestKey>();

  function enter(digest: Uint8Array, key: Omit<RequestKey, "id" | "uses">): void {
    const id = new DataView(digest.buffer, digest.byteOffset).getUint32(0);
    const entered: RequestKey = { ...key, id, uses: 0 };
    const use = readUse(db, id);
    if (use !== undefined) {
      entered.usedAt = use.usedAt;
      entered.uses = use.uses;
      day.forget(id);
      day.restore(id, use.dayCounts, now());
    }
    index.set(digest, entered);
    all.push(entered);
  }

  function load(): void {
    flush();
    index.clear();
    const before = all;
    all = [];
    for (const [position, value] of values.entries()) {
      const name = `config-${position + 1}`;
      enter(sha256(value), { name, origin: "config", note: "", perMinute: 0, perDay: 0, sources: [], qualities: [] });
    }
    for (const row of db.query<Row, []>("SELECT * FROM access_keys ORDER BY created_at, name").all()) {
      enter(new Uint8Array(row.digest), fromRow(row));
    }
    names = new Map(all.map((key) => [key.name, key]));
    const ids = new Set(all.map((key) => key.id));
    for (const { id } of before) {
      if (ids.has(id)) continue;
      minute.forget(id);
      day.forget(id);
    }
  }

  function flush(): void {
    if (used.size === 0) return;
    const write = db.query(
      "INSERT INTO access_key_use VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET used_at = excluded.used_at, uses = excluded.uses, day_counts = excluded.day_counts",
    );
    db.transaction(() => {
      for (const key of used) write.run(key.id, key.usedAt ?? now(), key.uses, JSON.stringify(day.save(key.id, now())));
    })();
    used.clear();
  }

  async function chargeShared(key: RequestKey, quota: SharedQuota): Promise<QuotaVerdict | undefined> {
    const perMinute = key.perMinute > 0 ? await quota.take(key.id, MINUTE, key.perMinute) : 0;
    if (perMinute === undefined) return chargeHere(key);
    if (perMinute > 0) return refusal("key限速", perMinute);
    const perDay = key.perDay > 0 ? await quota.take(key.id, DAY, key.perDay) : 0;
    if (perDay === undefined) return chargeHere(key);
    return perDay > 0 ? refusal("key今日次数已用完", perDay) : undefined;
  }

  function chargeHere(key: RequestKey): QuotaVerdict | undefined {
    // The minute first: a client that is merely too fast must not use up its day.
    const perMinute = key.perMinute > 0 ? minute.take(key.id, key.perMinute, now()) : 0;
    if (perMinute > 0) return refusal("key限速", perMinute);
    const perDay = key.perDay > 0 ? day.take(key.id, key.perDay, now()) : 0;
    return perDay > 0 ? refusal("key今日次数已用完", perDay) : undefined;
  }

  load();
  const timer = setInterval(flush, FLUSH_MS);
  timer.unref();

  return {
    find: (presented) => (presented.length > MAX_PRESENTED ? undefined : index.find(presented)),
    byName: (name) => names.get(name),
    isExpired: (key) => key.expiresAt !== undefined && key.expiresAt <= now(),
    charge(key) {
      key.usedAt = now();
      key.uses++;
      used.add(key);
      if (key.perMinute === 0 && key.perDay === 0) return undefined;
      return shared === undefined ? chargeHere(key) : chargeShared(key, shared);
    },
    add(name, partial) {
      const rights = checkedRights(name, partial, now());
      if (all.length >= MAX_KEYS) throw new AppError("conflict", `key 数量已达上限 ${MAX_KEYS}`);
      if (all.some((key) => key.name === name)) throw new AppError("conflict", `已有名为 ${name} 的 key`);
      const secret = newSecret("lx_");
      const digest = sha256(secret);
      store(db, name, digest, rights, now());
      load();
      const key = index.find(secret);
      if (key === undefined) throw new AppError("storage_failed", "key 未能保存");
      return { secret, key };
    },
    update(name, partial) {
      const key = names.get(name);
      if (key?.origin !== "stored") throw new AppError("not_found", `没有名为 ${name} 的 key`);
      change(db, name, checkedRights(name, { ...rightsOf(key), ...partial }, now()));
      load();
      return names.get(name) ?? key;
    },
    remove(name) {
      const key = names.get(name);
      if (key?.origin !== "stored") return false;
      db.transaction(() => {
        db.query("DELETE FROM access_keys WHERE name = ?").run(name);
        db.query("DELETE FROM access_key_use WHERE id = ?").run(key.id);
        touch(db, "keys");
      })();
      used.delete(key);
      load();
      return true;
    },
    list: () => [...all],
    configure(next) {
      values = next;
      load();
    },
    reload: load,
    flush,
    close() {
      clearInterval(timer);
      flush();
    },
  };
}

function refusal(message: string, waitMs: number): QuotaVerdict {
  return { message, retryAfterSeconds: Math.max(1, Math.ceil(waitMs / 1000)) };
}

function fromRow(row: Row): Omit<RequestKey, "id" | "uses"> {
  return {
    name: row.name,
    origin: "stored",
    note: row.note,
    perMinute: row.per_minute,
    perDay: row.per_day,
    sources: row.sources.split(",").filter(isSourceId),
    qualities: row.qualities.split(",").filter(isQuality),
    createdAt: row.created_at,
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
  };
}

function readUse(db: Database, id: number) {
  const row = db
    .query<{ used_at: number; uses: number; day_counts: string }, [number]>("SELECT * FROM access_key_use WHERE id = ?")
    .get(id);
  if (row === null) return undefined;
  const counts: unknown = JSON.parse(row.day_counts);
  const pairs = Array.isArray(counts) ? counts.filter(isPair) : [];
  return { usedAt: row.used_at, uses: row.uses, dayCounts: pairs };
}

function isPair(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function store(db: Database, name: string, digest: Uint8Array, rights: KeyRights, now: number): void {
  db.transaction(() => {
    db.query("INSERT INTO access_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)").run(
      name,
      digest,
      rights.note,
      rights.perMinute,
      rights.perDay,
      rights.sources.join(","),
      rights.qualities.join(","),
      now,
      rights.expiresAt ?? null,
    );
    touch(db, "keys");
  })();
}

function change(db: Database, name: string, rights: KeyRights): void {
  db.transaction(() => {
    db.query(
      "UPDATE access_keys SET note = ?, per_minute = ?, per_day = ?, sources = ?, qualities = ?, expires_at = ? WHERE name = ?",
    ).run(
      rights.note,
      rights.perMinute,
      rights.perDay,
      rights.sources.join(","),
      rights.qualities.join(","),
      rights.expiresAt ?? null,
      name,
    );
    touch(db, "keys");
  })();
}

function rightsOf({ note, perMinute, perDay, sources, qualities, expiresAt }: RequestKey): KeyRights {
  return { note, perMinute, perDay, sources, qualities, expiresAt };
}

function checkedRights(name: string, partial: Partial<KeyRights>, now: number): KeyRights {
  if (!/^[\p{L}\p{N}][\p{L}\p{N} ._@-]{0,63}$/u.test(name) || name.startsWith("config-")) {
    throw new AppError("invalid_request", "key 名称须为 1 至 64 个字母、数字、空格或 . _ @ -，且不以 config- 开头");
  }
  const rights: KeyRights = { note: "", perMinute: 0, perDay: 0, sources: [], qualities: [], ...partial };
  if (rights.note.length > 500) throw new AppError("invalid_request", "备注最多 500 字");
  for (const bound of [rights.perMinute, rights.perDay]) {
    if (!Number.isInteger(bound) || bound < 0 || bound > 1_000_000_000) {
      throw new AppError("invalid_request", "每分钟与每日次数须为 0 至 10 亿的整数，0 为不限");
    }
  }
  if (rights.expiresAt !== undefined && !(rights.expiresAt > now)) {
    throw new AppError("invalid_request", "过期时间须在将来");
  }
  return rights;
}

import type { Database } from "bun:sqlite";
import { AppError } from "../core/errors.ts";
import { newSecret, sha256 } from "./digest.ts";
import type { User, UserRole } from "./users.ts";

/** A program's way into the management API: `Authorization: Bearer lxat_…`. */
export interface ApiToken {
  name: string;
  /** What it may do; never more than its owner. */
  role: UserRole;
  owner: string;
  /** Unix ms. */
  createdAt: number;
  expiresAt?: number;
  usedAt?: number;
}

export interface ApiTokens {
  /** The secret is given here once. @throws AppError `invalid_request`, `conflict`, `forbidden` */
  add(owner: User, name: string, role: UserRole, expiresAt?: number): { secret: string; token: ApiToken };
  list(): ApiToken[];
  remove(name: string): boolean;
  find(secret: string): ApiToken | undefined;
}

export const TOKEN_PREFIX = "lxat_";
const MAX_TOKENS = 200;
/** The time of the last use is written at most this often. */
const USE_MS = 60_000;

interface Row {
  name: string;
  role: string;
  owner: string;
  owner_role: string;
  created_at: number;
  expires_at: number | null;
  used_at: number | null;
}

const SELECT = `SELECT t.name, t.role, u.name AS owner, u.role AS owner_role, t.created_at, t.expires_at, t.used_at
  FROM access_tokens t JOIN access_users u ON u.id = t.user_id`;

/** Looked up by SHA-256 of 256 random bits: an index that leaks its timing gives nothing away. */
export function createApiTokens(db: Database, now: () => number = Date.now): ApiTokens {
  const byDigest = db.query<Row, [Uint8Array]>(`${SELECT} WHERE t.digest = ?`);

  return {
    add(owner, name, role, expiresAt) {
      if (!/^[\p{L}\p{N}][\p{L}\p{N} ._@-]{0,63}$/u.test(name)) {
        throw new AppError("invalid_request", "令牌名称须为 1 至 64 个字母、数字、空格或 . _ @ -");
      }
      if (role === "admin" && owner.role !== "admin") throw new AppError("forbidden", "令牌的权限不能高于用户");
      if (expiresAt !== undefined && !(expiresAt > now())) throw new AppError("invalid_request", "过期时间须在将来");
      const count = db.query<{ n: number }, []>("SELECT count(*) AS n FROM access_tokens").get()?.n ?? 0;
      if (count >= MAX_TOKENS) throw new AppError("conflict", `令牌数量已达上限 ${MAX_TOKENS}`);
      const secret = newSecret(TOKEN_PREFIX);
      const { changes } = db
        .query("INSERT INTO access_tokens VALUES (?, ?, ?, ?, ?, ?, NULL) ON CONFLICT DO NOTHING")
        .run(name, sha256(secret), role, owner.id, now(), expiresAt ?? null);
      if (changes === 0) throw new AppError("conflict", `已有名为 ${name} 的令牌`);
      const token: ApiToken = { name, role, owner: owner.name, createdAt: now() };
      return { secret, token: expiresAt === undefined ? token : { ...token, expiresAt } };
    },
    list: () => db.query<Row, []>(`${SELECT} ORDER BY t.name`).all().map(fromRow),
    remove: (name) => db.query("DELETE FROM access_tokens WHERE name = ?").run(name).changes > 0,
    find(secret) {
      if (!secret.startsWith(TOKEN_PREFIX) || secret.length > 100) return undefined;
      const row = byDigest.get(sha256(secret));
      if (row === null || (row.expires_at !== null && row.expires_at <= now())) return undefined;
      if ((row.used_at ?? 0) + USE_MS < now()) {
        db.query("UPDATE access_tokens SET used_at = ? WHERE name = ?").run(now(), row.name);
      }
      return fromRow(row);
    },
  };
}

function fromRow(row: Row): ApiToken {
  const token: ApiToken = {
    name: row.name,
    role: row.role === "admin" && row.owner_role === "admin" ? "admin" : "viewer",
    owner: row.owner,
    createdAt: row.created_at,
  };
  if (row.expires_at !== null) token.expiresAt = row.expires_at;
  if (row.used_at !== null) token.usedAt = row.used_at;
  return token;
}

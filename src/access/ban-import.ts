import { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { AppError } from "../core/errors.ts";
import type { Ban } from "./ban-index.ts";

/** One entry of the original's `banList`, the JSON text under that key in table `data(key, value)` of `data.db`. */
const OldBan = Type.Object({
  ip: Type.String(),
  expire: Type.Optional(Type.Unknown()),
  expire_time: Type.Optional(Type.Number()),
});

/** Below this, `expire_time` of early versions is a length and not a time (seconds; September 2001). */
const FIRST_UNIX_TIME = 1_000_000_000;

/**
 * Bans of the original, from its `data.db`; ended ones are left out. The file is only read.
 * @throws AppError `not_found` without a file, `invalid_request` when it is not such a database
 */
export function readOriginalBans(path: string, now = Date.now()): Omit<Ban, "times">[] {
  if (!existsSync(path)) throw new AppError("not_found", `没有文件 ${path}`);
  const list: unknown = JSON.parse(readList(path));
  if (!Array.isArray(list)) throw new AppError("invalid_request", `${path} 中的 banList 不是列表`);
  const bans = list
    .filter((item) => Value.Check(OldBan, item))
    .map((item): Omit<Ban, "times"> => {
      const seconds = item.expire_time ?? 0;
      const end = seconds >= FIRST_UNIX_TIME ? seconds * 1000 : now + seconds * 1000;
      const lasting = item.expire === false || item.expire === 0;
      return {
        target: item.ip,
        reason: "import",
        note: "data.db",
        createdAt: now,
        expiresAt: lasting ? Number.POSITIVE_INFINITY : Math.round(end),
      };
    });
  return bans.filter((ban) => ban.expiresAt > now);
}

function readList(path: string): string {
  try {
    const db = new Database(path, { readonly: true });
    try {
      const row = db.query<{ value: string }, []>("SELECT value FROM data WHERE key = 'banList'").get();
      const value = row?.value ?? "[]";
      JSON.parse(value);
      return value;
    } finally {
      db.close();
    }
  } catch (error) {
    throw new AppError("invalid_request", `${path} 不是原服务的 data.db`, { cause: error });
  }
}

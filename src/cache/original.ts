import { Database } from "bun:sqlite";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { AppError } from "../core/errors.ts";
import { isSourceId, type Lyric, QUALITIES, type Quality, type SourceId } from "../core/types.ts";
import { addressKey } from "./adapters.ts";
import type { StoredAddress } from "./codecs.ts";
import { encodeEnvelope } from "./envelope.ts";
import { cacheKey } from "./keys.ts";
import { type CacheConfig, deadlinesOf, kindRules } from "./kinds.ts";
import { escapeGlob } from "./redis.ts";
import { mastersOf, type RedisClient } from "./redis-client.ts";
import type { Entry } from "./tier.ts";
import type { TransferCounts } from "./transfer.ts";

/**
 * Reads the caches of the Python lx-music-api-server: the table `cache(id, module, key, data)` of its `cache.db`, and
 * its Redis keys `<key_prefix>:<module>:<key>`. `data` is JSON with `expire` (may it end?), `time` (Unix seconds, 75 %
 * of an address's life) and the content: `url` in module `urls` (key `source_songId_quality`), `data` in module
 * `lyric` (key `source_songId`). Other modules can be asked for anew at no cost and are left out.
 */

/** Seconds that the original took an address to live; it kept a quarter of it back. Absent = without end. */
const LIVES: Partial<Record<SourceId, number>> = { tx: 80_400, kg: 86_400, kw: 3_600, wy: 1_200 };

const Common = { expire: Type.Boolean(), time: Type.Union([Type.Number(), Type.String({ pattern: "^\\d+$" })]) };
/** Its last generation stored the address with its quality. */
const AddressRow = Type.Object({
  ...Common,
  url: Type.Union([Type.String(), Type.Object({ url: Type.String() })]),
});
const optionalText = Type.Optional(Type.Union([Type.String(), Type.Null()]));
const LyricRow = Type.Object({
  ...Common,
  data: Type.Object({ lyric: Type.String(), tlyric: optionalText, rlyric: optionalText, lxlyric: optionalText }),
});

export interface OriginalOptions {
  config: CacheConfig;
  now: () => number;
}

export interface OriginalRow {
  module: string;
  key: string;
  data: string;
}

const SLICE = 500;

/** @throws AppError `invalid_request` when the file is not the original's cache. */
export async function* originalRows(path: string): AsyncGenerator<OriginalRow> {
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true, strict: true });
    const slice = db.query<OriginalRow & { id: number }, [number, number]>(
      `SELECT rowid AS id, ${["module", "key", "data"].map((name) => `ifnull(CAST(${name} AS TEXT), '') AS ${name}`)}
       FROM cache WHERE rowid > ? ORDER BY rowid LIMIT ?`,
    );
    for (let after = 0; ; ) {
      const rows = slice.all(after, SLICE);
      yield* rows;
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.id;
      await Bun.sleep(0);
    }
  } catch (error) {
    throw new AppError("invalid_request", "不是原版的 cache.db", {
      cause: error,
      detail: { path, error: String(error) },
    });
  } finally {
    db?.close();
  }
}

/** The original's keys on a Redis server, found without stopping it for others. */
export async function* originalRedisRows(client: RedisClient, prefix: string): AsyncGenerator<OriginalRow> {
  for (const master of mastersOf(client)) {
    for (const module of ["urls", "lyric"]) {
      const root = `${prefix}:${module}:`;
      let cursor = "0";
      do {
        const [next, keys] = await master.scan(cursor, "MATCH", `${escapeGlob(root)}*`, "COUNT", SLICE);
        cursor = next;
        const texts = await Promise.all(keys.map((key) => client.get(key).catch(foreign)));
        for (const [index, data] of texts.entries()) {
          const key = keys[index];
          if (key !== undefined && data !== null) yield { module, key: key.slice(root.length), data };
        }
      } while (cursor !== "0");
    }
  }
}

/** A key of another type is none of the original's: it counts as damaged. */
function foreign(error: unknown): string {
  if (error instanceof Error && error.message.startsWith("WRONGTYPE")) return "";
  throw error;
}

/** The original's rows as entries of ours; every row is counted. */
export async function* originalEntries(
  rows: AsyncIterable<OriginalRow>,
  counts: TransferCounts,
  { config, now }: OriginalOptions,
): AsyncGenerator<[string, Entry]> {
  for await (const row of rows) {
    counts.read += 1;
    if (row.module !== "urls" && row.module !== "lyric") {
      counts.skipped += 1;
      continue;
    }
    const entry = row.module === "urls" ? addressEntry(row, config, now()) : lyricEntry(row, config, now());
    if (entry === undefined) counts.invalid += 1;
    else yield entry;
  }
}

function addressEntry(row: OriginalRow, config: CacheConfig, now: number): [string, Entry] | undefined {
  const data = parseJson(row.data);
  const quality = QUALITIES.filter((word) => row.key.endsWith(`_${word}`)).sort((a, b) => b.length - a.length)[0];
  const song = quality === undefined ? undefined : splitSong(row.key.slice(0, -quality.length - 1));
  if (song === undefined || quality === undefined || !Value.Check(AddressRow, data)) return undefined;
  const url = typeof data.url === "string" ? data.url : data.url.url;
  if (!/^https?:\/\//.test(url)) return undefined;
  return [addressKey(song.source, song.songId, quality), keptAddress(song.source, url, quality, data, config, now)];
}

function keptAddress(
  source: SourceId,
  url: string,
  quality: Quality,
  data: { expire: boolean; time: number | string },
  config: CacheConfig,
  now: number,
): Entry {
  const life = data.expire ? LIVES[source] : undefined;
  const value: StoredAddress = {
    url,
    quality,
    route: source,
    ...(life === undefined ? {} : { lifetimeSeconds: life }),
  };
  if (!data.expire) {
    const deadlines = deadlinesOf(config, kindRules(config).url, undefined, now, () => 0);
    const freshUntil = deadlines?.freshUntil ?? now;
    return { value: encodeEnvelope({ storedAt: now, freshUntil, content: { value } }), expiresAt: freshUntil };
  }
  const freshUntil = Number(data.time) * 1000;
  const heldBack = (life ?? 0) * 250;
  const storedAt = Math.min(now, freshUntil - heldBack * 3);
  const realExpiresAt = freshUntil + heldBack;
  return { value: encodeEnvelope({ storedAt, freshUntil, realExpiresAt, content: { value } }), expiresAt: freshUntil };
}

function lyricEntry(row: OriginalRow, config: CacheConfig, now: number): [string, Entry] | undefined {
  const song = splitSong(row.key);
  const data = parseJson(row.data);
  if (song === undefined || !Value.Check(LyricRow, data)) return undefined;
  const { lyric, tlyric, rlyric, lxlyric } = data.data;
  const value: Lyric = { lyric, tlyric: tlyric ?? "", rlyric: rlyric ?? "", lxlyric: lxlyric ?? "" };
  const freshUntil = data.expire ? Number(data.time) * 1000 : now + config.lifetimes.lyric * 1000;
  // One that is past its time is not worth its place, although it could be served as stale.
  const grace = freshUntil <= now ? 0 : kindRules(config).lyric.staleWhileRevalidate;
  const text = encodeEnvelope({ storedAt: now, freshUntil, content: { value } });
  const key = cacheKey({ kind: "lyric", source: song.source, id: song.songId, options: { form: "lyric" } });
  return [key, { value: text, expiresAt: freshUntil + grace }];
}

function splitSong(text: string): { source: SourceId; songId: string } | undefined {
  const bar = text.indexOf("_");
  const source = text.slice(0, bar);
  const songId = text.slice(bar + 1);
  if (bar === -1 || songId === "" || !isSourceId(source)) return undefined;
  return { source, songId: source === "kg" ? songId.toLowerCase() : songId };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { MusicInfo, Song, SourceId } from "../core/types.ts";

const MAX_TYPES = 32;
const text = Type.String({ maxLength: 4096 });
const textOrNumber = Type.Union([text, Type.Number()]);

/** What clients send in `?info=`: everything may be missing or odd, so each field is checked by itself. */
const Incoming = Type.Object({
  name: text,
  singer: Type.Optional(text),
  source: Type.Optional(text),
  songmid: Type.Optional(textOrNumber),
  interval: Type.Optional(Type.Union([text, Type.Null()])),
  albumName: Type.Optional(text),
  img: Type.Optional(Type.Union([text, Type.Null()])),
  albumId: Type.Optional(Type.Union([textOrNumber, Type.Null()])),
  types: Type.Optional(Type.Array(Type.Unknown(), { maxItems: MAX_TYPES })),
  _types: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  hash: Type.Optional(text),
  strMediaMid: Type.Optional(text),
  albumMid: Type.Optional(text),
  songId: Type.Optional(textOrNumber),
  copyrightId: Type.Optional(text),
  lrcUrl: Type.Optional(text),
  mrcUrl: Type.Optional(text),
  trcUrl: Type.Optional(text),
});

const QualityRow = Type.Object({
  size: Type.Optional(Type.Union([text, Type.Null()])),
  hash: Type.Optional(text),
});

/** Longest `?info=` that is read (characters of base64url). */
const MAX_INFO = 16_384;

/** Decodes `?info=`. It only helps, so anything that is not a musicInfo is treated as absent. */
export function decodeMusicInfo(base64url: string | null | undefined, source: SourceId): MusicInfo | undefined {
  if (!base64url || base64url.length > MAX_INFO) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(base64url, "base64url").toString("utf8"));
    if (!Value.Check(Incoming, value)) return undefined;
    return normalise(value, source);
  } catch {
    return undefined;
  }
}

function normalise(value: Static<typeof Incoming>, source: SourceId): MusicInfo {
  const rows = typeRows(value);
  const info: MusicInfo = {
    name: value.name,
    singer: value.singer ?? "",
    source,
    songmid: String(value.songmid ?? ""),
    interval: value.interval ?? null,
    albumName: value.albumName ?? "",
    img: value.img ?? null,
    typeUrl: {},
    albumId: value.albumId ?? undefined,
    types: Object.entries(rows).map(([type, row]) => ({ type, ...row })),
    _types: rows,
  };
  for (const name of ["hash", "strMediaMid", "albumMid", "copyrightId", "lrcUrl", "mrcUrl", "trcUrl"] as const) {
    const given = value[name];
    if (given !== undefined) info[name] = given;
  }
  if (value.songId !== undefined) info.songId = value.songId;
  return info;
}

function typeRows(value: Static<typeof Incoming>): MusicInfo["_types"] {
  // By way of a Map: a type may be called "__proto__".
  const rows = new Map<string, MusicInfo["_types"][string]>();
  const add = (type: unknown, row: unknown) => {
    if (typeof type !== "string" || type.length > 20 || !Value.Check(QualityRow, row)) return;
    rows.set(type, { size: row.size ?? null, ...(row.hash === undefined ? {} : { hash: row.hash }) });
  };
  for (const row of value.types ?? [])
    add(typeof row === "object" && row !== null && "type" in row ? row.type : undefined, row);
  for (const [type, row] of Object.entries(value._types ?? {}).slice(0, MAX_TYPES)) add(type, row);
  return Object.fromEntries(rows);
}

/** Is this the client's knowledge of just this song? The ids that `/url` takes must be in it. */
export function isInfoOf(info: MusicInfo | undefined, songId: string): info is MusicInfo {
  if (info === undefined) return false;
  const wanted = songId.toLowerCase();
  return [info.hash, info.songmid, info.copyrightId].some(
    (id) => id !== undefined && String(id).toLowerCase() === wanted,
  );
}

/** The form in which third-party scripts know songs, made from our own info. */
export function musicInfoOf(song: Song): MusicInfo {
  const _types: MusicInfo["_types"] = {};
  for (const [quality, row] of Object.entries(song.qualities)) {
    _types[quality] = {
      size: row.size === undefined ? null : megabytes(row.size),
      ...(row.hash === undefined ? {} : { hash: row.hash }),
    };
  }
  const info: MusicInfo = {
    name: song.name,
    singer: song.artists.map((artist) => artist.name).join("、"),
    source: song.source,
    songmid: song.source === "kg" ? (song.ids["audioId"] ?? song.songId) : song.songId,
    interval: song.durationSeconds === undefined ? null : interval(song.durationSeconds),
    albumName: song.album?.name ?? "",
    img: song.cover ?? null,
    typeUrl: {},
    albumId: (song.source === "tx" ? song.album?.mid : undefined) ?? song.album?.id,
    types: Object.entries(_types).map(([type, row]) => ({ type, ...row })),
    _types,
  };
  const { ids } = song;
  if (song.source === "kg") info.hash = ids["hash"] ?? song.songId;
  if (ids["mediaMid"] !== undefined) info.strMediaMid = ids["mediaMid"];
  if (song.source === "tx" && song.album?.mid !== undefined) info.albumMid = song.album.mid;
  // A number in LX Music, and published scripts put it into JSON as it is.
  if (song.source === "tx" && ids["id"] !== undefined) {
    info.songId = /^\d{1,15}$/.test(ids["id"]) ? Number(ids["id"]) : ids["id"];
  }
  for (const name of ["copyrightId", "lrcUrl", "mrcUrl", "trcUrl"] as const) {
    const value = ids[name];
    if (value !== undefined) info[name] = value;
  }
  return info;
}

function interval(seconds: number): string {
  const whole = Math.round(seconds);
  return `${String(Math.floor(whole / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1048576).toFixed(2)}M`;
}

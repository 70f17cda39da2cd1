import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Artist, Quality, QualityInfo, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import { idOf, listOf, positive, present, recordOf, textOf } from "../read.ts";
import type { Call } from "../source.ts";
import { type KwClient, MOBILE_USER_AGENT, numericRid, parseLoose, rid } from "./client.ts";

const PAY =
  "http://musicpay.kuwo.cn/music.pay?ver=MUSIC_9.1.1.2_BCS2&src=mbox&op=query&signver=new&action=play&accttype=1&appuid=38668888";

const PayReply = Type.Object({ songs: Type.Array(Type.Unknown()) });

/** Song by number, with the files that exist of it. */
export async function fetchSong(client: KwClient, songId: string, call: Call): Promise<Song> {
  const id = numericRid(songId);
  const reply = await client.get(`${PAY}&ids=${id}`, { "User-Agent": MOBILE_USER_AGENT }, call);
  const { songs } = decode(PayReply, parseLoose(reply.text()), "kw");
  const found = songs.map(recordOf).find((song) => rid(textOf(song["id"]) ?? "") === id);
  if (found === undefined || textOf(found["name"]) === undefined) {
    throw new AppError("upstream_not_found", "获取音乐信息失败");
  }
  return toSong(found);
}

/** Address of the cover in one size; the service answers with nothing else. */
export async function fetchCover(client: KwClient, songId: string, call: Call): Promise<string> {
  const address = `http://artistpicserver.kuwo.cn/pic.web?corp=kuwo&type=rid_pic&pictype=500&size=500&rid=${numericRid(songId)}`;
  const body = (await client.get(address, { "User-Agent": MOBILE_USER_AGENT }, call)).text().trim();
  if (/^https?:\/\/[^\s<>"']+$/.test(body)) return body;
  if (body === "NO_PIC") throw new AppError("upstream_not_found", "酷我: 这首歌没有封面");
  throw new AppError("upstream_changed", "酷我: 平台返回的数据格式已变化", { detail: { start: body.slice(0, 80) } });
}

/**
 * A song as lists and details describe it: lower-case names in most services, upper-case in the search.
 *
 * @throws AppError `upstream_changed` when it has no number or no name.
 */
export function toSong(value: unknown): Song {
  const fields = lowerCased(recordOf(value));
  const { id, name } = decode(
    Type.Object({ id: Type.String({ pattern: "^\\d{1,12}$" }), name: Type.String({ minLength: 1 }) }),
    {
      id: rid(textOf(fields["musicrid"]) ?? textOf(fields["id"]) ?? textOf(fields["rid"]) ?? ""),
      name: textOf(fields["songname"]) ?? textOf(fields["name"]),
    },
    "kw",
  );
  const picture = coverOf(fields);
  const album = textOf(fields["album"]);
  return {
    source: "kw",
    songId: id,
    name: clean(name),
    artists: artistsOf(textOf(fields["artist"]) ?? "", idOf(fields["artistid"])),
    qualities: { ...fromFormats(textOf(fields["formats"]) ?? ""), ...fromMinfo(textOf(fields["n_minfo"]) ?? "") },
    ids: {},
    ...present({
      album: album === undefined ? undefined : { name: clean(album), ...present({ id: idOf(fields["albumid"]) }) },
      durationSeconds: positive(fields["duration"]),
      cover: picture?.replace("{size}", "500"),
      sizableCover: picture,
      publishDate: textOf(fields["releasedate"]),
      // A video has its song's number.
      mvId: String(fields["mvflag"]) === "1" ? id : undefined,
    }),
  };
}

function lowerCased(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value]));
}

/** Entities, and escapes that were escaped once too often (`\\u0026`). */
export function clean(text: string): string {
  const plain = text.replace(/\\+u([0-9a-fA-F]{4})/g, (_whole, code) => String.fromCharCode(Number.parseInt(code, 16)));
  return decodeEntities(plain).replaceAll("\u00a0", " ").trim();
}

/** Names are joined with `&`; only the first artist's number is told. */
export function artistsOf(names: string, firstId?: string): Artist[] {
  return clean(names)
    .split("&")
    .map((name) => name.trim())
    .filter((name) => name !== "")
    .map((name, index) => (index === 0 && firstId !== undefined ? { id: firstId, name } : { name }));
}

/** `web_albumpic_short` is `120/s4s66/…jpg`: the number is the edge. */
function coverOf(fields: Record<string, unknown>): string | undefined {
  const short = textOf(fields["web_albumpic_short"]);
  if (short !== undefined && /^\d+\/.+/.test(short)) {
    return `https://img2.kuwo.cn/star/albumcover/${short.replace(/^\d+/, "{size}")}`;
  }
  const picture = textOf(fields["pic"]) ?? textOf(fields["albumpic"]);
  return picture !== undefined && /^https?:\/\//.test(picture) ? picture : undefined;
}

const BY_BITRATE: Record<string, Quality> = {
  "128": "128k",
  "192": "192k",
  "320": "320k",
  "2000": "flac",
  "4000": "flac24bit",
};
const BY_FORMAT: Record<string, Quality> = {
  MP3128: "128k",
  MP3192: "192k",
  MP3H: "320k",
  ALFLAC: "flac",
  HIRFLAC: "flac24bit",
};
const UNITS: Record<string, number> = { kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 };
const PLAIN_FORMATS = new Set(["mp3", "flac"]);

/** `level:ff,bitrate:2000,format:flac,size:52.83Mb;…`; encrypted formats are not ours to offer. */
export function fromMinfo(minfo: string): Partial<Record<Quality, QualityInfo>> {
  const found: Partial<Record<Quality, QualityInfo>> = {};
  for (const part of minfo.split(";")) {
    const fields = Object.fromEntries(part.split(",").map((pair) => pair.split(":").map((text) => text.trim())));
    const quality = BY_BITRATE[String(fields["bitrate"])];
    if (quality === undefined || !PLAIN_FORMATS.has(String(fields["format"]).toLowerCase())) continue;
    const size = /^([\d.]+)\s*([kmg]b)$/i.exec(String(fields["size"]));
    const bytes = size === null ? undefined : Math.round(Number(size[1]) * (UNITS[String(size[2]).toLowerCase()] ?? 0));
    found[quality] = present({ size: positive(bytes) });
  }
  return found;
}

/** `MP3128|MP3H|ALFLAC`: what exists, without sizes. */
export function fromFormats(formats: string): Partial<Record<Quality, QualityInfo>> {
  const known = formats.split("|").flatMap((format) => BY_FORMAT[format.trim()] ?? []);
  return Object.fromEntries(known.map((quality) => [quality, {}]));
}

/** Songs of a list; an entry without number or name is a hole that the platform left, not a song. */
export function songsOf(list: unknown): Song[] {
  return listOf(list).flatMap((item) => {
    const fields = lowerCased(recordOf(item));
    const name = textOf(fields["songname"]) ?? textOf(fields["name"]);
    return name === undefined || (fields["musicrid"] ?? fields["id"] ?? fields["rid"]) === undefined
      ? []
      : [toSong(item)];
  });
}

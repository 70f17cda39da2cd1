import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Artist, Quality, QualityInfo, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import { idOf, isRecord, listOf, numberOf, positive, present, recordOf, textOf } from "../read.ts";
import type { Call } from "../source.ts";
import { GUEST_COMM, type TxClient } from "./client.ts";

/** A track as every service of the platform describes it; what may be left out is read leniently. */
export const Track = Type.Object({
  mid: Type.String({ minLength: 1, maxLength: 64 }),
  name: Type.String(),
  singer: Type.Optional(Type.Array(Type.Unknown())),
  file: Type.Optional(Type.Unknown()),
});
export type Track = Static<typeof Track>;

const COVER = "https://y.qq.com/music/photo_new";
const COVER_SIZE = "800";

/** Sizes by field of `file`; `size_new` is a list. */
const SIZES: Partial<Record<Quality, string>> = {
  "128k": "size_128mp3",
  "192k": "size_192ogg",
  "320k": "size_320mp3",
  flac: "size_flac",
  flac24bit: "size_hires",
  dolby: "size_dolby",
};
const NEW_SIZES: Partial<Record<Quality, number>> = { master: 0, atmos: 1, atmos_plus: 2 };

export interface TrackDetail {
  song: Song;
  /** Taken off the shelf: nobody gets it. */
  offShelf: boolean;
}

const Detail = Type.Object({
  track_info: Type.Optional(Type.Unknown()),
  info: Type.Optional(Type.Unknown()),
});

export const SONG_NOT_FOUND = "获取音乐信息失败";

/** `get_song_detail_yqq`, the request of the web player's song page. */
export async function fetchDetail(client: TxClient, songId: string, call: Call): Promise<TrackDetail> {
  const notFound = (code?: number) =>
    new AppError("upstream_not_found", SONG_NOT_FOUND, code === undefined ? {} : { upstreamCode: code });
  const data = await client.ask(
    {
      comm: GUEST_COMM,
      req: {
        module: "music.pf_song_detail_svr",
        method: "get_song_detail_yqq",
        param: { song_type: 0, song_mid: songId },
      },
    },
    "req",
    Detail,
    call,
    { onCode: (code) => (KNOWN_FAULTS.has(code) ? undefined : notFound(code)) },
  );
  const track = recordOf(data.track_info);
  if (data.track_info === undefined && data.info === undefined) decode(Type.Object({ track_info: Track }), data, "tx");
  if (Object.keys(track).length === 0 || track["mid"] === "" || track["id"] === 0) throw notFound();
  return {
    song: { ...toSong(data.track_info), ...about(data.info) },
    offShelf: track["status"] === 1,
  };
}

/** Codes that speak of the caller, not of the song. */
const KNOWN_FAULTS = new Set([1000, 2000, 2001, 104_400, 104_401, 104_604, 20_271, 20_279, 20_450]);

/** @throws AppError `upstream_changed` when it has no mid or no name. */
export function toSong(value: unknown): Song {
  const track = decode(Track, value, "tx");
  const fields = recordOf(track);
  const file = recordOf(track.file);
  const album = recordOf(fields["album"]);
  const ksong = recordOf(fields["ksong"]);
  const title = decodeEntities(textOf(fields["title"]) ?? track.name);
  const extra = decodeEntities(textOf(fields["subtitle"]) ?? "").trim();
  const artists = listOf(track.singer).flatMap(toArtist);
  const albumMid = idOf(album["mid"]);
  const picture = coverPath(idOf(album["pmid"]) ?? albumMid, artists[0]?.mid);
  return {
    source: "tx",
    songId: track.mid,
    name: extra === "" ? title : `${title} ${extra}`,
    originalName: title,
    nameExtra: extra,
    artists,
    qualities: qualitiesOf(file),
    ids: present({
      id: idOf(fields["id"]),
      mediaMid: idOf(file["media_mid"]),
      albumMid,
      kmid: idOf(ksong["mid"]),
      kid: idOf(ksong["id"]),
    }) as Record<string, string>,
    ...present({
      album: toAlbum(album),
      durationSeconds: positive(fields["interval"]),
      cover: picture?.replaceAll("{size}", COVER_SIZE),
      sizableCover: picture,
      publishDate: textOf(fields["time_public"]) ?? textOf(album["time_public"]),
      mvId: idOf(recordOf(fields["mv"])["vid"]),
      bpm: positive(fields["bpm"]),
      track: positive(fields["index_album"]),
      // Counted from 0 by the platform.
      disc: discOf(fields["index_cd"]),
    }),
  };
}

/** Songs of a list. A hole that the platform left has no mid; a list of holes only is another form of reply. */
export function toSongs(items: readonly unknown[]): Song[] {
  const whole = items.filter((item) => idOf(recordOf(item)["mid"]) !== undefined);
  return (whole.length === 0 ? items : whole).map(toSong);
}

function discOf(index: unknown): number | undefined {
  const number = numberOf(index);
  return number === undefined || number < 0 ? undefined : number + 1;
}

export function toArtist(value: unknown): Artist[] {
  const singer = recordOf(value);
  const name = textOf(singer["name"]) ?? textOf(singer["title"]);
  if (name === undefined) return [];
  return [
    {
      name: decodeEntities(name),
      ...present({ id: idOf(singer["id"]), mid: idOf(singer["mid"]), type: numberOf(singer["type"]) }),
    },
  ];
}

function toAlbum(album: Record<string, unknown>): Song["album"] {
  const title = textOf(album["title"]) ?? textOf(album["name"]);
  if (title === undefined) return undefined;
  const name = [title, textOf(album["subtitle"]) ?? ""].join(" ").trim();
  return { name: decodeEntities(name), ...present({ id: idOf(album["id"]), mid: idOf(album["mid"]) }) };
}

/** The album's cover, else the first artist's picture; `{size}` stands for the edge. */
function coverPath(albumMid: string | undefined, singerMid: string | undefined): string | undefined {
  if (albumMid !== undefined) return `${COVER}/T002R{size}x{size}M000${albumMid}.jpg`;
  return singerMid === undefined ? undefined : `${COVER}/T001R{size}x{size}M000${singerMid}.jpg`;
}

function qualitiesOf(file: Record<string, unknown>): Partial<Record<Quality, QualityInfo>> {
  const found: Partial<Record<Quality, QualityInfo>> = {};
  const add = (quality: string, size: unknown) => {
    const bytes = positive(size);
    if (bytes !== undefined) found[quality as Quality] = { size: bytes };
  };
  for (const [quality, field] of Object.entries(SIZES)) add(quality, file[field]);
  const sizes = listOf(file["size_new"]);
  for (const [quality, index] of Object.entries(NEW_SIZES)) add(quality, sizes[index]);
  return found;
}

/** Language and genre: `info.{lan,genre}.content[].value`, or the same as a list of `{ type, content }`. */
function about(info: unknown): Pick<Song, "language" | "genre"> {
  const parts = Array.isArray(info)
    ? Object.fromEntries(info.filter(isRecord).map((part) => [String(part["type"]), part]))
    : recordOf(info);
  const values = (name: string) =>
    listOf(recordOf(parts[name])["content"]).flatMap((item) => textOf(recordOf(item)["value"]) ?? []);
  const genre = values("genre");
  return present({ language: values("lan")[0], genre: genre.length === 0 ? undefined : genre });
}

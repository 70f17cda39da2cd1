import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Artist, Quality, QualityInfo, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import type { Call } from "../source.ts";
import { ANDROID_USER_AGENT, APP_HEADERS, absolute, kindOfId, Loose, type MgClient, NAME, textOf } from "./client.ts";

/** Formats of a file; LQ (64k), ZQ32 (wav) and the encrypted Z3D, I3D are not offered. */
const FORMATS: Record<string, Quality[]> = {
  PQ: ["128k"],
  HQ: ["320k"],
  SQ: ["flac"],
  ZQ: ["flac24bit", "hires"],
  ZQ24: ["flac24bit", "hires"],
};

const ArtistItem = Type.Object({ id: Loose, name: Loose });
const Artists = Type.Optional(Type.Union([Type.Array(ArtistItem), Type.Null()]));

/** "Form A": `resourceinfo.do`, `querySongBySongId.do`, board contents. Every field but id and name may be absent. */
export const FormA = Type.Object({
  songId: Loose,
  songName: Loose,
  copyrightId: Loose,
  contentId: Loose,
  albumId: Loose,
  album: Loose,
  artists: Artists,
  singer: Loose,
  albumImgs: Type.Optional(Type.Union([Type.Array(Type.Object({ imgSizeType: Loose, img: Loose })), Type.Null()])),
  length: Loose,
  newRateFormats: Type.Optional(
    Type.Union([
      Type.Array(Type.Object({ formatType: Loose, size: Loose, androidSize: Loose, fileType: Loose })),
      Type.Null(),
    ]),
  ),
  lrcUrl: Loose,
  mrcUrl: Loose,
  trcUrl: Loose,
  needEncrypt: Type.Optional(Type.Unknown()),
  mvCopyrightId: Loose,
});

/** "Form B": search, playlists, `by-contentids`. The search says `name` and `mrcurl`. */
export const FormB = Type.Object({
  songId: Loose,
  id: Loose,
  contentId: Loose,
  copyrightId: Loose,
  songName: Loose,
  name: Loose,
  singerList: Artists,
  singers: Artists,
  album: Loose,
  albumId: Loose,
  albums: Artists,
  duration: Loose,
  audioFormats: Type.Optional(
    Type.Union([Type.Array(Type.Object({ formatType: Loose, asize: Loose, isize: Loose, size: Loose })), Type.Null()]),
  ),
  img1: Loose,
  img2: Loose,
  img3: Loose,
  lrcUrl: Loose,
  mrcUrl: Loose,
  mrcurl: Loose,
  trcUrl: Loose,
  mvCopyrightId: Loose,
  ext: Type.Optional(Type.Union([Type.Object({ lrcUrl: Loose, mrcUrl: Loose, trcUrl: Loose }), Type.Null()])),
  needEncrypt: Type.Optional(Type.Unknown()),
});

/** A song and what only `url` wants to know of it. */
export interface FoundSong {
  song: Song;
  encrypted: boolean;
}

const Resources = Type.Object({ resource: Type.Optional(Type.Union([Type.Array(FormA), Type.Null()])) });
const ByContentIds = Type.Object({ data: Type.Optional(Type.Union([Type.Array(FormB), Type.Null()])) });

const RESOURCE = "http://app.c.nf.migu.cn/MIGUM2.0/v1.0/content/resourceinfo.do?resourceType=2&copyrightId=";
const BY_SONG = "https://app.c.nf.migu.cn/MIGUM2.0/v2.0/content/querySongBySongId.do?contentId=0&songId=";
const BY_CONTENT = "http://c.musicapp.migu.cn/MIGUM3.0/resource/song/by-contentids/v2.0?contentId=";

/** Songs by any of their three ids. The request by copyright id is the original's: POST with no body. */
export function createSongs(client: MgClient) {
  async function find(id: string, call: Call): Promise<FoundSong> {
    const kind = kindOfId(id);
    call.step?.("mg info", { by: kind });
    if (kind === "contentId") {
      const body = await client.app({ url: BY_CONTENT + id, headers: APP_HEADERS }, call);
      return present(decode(ByContentIds, body, "mg").data?.[0], fromFormB);
    }
    const body =
      kind === "copyrightId"
        ? await client.app({ url: RESOURCE + id, method: "POST", retry: true }, call)
        : await client.app({ url: BY_SONG + id, headers: { "User-Agent": ANDROID_USER_AGENT } }, call);
    return present(decode(Resources, body, "mg").resource?.[0], fromFormA);
  }

  return {
    find,
    info: async (id: string, call: Call): Promise<Song> => (await find(id, call)).song,
    async cover(id: string, call: Call, known?: Song): Promise<string> {
      const cover = known?.cover ?? (await find(id, call)).song.cover;
      if (cover === undefined) throw new AppError("upstream_not_found", `${NAME}: 该歌曲没有封面`);
      return cover;
    },
  };
}

export type MgSongs = ReturnType<typeof createSongs>;

function present<T extends { needEncrypt?: unknown }>(item: T | undefined, form: (item: T) => Song): FoundSong {
  if (item === undefined) throw new AppError("upstream_not_found", `${NAME}: 没有找到该歌曲`);
  return { song: form(item), encrypted: isTrue(item.needEncrypt) };
}

export const isTrue = (value: unknown) => value === true || value === 1 || value === "1" || value === "true";

export function fromFormA(item: Static<typeof FormA>): Song {
  const images = item.albumImgs ?? [];
  const largest = [...images].sort((a, b) => textOf(b.imgSizeType).localeCompare(textOf(a.imgSizeType)))[0];
  return makeSong({
    ids: { songId: item.songId, copyrightId: item.copyrightId, contentId: item.contentId, albumId: item.albumId },
    lyrics: { lrcUrl: item.lrcUrl, mrcUrl: item.mrcUrl, trcUrl: item.trcUrl },
    name: item.songName,
    artists: item.artists ?? [{ name: textOf(item.singer) }],
    album: item.album,
    mv: item.mvCopyrightId,
    seconds: secondsOf(textOf(item.length)),
    image: largest?.img,
    formats: (item.newRateFormats ?? []).map((one) => [one.formatType, textOf(one.size) || one.androidSize]),
  });
}

export function fromFormB(item: Static<typeof FormB>): Song {
  const album = item.albums?.[0];
  return makeSong({
    ids: {
      songId: textOf(item.songId) || item.id,
      copyrightId: item.copyrightId,
      contentId: item.contentId,
      albumId: textOf(item.albumId) || album?.id,
    },
    lyrics: {
      lrcUrl: textOf(item.lrcUrl) || item.ext?.lrcUrl,
      mrcUrl: textOf(item.mrcUrl) || textOf(item.mrcurl) || item.ext?.mrcUrl,
      trcUrl: textOf(item.trcUrl) || item.ext?.trcUrl,
    },
    name: textOf(item.songName) || item.name,
    artists: item.singerList ?? item.singers ?? [],
    album: textOf(item.album) || album?.name,
    mv: item.mvCopyrightId,
    seconds: secondsOf(textOf(item.duration)),
    image: textOf(item.img3) || textOf(item.img2) || item.img1,
    formats: (item.audioFormats ?? []).map((one) => [
      one.formatType,
      textOf(one.asize) || textOf(one.isize) || one.size,
    ]),
  });
}

interface Parts {
  ids: Record<string, unknown>;
  lyrics: Record<string, unknown>;
  name: unknown;
  artists: Static<typeof ArtistItem>[];
  album: unknown;
  mv: unknown;
  seconds: number | undefined;
  image: unknown;
  formats: [unknown, unknown][];
}

/** @throws AppError `upstream_changed` when the song has no id or no name. */
function makeSong(parts: Parts): Song {
  const ids = filled({ ...parts.ids, ...parts.lyrics });
  const { songId = ids["copyrightId"] ?? ids["contentId"] ?? "", albumId, ...others } = ids;
  const name = decodeEntities(textOf(parts.name));
  if (songId === "" || name === "") {
    throw new AppError("upstream_changed", `${NAME}: 平台返回的数据格式已变化`, { detail: { songId, name } });
  }
  const album = decodeEntities(textOf(parts.album));
  const cover = absolute(textOf(parts.image));
  return {
    source: "mg",
    songId,
    name,
    artists: parts.artists.map(artist).filter((item) => item.name !== ""),
    ...(album === "" ? {} : { album: { name: album, ...(albumId === undefined ? {} : { id: albumId }) } }),
    ...(parts.seconds === undefined ? {} : { durationSeconds: parts.seconds }),
    ...(cover === "" ? {} : { cover }),
    qualities: qualitiesOf(parts.formats),
    ...(textOf(parts.mv) === "" ? {} : { mvId: textOf(parts.mv) }),
    ids: { songId, ...others },
  };
}

function filled(values: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values)
      .map(([key, value]) => [key, textOf(value)] as const)
      .filter(([, value]) => value !== ""),
  );
}

function artist(item: Static<typeof ArtistItem>): Artist {
  const id = textOf(item.id);
  return { name: decodeEntities(textOf(item.name)), ...(id === "" ? {} : { id }) };
}

function qualitiesOf(formats: [unknown, unknown][]): Partial<Record<Quality, QualityInfo>> {
  const found: Partial<Record<Quality, QualityInfo>> = {};
  for (const [format, size] of formats) {
    const bytes = Number(textOf(size));
    for (const quality of FORMATS[textOf(format)] ?? []) found[quality] = bytes > 0 ? { size: bytes } : {};
  }
  return found;
}

/** `hh:mm:ss`, `mm:ss` or seconds. */
function secondsOf(length: string): number | undefined {
  if (!/^\d+(?::\d{1,2}){0,2}$/.test(length)) return undefined;
  const seconds = length.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return seconds > 0 ? seconds : undefined;
}

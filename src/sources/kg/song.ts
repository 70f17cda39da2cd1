import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Artist, Quality, QualityInfo, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call } from "../source.ts";
import { ANDROID_SECRET, address, BROWSER, type KgClient, refusal, requireHash } from "./client.ts";
import { compact, idsOf, Loose, numberOf, Part, partOf, plainName, positiveOf, sized, textOf } from "./fields.ts";

/** One entry of POST gateway/v3/album_audio/audio. Fields we read, nothing more. */
const AlbumAudio = Type.Object({
  album_audio_id: Loose,
  audio_id: Loose,
  author_name: Loose,
  songname: Loose,
  ori_audio_name: Loose,
  bpm: Loose,
  language: Loose,
  publish_date: Loose,
  is_original: Loose,
  classification: Type.Optional(Type.Unknown()),
  audio_info: Type.Object({
    hash: Loose,
    timelength: Loose,
    hash_128: Loose,
    filesize_128: Loose,
    filesize: Loose,
    hash_320: Loose,
    filesize_320: Loose,
    hash_flac: Loose,
    filesize_flac: Loose,
    hash_high: Loose,
    filesize_high: Loose,
  }),
  album_info: Part(
    Type.Object({ album_id: Loose, album_name: Loose, sizable_cover: Loose, publish_date: Loose, language: Loose }),
  ),
  trans_param: Part(Type.Object({ language: Loose })),
});
type AlbumAudio = Static<typeof AlbumAudio>;

/** A song that the platform does not know comes as an entry without `audio_info`, or as an empty list. */
const AudioReply = Type.Object({
  error_code: Loose,
  data: Type.Optional(
    Type.Union([Type.Null(), Type.Array(Type.Union([Type.Null(), Type.Array(Type.Unknown()), Type.Object({})]))]),
  ),
});

export const AUDIO_HEADERS: Readonly<Record<string, string>> = {
  "KG-THash": "13a3164",
  "KG-RC": "1",
  "KG-Fake": "0",
  "KG-RF": "00869891",
  "User-Agent": "Android712-AndroidPhone-11451-376-0-FeeCacheUpdate-wifi",
  "x-router": "kmr.service.kugou.com",
  "Content-Type": "text/plain; charset=utf-8",
};
export const MAX_AUDIO_BATCH = 100;

/**
 * Songs by the hashes of any of their files, in the order asked; undefined where the platform knows none.
 * @param hashes at most 100
 */
export async function fetchSongs(client: KgClient, hashes: string[], call: Call): Promise<(Song | undefined)[]> {
  const body = JSON.stringify({
    area_code: "1",
    show_privilege: "1",
    show_album_info: "1",
    is_publish: "",
    appid: 1005,
    clientver: 11451,
    mid: client.config.user.mid,
    dfid: "-",
    clienttime: client.seconds(),
    // Not the signature secret: two letters are swapped in the platform's own constant.
    key: "OIlwlieks28dk2k092lksi2UIkp",
    data: hashes.map((hash) => ({ hash })),
  });
  const url = "http://gateway.kugou.com/v3/album_audio/audio";
  // Asking twice changes nothing on the platform's side, so a broken connection may be tried again.
  const reply = await client.json({ url, method: "POST", headers: { ...AUDIO_HEADERS }, body, retry: true }, call);
  const { error_code, data } = decode(AudioReply, reply, "kg");
  if (data === undefined || data === null) {
    if (numberOf(error_code) === 0) return hashes.map(() => undefined);
    throw refusal(error_code, "获取歌曲信息失败");
  }
  return hashes.map((hash, index) => {
    const entry = data[index];
    const first = Array.isArray(entry) ? entry[0] : undefined;
    if (typeof first !== "object" || first === null || !("audio_info" in first)) return undefined;
    if (Array.isArray(first.audio_info) || first.audio_info === null) return undefined;
    return toSong(decode(AlbumAudio, first, "kg"), hash);
  });
}

/** @throws AppError `upstream_not_found`, `invalid_request` */
export async function fetchSong(client: KgClient, hash: string, call: Call): Promise<Song> {
  const [song] = await fetchSongs(client, [requireHash(hash)], call);
  if (song === undefined) throw new AppError("upstream_not_found", "获取歌曲信息失败，请检查歌曲是否存在");
  return song;
}

function toSong(entry: AlbumAudio, asked: string): Song {
  const { audio_info: file } = entry;
  const album = partOf(entry.album_info);
  const original = plainName(entry.ori_audio_name);
  const name = plainName(entry.songname) || original;
  const hash = textOf(file.hash) || asked;
  const cover = textOf(album?.sizable_cover);
  return {
    source: "kg",
    songId: hash.toLowerCase(),
    name,
    artists: splitArtists(plainName(entry.author_name)),
    qualities: qualitiesOf(file),
    ids: idsOf({ hash, audioId: textOf(entry.audio_id), albumAudioId: textOf(entry.album_audio_id) }),
    genre: [],
    ...compact({
      originalName: original,
      nameExtra: original === "" ? "" : name.replace(original, "").trim(),
      album: albumOf(textOf(album?.album_id), plainName(album?.album_name)),
      durationSeconds: milliseconds(numberOf(file.timelength)),
      cover: cover === "" ? "" : sized(cover),
      sizableCover: cover,
      publishDate: textOf(entry.publish_date) || textOf(album?.publish_date),
      bpm: numberOf(entry.bpm),
      language: textOf(entry.language) || textOf(album?.language) || textOf(partOf(entry.trans_param)?.language),
    }),
  };
}

const milliseconds = (value: number | undefined) => (value === undefined ? undefined : value / 1000);

export const albumOf = (id: string, name: string) =>
  id === "" && name === "" ? undefined : { name, ...(id === "" || id === "0" ? {} : { id }) };

/** The platform joins names with `、`; ids come from elsewhere. */
export const splitArtists = (names: string): Artist[] =>
  names
    .split("、")
    .filter((name) => name !== "")
    .map((name) => ({ name }));

const FILES = [
  ["128k", "128"],
  ["320k", "320"],
  ["flac", "flac"],
  ["flac24bit", "high"],
] as const;

function qualitiesOf(file: AlbumAudio["audio_info"]): Song["qualities"] {
  const found: Partial<Record<Quality, QualityInfo>> = {};
  for (const [quality, suffix] of FILES) {
    const hash = textOf(file[`hash_${suffix}`]);
    if (/^0*$/.test(hash)) continue;
    found[quality] = compact({ hash, size: positiveOf(file[`filesize_${suffix}`]) });
  }
  return found;
}

const MvHashReply = Type.Object({ data: Part(Type.Object({ mvhash: Loose })) });

/** The hash of the song's mv; undefined when it has none, or when the platform does not say now. */
async function fetchMvHash(client: KgClient, hash: string, call: Call): Promise<string | undefined> {
  const url = `http://mobilecdnbj.kugou.com/api/v3/song/info?hash=${hash}`;
  const reply = await client.json({ url, headers: { "User-Agent": BROWSER } }, call);
  return textOf(partOf(decode(MvHashReply, reply, "kg").data)?.mvhash) || undefined;
}

const ImageReply = Type.Object({
  data: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.Array(
        Part(
          Type.Object({
            author: Type.Optional(
              Type.Union([
                Type.Null(),
                Type.Array(Type.Object({ author_id: Loose, author_name: Loose, sizable_avatar: Loose })),
              ]),
            ),
          }),
        ),
      ),
    ]),
  ),
});

/** Artists with ids and pictures. */
async function fetchArtists(client: KgClient, hash: string, call: Call): Promise<Artist[]> {
  const params = [
    ["album_image_type", -3],
    ["appid", 1005],
    ["author_image_type", "4,5"],
    ["clientver", 12029],
    ["count", 5],
    ["data", JSON.stringify([{ hash: hash.toLowerCase() }])],
    ["isCdn", 1],
    ["publish_time", 1],
  ] as const;
  const headers = {
    "User-Agent": "Android712-AndroidPhone-11451-18-0-Avatar-wifi",
    "KG-THash": "2a2624f",
    "KG-RC": "1",
    "KG-Fake": "0",
    "KG-RF": "0074c2c4",
    appid: "1005",
    clientver: "11451",
    uuid: client.letters(32).replace(/[g-z]/g, "0"),
  };
  const url = address(
    "https://expendablekmrcdn.kugou.com/container/v2/image",
    client.signed(params, "", ANDROID_SECRET),
  );
  const first = decode(ImageReply, await client.json({ url, headers }, call), "kg").data?.[0];
  return (partOf(first)?.author ?? []).flatMap((author) => {
    const name = plainName(author.author_name);
    const avatar = textOf(author.sizable_avatar);
    if (name === "") return [];
    return [
      {
        name,
        ...compact({
          id: textOf(author.author_id),
          avatar: avatar === "" ? "" : sized(avatar),
          sizableAvatar: avatar,
        }),
      },
    ];
  });
}

/**
 * Everything the platform says of a song. The mv and the artists' pictures are garnish: a song without them is a song.
 * @throws AppError as `fetchSong`
 */
export async function fetchInfo(client: KgClient, id: string, call: Call): Promise<Song> {
  const hash = requireHash(id);
  const garnish = <T>(promise: Promise<T>, name: string) =>
    promise.catch((error: unknown) => {
      client.deps.log.debug("song detail could not be had", { source: "kg", detail: name, error });
      return undefined;
    });
  const [song, mvId, artists] = await Promise.all([
    fetchSong(client, hash, call),
    garnish(fetchMvHash(client, hash, call), "mv"),
    garnish(fetchArtists(client, hash, call), "artists"),
  ]);
  return {
    ...song,
    ...(artists === undefined || artists.length === 0 ? {} : { artists }),
    ...(mvId === undefined ? {} : { mvId }),
  };
}

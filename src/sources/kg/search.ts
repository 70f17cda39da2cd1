import { type Static, Type } from "@sinclair/typebox";
import type { Collection, Page, Quality, QualityInfo, SearchType, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call, SearchRequest } from "../source.ts";
import { address, type KgClient, refusal } from "./client.ts";
import { compact, idsOf, Loose, numberOf, Part, partOf, plainName, positiveOf, sized, textOf } from "./fields.ts";
import { albumOf, splitArtists } from "./song.ts";

export const SEARCH_HEADERS: Readonly<Record<string, string>> = {
  "User-Agent":
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/89.0.142.86 Safari/537.36",
  Referer: "https://www.kugou.com",
};

const Fields = {
  SongName: Loose,
  OriSongName: Loose,
  SingerName: Loose,
  Singers: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.Object({ id: Loose, name: Loose }))])),
  AlbumName: Loose,
  AlbumID: Loose,
  Audioid: Loose,
  MixSongID: Loose,
  Duration: Loose,
  FileHash: Type.String({ minLength: 1 }),
  FileSize: Loose,
  HQFileHash: Loose,
  HQFileSize: Loose,
  SQFileHash: Loose,
  SQFileSize: Loose,
  ResFileHash: Loose,
  ResFileSize: Loose,
  Image: Loose,
  MvHash: Loose,
  IsOriginal: Loose,
  TagContent: Loose,
  PublishDate: Loose,
  trans_param: Part(Type.Object({ language: Loose })),
};
const Variant = Type.Object(Fields);
const Entry = Type.Object({ ...Fields, Grp: Type.Optional(Type.Union([Type.Null(), Type.Array(Variant)])) });

const SearchReply = Type.Object({
  status: Loose,
  error_code: Loose,
  data: Part(Type.Object({ total: Loose, lists: Type.Optional(Type.Union([Type.Null(), Type.Array(Entry)])) })),
});

export interface FoundSong extends Song {
  variants: Song[];
}

/** GET songsearch/song_search_v2, as the original asks. @throws AppError `upstream_*` */
export async function searchSongs(client: KgClient, request: SearchRequest, call: Call): Promise<Page<Song>> {
  const params = [
    ["keyword", request.query],
    ["page", request.page],
    ["pagesize", request.size],
    ["area_code", 1],
    ["userid", 0],
    ["clientver", ""],
    ["platform", "WebFilter"],
    ["filter", 2],
    ["iscorrection", 1],
    ["privilege_filter", 0],
  ] as const;
  const url = address("https://songsearch.kugou.com/song_search_v2", params);
  const reply = decode(SearchReply, await client.json({ url, headers: { ...SEARCH_HEADERS } }, call), "kg");
  if (numberOf(reply.status) !== 1) throw refusal([reply.error_code, reply.status], "歌曲搜索失败");
  const data = partOf(reply.data);
  const seen = new Set<string>();
  const list = (data?.lists ?? []).flatMap((entry) => {
    const id = `${textOf(entry.Audioid)}/${entry.FileHash}`;
    if (seen.has(id)) return [];
    seen.add(id);
    return [{ ...toSong(entry), variants: (entry.Grp ?? []).map(toSong) }];
  });
  return { total: positiveOf(data?.total) ?? list.length, page: request.page, size: request.size, list };
}

const FILES = [
  ["128k", ""],
  ["320k", "HQ"],
  ["flac", "SQ"],
  ["flac24bit", "Res"],
] as const;

/** A quality is there when its size is; its hash is sometimes kept back. */
function toSong(entry: Static<typeof Variant>): Song {
  const qualities: Partial<Record<Quality, QualityInfo>> = {};
  for (const [quality, prefix] of FILES) {
    const size = positiveOf(entry[`${prefix}FileSize`]);
    if (size !== undefined) qualities[quality] = { size, ...compact({ hash: textOf(entry[`${prefix}FileHash`]) }) };
  }
  const original = plainName(entry.OriSongName);
  const name = plainName(entry.SongName) || original;
  const image = textOf(entry.Image);
  const artists = (entry.Singers ?? []).flatMap((singer) => {
    const singerName = plainName(singer.name);
    return singerName === "" ? [] : [{ name: singerName, ...compact({ id: textOf(singer.id) }) }];
  });
  return {
    source: "kg",
    songId: entry.FileHash.toLowerCase(),
    name,
    artists: artists.length > 0 ? artists : splitArtists(plainName(entry.SingerName)),
    qualities,
    isOriginal: numberOf(entry.IsOriginal) === 1,
    tag: textOf(entry.TagContent),
    ids: idsOf({
      hash: entry.FileHash,
      audioId: textOf(entry.Audioid),
      albumAudioId: textOf(entry.MixSongID),
    }),
    ...compact({
      originalName: original,
      nameExtra: original === "" ? "" : name.replace(original, ""),
      album: albumOf(textOf(entry.AlbumID), plainName(entry.AlbumName)),
      durationSeconds: positiveOf(entry.Duration),
      cover: image === "" ? "" : sized(image),
      sizableCover: image,
      mvId: textOf(entry.MvHash),
      publishDate: textOf(entry.PublishDate),
      language: textOf(partOf(entry.trans_param)?.language),
    }),
  };
}

const Info = Type.Object({
  specialid: Loose,
  specialname: Loose,
  nickname: Loose,
  albumid: Loose,
  albumname: Loose,
  singername: Loose,
  singerid: Loose,
  imgurl: Loose,
  intro: Loose,
  songcount: Loose,
  playcount: Loose,
  publishtime: Loose,
});
const CollectionsReply = Type.Object({
  errcode: Loose,
  data: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.Array(Info),
      Type.Object({ total: Loose, info: Type.Optional(Type.Union([Type.Null(), Type.Array(Info)])) }),
    ]),
  ),
});

type CollectionType = Exclude<SearchType, "song">;

/** Where each type is searched, and which fields name it. */
const COLLECTIONS: Record<
  CollectionType,
  {
    url: string;
    fixed: readonly (readonly [string, string | number])[];
    id: "specialid" | "albumid" | "singerid";
    name: "specialname" | "albumname" | "singername";
    author?: "nickname" | "singername";
  }
> = {
  playlist: {
    url: "http://msearchretry.kugou.com/api/v3/search/special",
    fixed: [
      ["showtype", 10],
      ["filter", 0],
      ["version", 7910],
      ["sver", 2],
    ],
    id: "specialid",
    name: "specialname",
    author: "nickname",
  },
  album: {
    url: "http://msearchretry.kugou.com/api/v3/search/album",
    fixed: [
      ["showtype", 10],
      ["filter", 0],
      ["version", 7910],
      ["sver", 2],
    ],
    id: "albumid",
    name: "albumname",
    author: "singername",
  },
  artist: {
    url: "http://msearch.kugou.com/api/v3/search/singer",
    fixed: [
      ["version", 9108],
      ["plat", 0],
    ],
    id: "singerid",
    name: "singername",
  },
};

/** @throws AppError `upstream_*` */
export async function searchCollections(
  client: KgClient,
  type: CollectionType,
  request: SearchRequest,
  call: Call,
): Promise<Page<Collection>> {
  const kind = COLLECTIONS[type];
  const params = [
    ["keyword", request.query] as const,
    ["page", request.page] as const,
    ["pagesize", request.size] as const,
    ...kind.fixed,
  ];
  const reply = decode(CollectionsReply, await client.json({ url: address(kind.url, params) }, call), "kg");
  if (numberOf(reply.errcode) !== 0) throw refusal(reply.errcode, "搜索失败");
  const entries = Array.isArray(reply.data) ? reply.data : (reply.data?.info ?? []);
  const list = entries.flatMap((entry): Collection[] => {
    const id = textOf(entry[kind.id]);
    const name = plainName(entry[kind.name]);
    if (id === "" || name === "") return [];
    return [
      {
        source: "kg",
        type,
        id,
        name,
        ...compact({
          author: kind.author === undefined ? "" : plainName(entry[kind.author]),
          cover: sized(textOf(entry.imgurl)),
          description: plainName(entry.intro),
          songCount: numberOf(entry.songcount),
          playCount: numberOf(entry.playcount),
          publishDate: /^\d{4}-\d\d-\d\d/.exec(textOf(entry.publishtime))?.[0],
        }),
      },
    ];
  });
  const total = Array.isArray(reply.data) ? undefined : positiveOf(reply.data?.total);
  return { total: total ?? list.length, page: request.page, size: request.size, list };
}

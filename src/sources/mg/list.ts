import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Board, Collection, CollectionContent, Page, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import type { Call, PageRequest } from "../source.ts";
import { APP_HEADERS, absolute, IPHONE_HEADERS, Loose, type MgClient, NAME, textOf } from "./client.ts";
import { FormA, FormB, fromFormA, fromFormB } from "./song.ts";

const PLAYLIST_SONGS = "https://app.c.nf.migu.cn/MIGUM3.0/resource/playlist/song/v2.0";
const PLAYLIST_INFO = "https://c.musicapp.migu.cn/MIGUM3.0/resource/playlist/v2.0?playlistId=";
const ALBUM_SONGS = "http://app.c.nf.migu.cn/MIGUM2.0/v1.0/content/queryAlbumSong";
const ALBUM_INFO = "https://app.c.nf.migu.cn/MIGUM3.0/resource/album/v2.0?albumId=";
const BOARDS = "https://app.c.nf.migu.cn/pc/bmw/rank/rank-index/v1.0";
const BOARD_SONGS = "https://app.c.nf.migu.cn/MIGUM2.0/v1.0/content/querycontentbyId.do?needAll=0&columnId=";

const nullable = <T extends ReturnType<typeof Type.Object> | ReturnType<typeof Type.Array>>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));
const Image = Type.Object({ img: Loose });
const PlaylistSongs = Type.Object({
  data: Type.Object({ songList: Type.Union([Type.Array(FormB), Type.Null()]), totalCount: Loose }),
});
const Info = Type.Object({
  data: Type.Object({
    title: Loose,
    summary: Loose,
    ownerName: Loose,
    singer: Loose,
    totalCount: Loose,
    publishTime: Loose,
    imgItem: nullable(Image),
    imgItems: Type.Optional(Type.Union([Type.Array(Image), Type.Null()])),
    opNumItem: nullable(Type.Object({ playNum: Loose })),
  }),
});
/** Seen in both forms, and both at the top and under `data`. */
const AlbumSong = Type.Union([Type.Composite([FormA, FormB]), FormA, FormB]);
const AlbumList = Type.Object({ songList: Type.Array(AlbumSong) });
const AlbumSongs = Type.Union([AlbumList, Type.Object({ data: AlbumList })]);
const BoardSongs = Type.Object({
  columnInfo: Type.Object({ contents: Type.Array(Type.Object({ objectInfo: Type.Optional(FormA) })) }),
});
const Boards = Type.Object({ data: Type.Object({ contents: Type.Array(Type.Unknown()) }) });
const BoardItem = Type.Object({ rankId: Loose, rankName: Loose, imageUrl: Loose, updateTime: Loose });

/** The platform's own limit of a page. */
const MAX_SIZE = 50;
const MAX_BOARDS = 200;

export function createLists(client: MgClient) {
  async function playlist(id: string, page: PageRequest, call: Call): Promise<CollectionContent> {
    const listId = await idOf(id, "playlist", call);
    const size = Math.min(page.size, MAX_SIZE);
    const url = `${PLAYLIST_SONGS}?pageNo=${page.page}&pageSize=${size}&playlistId=${listId}`;
    const [songs, info] = await Promise.all([
      client.app({ url, headers: IPHONE_HEADERS }, call),
      client.app({ url: PLAYLIST_INFO + listId, headers: IPHONE_HEADERS }, call),
    ]);
    const { songList, totalCount } = decode(PlaylistSongs, songs, "mg").data;
    const total = Number(textOf(totalCount)) || 0;
    return {
      info: { ...toCollection("playlist", listId, decode(Info, info, "mg").data), songCount: total },
      songs: { total, page: page.page, size, list: (songList ?? []).map(fromFormB) },
    };
  }

  async function album(id: string, page: PageRequest, call: Call): Promise<CollectionContent> {
    const albumId = await idOf(id, "album", call);
    const size = Math.min(page.size, MAX_SIZE);
    const url = `${ALBUM_SONGS}?albumId=${albumId}&pageNo=${page.page}&pageSize=${size}`;
    const [songs, info] = await Promise.all([
      client.app({ url, headers: IPHONE_HEADERS }, call),
      client.app({ url: ALBUM_INFO + albumId, headers: IPHONE_HEADERS }, call),
    ]);
    const reply = decode(AlbumSongs, songs, "mg");
    const { songList } = "songList" in reply ? reply : reply.data;
    const data = decode(Info, info, "mg").data;
    const total = Number(textOf(data.totalCount)) || songList.length;
    return {
      info: { ...toCollection("album", albumId, data), songCount: total },
      songs: { total, page: page.page, size, list: songList.map(fromEither) },
    };
  }

  async function boards(call: Call): Promise<Board[]> {
    const { data } = decode(Boards, await client.app({ url: BOARDS, headers: APP_HEADERS }, call), "mg");
    const found = new Map<string, Board>();
    collect(data.contents, found);
    return [...found.values()];
  }

  /** Comes all at once, 200 songs at most. */
  async function board(id: string, { page, size }: PageRequest, call: Call): Promise<Page<Song>> {
    if (!/^\d{1,20}$/.test(id)) throw new AppError("invalid_request", `${NAME}: 无效的 id`);
    const body = await client.app({ url: BOARD_SONGS + id, headers: IPHONE_HEADERS }, call);
    const { contents } = decode(BoardSongs, body, "mg").columnInfo;
    const songs = contents.flatMap(({ objectInfo }) => (objectInfo === undefined ? [] : [fromFormA(objectInfo)]));
    return { total: songs.length, page, size, list: songs.slice(size * (page - 1), size * page) };
  }

  /** The id itself, or the one in a pasted share link or text. */
  async function idOf(text: string, kind: "playlist" | "album", call: Call): Promise<string> {
    const plain = text.trim();
    if (/^\d{1,20}$/.test(plain)) return plain;
    const short = /(?<![\w.-])c\.migu\.cn\/[0-9A-Za-z]{1,20}/.exec(plain)?.[0];
    const address = short === undefined ? plain : await followed(`http://${short}`, call);
    const id = new RegExp(`${kind}(?:/|[^\\s]*?[?&](?:${kind}Id|id)=)(\\d{1,20})`).exec(address)?.[1];
    if (id === undefined) throw new AppError("invalid_request", `${NAME}: 无法识别的 id 或分享链接`);
    return id;
  }

  /** Where a short link points; it is read, not visited. */
  async function followed(url: string, call: Call): Promise<string> {
    return (await client.raw({ url, redirect: "manual" }, call)).headers.get("location") ?? "";
  }

  return { playlist, album, boards, board };
}

function fromEither(item: Static<typeof AlbumSong>): Song {
  return "newRateFormats" in item || "albumImgs" in item || "artists" in item ? fromFormA(item) : fromFormB(item);
}

function toCollection(type: Collection["type"], id: string, data: Static<typeof Info>["data"]): Collection {
  const author = textOf(data.ownerName) || textOf(data.singer);
  const image = textOf(data.imgItem?.img) || textOf(data.imgItems?.at(-1)?.img);
  const publishDate = /^\d{4}-\d{2}-\d{2}/.exec(textOf(data.publishTime))?.[0];
  return {
    source: "mg",
    type,
    id,
    name: decodeEntities(textOf(data.title)),
    ...(author === "" ? {} : { author: decodeEntities(author) }),
    ...(image === "" ? {} : { cover: absolute(image) }),
    ...(textOf(data.summary) === "" ? {} : { description: textOf(data.summary) }),
    ...(Number(textOf(data.opNumItem?.playNum)) > 0 ? { playCount: Number(textOf(data.opNumItem?.playNum)) } : {}),
    ...(publishDate === undefined ? {} : { publishDate }),
  };
}

/** Groups within groups: whatever has an id and a name is a board. */
function collect(items: readonly unknown[], found: Map<string, Board>, depth = 0): void {
  for (const item of items) {
    if (typeof item !== "object" || item === null || depth > 5 || found.size >= MAX_BOARDS) continue;
    if ("contents" in item && Array.isArray(item.contents)) collect(item.contents, found, depth + 1);
    if (!("rankId" in item)) continue;
    const { rankId, rankName, imageUrl, updateTime } = decode(BoardItem, item, "mg");
    const id = textOf(rankId);
    const image = textOf(imageUrl);
    const name = textOf(rankName);
    if (id === "" || name === "" || found.has(id)) continue;
    found.set(id, {
      source: "mg",
      id,
      name,
      ...(image === "" ? {} : { cover: absolute(image) }),
      ...(textOf(updateTime) === "" ? {} : { updateText: textOf(updateTime) }),
    });
  }
}

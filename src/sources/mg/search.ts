import { Type } from "@sinclair/typebox";
import type { Collection, Page, SearchType, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import type { Call, SearchRequest, SourceDeps } from "../source.ts";
import { absolute, GUEST_CHANNEL, Loose, type MgClient, textOf } from "./client.ts";
import { searchSign } from "./crypto.ts";
import { FormB, fromFormB } from "./song.ts";

const SEARCH = "https://jadeite.migu.cn/music_search/v3/search/searchAll";
const SUGGEST = "https://music.migu.cn/v3/api/search/suggest?keyword=";
const HOT = "http://jadeite.migu.cn:7090/music_search/v3/search/hotword";

/** The device that every public client of this search says it is. */
const DEVICE = "963B7AA0D21511ED807EE5846EC87D20";
const USER_AGENT =
  "Mozilla/5.0 (Linux; U; Android 11.0.0; zh-cn; MI 11 Build/OPR1.170623.032) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30";
/** The platform's own limit of a page. */
const MAX_SIZE = 50;

const maybeList = <T extends ReturnType<typeof Type.Object>>(item: T) =>
  Type.Optional(Type.Union([Type.Array(item), Type.Null()]));
const Image = Type.Object({ img: Loose });
const Item = Type.Object({
  id: Loose,
  name: Loose,
  userName: Loose,
  singer: Loose,
  musicListPicUrl: Loose,
  imgItems: maybeList(Image),
  singerPicUrl: maybeList(Image),
  musicNum: Loose,
  songNum: Loose,
  songCount: Loose,
  playNum: Loose,
  publishDate: Loose,
});
const Found = Type.Optional(Type.Union([Type.Object({ totalCount: Loose, result: maybeList(Item) }), Type.Null()]));
/** A part that has nothing may be left out. */
const SearchReply = Type.Object({
  songResultData: Type.Optional(
    Type.Union([
      Type.Object({
        totalCount: Loose,
        resultList: Type.Optional(Type.Union([Type.Array(Type.Array(FormB)), Type.Null()])),
      }),
      Type.Null(),
    ]),
  ),
  songListResultData: Found,
  albumResultData: Found,
  singerResultData: Found,
});

const Suggestions = Type.Object({
  songs: maybeList(Type.Object({ name: Loose, singerName: Loose })),
  returnCode: Type.Literal("000000"),
});
const HotWords = Type.Object({
  data: Type.Object({
    hotwords: Type.Array(Type.Object({ hotwordList: Type.Array(Type.Object({ word: Loose, resourceType: Loose })) })),
  }),
});

const KINDS = {
  playlist: { switch: "songlist", data: "songListResultData" },
  album: { switch: "album", data: "albumResultData" },
  artist: { switch: "singer", data: "singerResultData" },
} as const;

export function createSearch(client: MgClient, deps: Pick<SourceDeps<unknown>, "now">) {
  async function ask(request: SearchRequest, kinds: string[], call: Call): Promise<unknown> {
    const names = ["song", "album", "singer", "tagSong", "mvSong", "bestShow", "songlist", "lyricSong"];
    const searchSwitch = JSON.stringify(Object.fromEntries(names.map((name) => [name, kinds.includes(name) ? 1 : 0])));
    const timestamp = String(deps.now());
    const query = [
      "isCorrect=0&isCopyright=1",
      `searchSwitch=${encodeURIComponent(searchSwitch)}`,
      `pageSize=${sizeOf(request)}`,
      `text=${encodeURIComponent(request.query)}`,
      `pageNo=${request.page}&sort=0&sid=USS`,
    ].join("&");
    const headers = {
      uiVersion: "A_music_3.6.1",
      deviceId: DEVICE,
      timestamp,
      sign: searchSign(request.query, DEVICE, timestamp),
      channel: GUEST_CHANNEL,
      "User-Agent": USER_AGENT,
    };
    return client.app({ url: `${SEARCH}?${query}`, headers }, call);
  }

  async function searchSongs(request: SearchRequest, call: Call): Promise<Page<Song>> {
    const body = await ask(request, ["song", "tagSong", "bestShow"], call);
    const found = decode(SearchReply, body, "mg").songResultData;
    const songs = (found?.resultList ?? []).flat().filter(hasId).map(fromFormB);
    // A song and its other editions come as one group; the same recording may be in two.
    const list = [...new Map(songs.map((song) => [song.ids["copyrightId"] ?? song.songId, song])).values()];
    return { total: Number(textOf(found?.totalCount)) || 0, page: request.page, size: sizeOf(request), list };
  }

  async function searchCollections(
    type: Exclude<SearchType, "song">,
    request: SearchRequest,
    call: Call,
  ): Promise<Page<Collection>> {
    const kind = KINDS[type];
    const found = decode(SearchReply, await ask(request, [kind.switch], call), "mg")[kind.data];
    const list = (found?.result ?? []).filter((item) => textOf(item.id) !== "").map((item) => toCollection(type, item));
    return { total: Number(textOf(found?.totalCount)) || 0, page: request.page, size: sizeOf(request), list };
  }

  async function suggest(query: string, call: Call): Promise<string[]> {
    const request = { url: SUGGEST + encodeURIComponent(query), headers: { Referer: "https://music.migu.cn/v3" } };
    const reply = decode(Suggestions, (await client.raw(request, call)).json(), "mg");
    return (reply.songs ?? []).map((song) => [textOf(song.name), textOf(song.singerName)].filter(Boolean).join(" - "));
  }

  async function hot(call: Call): Promise<string[]> {
    const { data } = decode(HotWords, await client.app({ url: HOT }, call), "mg");
    const words = data.hotwords[0]?.hotwordList ?? [];
    return words.filter((item) => item.resourceType === "song").flatMap((item) => textOf(item.word) || []);
  }

  return { searchSongs, searchCollections, suggest, hot };
}

const sizeOf = (request: SearchRequest) => Math.min(request.size, MAX_SIZE);
const hasId = (item: (typeof FormB)["static"]) => textOf(item.songId) !== "" || textOf(item.id) !== "";

function toCollection(type: Collection["type"], item: (typeof Item)["static"]): Collection {
  const author = textOf(item.userName) || textOf(item.singer);
  const image = textOf(item.musicListPicUrl) || textOf((item.imgItems ?? item.singerPicUrl)?.at(-1)?.img);
  const songCount = textOf(item.musicNum) || textOf(item.songNum) || textOf(item.songCount);
  const publishDate = /^\d{4}-\d{2}-\d{2}/.exec(textOf(item.publishDate))?.[0];
  return {
    source: "mg",
    type,
    id: textOf(item.id),
    name: decodeEntities(textOf(item.name)),
    ...(author === "" ? {} : { author: decodeEntities(author) }),
    ...(image === "" ? {} : { cover: absolute(image) }),
    ...(Number(songCount) > 0 ? { songCount: Number(songCount) } : {}),
    ...(Number(textOf(item.playNum)) > 0 ? { playCount: Number(textOf(item.playNum)) } : {}),
    ...(publishDate === undefined ? {} : { publishDate }),
  };
}

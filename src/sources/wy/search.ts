import { Type } from "@sinclair/typebox";
import type { Collection, Page, SearchType, Song } from "../../core/types.ts";
import { firstAnswer } from "../attempts.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import type { Call, SearchRequest, SourceDeps } from "../source.ts";
import { maybe, type WyClient } from "./client.ts";
import { dateOf, Privilege, SongItem, toSong } from "./song.ts";

const SongWithPrivilege = Type.Composite([SongItem, Type.Object({ privilege: maybe(Privilege) })]);
const SongPage = Type.Object({
  data: Type.Object({
    totalCount: maybe(Type.Number()),
    resources: maybe(Type.Array(Type.Object({ baseInfo: Type.Object({ simpleSongData: SongWithPrivilege }) }))),
  }),
});

export const CollectionItem = Type.Object({
  id: Type.Number(),
  name: maybe(Type.String()),
  coverImgUrl: maybe(Type.String()),
  picUrl: maybe(Type.String()),
  creator: maybe(Type.Object({ nickname: maybe(Type.String()) })),
  artist: maybe(Type.Object({ name: maybe(Type.String()) })),
  trackCount: maybe(Type.Number()),
  size: maybe(Type.Number()),
  musicSize: maybe(Type.Number()),
  playCount: maybe(Type.Number()),
  description: maybe(Type.String()),
  publishTime: maybe(Type.Number()),
});
type CollectionItem = (typeof CollectionItem)["static"];
const Found = maybe(Type.Array(CollectionItem));
const CloudSearch = Type.Object({
  result: maybe(
    Type.Object({
      songs: maybe(Type.Array(SongWithPrivilege)),
      songCount: maybe(Type.Number()),
      playlists: Found,
      playlistCount: maybe(Type.Number()),
      albums: Found,
      albumCount: maybe(Type.Number()),
      artists: Found,
      artistCount: maybe(Type.Number()),
    }),
  ),
});

const Suggestions = Type.Object({
  result: maybe(Type.Object({ allMatch: maybe(Type.Array(Type.Object({ keyword: Type.String() }))) })),
});
const SuggestedSongs = Type.Object({
  result: maybe(
    Type.Object({
      songs: maybe(
        Type.Array(
          Type.Object({ name: Type.String(), artists: maybe(Type.Array(Type.Object({ name: maybe(Type.String()) }))) }),
        ),
      ),
    }),
  ),
});
const HotWords = Type.Object({
  data: Type.Object({ itemList: Type.Array(Type.Object({ searchWord: maybe(Type.String()) })) }),
});

const TYPES = { playlist: 1000, album: 10, artist: 100 } as const;

export function createSearch(client: WyClient, deps: Pick<SourceDeps<unknown>, "now">) {
  /** What LX asks; the general search is the second attempt. */
  async function searchSongs(request: SearchRequest, call: Call): Promise<Page<Song>> {
    const run = (ask: typeof songPage) => async () => {
      const { total, items } = await ask(request, call);
      const list = items.map(({ privilege, ...item }) => toSong(item, privilege ?? undefined));
      return { total, page: request.page, size: request.size, list };
    };
    const ways = [
      { name: "song page", run: run(songPage) },
      { name: "cloudsearch", run: run(cloudSongs) },
    ];
    return firstAnswer(ways, call, deps);
  }

  async function songPage({ query, page, size }: SearchRequest, call: Call) {
    const payload = {
      keyword: query,
      needCorrect: "1",
      channel: "typing",
      offset: size * (page - 1),
      scene: "normal",
      total: page === 1,
      limit: size,
    };
    const { body } = await client.eapi("/api/search/song/list/page", payload, call);
    const { totalCount, resources } = decode(SongPage, body, "wy").data;
    return { total: totalCount ?? 0, items: (resources ?? []).map((one) => one.baseInfo.simpleSongData) };
  }

  async function cloudSongs(request: SearchRequest, call: Call) {
    const result = await cloudSearch(1, request, call);
    return { total: result?.songCount ?? 0, items: result?.songs ?? [] };
  }

  async function cloudSearch(type: number, { query, page, size }: SearchRequest, call: Call) {
    const payload = { s: query, type, limit: size, offset: size * (page - 1), total: true };
    const { body } = await client.eapi("/api/cloudsearch/pc", payload, call);
    return decode(CloudSearch, body, "wy").result;
  }

  async function searchCollections(
    type: Exclude<SearchType, "song">,
    request: SearchRequest,
    call: Call,
  ): Promise<Page<Collection>> {
    const result = await cloudSearch(TYPES[type], request, call);
    const list = (result?.[`${type}s`] ?? []).map((item) => toCollection(type, item));
    return { total: result?.[`${type}Count`] ?? 0, page: request.page, size: request.size, list };
  }

  /** Words as one types; the web page's suggested songs are the second attempt. */
  async function suggest(query: string, call: Call): Promise<string[]> {
    const words = async () => {
      const { body } = await client.eapi("/api/search/suggest/keyword", { s: query }, call);
      return (decode(Suggestions, body, "wy").result?.allMatch ?? []).map((item) => item.keyword);
    };
    const songs = async () => {
      const { body } = await client.weapi("/weapi/search/suggest/web", { s: query }, call);
      return (decode(SuggestedSongs, body, "wy").result?.songs ?? []).map((song) =>
        [song.name, (song.artists ?? []).map((artist) => artist.name ?? "").join("、")].filter(Boolean).join(" - "),
      );
    };
    const ways = [
      { name: "suggest keyword", run: words },
      { name: "suggest web", run: songs },
    ];
    return firstAnswer(ways, call, deps);
  }

  async function hot(call: Call): Promise<string[]> {
    const { body } = await client.eapi("/api/search/chart/detail", { id: "HOT_SEARCH_SONG#@#" }, call);
    return decode(HotWords, body, "wy").data.itemList.flatMap((item) => item.searchWord || []);
  }

  return { searchSongs, searchCollections, suggest, hot };
}

export function toCollection(type: Collection["type"], item: CollectionItem): Collection {
  const author = item.creator?.nickname || item.artist?.name;
  const cover = item.coverImgUrl || item.picUrl;
  const songCount = type === "artist" ? item.musicSize : (item.trackCount ?? item.size);
  return {
    source: "wy",
    type,
    id: String(item.id),
    name: decodeEntities(item.name ?? ""),
    ...(author ? { author } : {}),
    ...(cover ? { cover } : {}),
    ...(item.description ? { description: item.description } : {}),
    ...(typeof songCount === "number" ? { songCount } : {}),
    ...(typeof item.playCount === "number" ? { playCount: item.playCount } : {}),
    ...(item.publishTime && item.publishTime > 0 ? { publishDate: dateOf(item.publishTime) } : {}),
  };
}

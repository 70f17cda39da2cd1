import { Type } from "@sinclair/typebox";
import type { Collection, Page, SearchType, Song } from "../../core/types.ts";
import { decodeEntities } from "../lrc.ts";
import { idOf, listOf, numberOf, present, recordOf, textOf } from "../read.ts";
import type { Call, SearchRequest } from "../source.ts";
import { androidComm, type TxClient, type TxDeps } from "./client.ts";
import { toSongs } from "./song.ts";

const TYPES: Record<SearchType, { type: number; list: string }> = {
  song: { type: 0, list: "item_song" },
  artist: { type: 1, list: "singer" },
  album: { type: 2, list: "item_album" },
  playlist: { type: 3, list: "item_songlist" },
};
const MAX_SIZE = 50;

const SearchData = Type.Object({
  meta: Type.Object({ sum: Type.Optional(Type.Integer()), estimate_sum: Type.Optional(Type.Integer()) }),
  body: Type.Record(Type.String(), Type.Unknown()),
});

export function createSearch(deps: TxDeps, client: TxClient) {
  async function ask(kind: SearchType, { query, page, size }: SearchRequest, call: Call) {
    const { type, list } = TYPES[kind];
    const perPage = Math.min(size, MAX_SIZE);
    const param = {
      search_type: type,
      searchid: searchId(deps),
      query,
      page_num: page,
      num_per_page: perPage,
      highlight: 0,
      nqc_flag: 0,
      multi_zhida: 0,
      cat: 2,
      grp: 1,
      sin: 0,
      sem: 0,
    };
    const data = await client.ask(
      {
        comm: androidComm(call.account),
        req: { module: "music.search.SearchCgiService", method: "DoSearchForQQMusicMobile", param },
      },
      "req",
      SearchData,
      call,
      { app: true },
    );
    const total = Math.max(data.meta.sum ?? 0, data.meta.estimate_sum ?? 0);
    return { items: listOf(data.body[list]), total, page, size: perPage };
  }

  return {
    async searchSongs(request: SearchRequest, call: Call): Promise<Page<Song>> {
      const { items, ...page } = await ask("song", request, call);
      return { ...page, list: toSongs(items) };
    },

    async searchCollections(
      type: Exclude<SearchType, "song">,
      request: SearchRequest,
      call: Call,
    ): Promise<Page<Collection>> {
      const { items, ...page } = await ask(type, request, call);
      return { ...page, list: items.flatMap((item) => READERS[type](recordOf(item))) };
    },

    async suggest(query: string, call: Call): Promise<string[]> {
      const reply = await client.get(
        `https://c.y.qq.com/splcloud/fcgi-bin/smartbox_new.fcg?is_xml=0&format=json&key=${encodeURIComponent(query)}`,
        { Referer: "https://y.qq.com/portal/player.html" },
        SuggestReply,
        call,
      );
      const found = listOf(recordOf(recordOf(reply.data)["song"])["itemlist"]).flatMap((item) => {
        const { name, singer } = recordOf(item);
        return [textOf(name), textOf(singer)].filter((part) => part !== undefined).join(" - ") || [];
      });
      return [...new Set(found.map(plain))];
    },

    async hot(call: Call): Promise<string[]> {
      const data = await client.ask(
        {
          comm: { ct: "19", cv: "1803", uin: "0" },
          req: {
            module: "tencent_musicsoso_hotkey.HotkeyService",
            method: "GetHotkeyForQQMusicPC",
            param: { search_id: "", uin: 0 },
          },
        },
        "req",
        Type.Object({ vec_hotkey: Type.Array(Type.Unknown()) }),
        call,
      );
      return data.vec_hotkey.flatMap((item) => textOf(recordOf(item)["query"]) ?? []).map(plain);
    },
  };
}

const SuggestReply = Type.Object({ code: Type.Literal(0), data: Type.Unknown() });

/** A number of the day's milliseconds and two draws, as the app makes it; beyond what a double holds. */
export function searchId({ now, random }: Pick<TxDeps, "now" | "random">): string {
  const e = BigInt(1 + Math.floor(random() * 20));
  const n = BigInt(Math.floor(random() * 4_194_305));
  return String(e * 18_014_398_509_481_984n + n * 4_294_967_296n + BigInt(now() % 86_400_000));
}

/** Names come with `<em>` around the words that were found, whether asked for or not. */
function plain(text: string): string {
  return decodeEntities(text.replace(/<\/?em>/g, "")).trim();
}

type Fields = Record<string, unknown>;
const firstText = (fields: Fields, ...names: string[]): string | undefined => {
  const found = names.map((name) => textOf(fields[name])).find((text) => text !== undefined);
  return found === undefined ? undefined : plain(found);
};
const firstNumber = (fields: Fields, ...names: string[]): number | undefined =>
  names.map((name) => numberOf(fields[name])).find((number) => number !== undefined);

/** The services disagree on names (`albummid`, `albumMID`, `mid`); an entry without id or name is left out. */
const READERS: Record<Exclude<SearchType, "song">, (fields: Fields) => Collection[]> = {
  album(fields) {
    const id = firstText(fields, "albummid", "albumMID", "mid");
    const name = firstText(fields, "name", "albumname", "albumName");
    const singers = listOf(fields["singer_list"]).flatMap((singer) => textOf(recordOf(singer)["name"]) ?? []);
    if (id === undefined || name === undefined) return [];
    return [
      {
        source: "tx",
        type: "album",
        id,
        name,
        ...present({
          author: firstText(fields, "singer", "singerName") ?? (plain(singers.join("、")) || undefined),
          cover: firstText(fields, "pic", "albumPic"),
          songCount: firstNumber(fields, "song_num", "song_count", "songnum"),
          publishDate: firstText(fields, "publish_date", "publicTime"),
        }),
      },
    ];
  },
  playlist(fields) {
    const id = idOf(fields["dissid"]) ?? idOf(fields["id"]);
    const name = firstText(fields, "dissname", "name");
    if (id === undefined || name === undefined) return [];
    return [
      {
        source: "tx",
        type: "playlist",
        id,
        name,
        ...present({
          author: firstText(recordOf(fields["creator"]), "name", "nick") ?? firstText(fields, "nickname"),
          cover: firstText(fields, "imgurl", "logo"),
          description: firstText(fields, "introduction", "dissdesc"),
          songCount: firstNumber(fields, "song_count", "songnum"),
          playCount: firstNumber(fields, "listennum"),
        }),
      },
    ];
  },
  artist(fields) {
    const id = firstText(fields, "singerMID", "singermid", "mid");
    const name = firstText(fields, "singerName", "singername", "name");
    if (id === undefined || name === undefined) return [];
    return [
      {
        source: "tx",
        type: "artist",
        id,
        name,
        ...present({
          cover: firstText(fields, "singerPic", "pic"),
          songCount: firstNumber(fields, "songNum", "songnum"),
        }),
      },
    ];
  },
};

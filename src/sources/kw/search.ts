import { type Static, type TSchema, Type } from "@sinclair/typebox";
import type { Collection, Page, SearchType, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { idOf, numberOf, present, recordOf, textOf } from "../read.ts";
import type { Call, SearchRequest } from "../source.ts";
import { DALVIK_USER_AGENT, type KwClient, MOBILE_USER_AGENT, parseLoose } from "./client.ts";
import { artistsOf, clean, songsOf } from "./song.ts";

const HOST = "http://search.kuwo.cn/r.s";
const Amount = Type.Union([Type.String(), Type.Integer()]);
/** The service sometimes has nothing to show although it found something: asked again, it does. */
const MAX_TRIES = 3;

const SongReply = Type.Object({ TOTAL: Amount, SHOW: Type.Optional(Amount), abslist: Type.Array(Type.Unknown()) });
const ListReply = Type.Object({ TOTAL: Amount, abslist: Type.Array(Type.Unknown()) });
const AlbumReply = Type.Object({
  TOTAL: Type.Optional(Amount),
  total: Type.Optional(Amount),
  albumlist: Type.Array(Type.Unknown()),
});

export function createSearch(client: KwClient) {
  async function ask<T extends TSchema>(query: string, reply: T, call: Call): Promise<Static<T>> {
    const got = await client.get(`${HOST}?${query}`, { "User-Agent": MOBILE_USER_AGENT }, call);
    return decode(reply, parseLoose(got.text()), "kw");
  }

  async function searchSongs({ query, page, size }: SearchRequest, call: Call): Promise<Page<Song>> {
    const address = `client=kt&all=${encodeURIComponent(query)}&pn=${page - 1}&rn=${size}&uid=794762570&ver=kwplayer_ar_9.2.2.1&vipver=1&show_copyright_off=1&newver=1&ft=music&cluster=0&strategy=2012&encoding=utf8&rformat=json&vermerge=1&mobi=1&issubtitle=1`;
    for (let tries = 1; ; tries++) {
      const reply = await ask(address, SongReply, call);
      const total = Number(reply.TOTAL) || 0;
      const hidden = total > 0 && reply.abslist.length === 0 && Number(reply.SHOW) === 0;
      if (hidden && tries < MAX_TRIES) continue;
      return { total, page, size, list: songsOf(reply.abslist) };
    }
  }

  /** Playlists, albums and artists: three forms of the same service. */
  async function searchCollections(
    type: Exclude<SearchType, "song">,
    { query, page, size }: SearchRequest,
    call: Call,
  ): Promise<Page<Collection>> {
    const words = encodeURIComponent(query);
    const paged = `pn=${page - 1}&rn=${size}`;
    switch (type) {
      case "playlist": {
        const address = `all=${words}&ft=playlist&${paged}&rformat=json&encoding=utf8&ver=mbox&vipver=MUSIC_8.7.7.0_BCS37&plat=pc&devid=28156413&pay=0&needliveshow=0`;
        const reply = await ask(address, ListReply, call);
        return { total: Number(reply.TOTAL) || 0, page, size, list: reply.abslist.flatMap(toPlaylist) };
      }
      case "album": {
        const address = `all=${words}&ft=album&itemset=web_2013&client=kt&${paged}&rformat=json&encoding=utf8`;
        const reply = await ask(address, AlbumReply, call);
        const total = Number(reply.TOTAL ?? reply.total) || reply.albumlist.length;
        return { total, page, size, list: reply.albumlist.flatMap(toAlbum) };
      }
      case "artist": {
        const address = `client=kt&all=${words}&${paged}&uid=794762570&ver=kwplayer_ar_9.2.2.1&vipver=1&show_copyright_off=1&newver=1&ft=artist&cluster=0&strategy=2012&encoding=utf8&rformat=json&vermerge=1&mobi=1`;
        const reply = await ask(address, ListReply, call);
        return { total: Number(reply.TOTAL) || 0, page, size, list: reply.abslist.flatMap(toArtist) };
      }
    }
  }

  async function suggest(query: string, call: Call): Promise<string[]> {
    const address = `https://tips.kuwo.cn/t.s?corp=kuwo&newver=3&p2p=1&notrace=0&c=mbox&w=${encodeURIComponent(query)}&encoding=utf8&rformat=json`;
    const got = await client.get(address, { "User-Agent": MOBILE_USER_AGENT }, call);
    const reply = decode(Type.Object({ WORDITEMS: Type.Array(Type.Unknown()) }), parseLoose(got.text()), "kw");
    const words = reply.WORDITEMS.flatMap((item) => textOf(recordOf(item)["RELWORD"]) ?? []);
    return [...new Set(words.map(clean))];
  }

  async function hot(call: Call): Promise<string[]> {
    const address =
      "http://hotword.kuwo.cn/hotword.s?prod=kwplayer_ar_9.3.0.1&corp=kuwo&newver=2&vipver=9.3.0.1&source=kwplayer_ar_9.3.0.1_40.apk&p2p=1&notrace=0&uid=0&plat=kwplayer_ar&rformat=json&encoding=utf8&tabid=1";
    const got = await client.get(address, { "User-Agent": DALVIK_USER_AGENT }, call);
    const form = Type.Object({ status: Type.Literal("ok"), tagvalue: Type.Array(Type.Unknown()) });
    const reply = decode(form, parseLoose(got.text()), "kw");
    return reply.tagvalue.flatMap((item) => textOf(recordOf(item)["key"]) ?? []).map(clean);
  }

  return { searchSongs, searchCollections, suggest, hot };
}

const text = (value: unknown) => {
  const found = textOf(value);
  return found === undefined ? undefined : clean(found) || undefined;
};
const address = (value: unknown) => {
  const found = textOf(value);
  return found !== undefined && /^https?:\/\//.test(found) ? found : undefined;
};

function toPlaylist(value: unknown): Collection[] {
  const fields = recordOf(value);
  const [id, name] = [idOf(fields["playlistid"]), text(fields["name"])];
  if (id === undefined || name === undefined) return [];
  return [
    {
      source: "kw",
      type: "playlist",
      id,
      name,
      ...present({
        author: text(fields["nickname"]),
        cover: address(fields["pic"]),
        description: text(fields["intro"]),
        songCount: numberOf(fields["songnum"]),
        playCount: numberOf(fields["playcnt"]),
      }),
    },
  ];
}

function toAlbum(value: unknown): Collection[] {
  const fields = recordOf(value);
  const [id, name] = [idOf(fields["albumid"]) ?? idOf(fields["id"]), text(fields["name"])];
  if (id === undefined || name === undefined) return [];
  const artists = artistsOf(textOf(fields["artist"]) ?? "").map((artist) => artist.name);
  return [
    {
      source: "kw",
      type: "album",
      id,
      name,
      ...present({
        author: artists.join("、") || undefined,
        cover: address(fields["hts_img"]) ?? address(fields["img"]),
        description: text(fields["info"]),
        songCount: numberOf(fields["musiccnt"]),
        publishDate: /^\d{4}-\d{2}-\d{2}/.exec(textOf(fields["pub"]) ?? "")?.[0],
      }),
    },
  ];
}

function toArtist(value: unknown): Collection[] {
  const fields = recordOf(value);
  const [id, name] = [idOf(fields["ARTISTID"]), text(fields["ARTIST"])];
  if (id === undefined || name === undefined) return [];
  const songCount = numberOf(fields["SONGNUM"]);
  return [{ source: "kw", type: "artist", id, name, ...present({ cover: address(fields["hts_PICPATH"]), songCount }) }];
}

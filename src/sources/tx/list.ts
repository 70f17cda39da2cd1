import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../core/errors.ts";
import type { Board, Collection, CollectionContent, Page, Song } from "../../core/types.ts";
import { decodeEntities } from "../lrc.ts";
import { idOf, listOf, numberOf, present, recordOf, textOf } from "../read.ts";
import type { Call, PageRequest } from "../source.ts";
import { GUEST_COMM, type TxClient, type TxDeps } from "./client.ts";
import { toSongs } from "./song.ts";

/** Not a list of songs but of MVs. */
const MV_BOARD = "201";
const text = (value: unknown) => {
  const found = textOf(value);
  return found === undefined ? undefined : decodeEntities(found).trim() || undefined;
};
const Items = Type.Array(Type.Unknown());

export function createList(deps: TxDeps, client: TxClient) {
  const ask = <T extends Parameters<TxClient["ask"]>[2]>(
    module: string,
    method: string,
    param: Record<string, unknown>,
    data: T,
    call: Call,
  ) => client.ask({ comm: GUEST_COMM, req: { module, method, param } }, "req", data, call);

  async function playlist(given: string, page: PageRequest, call: Call): Promise<CollectionContent> {
    const id = await playlistId(given, call);
    try {
      return await newerPlaylist(id, page, call);
    } catch (error) {
      // The older service gives the whole list at once: heavier, but it needs no sign.
      if (!isAppError(error) || !["upstream_changed", "upstream_refused"].includes(error.kind)) throw error;
      call.step?.("tx.second_attempt", {});
      return olderPlaylist(id, page, call);
    }
  }

  async function newerPlaylist(id: string, { page, size }: PageRequest, call: Call): Promise<CollectionContent> {
    const param = {
      disstid: BigInt(id),
      dirid: 0,
      tag: 1,
      song_begin: (page - 1) * size,
      song_num: size,
      userinfo: 1,
      orderlist: 1,
      onlysonglist: 0,
    };
    const reply = Type.Object({
      dirinfo: Type.Unknown(),
      songlist: Items,
      total_song_num: Type.Optional(Type.Integer()),
    });
    const data = await ask("music.srfDissInfo.DissInfo", "CgiGetDiss", param, reply, call);
    const info = recordOf(data.dirinfo);
    const name = text(info["title"]);
    if (name === undefined) throw notFound("歌单");
    const total = data.total_song_num ?? numberOf(info["songnum"]) ?? data.songlist.length;
    return {
      info: {
        source: "tx",
        type: "playlist",
        id,
        name,
        songCount: total,
        ...present({
          author: text(recordOf(info["creator"])["nick"]),
          cover: text(info["picurl"]),
          description: text(info["desc"]),
          playCount: numberOf(info["listennum"]),
        }),
      },
      songs: { total, page, size, list: toSongs(data.songlist) },
    };
  }

  async function olderPlaylist(id: string, { page, size }: PageRequest, call: Call): Promise<CollectionContent> {
    const { cdlist } = await client.get(
      `https://c.y.qq.com/qzone/fcg-bin/fcg_ucc_getcdinfo_byids_cp.fcg?type=1&json=1&utf8=1&onlysong=0&new_format=1&disstid=${id}&format=json&inCharset=utf8&outCharset=utf-8&notice=0&platform=yqq.json&needNewCode=0`,
      { Origin: "https://y.qq.com", Referer: `https://y.qq.com/n/yqq/playsquare/${id}.html` },
      Type.Object({ cdlist: Type.Array(Type.Object({ dissname: Type.String(), songlist: Items })) }),
      call,
    );
    const list = cdlist[0];
    if (list === undefined) throw notFound("歌单");
    const fields = recordOf(list);
    const total = list.songlist.length;
    return {
      info: {
        source: "tx",
        type: "playlist",
        id,
        name: text(list.dissname) ?? id,
        songCount: total,
        ...present({
          author: text(fields["nickname"]),
          cover: text(fields["logo"]),
          description: text(fields["desc"]),
          playCount: numberOf(fields["visitnum"]),
        }),
      },
      songs: {
        total,
        page,
        size,
        list: toSongs(list.songlist.slice((page - 1) * size, page * size)),
      },
    };
  }

  async function playlistId(given: string, call: Call): Promise<string> {
    const direct = idInLink(given);
    if (direct !== undefined) return direct;
    if (!/^https?:\/\/c\d*\.y\.qq\.com\/base\/fcgi-bin\/u\?/.test(given)) throw badId("歌单");
    // A short link: where it leads names the list. Only the platform's own hosts are asked.
    const reply = await deps.http({ url: given, redirect: "manual", signal: call.signal });
    const found = idInLink(reply.headers.get("location") ?? "");
    if (found === undefined) throw badId("歌单");
    return found;
  }

  async function album(given: string, { page, size }: PageRequest, call: Call): Promise<CollectionContent> {
    const albumMid = albumMidIn(given);
    const module = "music.musichallAlbum";
    const [detail, content] = await Promise.all([
      ask(
        `${module}.AlbumInfoServer`,
        "GetAlbumDetail",
        { albumMId: albumMid },
        Type.Object({ basicInfo: Type.Unknown(), singer: Type.Optional(Type.Unknown()) }),
        call,
      ),
      ask(
        `${module}.AlbumSongList`,
        "GetAlbumSongList",
        { albumMid, begin: (page - 1) * size, num: size },
        Type.Object({
          totalNum: Type.Integer(),
          songList: Type.Array(Type.Object({ songInfo: Type.Unknown() })),
        }),
        call,
      ),
    ]);
    const basic = recordOf(detail.basicInfo);
    const name = text(basic["albumName"]);
    if (name === undefined) throw notFound("专辑");
    const singers = listOf(recordOf(detail.singer)["singerList"]).flatMap((item) => text(recordOf(item)["name"]) ?? []);
    const info: Collection = {
      source: "tx",
      type: "album",
      id: albumMid,
      name,
      cover: `https://y.qq.com/music/photo_new/T002R500x500M000${idOf(basic["pmid"]) ?? albumMid}.jpg`,
      songCount: content.totalNum,
      ...present({
        author: singers.join("、") || undefined,
        description: text(basic["desc"]),
        publishDate: text(basic["publishDate"]),
      }),
    };
    const list = toSongs(content.songList.map((item) => item.songInfo));
    return { info, songs: { total: content.totalNum, page, size, list } };
  }

  async function boards(call: Call): Promise<Board[]> {
    const data = await ask("music.musicToplist.Toplist", "GetAll", {}, Type.Object({ group: Items }), call);
    return data.group
      .flatMap((group) => listOf(recordOf(group)["toplist"]))
      .flatMap((item): Board[] => {
        const fields = recordOf(item);
        const id = idOf(fields["topId"]);
        const name = text(fields["title"]);
        if (id === undefined || name === undefined || id === MV_BOARD) return [];
        return [
          {
            source: "tx",
            id,
            name,
            ...present({ cover: text(fields["frontPicUrl"]), updateText: text(fields["period"]) }),
          },
        ];
      });
  }

  async function board(id: string, { page, size }: PageRequest, call: Call): Promise<Page<Song>> {
    if (!/^\d{1,6}$/.test(id)) throw badId("榜单");
    const data = await ask(
      "music.musicToplist.Toplist",
      "GetDetail",
      { topId: Number(id), offset: (page - 1) * size, num: size },
      Type.Object({ data: Type.Object({ totalNum: Type.Integer() }), songInfoList: Items }),
      call,
    );
    return { total: data.data.totalNum, page, size, list: toSongs(data.songInfoList) };
  }

  return { playlist, album, boards, board };
}

const notFound = (what: string) => new AppError("upstream_not_found", `QQ音乐: ${what}不存在`);
const badId = (what: string) => new AppError("invalid_request", `QQ音乐: ${what} id 不正确`);

/** A list's number, bare or in one of the platform's own addresses. */
export function idInLink(given: string): string | undefined {
  if (/^\d{1,19}$/.test(given)) return given;
  if (!/^https?:\/\/(?:[\w-]+\.)*y\.qq\.com\//.test(given)) return undefined;
  return (/\/(?:playlist|playsquare|taoge)\/(\d{1,19})(?!\d)/.exec(given) ??
    /[?&](?:id|disstid)=(\d{1,19})(?!\d)/.exec(given))?.[1];
}

/** @throws AppError `invalid_request` when it names no album. */
export function albumMidIn(given: string): string {
  if (/^[0-9A-Za-z]{10,20}$/.test(given)) return given;
  const inLink = /^https?:\/\/(?:[\w-]+\.)*y\.qq\.com\//.test(given)
    ? /(?:\/(?:albumDetail|album)\/|[?&]albumm?id=)([0-9A-Za-z]{10,20})(?![0-9A-Za-z])/i.exec(given)?.[1]
    : undefined;
  if (inLink === undefined) throw badId("专辑");
  return inLink;
}

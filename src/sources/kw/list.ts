import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Board, CollectionContent, Page, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { idOf, numberOf, present, recordOf, textOf } from "../read.ts";
import type { Call, PageRequest } from "../source.ts";
import { type KwClient, type KwDeps, MOBILE_USER_AGENT, parseLoose } from "./client.ts";
import { BOARD_APP_ID, decryptBoard, encryptBoard, signBoard } from "./crypto.ts";
import { artistsOf, clean, songsOf } from "./song.ts";

const Items = Type.Array(Type.Unknown());
const Amount = Type.Union([Type.Integer(), Type.String({ pattern: "^\\d+$" })]);
const HEADERS = { "User-Agent": MOBILE_USER_AGENT };
const ALBUM_SONGS = 1000;

const notFound = (what: string) => new AppError("upstream_not_found", `酷我: ${what}不存在`);
const badId = (what: string) => new AppError("invalid_request", `酷我: ${what} id 不正确`);
const text = (value: unknown) => {
  const found = textOf(value);
  return found === undefined ? undefined : clean(found) || undefined;
};

export function createList(deps: KwDeps, client: KwClient) {
  async function playlist(given: string, { page, size }: PageRequest, call: Call): Promise<CollectionContent> {
    const id = idIn(
      given,
      /\/(?:playlist_detail|playlist)\/(\d{1,14})(?!\d)/,
      /[?&](?:pid|id)=(\d{1,14})(?!\d)/,
      "歌单",
    );
    const address = `http://nplserver.kuwo.cn/pl.svc?op=getlistinfo&pid=${id}&pn=${page - 1}&rn=${Math.min(size, 1000)}&encode=utf8&keyset=pl2012&identity=kuwo&pcmp4=1&vipver=MUSIC_9.0.5.0_W1&newver=1`;
    const reply = recordOf(decode(Type.Object({ result: Type.String() }), await json(address, call), "kw"));
    if (reply["result"] !== "ok") throw notFound("歌单");
    const form = Type.Object({ title: Type.String(), total: Amount, musiclist: Items });
    const list = decode(form, reply, "kw");
    const total = Number(list.total);
    return {
      info: {
        source: "kw",
        type: "playlist",
        id,
        name: clean(list.title),
        songCount: total,
        ...present({
          author: text(reply["uname"]),
          cover: text(reply["pic"]),
          description: text(reply["info"]),
          playCount: numberOf(reply["playnum"]),
        }),
      },
      songs: { total, page, size, list: songsOf(list.musiclist) },
    };
  }

  /** The service gives an album whole; the page is cut here. */
  async function album(given: string, { page, size }: PageRequest, call: Call): Promise<CollectionContent> {
    const id = idIn(
      given,
      /\/(?:album_detail|album)\/(\d{1,14})(?!\d)/,
      /[?&](?:albumid|id)=(\d{1,14})(?!\d)/i,
      "专辑",
    );
    const address = `http://search.kuwo.cn/r.s?pn=0&rn=${ALBUM_SONGS}&stype=albuminfo&albumid=${id}&show_copyright_off=0&encoding=utf&vipver=MUSIC_9.1.0`;
    const reply = recordOf(decode(Type.Object({ musiclist: Items }), await json(address, call), "kw"));
    const name = text(reply["name"]);
    if (name === undefined) throw notFound("专辑");
    const songs = songsOf(reply["musiclist"]);
    // Its entries do not say which album they are of.
    const whole = songs.map((song) => ({ ...song, album: song.album ?? { id, name } }));
    const artists = artistsOf(textOf(reply["artist"]) ?? "").map((artist) => artist.name);
    return {
      info: {
        source: "kw",
        type: "album",
        id,
        name,
        songCount: whole.length,
        ...present({
          author: artists.join("、") || undefined,
          cover: text(reply["hts_img"]) ?? text(reply["img"]),
          description: text(reply["info"]),
          publishDate: text(reply["pub"]),
        }),
      },
      songs: { total: whole.length, page, size, list: whole.slice((page - 1) * size, page * size) },
    };
  }

  async function boards(call: Call): Promise<Board[]> {
    const address = "http://qukudata.kuwo.cn/q.k?op=query&cont=tree&node=2&pn=0&rn=1000&fmt=json&level=2";
    const reply = decode(Type.Object({ child: Items }), await json(address, call), "kw");
    return reply.child.flatMap((item): Board[] => {
      const fields = recordOf(item);
      const [id, name] = [idOf(fields["sourceid"]), text(fields["name"])];
      // Another source than 1 is a group of boards, or a page.
      if (String(fields["source"]) !== "1" || id === undefined || name === undefined) return [];
      return [{ source: "kw", id, name, ...present({ cover: text(fields["pic"]), updateText: text(fields["info"]) }) }];
    });
  }

  /** Songs of a board: parameters and reply are encrypted, the whole is signed. */
  async function board(id: string, { page, size }: PageRequest, call: Call): Promise<Page<Song>> {
    if (!/^\d{1,8}$/.test(id)) throw badId("榜单");
    const data = encryptBoard(
      JSON.stringify({
        uid: "",
        devId: "",
        sFrom: "kuwo_sdk",
        user_type: "AP",
        carSource: "kwplayercar_ar_6.0.1.0_apk_keluze.apk",
        id,
        pn: page - 1,
        rn: size,
      }),
    );
    const time = deps.now();
    const address = `https://wbd.kuwo.cn/api/bd/bang/bang_info?data=${encodeURIComponent(data)}&time=${time}&appId=${BOARD_APP_ID}&sign=${signBoard(data, time)}`;
    const got = await client.get(address, HEADERS, call);
    const reply = decode(
      Type.Object({ code: Amount, data: Type.Optional(Type.Unknown()) }),
      openBoard(got.text()),
      "kw",
    );
    if (Number(reply.code) !== 200) {
      throw new AppError("upstream_refused", "酷我: 榜单获取失败", { upstreamCode: Number(reply.code) });
    }
    const content = decode(Type.Object({ total: Amount, musiclist: Items }), reply.data, "kw");
    return { total: Number(content.total), page, size, list: songsOf(content.musiclist) };
  }

  async function json(address: string, call: Call): Promise<unknown> {
    return parseLoose((await client.get(address, HEADERS, call)).text());
  }

  return { playlist, album, boards, board };
}

function openBoard(reply: string): unknown {
  // A refusal comes in the open.
  if (reply.trimStart().startsWith("{")) return parseLoose(reply);
  try {
    return parseLoose(decryptBoard(decodeURIComponent(reply.trim())));
  } catch (error) {
    throw new AppError("upstream_changed", "酷我: 数据无法解密", { cause: error });
  }
}

/** An id, bare or in one of the platform's own addresses. */
function idIn(given: string, inPath: RegExp, inQuery: RegExp, what: string): string {
  if (/^\d{1,14}$/.test(given)) return given;
  const ours = /^https?:\/\/(?:[\w-]+\.)*kuwo\.cn\//.test(given);
  const found = ours ? (inPath.exec(given) ?? inQuery.exec(given))?.[1] : undefined;
  if (found === undefined) throw badId(what);
  return found;
}

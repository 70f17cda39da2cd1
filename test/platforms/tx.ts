import { createHash } from "node:crypto";
import { picture } from "./picture.ts";
import { type Answer, type Asked, type Method, record } from "./tx/answer.ts";
import {
  album,
  albumSongs,
  board,
  boards,
  hotkey,
  olderPlaylist,
  playlist,
  search,
  shortLink,
  suggest,
} from "./tx/lists.ts";
import { lyric } from "./tx/lyric.ts";
import { comments, login, mvInfo, mvUrls, userInfo, vip } from "./tx/people.ts";
import { byMid, trackOf } from "./tx/songs.ts";
import { vkey } from "./tx/vkey.ts";
import { json, type Platform, type PlatformRequest, type World } from "./world.ts";

/** Module and method -> what it answers. */
const METHODS: Record<string, Method> = {
  "music.pf_song_detail_svr get_song_detail_yqq": detail,
  "music.vkey.GetVkey UrlGetVkey": vkey,
  "music.musichallSong.PlayLyricInfo GetPlayLyricInfo": lyric,
  "music.search.SearchCgiService DoSearchForQQMusicMobile": search,
  "tencent_musicsoso_hotkey.HotkeyService GetHotkeyForQQMusicPC": hotkey,
  "music.srfDissInfo.DissInfo CgiGetDiss": playlist,
  "music.musichallAlbum.AlbumInfoServer GetAlbumDetail": album,
  "music.musichallAlbum.AlbumSongList GetAlbumSongList": albumSongs,
  "music.musicToplist.Toplist GetAll": boards,
  "music.musicToplist.Toplist GetDetail": board,
  "music.globalComment.CommentRead GetHotCommentList": comments("hot"),
  "music.globalComment.CommentRead GetNewCommentList": comments("new"),
  "video.VideoDataServer get_video_info_batch": mvInfo,
  "gosrf.Stream.MvUrlProxy GetMvUrls": mvUrls("older"),
  "music.stream.MvUrlProxy GetMvUrls": mvUrls("newer"),
  "music.login.LoginServer Login": login,
  "music.UserInfo.userInfoServer GetLoginUserInfo": userInfo,
  "VipLogin.VipLoginInter vip_login_base": vip,
};

/** Every method of the table that one POST calls, each with its own code. */
function musics(request: PlatformRequest, world: World, signed: boolean): Response {
  if (request.method !== "POST") return new Response("", { status: 405 });
  if (signed && request.params.get("sign") !== sign(request.body)) return json({ code: 2000, ts: 1 });
  let body: Record<string, unknown>;
  try {
    body = record(JSON.parse(request.text));
  } catch {
    return json({ code: 500_001 });
  }
  const comm = record(body["comm"]);
  if (comm["ct"] === undefined || comm["cv"] === undefined) return json({ code: 500_003 });
  const calls = Object.entries(body).filter(([name]) => name !== "comm");
  if (calls.length === 0 || calls.length > 20) return json({ code: 500_001 });
  const answers = calls.map(([name, call]): [string, Answer] => {
    const { module, method, param } = record(call);
    const handler = METHODS[`${module} ${method}`];
    const asked: Asked = { param: record(param), comm, request, world };
    return [name, handler === undefined ? { code: 500_003 } : handler(asked)];
  });
  return json({ code: 0, ts: 1_795_000_000_000, start_ts: 1, traceid: "0", ...Object.fromEntries(answers) });
}

/** Written from the description of the sign, apart from the client's: letters by position, then the masked digest. */
function sign(body: Uint8Array): string {
  const raw = createHash("sha1").update(body).digest();
  const letters = raw.toString("hex").toUpperCase().split("");
  const mask = "5927b396da523afcb134ba7b7840f2858fa179b3";
  let middle = "";
  const mixed = Buffer.alloc(20);
  for (let at = 0; at < 20; at++) mixed[at] = (raw[at] ?? 0) ^ Number.parseInt(mask.slice(at * 2, at * 2 + 2), 16);
  for (const letter of mixed.toString("base64")) if (!"/+=\\".includes(letter)) middle += letter;
  const head = ["23", "14", "6", "36", "16", "7", "19"].map((at) => letters[Number(at)]).join("");
  const tail = ["16", "1", "32", "12", "19", "27", "8", "5"].map((at) => letters[Number(at)]).join("");
  return `zzc${head}${middle}${tail}`.toLowerCase();
}

function detail({ param, world }: Asked): Answer {
  const song = byMid(world, param["song_mid"]);
  if (param["song_type"] !== 0 || song === undefined)
    return { code: 0, data: { info: {}, track_info: { id: 0, mid: "" } } };
  const values = (...names: string[]) => ({ content: names.map((value, id) => ({ id, value })) });
  return {
    code: 0,
    data: {
      info: {
        company: { title: "唱片公司", type: "company", ...values("测试唱片") },
        genre: { title: "歌曲流派", type: "genre", ...values("Pop 流行") },
        lan: { title: "歌曲语种", type: "lan", ...values("国语") },
        pub_time: { title: "发行时间", type: "pub_time", ...values(song.publishDate) },
      },
      track_info: trackOf(song),
    },
  };
}

export const txPlatform: Platform = {
  source: "tx",
  hosts: [
    "u.y.qq.com",
    "c.y.qq.com",
    "c6.y.qq.com",
    "y.qq.com",
    "y.gtimg.cn",
    "ws.stream.qqmusic.qq.com",
    "isure.stream.qqmusic.qq.com",
  ],
  handle(request, world) {
    const where = `${request.host}${request.path}`;
    if (where === "u.y.qq.com/cgi-bin/musics.fcg") return musics(request, world, true);
    if (where === "u.y.qq.com/cgi-bin/musicu.fcg") return musics(request, world, false);
    if (where === "c.y.qq.com/splcloud/fcgi-bin/smartbox_new.fcg") return suggest(request, world);
    if (where === "c.y.qq.com/qzone/fcg-bin/fcg_ucc_getcdinfo_byids_cp.fcg") return olderPlaylist(request, world);
    if (where === "c6.y.qq.com/base/fcgi-bin/u") return shortLink(request);
    if (/^(?:y\.qq\.com|y\.gtimg\.cn)\/music\/photo_new\/T00[12]R\d+x\d+M000\w+\.jpg$/.test(where)) return picture();
    return new Response("not found", { status: 404 });
  },
};

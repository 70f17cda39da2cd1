import type { Quality } from "../../src/core/types.ts";
import type { CatalogSong, World } from "./world.ts";
import { json } from "./world.ts";
import type { WyAsk } from "./wy.ts";
import { lyric } from "./wy-lyric.ts";

type Route = (asked: WyAsk, part: string) => Response;

/** Bytes of a file by its length and bit rate. */
export function sizeOf(song: CatalogSong, quality: Quality): number {
  const kbits = quality.endsWith("k") ? Number.parseInt(quality, 10) : quality === "flac" ? 900 : 2400;
  return Math.round((song.durationSeconds * kbits * 1000) / 8);
}

/** Interfaces by path; the one group of a path is handed on. */
export const ROUTES: Record<string, Route> = {
  "/api/v3/song/detail": detail,
  "/api/song/music/detail/get": musicDetail,
  "/api/song/lyric/v1": ({ payload, world }) => json({ code: 200, ...lyric(byId(world, payload["id"])) }),
  "/api/search/song/list/page": songPage,
  "/api/cloudsearch/pc": cloudSearch,
  "/api/search/suggest/keyword": suggestWords,
  "/api/search/suggest/web": suggestSongs,
  "/api/search/chart/detail": hotWords,
  "/api/v[36]/playlist/detail": playlist,
  "/api/v1/album/(\\d+)": album,
  "/api/toplist": boards,
  "/api/v2/resource/comments": hotComments,
  "/api/v1/resource/hotcomments/R_SO_4_(\\d+)": oldHotComments,
  "/api/comment/resource/comments/get": newComments,
  "/api/v1/mv/detail": mvDetail,
  "/api/song/enhance/play/mv/url": mvUrl,
  "/api/login/token/refresh": refresh,
  "/api/w/nuser/account/get": who,
  "/api/music-vip-membership/client/vip/info": membership,
  "/api/point/dailyTask": signIn,
};

const bad = (message: string) => json({ code: 400, message });
const missing = () => json({ code: 404, message: "no resource" });

function byId(world: World, id: unknown): CatalogSong | undefined {
  return world.songs.find((song) => song.ids.wy.id === String(id));
}

function songForm(song: CatalogSong) {
  const file = (quality: Quality, br: number) =>
    song.qualities.includes(quality) ? { br, fid: 0, size: sizeOf(song, quality), vd: 0 } : null;
  return {
    name: song.name + (song.nameExtra ?? ""),
    id: Number(song.ids.wy.id),
    ar: song.artists.map(({ id, name }) => ({ id: Number(id), name, tns: [], alias: [] })),
    alia: [],
    al: { id: Number(song.album.id), name: song.album.name, picUrl: coverOf(song), tns: [] },
    dt: song.durationSeconds * 1000,
    mv: Number(song.ids.wy.mv),
    fee: song.right === "member" ? 1 : 8,
    no: 1,
    cd: "01",
    publishTime: Date.parse(`${song.publishDate}T00:00:00+08:00`),
    l: file("128k", 128_000),
    m: file("192k", 192_000),
    h: file("320k", 320_000),
    sq: file("flac", 900_000),
    hr: file("hires", 2_400_000),
  };
}

const coverOf = (song: CatalogSong) => `https://p1.music.126.net/a==/${song.album.id}.jpg`;

const RATES: Partial<Record<Quality, number>> = { "128k": 128_000, "192k": 192_000, "320k": 320_000, flac: 999_000 };
const TOP = ["master", "dolby", "sky", "atmos", "hires", "flac", "320k", "192k", "128k"] as const;
const TOP_LEVELS = ["jymaster", "dolby", "sky", "jyeffect", "hires", "lossless", "exhigh", "higher", "standard"];

function privilege(song: CatalogSong) {
  const best = TOP.findIndex((quality) => song.qualities.includes(quality));
  return {
    id: Number(song.ids.wy.id),
    fee: song.right === "member" ? 1 : 8,
    st: song.right === "none" ? -200 : 0,
    maxbr: Math.max(...song.qualities.map((quality) => RATES[quality] ?? 0)),
    maxBrLevel: TOP_LEVELS[best] ?? "none",
  };
}

function detail({ payload, world }: WyAsk): Response {
  const asked: unknown = JSON.parse(String(payload["c"] ?? "[]"));
  const ids = Array.isArray(asked) ? asked.map((one) => one.id) : [];
  if (ids.length === 0 || ids.length > 1000 || ids.some((id) => typeof id !== "number")) return bad("c");
  const songs = ids.flatMap((id) => byId(world, id) ?? []);
  return json({ code: 200, songs: songs.map(songForm), privileges: songs.map(privilege) });
}

function musicDetail({ payload, world }: WyAsk): Response {
  const song = byId(world, payload["songId"]);
  if (song === undefined) return missing();
  const named = { je: "atmos", sk: "sky", db: "dolby", jm: "master" } as const;
  const files = Object.entries(named).map(([key, quality]) => [
    key,
    song.qualities.includes(quality) ? { br: 0, size: sizeOf(song, quality) } : null,
  ]);
  return json({ code: 200, data: { songId: Number(song.ids.wy.id), ...Object.fromEntries(files) } });
}

const text = (value: unknown) => (typeof value === "string" ? value : "");
const matching = (world: World, word: string) =>
  world.songs.filter((song) => [song.name, ...song.artists.map((one) => one.name)].join(" ").includes(word));

function cutBy<T>(items: T[], payload: Record<string, unknown>): T[] {
  const offset = Number(payload["offset"] ?? 0);
  return items.slice(offset, offset + Number(payload["limit"] ?? 30));
}

function songPage({ payload, world }: WyAsk): Response {
  if (text(payload["keyword"]) === "" || payload["scene"] !== "normal" || payload["channel"] !== "typing") {
    return bad("keyword");
  }
  const found = matching(world, text(payload["keyword"]));
  const resources = cutBy(found, payload).map((song) => ({
    resourceType: "song",
    baseInfo: { simpleSongData: { ...songForm(song), privilege: privilege(song) } },
  }));
  return json({ code: 200, data: { totalCount: found.length, resources } });
}

function cloudSearch({ payload, world }: WyAsk): Response {
  const word = text(payload["s"]);
  const found = matching(world, word);
  const some = cutBy(found, payload);
  switch (payload["type"]) {
    case 1: {
      const songs = some.map((song) => ({ ...songForm(song), privilege: privilege(song) }));
      return json({ code: 200, result: songs.length > 0 ? { songs, songCount: found.length } : { songCount: 0 } });
    }
    case 10:
      return json({ code: 200, result: { albums: some.map(albumForm), albumCount: found.length } });
    case 100: {
      const artists = some.map((song) => ({
        id: Number(song.artists[0]?.id),
        name: song.artists[0]?.name,
        picUrl: coverOf(song),
        musicSize: 7,
      }));
      return json({ code: 200, result: { artists, artistCount: found.length } });
    }
    case 1000:
      return json({ code: 200, result: { playlists: [playlistForm(world, 5010)], playlistCount: 1 } });
    default:
      return bad("type");
  }
}

function suggestWords({ payload, world }: WyAsk): Response {
  const words = matching(world, text(payload["s"])).map((song) => ({ keyword: song.name, type: 1 }));
  return json({ code: 200, result: words.length > 0 ? { allMatch: words } : {} });
}

function suggestSongs({ payload, world }: WyAsk): Response {
  const songs = matching(world, text(payload["s"])).map((song) => ({
    id: Number(song.ids.wy.id),
    name: song.name,
    artists: song.artists.map(({ name }) => ({ name })),
  }));
  return json({ code: 200, result: { songs, order: ["songs"] } });
}

function hotWords({ payload, world }: WyAsk): Response {
  if (payload["id"] !== "HOT_SEARCH_SONG#@#") return bad("id");
  return json({ code: 200, data: { itemList: world.songs.map((song) => ({ searchWord: song.name, score: 1 })) } });
}

function playlistForm(world: World, id: number) {
  return {
    id,
    name: "测试歌单 &amp; 其他",
    coverImgUrl: "https://p1.music.126.net/list.jpg",
    description: "说明",
    creator: { nickname: "创建者" },
    trackCount: world.songs.length,
    playCount: 123_456,
  };
}

/** Guests are given the first two tracks, and the ids of all. */
function playlist({ payload, world, account }: WyAsk): Response {
  const id = Number(payload["id"]);
  if (!Number.isInteger(id) || payload["n"] !== 100_000 || payload["s"] !== 8) return bad("id");
  if (id === 404) return missing();
  const given = world.songs.slice(0, account?.state === "member" ? world.songs.length : 2);
  return json({
    code: 200,
    playlist: {
      ...playlistForm(world, id),
      tracks: given.map(songForm),
      trackIds: world.songs.map((song) => ({ id: Number(song.ids.wy.id), v: 1, t: 0, at: 0 })),
    },
    privileges: given.map(privilege),
  });
}

function albumForm(song: CatalogSong) {
  return {
    id: Number(song.album.id),
    name: song.album.name,
    picUrl: coverOf(song),
    artist: { name: song.artists[0]?.name },
    size: 1,
    description: "专辑说明",
    publishTime: Date.parse(`${song.publishDate}T00:00:00+08:00`),
  };
}

function album({ world }: WyAsk, id: string): Response {
  const songs = world.songs.filter((song) => song.album.id === id);
  const [first] = songs;
  return first === undefined ? missing() : json({ code: 200, album: albumForm(first), songs: songs.map(songForm) });
}

function boards(): Response {
  const named = { 19723756: "飙升榜", 3779629: "新歌榜", 3778678: "热歌榜" };
  const list = Object.entries(named).map(([id, name]) => ({
    id: Number(id),
    name,
    updateFrequency: "每天更新",
    coverImgUrl: `https://p1.music.126.net/${id}.jpg`,
  }));
  return json({ code: 200, list, artistToplist: {} });
}

const COMMENTS = 45;

function comment(index: number) {
  const user = { userId: 7000 + index, nickname: `听众${index}`, avatarUrl: `https://p1.music.126.net/${index}.jpg` };
  const own = {
    commentId: 100_000 + index,
    content: `评论 ${index}`,
    time: 1_700_000_000_000 - index * 1000,
    timeStr: "2023-11-14",
    user,
    likedCount: COMMENTS - index,
    replyCount: index % 4,
    ipLocation: { ip: null, location: index % 2 === 0 ? "上海" : "" },
    beReplied: null,
  };
  if (index % 5 !== 4) return own;
  const parent = { beRepliedCommentId: 900 + index, content: "原评论", user: { ...user, userId: 1, nickname: "楼主" } };
  return { ...own, beReplied: [parent] };
}

const commentsFrom = (offset: number, size: number) =>
  Array.from({ length: Math.max(0, Math.min(size, COMMENTS - offset)) }, (_, index) => comment(offset + index));

function hotComments({ payload, world }: WyAsk): Response {
  const offset = /^normalHot#(\d+)$/.exec(text(payload["cursor"]))?.[1];
  const id = /^R_SO_4_(\d+)$/.exec(text(payload["threadId"]))?.[1];
  if (offset === undefined || payload["sortType"] !== 2 || payload["showInner"] !== true) return bad("cursor");
  if (byId(world, id) === undefined) return missing();
  const comments = commentsFrom(Number(offset), Number(payload["pageSize"]));
  return json({ code: 200, data: { comments, totalCount: COMMENTS, cursor: "" } });
}

function oldHotComments({ payload, world }: WyAsk, id: string): Response {
  if (byId(world, id) === undefined || payload["rid"] !== `R_SO_4_${id}`) return missing();
  const hot = commentsFrom(Number(payload["offset"]), Number(payload["limit"]));
  return json({ code: 200, hotComments: hot, total: COMMENTS });
}

function newComments({ payload, world, request }: WyAsk): Response {
  const id = /^R_SO_4_(\d+)$/.exec(text(payload["threadId"]))?.[1];
  if (payload["rid"] !== payload["threadId"] || payload["orderType"] !== 1) return bad("rid");
  if (!/^\d{13}$/.test(text(payload["cursor"])) || payload["offset"] !== 0) return bad("cursor");
  if (byId(world, id) === undefined) return missing();
  const size = Number(payload["pageSize"]);
  const comments = commentsFrom(size * (Number(payload["pageNo"]) - 1), size);
  return json({ code: 200, data: { comments, totalCount: COMMENTS, cursor: String(request.at) } });
}

const mvOf = (world: World, id: unknown) => world.songs.find((song) => song.ids.wy.mv === String(id));

function mvDetail({ payload, world }: WyAsk): Response {
  const song = mvOf(world, payload["id"]);
  if (song === undefined) return missing();
  return json({
    code: 200,
    data: {
      id: Number(song.ids.wy.mv),
      name: song.name,
      artists: song.artists.map(({ id, name }) => ({ id: Number(id), name })),
      desc: "简介",
      cover: coverOf(song),
      duration: 266_000,
      brs: [240, 480, 1080].map((br) => ({ br, size: br * 1000, point: 0 })),
    },
  });
}

function mvUrl({ payload, world }: WyAsk): Response {
  const song = mvOf(world, payload["id"]);
  const height = Number(payload["r"]);
  if (song === undefined || ![240, 480, 720, 1080].includes(height)) return missing();
  if (song.right === "none")
    return json({ code: 200, data: { id: payload["id"], url: null, r: 0, size: 0, code: 404 } });
  const url = `http://vodkgeyttp8.vod.126.net/${song.ids.wy.mv}-${height}.mp4?wsSecret=1`;
  return json({ code: 200, data: { id: payload["id"], url, r: height, size: height * 1000, expi: 3600, code: 200 } });
}

/** A new MUSIC_U each time; the old one goes on until the platform forgets it. */
function refresh({ account, payload, request }: WyAsk): Response {
  const header = payload["header"];
  const cookie = request.headers.get("cookie") ?? "";
  if (typeof header !== "object" || header === null) return bad("header");
  const repeated = Object.entries(header).every(([name, value]) => cookie.includes(`${name}=${value};`));
  if (!repeated || !("requestId" in header)) return bad("header");
  if (account === undefined || account.state === "expired") return json({ code: 301, message: "系统错误" });
  account.token = `${account.token}+`;
  const headers = new Headers({ "content-type": "application/json" });
  headers.append("set-cookie", `MUSIC_U=${account.token}; Max-Age=15552000; Expires=x; Path=/; Domain=.music.163.com`);
  headers.append("set-cookie", "__csrf=renewed; Max-Age=1296010; Path=/; Domain=.music.163.com");
  headers.append("set-cookie", "MUSIC_SNS=; Max-Age=0; Path=/");
  return new Response(JSON.stringify({ code: 200, bizCode: "201" }), { headers });
}

function who({ account, request }: WyAsk): Response {
  if (account === undefined || account.state === "expired") return json({ code: 200, account: null, profile: null });
  const id = Number.parseInt(account.id, 10) || 33;
  return json({
    code: 200,
    account: { id, ban: 0, vipType: account.state === "member" ? 11 : 0, anonymousUser: false },
    profile: { userId: id, nickname: `用户${account.id}` },
    at: request.at,
  });
}

function membership({ account, world }: WyAsk): Response {
  if (account === undefined) return json({ code: 301, message: "需要登录" });
  const until = account.state === "member" ? world.now() + 5 * 86_400_000 : 0;
  const old = { expireTime: 1000, vipCode: 100 };
  return json({
    code: 200,
    data: { redplus: old, associator: { expireTime: until, vipCode: 100 }, musicPackage: old },
  });
}

const signed = new WeakMap<object, Set<unknown>>();

function signIn({ account, payload }: WyAsk): Response {
  if (account === undefined || account.state === "expired") return json({ code: 301, message: "需要登录" });
  const done = signed.get(account) ?? new Set();
  signed.set(account, done);
  if (payload["type"] !== 0 && payload["type"] !== 1) return bad("type");
  if (done.has(payload["type"])) return json({ code: -2, msg: "重复签到" });
  done.add(payload["type"]);
  return json({ code: 200, point: payload["type"] === 0 ? 3 : 2 });
}

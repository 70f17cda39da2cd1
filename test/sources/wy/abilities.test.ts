import { afterAll, beforeEach, expect, test } from "bun:test";
import type { Quality } from "../../../src/core/types.ts";
import { createWy } from "../../../src/sources/wy/index.ts";
import { toSong } from "../../../src/sources/wy/song.ts";
import { SONGS, songByKey } from "../../platforms/catalog.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import type { CatalogSong, PlatformRequest } from "../../platforms/world.ts";
import { weapiKeys, wyPlatform } from "../../platforms/wy.ts";
import { openEapi, openLinuxapi, openWeapi } from "../../platforms/wy-crypto.ts";
import { configOf, depsOn, depsWith, failureOf, replyWith } from "../start.ts";

const best: CatalogSong = {
  ...songByKey("plain"),
  key: "best",
  name: "母带",
  qualities: ["128k", "flac", "atmos", "master"],
};
best.ids = { ...best.ids, wy: { id: "3389777", mv: "0" } };
const emulator = startEmulator([wyPlatform], 0, [...SONGS, best]);
emulator.world.accounts.push({ source: "wy", id: "1", token: "t", state: "member", requests: 0 });
const NOW = 1_795_242_029_915;
const KEY = "a".repeat(16);
weapiKeys.add(KEY);
const deps = { ...depsOn(emulator, configOf("wy")), now: () => NOW, random: () => 0 };
const wy = createWy(deps);
afterAll(() => emulator.stop());
beforeEach(() => emulator.reset());

const member = { account: { id: "wy:1", label: "账号 1", credentials: { cookie: "MUSIC_U=t; __csrf=c1" } } };
const song = songByKey("plain");
const page = { page: 2, size: 2 };

/** A request as the platform reads it. */
function read(request: PlatformRequest | undefined): string {
  if (request === undefined) return "nothing";
  const form = new URLSearchParams(request.text);
  const where = `${request.method} ${request.scheme}://${request.host}${request.path}`;
  const eapi = openEapi(form.get("params") ?? "")?.text;
  const linux = openLinuxapi(form.get("eparams") ?? "");
  const weapi = openWeapi(form.get("params") ?? "", form.get("encSecKey") ?? "", [KEY]);
  return `${where} ${eapi ?? linux ?? weapi ?? request.query}`;
}
const asked = () => emulator.requestsTo("wy").map(read);
const EAPI = "POST https://interface.music.163.com/eapi/";

test("info", async () => {
  expect(await wy.info?.(song.ids.wy.id, {})).toEqual({
    source: "wy",
    songId: "33890001",
    name: "晴天",
    artists: [{ id: "350001", name: "测试歌手" }],
    album: { id: "820001", name: "测试专辑" },
    durationSeconds: 12,
    cover: "https://p1.music.126.net/a==/820001.jpg",
    sizableCover: "https://p1.music.126.net/a==/820001.jpg?param={size}y{size}",
    qualities: {
      "128k": { size: 192_000 },
      "192k": { size: 288_000 },
      "320k": { size: 480_000 },
      flac: { size: 1_350_000 },
      flac24bit: { size: 3_600_000 },
      hires: { size: 3_600_000 },
    },
    publishDate: "2003-07-31",
    mvId: "55010001",
    track: 1,
    disc: 1,
    ids: {},
  });
  expect(asked()).toEqual([`${EAPI}v3/song/detail {"c":"[{\\"id\\":33890001}]"}`]);
});

test("info asks for the sizes above hires where there are any, and does without them", async () => {
  const found = await wy.info?.(best.ids.wy.id, {});
  expect(Object.keys(found?.qualities ?? {})).toContain("master");
  expect(found?.qualities.atmos?.size).toBeGreaterThan(0);
  expect(asked()[1]).toBe(`${EAPI}song/music/detail/get {"songId":"3389777"}`);
  emulator.world.faults.push({ kind: "http500", match: /music\/detail/ });
  const less = await wy.info?.(best.ids.wy.id, {});
  expect(Object.keys(less?.qualities ?? {})).toEqual(["128k", "192k", "320k", "flac"]);
});

test("what the platform leaves out is absent; names are decoded; uploads have names of their own", () => {
  expect(toSong({ id: 1, name: "A &amp; B" })).toEqual({
    source: "wy",
    songId: "1",
    name: "A & B",
    artists: [],
    qualities: {},
    ids: {},
  });
  const upload = toSong({
    id: 2,
    name: null,
    ar: [{ id: 0, name: null }],
    al: { id: 0 },
    pc: { sn: "歌", ar: "人", alb: "辑" },
  });
  expect(upload).toMatchObject({ name: "歌", artists: [{ name: "人" }], album: { name: "辑" } });
  expect(() => toSong({ id: 3, name: "" })).toThrow("平台返回的数据格式已变化");
});

const files = { l: { size: 1 }, m: { size: 2 }, h: { size: 3 }, sq: { size: 4 }, hr: { size: 5 } };
const rights: { name: string; maxbr?: number; level?: string; listed: object; qualities: Quality[] }[] = [
  { name: "files alone", listed: files, qualities: ["128k", "192k", "320k", "flac", "flac24bit", "hires"] },
  {
    name: "maxbr 320000",
    maxbr: 320_000,
    listed: { l: { size: 1 }, sq: { size: 4 } },
    qualities: ["128k", "192k", "320k"],
  },
  { name: "maxbr 999000", maxbr: 999_000, listed: {}, qualities: ["128k", "192k", "320k", "flac"] },
  {
    name: "level hires",
    maxbr: 999_000,
    level: "hires",
    listed: {},
    qualities: ["128k", "192k", "320k", "flac", "flac24bit", "hires"],
  },
  { name: "maxbr 0 says nothing", maxbr: 0, level: "none", listed: { l: { size: 1 } }, qualities: ["128k"] },
];
test.each(rights)("qualities: $name", ({ maxbr, level, listed, qualities }) => {
  const privilege = { maxbr: maxbr ?? null, maxBrLevel: level ?? null };
  const found = toSong({ id: 1, name: "a", ...listed }, privilege);
  expect(Object.keys(found.qualities)).toEqual(qualities);
});

test("cover: the one that is known, else the platform's", async () => {
  const known = {
    source: "wy" as const,
    songId: "1",
    name: "a",
    artists: [],
    qualities: {},
    ids: {},
    cover: "http://x/1.jpg",
  };
  expect(await wy.cover?.("1", {}, known)).toBe("http://x/1.jpg");
  expect(asked()).toEqual([]);
  expect(await wy.cover?.(song.ids.wy.id, {})).toBe("https://p1.music.126.net/a==/820001.jpg");
});

test("search for songs; the general search is the second attempt", async () => {
  const first = await wy.searchSongs?.({ query: "测试", ...page }, {});
  expect(first).toMatchObject({ total: 6, page: 2, size: 2 });
  expect(first?.list.map((one) => one.songId)).toEqual(["33890003", "33890004"]);
  expect(first?.list[1]?.qualities).toEqual({ "128k": { size: 192_000 } });
  emulator.world.faults.push({ kind: "reshaped", match: /song\/list\/page/ });
  const second = await wy.searchSongs?.({ query: "测试", ...page }, {});
  expect(second).toEqual(first);
  const payload = '"needCorrect":"1","channel":"typing","offset":2,"scene":"normal","total":false,"limit":2}';
  expect(asked()).toEqual([
    `${EAPI}search/song/list/page {"keyword":"测试",${payload}`,
    `${EAPI}search/song/list/page {"keyword":"测试",${payload}`,
    `${EAPI}cloudsearch/pc {"s":"测试","type":1,"limit":2,"offset":2,"total":true}`,
  ]);
});

test("a search that finds nothing is empty", async () => {
  const none = { total: 0, page: 1, size: 5, list: [] };
  expect(await wy.searchSongs?.({ query: "没有这首", page: 1, size: 5 }, {})).toEqual(none);
  expect(await wy.searchCollections?.("album", { query: "没有这首", page: 1, size: 5 }, {})).toEqual(none);
});

const collections = [
  {
    type: "playlist",
    code: 1000,
    first: {
      id: "5010",
      name: "测试歌单 & 其他",
      author: "创建者",
      songCount: 7,
      playCount: 123_456,
      description: "说明",
      cover: "https://p1.music.126.net/list.jpg",
    },
  },
  {
    type: "album",
    code: 10,
    first: { id: "820001", name: "测试专辑", author: "测试歌手", songCount: 1, publishDate: "2003-07-31" },
  },
  { type: "artist", code: 100, first: { id: "350001", name: "测试歌手", songCount: 7 } },
] as const;
test.each(collections)("search for $type", async ({ type, code, first }) => {
  const found = await wy.searchCollections?.(type, { query: "晴", page: 1, size: 3 }, {});
  expect(found?.list[0]).toMatchObject({ source: "wy", type, ...first });
  expect(found?.total).toBe(1);
  expect(asked()).toEqual([`${EAPI}cloudsearch/pc {"s":"晴","type":${code},"limit":3,"offset":0,"total":true}`]);
});

test("suggestions, and the web page's when the first are refused", async () => {
  expect(await wy.suggest?.("晴", {})).toEqual(["晴天"]);
  emulator.world.faults.push({ kind: "html", match: /suggest\/keyword/ });
  expect(await wy.suggest?.("晴", member)).toEqual(["晴天 - 测试歌手"]);
  expect(asked()).toEqual([
    `${EAPI}search/suggest/keyword {"s":"晴"}`,
    `${EAPI}search/suggest/keyword {"s":"晴"}`,
    'POST https://music.163.com/weapi/search/suggest/web {"s":"晴","csrf_token":"c1"}',
  ]);
});

test("hot words", async () => {
  expect((await wy.hot?.({}))?.[0]).toBe("晴天");
  expect(asked()).toEqual([`${EAPI}search/chart/detail {"id":"HOT_SEARCH_SONG#@#"}`]);
});

test("a playlist: guests' further songs are asked by their ids, a member's are there", async () => {
  const guest = await wy.playlist?.("5010", page, {});
  expect(guest?.info).toMatchObject({ id: "5010", name: "测试歌单 & 其他", songCount: 7, author: "创建者" });
  expect(guest?.songs).toMatchObject({ total: 7, page: 2, size: 2 });
  expect(guest?.songs.list.map((one) => one.songId)).toEqual(["33890003", "33890004"]);
  expect(asked()).toEqual([
    `${EAPI}v6/playlist/detail {"id":"5010","n":100000,"s":8}`,
    `${EAPI}v3/song/detail {"c":"[{\\"id\\":33890003},{\\"id\\":33890004}]"}`,
  ]);
  emulator.reset();
  const complete = await wy.playlist?.("5010", page, member);
  expect(complete).toEqual(guest);
  expect(asked()).toHaveLength(1);
});

test("a playlist through the desktop's interface when the first does not answer", async () => {
  emulator.world.faults.push({ kind: "http500", match: /v6\/playlist/ });
  const found = await wy.playlist?.("5010", { page: 1, size: 2 }, {});
  expect(found?.songs.list).toHaveLength(2);
  expect(asked()[1]).toBe(
    'POST https://music.163.com/api/linux/forward {"method":"POST","url":"https://music.163.com/api/v3/playlist/detail","params":{"id":"5010","n":100000,"s":8}}',
  );
});

const links = [
  { link: "https://music.163.com/#/playlist?id=5010" },
  { link: "https://music.163.com/playlist?app_version=9&id=5010&userid=3" },
  { link: "https://y.music.163.com/m/playlist?id=5010&creatorId=2" },
  { link: "https://music.163.com/#/discover/toplist?id=5010" },
  { link: "https://music.163.com/playlist/5010/77/?userid=77" },
  { link: "分享甲创建的歌单「乙」: https://music.163.com/#/playlist?id=5010 (来自@网易云音乐)" },
  { link: "分享 http://163cn.tv/5010abc (来自@网易云音乐)" },
  { link: " 5010 " },
];
test.each(links)("a playlist by $link", async ({ link }) => {
  expect((await wy.playlist?.(link, { page: 1, size: 1 }, {}))?.info.id).toBe("5010");
});

const noLinks = [
  { link: "" },
  { link: "abc" },
  { link: "https://example.com/?id=5" },
  { link: "https://music.163.com/#/song?id=5" },
];
test.each(noLinks)("no playlist by '$link'", async ({ link }) => {
  expect((await failureOf(wy.playlist?.(link, page, {}) ?? Promise.reject())).kind).toBe("invalid_request");
});

test("a playlist that is not there is not found, and asked once", async () => {
  expect((await failureOf(wy.playlist?.("404", page, {}) ?? Promise.reject())).kind).toBe("upstream_not_found");
  expect(asked()).toHaveLength(1);
});

test("an album, by id and by link", async () => {
  const album = await wy.album?.("820001", { page: 1, size: 1 }, {});
  expect(album?.info).toMatchObject({ type: "album", id: "820001", name: "测试专辑", songCount: 2 });
  expect(album?.songs).toMatchObject({ total: 2, page: 1, size: 1, list: [{ songId: "33890001" }] });
  expect(await wy.album?.("https://music.163.com/#/album?id=820001", { page: 1, size: 1 }, {})).toEqual(album as never);
  expect(asked()[0]).toBe(`${EAPI}v1/album/820001 {}`);
  expect((await failureOf(wy.album?.("9", page, {}) ?? Promise.reject())).kind).toBe("upstream_not_found");
});

test("boards, and the songs of one", async () => {
  const boards = await wy.boards?.({});
  expect(boards).toContainEqual({
    source: "wy",
    id: "19723756",
    name: "飙升榜",
    cover: "https://p1.music.126.net/19723756.jpg",
    updateText: "每天更新",
  });
  expect(asked()).toEqual([`${EAPI}toplist {}`]);
  const songs = await wy.board?.("19723756", page, {});
  expect(songs).toMatchObject({ total: 7, page: 2, size: 2 });
  expect(songs?.list).toHaveLength(2);
});

const HOT =
  '{"threadId":"R_SO_4_33890001","pageNo":2,"pageSize":20,"showInner":true,"sortType":2,"cursor":"normalHot#20"}';
const NEW = `{"cursor":"${NOW}","offset":0,"orderType":1,"pageNo":2,"pageSize":20,"rid":"R_SO_4_33890001","threadId":"R_SO_4_33890001"`;
const OLD_HOT = `{"rid":"R_SO_4_33890001","limit":20,"offset":20,"beforeTime":"${NOW}"`;
const comments = [
  {
    sort: "hot",
    first: `${EAPI}v2/resource/comments ${HOT}`,
    second: `POST https://music.163.com/weapi/v1/resource/hotcomments/R_SO_4_33890001 ${OLD_HOT},"csrf_token":""}`,
  },
  {
    sort: "new",
    first: `${EAPI}comment/resource/comments/get ${NEW}}`,
    second: `POST https://music.163.com/weapi/comment/resource/comments/get ${NEW},"csrf_token":""}`,
  },
] as const;
test.each(comments)("$sort comments, both ways", async ({ sort, first, second }) => {
  const request = { songId: song.ids.wy.id, page: 2, size: 20, sort };
  const found = await wy.comments?.(request, {});
  expect(found).toMatchObject({ total: 45, page: 2, size: 20 });
  expect(found?.list).toHaveLength(20);
  expect(found?.list[0]).toEqual({
    id: "100020",
    text: "评论 20",
    time: 1_699_999_980_000,
    timeText: "2023-11-14",
    location: "上海",
    user: { id: "7020", name: "听众20", avatar: "https://p1.music.126.net/20.jpg" },
    likes: 25,
  });
  expect(found?.list[4]).toMatchObject({
    id: "924",
    text: "原评论",
    user: { name: "楼主" },
    replies: [{ id: "100024", likes: 21 }],
  });
  emulator.world.faults.push({ kind: "http500", match: /eapi/, times: 1 });
  expect(await wy.comments?.(request, {})).toEqual(found as never);
  expect(asked()).toEqual([first, first, second]);
});

test("an mv with an address for each height", async () => {
  expect(await wy.mv?.(song.ids.wy.mv, {})).toEqual({
    source: "wy",
    id: "55010001",
    name: "晴天",
    intro: "简介",
    artists: [{ id: "350001", name: "测试歌手" }],
    durationSeconds: 266,
    cover: "https://p1.music.126.net/a==/820001.jpg",
    sizableCover: "https://p1.music.126.net/a==/820001.jpg?param={size}y{size}",
    files: {
      "240p": { url: "http://vodkgeyttp8.vod.126.net/55010001-240.mp4?wsSecret=1", size: 240_000 },
      "480p": { url: "http://vodkgeyttp8.vod.126.net/55010001-480.mp4?wsSecret=1", size: 480_000 },
      "1080p": { url: "http://vodkgeyttp8.vod.126.net/55010001-1080.mp4?wsSecret=1", size: 1_080_000 },
    },
    ids: {},
  });
  expect(asked().slice(0, 2)).toEqual([
    `${EAPI}v1/mv/detail {"id":"55010001"}`,
    `${EAPI}song/enhance/play/mv/url {"id":"55010001","r":240}`,
  ]);
  expect((await failureOf(wy.mv?.(songByKey("gone").ids.wy.mv, {}) ?? Promise.reject())).kind).toBe("upstream_refused");
  expect((await failureOf(wy.mv?.("7", {}) ?? Promise.reject())).kind).toBe("upstream_not_found");
});

test("a song that is not there is not found", async () => {
  expect(await failureOf(wy.info?.("7", {}) ?? Promise.reject())).toEqual({
    kind: "upstream_not_found",
    message: "网易云: 没有找到该歌曲",
  });
});

const bad = ["", "x", "1 2", "../1", "9".repeat(30)];
test.each(bad.map((id) => ({ id })))("no ability takes the id '$id'", async ({ id }) => {
  const calls = [
    wy.info?.(id, {}),
    wy.cover?.(id, {}),
    wy.lyric?.(id, {}),
    wy.mv?.(id, {}),
    wy.comments?.({ songId: id, ...page, sort: "new" }, {}),
  ];
  for (const call of calls) expect((await failureOf(call ?? Promise.reject())).kind).toBe("invalid_request");
  expect(asked()).toEqual([]);
});

test("a short link that leads nowhere known is no playlist", async () => {
  const http = async () => replyWith("", { location: "http://169.254.169.254/latest" }, 302);
  const source = createWy(depsWith(http, configOf("wy")));
  const failure = await failureOf(source.playlist?.("http://163cn.tv/abc", page, {}) ?? Promise.reject());
  expect(failure.kind).toBe("invalid_request");
});

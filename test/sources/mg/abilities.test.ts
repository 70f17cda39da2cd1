import { afterAll, beforeEach, expect, test } from "bun:test";
import type { Song } from "../../../src/core/types.ts";
import { createMg } from "../../../src/sources/mg/index.ts";
import { fromFormA, fromFormB } from "../../../src/sources/mg/song.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import { mgPlatform } from "../../platforms/mg.ts";
import { configOf, depsOn, depsWith, failureOf, replyWith, scripted } from "../start.ts";

const emulator = startEmulator([mgPlatform]);
const NOW = 1_795_242_029_915;
const fresh = () => createMg({ ...depsOn(emulator, configOf("mg")), now: () => NOW });
const mg = fresh();
afterAll(() => emulator.stop());
beforeEach(() => emulator.reset());

const ids = songByKey("plain").ids.mg;
const page = { page: 2, size: 2 };
const asked = () =>
  emulator.requestsTo("mg").map((one) => `${one.method} ${one.scheme}://${one.host}${one.path}?${one.query}`);
const headersOf = (index: number, ...names: string[]) =>
  names.map((name) => emulator.requestsTo("mg")[index]?.headers.get(name));

const SONG: Song = {
  source: "mg",
  songId: "1100001",
  name: "晴天",
  artists: [{ id: "350001", name: "测试歌手" }],
  album: { id: "820001", name: "测试专辑" },
  durationSeconds: 12,
  cover: "https://d.musicapp.migu.cn/data/oss/resource/cover/820001_03.jpg",
  mvId: "60081100001",
  qualities: {
    "128k": { size: 192_000 },
    "320k": { size: 480_000 },
    flac: { size: 1_350_000 },
    flac24bit: { size: 3_600_000 },
    hires: { size: 3_600_000 },
  },
  ids: {
    songId: "1100001",
    copyrightId: "60059700001",
    contentId: "600597000000001",
    lrcUrl: "https://d.musicapp.migu.cn/data/oss/resource/lrc/1100001",
    mrcUrl: "https://d.musicapp.migu.cn/data/oss/resource/mrc/1100001",
    trcUrl: "https://d.musicapp.migu.cn/data/oss/resource/trc/1100001",
  },
};
const infos = [
  {
    name: "song id",
    id: ids.songId,
    cover: SONG.cover ?? "",
    request: "GET https://app.c.nf.migu.cn/MIGUM2.0/v2.0/content/querySongBySongId.do?contentId=0&songId=1100001",
  },
  {
    name: "copyright id",
    id: ids.copyrightId,
    cover: SONG.cover ?? "",
    request:
      "POST http://app.c.nf.migu.cn/MIGUM2.0/v1.0/content/resourceinfo.do?resourceType=2&copyrightId=60059700001",
  },
  {
    name: "content id",
    id: ids.contentId,
    cover: "http://d.musicapp.migu.cn/data/oss/resource/cover/820001_03.webp",
    request: "GET http://c.musicapp.migu.cn/MIGUM3.0/resource/song/by-contentids/v2.0?contentId=600597000000001",
  },
];
test.each(infos)("info by $name", async ({ id, cover, request }) => {
  expect(await mg.info?.(id, {})).toEqual({ ...SONG, cover });
  expect(asked()).toEqual([request]);
  expect(await mg.cover?.(id, {})).toBe(cover);
});

test("what the platform leaves out is absent; what must be there is missed", () => {
  const least: Song = { source: "mg", songId: "7", name: "A & B", artists: [], qualities: {}, ids: { songId: "7" } };
  expect(fromFormA({ songId: 7, songName: "A &amp; B" })).toEqual(least);
  expect(fromFormB({ id: "7", name: "A & B", singerList: null, audioFormats: null, duration: "x" })).toEqual(least);
  expect(() => fromFormA({ songId: "7" })).toThrow("格式已变化");
  expect(() => fromFormB({ name: "x" })).toThrow("格式已变化");
});

test("both forms' odd fields", () => {
  const a = fromFormA({
    copyrightId: "60054701923",
    songName: "a",
    singer: "某",
    length: "00:04:29",
    albumImgs: [
      { imgSizeType: "01", img: "//x/1" },
      { imgSizeType: "03", img: "//x/3" },
    ],
  });
  expect(a).toMatchObject({
    songId: "60054701923",
    artists: [{ name: "某" }],
    durationSeconds: 269,
    cover: "https://x/3",
  });
  const b = fromFormB({
    songId: "1",
    name: "b",
    albums: [{ id: 5, name: "辑" }],
    singers: [{ id: 2, name: "人" }],
    img1: "/a.jpg",
    mrcurl: "http://d.migu.cn/m",
    ext: { lrcUrl: "http://d.migu.cn/l" },
    audioFormats: [{ formatType: "LQ" }, { formatType: "Z3D" }, { formatType: "ZQ", isize: 9 }],
  });
  expect(b).toMatchObject({
    album: { id: "5", name: "辑" },
    cover: "http://d.musicapp.migu.cn/a.jpg",
    qualities: { flac24bit: { size: 9 }, hires: { size: 9 } },
    ids: { mrcUrl: "http://d.migu.cn/m", lrcUrl: "http://d.migu.cn/l" },
  });
  expect(Object.keys(b.qualities)).toEqual(["flac24bit", "hires"]);
});

test("a song that is not there", async () => {
  for (const id of ["9", "60050000000", "600500000000000"]) {
    expect((await failureOf(mg.info?.(id, {}) ?? Promise.reject())).kind).toBe("upstream_not_found");
  }
});

test("search for songs: signed, editions once", async () => {
  const found = await mg.searchSongs?.({ query: "测试", ...page }, {});
  expect(found).toMatchObject({ total: 5, page: 2, size: 2 });
  expect(found?.list.map((song) => song.songId)).toEqual(["1100003", "1100004"]);
  expect(found?.list[1]?.ids["mrcUrl"]).toContain("/mrc/1100004");
  const switches =
    "%7B%22song%22%3A1%2C%22album%22%3A0%2C%22singer%22%3A0%2C%22tagSong%22%3A1%2C%22mvSong%22%3A0%2C%22bestShow%22%3A1%2C%22songlist%22%3A0%2C%22lyricSong%22%3A0%7D";
  expect(asked()).toEqual([
    `GET https://jadeite.migu.cn/music_search/v3/search/searchAll?isCorrect=0&isCopyright=1&searchSwitch=${switches}&pageSize=2&text=%E6%B5%8B%E8%AF%95&pageNo=2&sort=0&sid=USS`,
  ]);
  const named = headersOf(0, "uiVersion", "deviceId", "timestamp", "channel", "sign");
  expect(named.slice(0, 4)).toEqual(["A_music_3.6.1", "963B7AA0D21511ED807EE5846EC87D20", String(NOW), "0146921"]);
  expect(named[4]).toMatch(/^[0-9a-f]{32}$/);
});

test("a page is 50 at most, and a search may find nothing", async () => {
  expect(await mg.searchSongs?.({ query: "没有这首", page: 1, size: 100 }, {})).toEqual({
    total: 0,
    page: 1,
    size: 50,
    list: [],
  });
  const bare = createMg(depsWith(scripted({ code: "000000" }).http, configOf("mg")));
  expect((await bare.searchSongs?.({ query: "a", page: 1, size: 5 }, {}))?.list).toEqual([]);
});

const collections = [
  {
    type: "playlist",
    first: {
      id: "228114498",
      name: "测试歌单",
      author: "创建者",
      songCount: 6,
      playCount: 4321,
      cover: "https://d.musicapp.migu.cn/list.jpg",
    },
  },
  {
    type: "album",
    first: {
      id: "820001",
      name: "测试专辑",
      author: "测试歌手",
      publishDate: "2003-07-31",
      cover: "http://d.musicapp.migu.cn/data/oss/album.jpg",
    },
  },
  {
    type: "artist",
    first: { id: "350001", name: "测试歌手", songCount: 7, cover: "https://d.musicapp.migu.cn/singer.jpg" },
  },
] as const;
test.each(collections)("search for $type", async ({ type, first }) => {
  const found = await mg.searchCollections?.(type, { query: "晴", page: 1, size: 3 }, {});
  expect(found).toMatchObject({ total: 1, page: 1, size: 3 });
  expect(found?.list[0]).toEqual({ source: "mg", type, ...first });
});

test("suggestions and hot words", async () => {
  expect(await mg.suggest?.("晴 天", {})).toEqual([]);
  expect(await mg.suggest?.("晴", {})).toEqual(["晴天 - 测试歌手"]);
  expect((await mg.hot?.({}))?.slice(0, 2)).toEqual(["晴天", "会员歌"]);
  expect(asked()).toEqual([
    "GET https://music.migu.cn/v3/api/search/suggest?keyword=%E6%99%B4%20%E5%A4%A9",
    "GET https://music.migu.cn/v3/api/search/suggest?keyword=%E6%99%B4",
    "GET http://jadeite.migu.cn:7090/music_search/v3/search/hotword?",
  ]);
});

test("a playlist", async () => {
  const found = await mg.playlist?.("228114498", page, {});
  expect(found?.info).toEqual({
    source: "mg",
    type: "playlist",
    id: "228114498",
    name: "测试歌单",
    author: "创建者",
    cover: "https://d.musicapp.migu.cn/list.jpg",
    description: "说明",
    songCount: 6,
    playCount: 4321,
  });
  expect(found?.songs).toMatchObject({ total: 6, page: 2, size: 2 });
  expect(found?.songs.list.map((song) => song.songId)).toEqual(["1100003", "1100004"]);
  expect(asked().sort()).toEqual([
    "GET https://app.c.nf.migu.cn/MIGUM3.0/resource/playlist/song/v2.0?pageNo=2&pageSize=2&playlistId=228114498",
    "GET https://c.musicapp.migu.cn/MIGUM3.0/resource/playlist/v2.0?playlistId=228114498",
  ]);
  expect(headersOf(0, "referer")).toEqual(["https://m.music.migu.cn/"]);
  expect((await failureOf(mg.playlist?.("404", page, {}) ?? Promise.reject())).kind).toBe("upstream_not_found");
});

const links = [
  { link: "https://music.migu.cn/v3/music/playlist/5010" },
  { link: "https://m.music.migu.cn/v4/music/playlist/5010?x=1" },
  { link: "https://music.migu.cn/v5/#/playlist?playlistId=5010&playlistType=ordinary" },
  { link: "https://h5.nf.migu.cn/app/v4/p/share/playlist/index.html?id=5010&channel=0146921" },
  { link: "来咪咕听歌单 https://c.migu.cn/5010?ifrom=1 吧" },
];
test.each(links)("a playlist by $link", async ({ link }) => {
  expect((await mg.playlist?.(link, { page: 1, size: 1 }, {}))?.info.id).toBe("5010");
});

const noLinks = [
  { link: "" },
  { link: "abc" },
  { link: "https://example.com/?id=5" },
  { link: "https://music.migu.cn/v3/music/song/5" },
];
test.each(noLinks)("no playlist by '$link'", async ({ link }) => {
  expect((await failureOf(mg.playlist?.(link, page, {}) ?? Promise.reject())).kind).toBe("invalid_request");
});

test("a short link that leads elsewhere is no playlist", async () => {
  const http = async () => replyWith("", { location: "http://169.254.169.254/latest" }, 302);
  const source = createMg(depsWith(http, configOf("mg")));
  expect((await failureOf(source.playlist?.("http://c.migu.cn/abc", page, {}) ?? Promise.reject())).kind).toBe(
    "invalid_request",
  );
});

test("an album, its songs in either form, at the top or under data", async () => {
  const found = await mg.album?.("820001", { page: 1, size: 5 }, {});
  expect(found?.info).toMatchObject({
    type: "album",
    id: "820001",
    name: "测试专辑",
    author: "测试歌手",
    songCount: 1,
    publishDate: "2003-07-31",
    cover: "https://d.musicapp.migu.cn/3.jpg",
  });
  expect(found?.songs).toEqual({ total: 1, page: 1, size: 5, list: [SONG] });
  expect(asked().sort()[0]).toBe(
    "GET http://app.c.nf.migu.cn/MIGUM2.0/v1.0/content/queryAlbumSong?albumId=820001&pageNo=1&pageSize=5",
  );
  const info = { code: "000000", data: { title: "辑" } };
  const songList = [{ songId: "1", songName: "b", singerList: [{ id: "2", name: "人" }] }];
  const other = createMg(depsWith(scripted({ code: "000000", data: { songList } }, info).http, configOf("mg")));
  expect((await other.album?.("1", { page: 1, size: 5 }, {}))?.songs.list[0]).toMatchObject({
    name: "b",
    artists: [{ name: "人" }],
  });
  expect((await failureOf(mg.album?.("9", page, {}) ?? Promise.reject())).kind).toBe("upstream_not_found");
});

test("boards, each once, and the songs of one", async () => {
  const boards = await mg.boards?.({});
  expect(boards?.map((board) => board.name)).toEqual(["热歌榜", "新歌榜", "原创榜"]);
  expect(boards?.[0]).toEqual({
    source: "mg",
    id: "27186466",
    name: "热歌榜",
    cover: "https://d.musicapp.migu.cn/27186466.jpg",
  });
  const songs = await mg.board?.("27186466", page, {});
  expect(songs).toMatchObject({ total: 6, page: 2, size: 2 });
  expect(songs?.list.map((song) => song.songId)).toEqual(["1100003", "1100004"]);
  expect(asked()).toEqual([
    "GET https://app.c.nf.migu.cn/pc/bmw/rank/rank-index/v1.0?",
    "GET https://app.c.nf.migu.cn/MIGUM2.0/v1.0/content/querycontentbyId.do?needAll=0&columnId=27186466",
  ]);
  expect((await failureOf(mg.board?.("x/1", page, {}) ?? Promise.reject())).kind).toBe("invalid_request");
  expect((await failureOf(mg.board?.("1", page, {}) ?? Promise.reject())).kind).toBe("upstream_not_found");
});

const FIRST =
  "GET https://app.c.nf.migu.cn/MIGUM3.0/user/comment/stack/v1.0?pageSize=20&resourceId=1100001&resourceType=2&";
test("hot comments", async () => {
  const found = await mg.comments?.({ songId: ids.songId, page: 2, size: 20, sort: "hot" }, {});
  expect(found).toMatchObject({ total: 45, page: 2, size: 20 });
  expect(found?.list[2]).toEqual({
    id: "c22",
    text: "评论 22",
    time: 1_700_000_000_000,
    timeText: "2023-11-15 06:13:20",
    user: { id: "u22", name: "听众22", avatar: "https://d.musicapp.migu.cn/22.jpg" },
    likes: 23,
    replyCount: 1,
    replies: [
      {
        id: "r22",
        text: "回复",
        timeText: "昨天",
        user: { id: "u22", name: "听众22", avatar: "https://d.musicapp.migu.cn/22.jpg" },
      },
    ],
  });
  expect(asked()).toEqual([`${FIRST}queryType=2&hotCommentStart=20`]);
});

test("new comments are chained: each page begins at the last comment before it", async () => {
  const source = fresh();
  const read = (number: number) => source.comments?.({ songId: ids.songId, page: number, size: 20, sort: "new" }, {});
  expect((await read(1))?.list.map((one) => one.id)).toContain("c19");
  expect((await read(2))?.list[0]?.id).toBe("c20");
  expect(asked()).toEqual([`${FIRST}queryType=1&commentId=`, `${FIRST}queryType=1&commentId=c19`]);
  emulator.reset();
  const other = fresh();
  const third = await other.comments?.({ songId: ids.songId, page: 3, size: 20, sort: "new" }, {});
  expect(third?.list.map((one) => one.id)).toEqual(["c40", "c41", "c42", "c43", "c44"]);
  expect(asked()).toHaveLength(3);
  const beyond = await other.comments?.({ songId: ids.songId, page: 9, size: 20, sort: "new" }, {});
  expect(beyond?.list).toEqual([]);
  const far = await failureOf(
    other.comments?.({ songId: ids.songId, page: 50, size: 20, sort: "new" }, {}) ?? Promise.reject(),
  );
  expect(far.kind).toBe("invalid_request");
});

test("comments by another id ask for the song id first", async () => {
  await mg.comments?.({ songId: ids.copyrightId, page: 1, size: 5, sort: "hot" }, {});
  expect(asked()[1]).toContain("resourceId=1100001");
});

test("an mv by its copyright id", async () => {
  expect(await mg.mv?.("60081100001", {})).toEqual({
    source: "mg",
    id: "60081100001",
    name: "晴天",
    artists: [{ name: "测试歌手" }],
    cover: "https://d.musicapp.migu.cn/mv.jpg",
    files: {
      "1080p": { url: "https://freetyst.nf.migu.cn/public/mv/60081100001_fhd.mp4" },
      "720p": { url: "https://freetyst.nf.migu.cn/public/mv/60081100001_hd.mp4" },
      "480p": { url: "https://freetyst.nf.migu.cn/public/mv/60081100001_sd.mp4" },
    },
    ids: {},
  });
  expect(asked()).toEqual([
    "GET https://c.musicapp.migu.cn/MIGUM2.0/v1.0/content/resourceinfo.do?resourceType=D&resourceId=60081100001",
  ]);
  expect((await failureOf(mg.mv?.("60081100003", {}) ?? Promise.reject())).kind).toBe("upstream_refused");
  expect((await failureOf(mg.mv?.("1", {}) ?? Promise.reject())).kind).toBe("upstream_not_found");
  expect((await failureOf(mg.mv?.("a/b", {}) ?? Promise.reject())).kind).toBe("invalid_request");
});

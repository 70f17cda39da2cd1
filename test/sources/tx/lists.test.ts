import { describe, expect, test } from "bun:test";
import { txSection } from "../../../src/config/sections/sources.ts";
import { createTx } from "../../../src/sources/tx/index.ts";
import { idInLink } from "../../../src/sources/tx/list.ts";
import { searchId } from "../../../src/sources/tx/search.ts";
import { SONGS, songByKey } from "../../platforms/catalog.ts";
import { PLAYLIST_ID } from "../../platforms/tx/lists.ts";
import { txPlatform } from "../../platforms/tx.ts";
import { accountWith, failure, NOW, platformFor, steps } from "../harness.ts";

const world = platformFor(txPlatform, txSection);
const source = () => createTx(world.deps());
const plain = songByKey("plain");
const none = Promise.reject(new Error("no such ability"));
none.catch(() => undefined);
const sent = (index = 0) => JSON.parse(world.requests()[index]?.text ?? "{}");

describe("search", () => {
  test("the exact request", async () => {
    await source().searchSongs?.({ query: "晴天/x", page: 2, size: 80 }, {});
    const request = world.only();
    expect(request.headers.get("user-agent")).toBe("QQMusic 14090008(android 10)");
    expect(request.text).toContain('"query":"\\u6674\\u5929\\/x"');
    expect(sent().comm).toEqual({
      ct: 11,
      cv: 14_090_008,
      v: 14_090_008,
      tmeAppID: "qqmusic",
      chid: "10003505",
      QIMEI36: "6c9d3cd110abca9b16311cee10001e717614",
      os_ver: "10",
      phonetype: "EBG-AN10",
      nettype: "1030",
      uid: "0",
    });
    expect(sent().req).toEqual({
      module: "music.search.SearchCgiService",
      method: "DoSearchForQQMusicMobile",
      param: {
        search_type: 0,
        searchid: String(11n * 18_014_398_509_481_984n + 2_097_152n * 4_294_967_296n + BigInt(NOW % 86_400_000)),
        query: "晴天/x",
        page_num: 2,
        num_per_page: 50,
        highlight: 0,
        nqc_flag: 0,
        multi_zhida: 0,
        cat: 2,
        grp: 1,
        sin: 0,
        sem: 0,
      },
    });
  });

  test.each([
    [0, "18014398509481984"],
    [0.999_999_999, String(20n * 18_014_398_509_481_984n + 4_194_304n * 4_294_967_296n)],
  ])("search id for a draw of %p", (draw, id) => {
    expect(searchId({ now: () => 86_400_000, random: () => draw })).toBe(id);
  });

  test("songs", async () => {
    const found = await source().searchSongs?.({ query: "歌手", page: 1, size: 2 }, {});
    expect(found).toMatchObject({ total: 5, page: 1, size: 2 });
    expect(found?.list.map((song) => song.songId)).toEqual([plain.ids.tx.mid, songByKey("member").ids.tx.mid]);
    expect(found?.list[1]).toMatchObject({ name: "会员歌 (Live)", originalName: "会员歌", nameExtra: "(Live)" });
  });

  test("nothing found is an empty page", async () => {
    const found = await source().searchSongs?.({ query: "没有这首", page: 1, size: 20 }, {});
    expect(found).toEqual({ total: 0, page: 1, size: 20, list: [] });
  });

  test.each([
    {
      type: "album" as const,
      first: {
        id: plain.album.mid,
        name: "测试专辑",
        author: "测试歌手",
        cover: `http://y.gtimg.cn/music/photo_new/T002R180x180M000${plain.album.mid}.jpg`,
        songCount: 1,
        publishDate: "2003-07-31",
      },
    },
    {
      type: "playlist" as const,
      first: {
        id: PLAYLIST_ID,
        name: "测试歌单",
        author: "某人",
        cover: "http://qpic.y.qq.com/1.jpg",
        description: "介绍 & 说明",
        songCount: SONGS.length,
        playCount: 123_456,
      },
    },
    { type: "artist" as const, first: { name: "测试歌手", songCount: 3 } },
  ])("$type", async ({ type, first }) => {
    const found = await source().searchCollections?.(type, { query: "测试", page: 1, size: 20 }, {});
    expect(found?.list[0]).toMatchObject({ source: "tx", type, ...first });
  });

  test("an account's search says so", async () => {
    const account = accountWith("tx", { qqmusic_key: "W_X_KEY", uin: "10001" });
    await source().searchSongs?.({ query: "x", page: 1, size: 20 }, { account });
    expect(sent().comm).toMatchObject({ qq: "10001", authst: "W_X_KEY", tmeLoginType: 1 });
  });

  test("suggestions", async () => {
    expect(await source().suggest?.("晴", {})).toEqual(["晴天 - 测试歌手"]);
    const { host, path, query } = world.only();
    expect(`${host}${path}?${query}`).toBe(
      "c.y.qq.com/splcloud/fcgi-bin/smartbox_new.fcg?is_xml=0&format=json&key=%E6%99%B4",
    );
  });

  test("hot words", async () => expect(await source().hot?.({})).toEqual(["晴天", "七里香"]));
});

describe("playlist", () => {
  const page = { page: 2, size: 4 };

  test.each([
    ["a number", PLAYLIST_ID],
    ["a share page", `https://i.y.qq.com/n2/m/share/details/taoge.html?platform=11&id=${PLAYLIST_ID}&hosteuin=1`],
    ["a web page", `https://y.qq.com/n/ryqq/playlist/${PLAYLIST_ID}`],
    ["an old web page", `https://y.qq.com/n/yqq/playlist/${PLAYLIST_ID}.html#stat=1`],
  ])("by %s", async (_name, id) => {
    const found = await source().playlist?.(id, page, {});
    expect(found?.info).toEqual({
      source: "tx",
      type: "playlist",
      id: PLAYLIST_ID,
      name: "测试歌单",
      author: "某人",
      cover: "http://qpic.y.qq.com/1.jpg",
      description: "介绍",
      songCount: SONGS.length,
      playCount: 99,
    });
    expect(found?.songs).toMatchObject({ total: SONGS.length, page: 2, size: 4 });
    expect(found?.songs.list.map((song) => song.songId)).toEqual(SONGS.slice(4).map((song) => song.ids.tx.mid));
    expect(sent().req.param).toEqual({
      disstid: Number(PLAYLIST_ID),
      dirid: 0,
      tag: 1,
      song_begin: 4,
      song_num: 4,
      userinfo: 1,
      orderlist: 1,
      onlysonglist: 0,
    });
  });

  test("a short link is followed once, without leaving the platform", async () => {
    const found = await source().playlist?.("https://c6.y.qq.com/base/fcgi-bin/u?__=list", page, {});
    expect(found?.info.id).toBe(PLAYLIST_ID);
    expect(world.requests().map((request) => request.host)).toEqual(["c6.y.qq.com", "u.y.qq.com"]);
  });

  test.each([
    "https://c6.y.qq.com/base/fcgi-bin/u?__=elsewhere",
    "https://evil.example/playlist/7217720898",
    "https://y.qq.com.evil.example/n/ryqq/playlist/7217720898",
    "not an id",
    "",
    "99999999999999999999",
  ])("%p names no playlist", async (id) => {
    expect((await failure(source().playlist?.(id, page, {}) ?? none)).kind).toBe("invalid_request");
    expect(world.requests().every((request) => request.host === "c6.y.qq.com")).toBe(true);
  });

  test("one that does not exist", async () => {
    const error = await failure(source().playlist?.("1", page, {}) ?? none);
    expect([error.kind, error.message]).toEqual(["upstream_not_found", "QQ音乐: 歌单不存在"]);
  });

  test("the older service is asked when the newer changed", async () => {
    world.fault("reshaped", { match: /u\.y\.qq\.com/ });
    const { call, names } = steps();
    const found = await source().playlist?.(PLAYLIST_ID, page, call);
    expect(names()).toContain("tx.second_attempt");
    expect(found?.songs.list.map((song) => song.songId)).toEqual(SONGS.slice(4).map((song) => song.ids.tx.mid));
    expect(found?.info).toMatchObject({ name: "测试歌单", author: "某人", playCount: 99, songCount: SONGS.length });
    const request = world.requests()[1];
    expect(`${request?.scheme}://${request?.host}${request?.path}?${request?.query}`).toBe(
      `https://c.y.qq.com/qzone/fcg-bin/fcg_ucc_getcdinfo_byids_cp.fcg?type=1&json=1&utf8=1&onlysong=0&new_format=1&disstid=${PLAYLIST_ID}&format=json&inCharset=utf8&outCharset=utf-8&notice=0&platform=yqq.json&needNewCode=0`,
    );
    expect(request?.headers.get("origin")).toBe("https://y.qq.com");
  });

  test("share links of other things are none", () => {
    expect(idInLink("https://y.qq.com/n/ryqq/songDetail/0039MnYb0qxYhV")).toBeUndefined();
  });
});

describe("album", () => {
  test.each([
    ["a mid", plain.album.mid],
    ["a web page", `https://y.qq.com/n/ryqq/albumDetail/${plain.album.mid}`],
    ["a share page", `https://i.y.qq.com/n2/m/share/details/album.html?albummid=${plain.album.mid}&x=1`],
  ])("by %s", async (_name, id) => {
    const found = await source().album?.(id, { page: 1, size: 30 }, {});
    expect(found?.info).toEqual({
      source: "tx",
      type: "album",
      id: plain.album.mid,
      name: "测试专辑",
      author: "测试歌手",
      cover: `https://y.qq.com/music/photo_new/T002R500x500M000${plain.album.mid}_5.jpg`,
      description: "专辑介绍",
      publishDate: "2003-07-31",
      songCount: 1,
    });
    expect(found?.songs.list.map((song) => song.songId)).toEqual([plain.ids.tx.mid]);
  });

  test("one that does not exist, and one that cannot be", async () => {
    const page = { page: 1, size: 30 };
    expect((await failure(source().album?.("000NOTHERE0000", page, {}) ?? none)).kind).toBe("upstream_not_found");
    expect((await failure(source().album?.("../x", page, {}) ?? none)).kind).toBe("invalid_request");
  });
});

describe("boards", () => {
  test("all but the one of MVs", async () => {
    const boards = await source().boards?.({});
    expect(boards?.map((board) => board.id)).toEqual(["4", "26", "27"]);
    expect(boards?.[0]).toEqual({
      source: "tx",
      id: "4",
      name: "流行指数榜",
      cover: "http://y.gtimg.cn/4.jpg",
      updateText: "2026-11-20",
    });
  });

  test("songs of one, by page", async () => {
    const board = await source().board?.("26", { page: 2, size: 2 }, {});
    expect(board).toMatchObject({ total: SONGS.length, page: 2, size: 2 });
    expect(board?.list.map((song) => song.songId)).toEqual(SONGS.slice(2, 4).map((song) => song.ids.tx.mid));
    expect(sent().req.param).toEqual({ topId: 26, offset: 2, num: 2 });
  });

  test("an id that is none", async () => {
    expect((await failure(source().board?.("x", { page: 1, size: 2 }, {}) ?? none)).kind).toBe("invalid_request");
    expect((await failure(source().board?.("999", { page: 1, size: 2 }, {}) ?? none)).kind).toBe("upstream_refused");
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { kwSection } from "../../../src/config/sections/sources.ts";
import { isAppError } from "../../../src/core/errors.ts";
import { parseLoose } from "../../../src/sources/kw/client.ts";
import { decryptBoard, signBoard } from "../../../src/sources/kw/crypto.ts";
import { createKw } from "../../../src/sources/kw/index.ts";
import { fromFormats, fromMinfo } from "../../../src/sources/kw/song.ts";
import { SONGS, songByKey } from "../../platforms/catalog.ts";
import { PLAYLIST_ID } from "../../platforms/kw/lists.ts";
import { kwPlatform } from "../../platforms/kw.ts";
import { failure, NOW, platformFor } from "../harness.ts";

const world = platformFor(kwPlatform, kwSection);
const source = () => createKw(world.deps());
const none = Promise.reject(new Error("no such ability"));
none.catch(() => undefined);
const plain = songByKey("plain");
const address = (index = 0) => {
  const { scheme, host, path, query } = world.requests()[index] ?? {};
  return `${scheme}://${host}${path}?${query}`;
};
const ids = (songs: { songId: string }[] | undefined) => songs?.map((song) => song.songId);
const theirs = (songs: typeof SONGS) => songs.map((song) => song.ids.kw.id);

describe("song", () => {
  test("details with sizes; encrypted formats are not offered", async () => {
    expect(await source().info?.(songByKey("odd").ids.kw.id, {})).toEqual({
      source: "kw",
      songId: songByKey("odd").ids.kw.id,
      name: "Rock&Roll=Life “引号” </script>",
      artists: [{ id: "350006", name: "AC/DC" }, { name: "甲、乙" }],
      album: { id: "820006", name: "测试专辑" },
      durationSeconds: 12,
      qualities: { "128k": { size: 188_744 }, "320k": { size: 482_345 }, flac: { size: 2_401_239 } },
      ids: {},
    });
    expect(address()).toBe(
      `http://musicpay.kuwo.cn/music.pay?ver=MUSIC_9.1.1.2_BCS2&src=mbox&op=query&signver=new&action=play&accttype=1&appuid=38668888&ids=${songByKey("odd").ids.kw.id}`,
    );
  });

  test.each([
    ["999", "upstream_not_found"],
    ["中", "invalid_request"],
  ])("%s -> %s", async (id, kind) => expect((await failure(source().info?.(id, {}) ?? none)).kind).toBe(kind as never));

  test.each([
    [
      "level:ff,bitrate:2000,format:flac,size:52.83Mb;level:p,bitrate:320,format:mp3,size:10.3Mb",
      { flac: { size: 55_396_270 }, "320k": { size: 10_800_333 } },
    ],
    [
      "level:h,bitrate:128,format:mp3,size:500Kb;bitrate:4000,format:flac,size:0.1Gb",
      { "128k": { size: 512_000 }, flac24bit: { size: 107_374_182 } },
    ],
    [
      "bitrate:20201,format:mflac,size:1Mb;bitrate:128,format:aac,size:1Mb;;bitrate:320,format:mp3,size:?",
      { "320k": {} },
    ],
    ["", {}],
  ])("sizes of %p", (minfo, qualities) => expect(fromMinfo(minfo)).toEqual(qualities));

  test("formats without sizes", () => {
    expect(fromFormats("AAC48|ALFLAC|HIRFLAC|MP3128|MP3H|WMA96")).toEqual({
      flac: {},
      flac24bit: {},
      "128k": {},
      "320k": {},
    });
  });

  test("cover", async () => {
    expect(await source().cover?.(plain.ids.kw.id, {})).toBe("http://img1.kuwo.cn/star/albumcover/500/820001.jpg");
    expect(address()).toBe(
      `http://artistpicserver.kuwo.cn/pic.web?corp=kuwo&type=rid_pic&pictype=500&size=500&rid=${plain.ids.kw.id}`,
    );
    expect((await failure(source().cover?.("999", {}) ?? none)).message).toBe("酷我: 这首歌没有封面");
  });

  test("a cover that is known is not asked for", async () => {
    const song = {
      source: "kw" as const,
      songId: "1",
      name: "",
      artists: [],
      qualities: {},
      ids: {},
      cover: "http://x/y.jpg",
    };
    expect(await source().cover?.("1", {}, song)).toBe("http://x/y.jpg");
    expect(world.requests()).toEqual([]);
  });
});

describe("search", () => {
  test("songs: the exact request, and what is read", async () => {
    const found = await source().searchSongs?.({ query: "晴天&x", page: 2, size: 30 }, {});
    expect(address()).toBe(
      "http://search.kuwo.cn/r.s?client=kt&all=%E6%99%B4%E5%A4%A9%26x&pn=1&rn=30&uid=794762570&ver=kwplayer_ar_9.2.2.1&vipver=1&show_copyright_off=1&newver=1&ft=music&cluster=0&strategy=2012&encoding=utf8&rformat=json&vermerge=1&mobi=1&issubtitle=1",
    );
    expect(found).toEqual({ total: 0, page: 2, size: 30, list: [] });
    const some = await source().searchSongs?.({ query: "晴天", page: 1, size: 30 }, {});
    expect(some?.list[0]).toMatchObject({
      songId: plain.ids.kw.id,
      name: "晴天",
      artists: [{ id: "350001", name: "测试歌手" }],
      album: { id: "820001", name: "测试专辑" },
      cover: "https://img2.kuwo.cn/star/albumcover/500/s4s66/12/820001.jpg",
      sizableCover: "https://img2.kuwo.cn/star/albumcover/{size}/s4s66/12/820001.jpg",
      mvId: plain.ids.kw.id,
    });
    expect(Object.keys(some?.list[0]?.qualities ?? {}).sort()).toEqual(["128k", "192k", "320k", "flac", "flac24bit"]);
  });

  test("found but not shown: asked again, three times at most", async () => {
    world.fault("verify", { times: 2 });
    const found = await source().searchSongs?.({ query: "晴天", page: 1, size: 30 }, {});
    expect(ids(found?.list)).toEqual([plain.ids.kw.id]);
    expect(world.requests()).toHaveLength(3);
    world.emulator.reset();
    world.fault("verify");
    expect(await source().searchSongs?.({ query: "晴天", page: 1, size: 30 }, {})).toMatchObject({
      total: 1,
      list: [],
    });
    expect(world.requests()).toHaveLength(3);
  });

  test.each([
    {
      type: "playlist" as const,
      request:
        "all=%E6%B5%8B%E8%AF%95&ft=playlist&pn=0&rn=20&rformat=json&encoding=utf8&ver=mbox&vipver=MUSIC_8.7.7.0_BCS37&plat=pc&devid=28156413&pay=0&needliveshow=0",
      first: {
        id: PLAYLIST_ID,
        name: "测试歌单 & It's",
        author: "某人",
        cover: "http://img1.kuwo.cn/p.jpg",
        songCount: SONGS.length,
        playCount: 123_456,
      },
    },
    {
      type: "album" as const,
      request: "all=%E6%B5%8B%E8%AF%95&ft=album&itemset=web_2013&client=kt&pn=0&rn=20&rformat=json&encoding=utf8",
      first: {
        id: "820001",
        name: "测试专辑",
        author: "测试歌手",
        cover: "https://img1.kuwo.cn/large.jpg",
        description: "Rock & Roll",
        songCount: 1,
        publishDate: "2003-07-31",
      },
    },
    {
      type: "artist" as const,
      request:
        "client=kt&all=%E6%B5%8B%E8%AF%95&pn=0&rn=20&uid=794762570&ver=kwplayer_ar_9.2.2.1&vipver=1&show_copyright_off=1&newver=1&ft=artist&cluster=0&strategy=2012&encoding=utf8&rformat=json&vermerge=1&mobi=1",
      first: { name: "测试歌手", songCount: 3 },
    },
  ])("$type", async ({ type, request, first }) => {
    const found = await source().searchCollections?.(type, { query: "测试", page: 1, size: 20 }, {});
    expect(address()).toBe(`http://search.kuwo.cn/r.s?${request}`);
    expect(found?.list[0]).toMatchObject({ source: "kw", type, ...first });
  });

  test("suggestions and hot words", async () => {
    expect(await source().suggest?.("Rock", {})).toEqual(["Rock&Roll=Life “引号” </script>"]);
    expect(address()).toBe(
      "https://tips.kuwo.cn/t.s?corp=kuwo&newver=3&p2p=1&notrace=0&c=mbox&w=Rock&encoding=utf8&rformat=json",
    );
    expect(await source().hot?.({})).toEqual(["晴天", "Rock&Roll"]);
  });
});

describe("lists", () => {
  test.each([
    ["a number", PLAYLIST_ID],
    ["a web page", `http://www.kuwo.cn/playlist_detail/${PLAYLIST_ID}`],
    ["a share page", `https://m.kuwo.cn/newh5app/playlist_detail/${PLAYLIST_ID}?from=x`],
    ["an old share page", `https://m.kuwo.cn/h5app/playlist?pid=${PLAYLIST_ID}`],
  ])("playlist by %s", async (_name, id) => {
    const found = await source().playlist?.(id, { page: 2, size: 4 }, {});
    expect(address()).toBe(
      `http://nplserver.kuwo.cn/pl.svc?op=getlistinfo&pid=${PLAYLIST_ID}&pn=1&rn=4&encode=utf8&keyset=pl2012&identity=kuwo&pcmp4=1&vipver=MUSIC_9.0.5.0_W1&newver=1`,
    );
    expect(found?.info).toEqual({
      source: "kw",
      type: "playlist",
      id: PLAYLIST_ID,
      name: "测试歌单",
      author: "某人",
      cover: "http://img1.kuwo.cn/p.jpg",
      description: "介绍",
      songCount: SONGS.length,
      playCount: 99,
    });
    expect(found?.songs).toMatchObject({ total: SONGS.length, page: 2, size: 4 });
    expect(ids(found?.songs.list)).toEqual(theirs(SONGS.slice(4)));
  });

  test("album, cut into pages here", async () => {
    const found = await source().album?.("http://www.kuwo.cn/album_detail/820001", { page: 1, size: 10 }, {});
    expect(address()).toBe(
      "http://search.kuwo.cn/r.s?pn=0&rn=1000&stype=albuminfo&albumid=820001&show_copyright_off=0&encoding=utf&vipver=MUSIC_9.1.0",
    );
    expect(found?.info).toEqual({
      source: "kw",
      type: "album",
      id: "820001",
      name: "测试专辑",
      author: "测试歌手",
      cover: "https://img1.kuwo.cn/large.jpg",
      description: "专辑介绍",
      publishDate: "2003-07-31",
      songCount: 1,
    });
    expect(found?.songs.list[0]).toMatchObject({ songId: plain.ids.kw.id, album: { id: "820001", name: "测试专辑" } });
    expect((await source().album?.("820001", { page: 2, size: 10 }, {}))?.songs).toMatchObject({ total: 1, list: [] });
  });

  test.each([
    ["playlist", "1", "upstream_not_found"],
    ["playlist", "http://evil.example/playlist_detail/1", "invalid_request"],
    ["playlist", "http://kuwo.cn.evil.example/playlist_detail/1", "invalid_request"],
    ["album", "1", "upstream_not_found"],
    ["album", "x", "invalid_request"],
  ] as const)("%s %p -> %s", async (ability, id, kind) => {
    expect((await failure(source()[ability]?.(id, { page: 1, size: 10 }, {}) ?? none)).kind).toBe(kind);
  });

  test("boards", async () => {
    expect(await source().boards?.({})).toEqual(
      [
        ["93", "酷我飙升榜"],
        ["17", "酷我新歌榜"],
        ["16", "酷我热歌榜"],
      ].map(([id = "", name = ""]) => ({
        source: "kw",
        id,
        name,
        cover: `http://img3.kuwo.cn/${id}.jpg`,
        updateText: "每日更新",
      })),
    );
    expect(address()).toBe("http://qukudata.kuwo.cn/q.k?op=query&cont=tree&node=2&pn=0&rn=1000&fmt=json&level=2");
  });

  test("songs of a board: encrypted and signed", async () => {
    const found = await source().board?.("93", { page: 2, size: 2 }, {});
    expect(found).toMatchObject({ total: SONGS.length, page: 2, size: 2 });
    expect(ids(found?.list)).toEqual(theirs(SONGS.slice(2, 4)));
    expect(found?.list[0]).toMatchObject({
      album: { id: "820003" },
      cover: "http://img1.kuwo.cn/star/albumcover/500/x.jpg",
    });
    const { params, query } = world.only();
    const data = params.get("data") ?? "";
    expect(decryptBoard(data)).toBe(
      '{"uid":"","devId":"","sFrom":"kuwo_sdk","user_type":"AP","carSource":"kwplayercar_ar_6.0.1.0_apk_keluze.apk","id":"93","pn":1,"rn":2}',
    );
    expect(query).toBe(`data=${encodeURIComponent(data)}&time=${NOW}&appId=y67sprxhhpws&sign=${signBoard(data, NOW)}`);
  });

  test.each([
    ["7", "upstream_refused"],
    ["x", "invalid_request"],
  ])("board %s -> %s", async (id, kind) => {
    expect((await failure(source().board?.(id, { page: 1, size: 2 }, {}) ?? none)).kind).toBe(kind as never);
  });
});

describe("single quotes", () => {
  test.each([
    ["{'a':'b'}", { a: "b" }],
    [`{'a':'It\\'s "x"','n':1,'l':['',null]}`, { a: `It's "x"`, n: 1, l: ["", null] }],
    ["{'a':'Don't'}", { a: "Don't" }],
    ["{'a':'c:\\\\d\\u4e2d'}", { a: "c:\\d中" }],
    ['{"a":"it\'s"}', { a: "it's" }],
  ])("%s", (text, value) => expect(parseLoose(text)).toEqual(value as never));

  test("any text gives a value or our own error", () => {
    const junk = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string().map((text) => `{'a':'${text}'}`),
    );
    fc.assert(
      fc.property(junk, (text) => {
        try {
          parseLoose(text);
        } catch (error) {
          expect(isAppError(error) && error.kind).toBe("upstream_changed");
        }
      }),
    );
  });
});

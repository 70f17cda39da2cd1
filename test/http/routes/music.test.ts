import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { AppError } from "../../../src/core/errors.ts";
import type { RequestContext } from "../../../src/http/context.ts";
import { musicRoutes } from "../../../src/http/routes/music.ts";
import type { TrackAnswer } from "../../../src/resolve/track.ts";
import { FRESH, LYRIC, type MusicRig, musicRig, serve } from "./rig.ts";

const ask = (rig: MusicRig, context: Partial<RequestContext> = {}) => serve([musicRoutes(rig.deps)], context);
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

const song = {
  name: "晴天 (Live)",
  name_ori: "晴天",
  name_extra: "(Live)",
  singer: "甲、乙",
  singer_list: [{ id: "1", name: "甲" }, { name: "乙" }],
  format_length: "04:29",
  length: 269,
  hash: "a1b2",
  file_info: { "128k": { size: "4.1MB", hash: "a1b2" }, flac: {} },
  songmid: "77",
  album_id: "9",
  album: "叶惠美",
  cover: "http://c/a.jpg",
  genre: [],
};
const collection = { id: "p1", name: "单", total: 2 };
const page = (item: unknown) => ({ total: 1, page: 1, size: 30, list: [item] });

describe("answers", () => {
  const rows: [target: string, method: string, args: unknown[], data: unknown][] = [
    ["/info/kg/A1B2", "info", ["kg", "a1b2"], song],
    ["/lyric/kg/x", "lyric", ["kg", "x", undefined], LYRIC],
    ["/pic/kg/x", "cover", ["kg", "x", undefined], "http://c/a.jpg"],
    ["/search/kg/song?query=%E6%99%B4", "searchSongs", ["kg", { query: "晴", page: 1, size: 20 }], page(song)],
    [
      "/search/tx/playlist?query=a&page=2&size=100",
      "searchCollections",
      ["tx", "playlist", { query: "a", page: 2, size: 100 }],
      page(collection),
    ],
    [
      "/search/wy/album?query=a",
      "searchCollections",
      ["wy", "album", { query: "a", page: 1, size: 20 }],
      page(collection),
    ],
    [
      "/search/kw/artist?query=a",
      "searchCollections",
      ["kw", "artist", { query: "a", page: 1, size: 20 }],
      page(collection),
    ],
    ["/playlist/kg/p1", "playlist", ["kg", "p1", { page: 1, size: 100 }], { info: collection, ...page(song) }],
    [
      "/album/kg/9?page=3&size=1000",
      "album",
      ["kg", "9", { page: 3, size: 1000 }],
      { info: collection, ...page(song) },
    ],
    ["/board/kg", "boards", ["kg"], [{ source: "kg", id: "b1", name: "榜" }]],
    ["/board/kg/b1?size=500", "board", ["kg", "b1", { page: 1, size: 500 }], page(song)],
    ["/hot/kg", "hot", ["kg"], ["热"]],
    ["/suggest/kg?query=q", "suggest", ["kg", "q"], ["晴天", "晴"]],
    [
      "/comment/kg/X",
      "comments",
      ["kg", { songId: "x", sort: "hot", page: 1, size: 20 }],
      page({
        id: "c1",
        text: "好",
        user: { name: "u" },
        likes: 3,
        replies: [{ id: "c2", text: "是", user: { name: "v" } }],
      }),
    ],
    [
      "/comment/kg/x?sort=new&page=2&size=100",
      "comments",
      ["kg", { songId: "x", sort: "new", page: 2, size: 100 }],
      expect.anything(),
    ],
    [
      "/mv/kg/m1",
      "mv",
      ["kg", "m1"],
      expect.objectContaining({
        name: "MV",
        hash: "m1",
        vid: "m1",
        play_info: { "720p": { url: "http://mv/a.mp4", format_size: "1.0KB", size: 1024 } },
      }),
    ],
  ];
  test.each(rows.map(([target, method, args, data]) => ({ target, method, args, data })))(
    "$target",
    async ({ target, method, args, data }) => {
      const rig = musicRig();
      const response = await ask(rig)(target);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
      expect(response.headers.get("cache-status")).toBe("lx; fwd=miss");
      expect(await response.json()).toEqual({ code: 0, msg: "success", data });
      expect(rig.asked).toEqual([{ method, args, bypass: false }]);
    },
  );

  test("the client's own knowledge goes along", async () => {
    const rig = musicRig();
    const info = encode({ name: "晴天", singer: "甲", songmid: "77", hash: "x" });
    await ask(rig)(`/lyric/kg/x?info=${info}`);
    await ask(rig)(`/pic/kg/x?info=${info}`);
    await ask(rig)("/lyric/kg/x?info=%%%broken".replace("%%%", "!!!"));
    expect(rig.asked.map((row) => row.args[2])).toEqual([
      expect.objectContaining({ name: "晴天", songmid: "77", hash: "x", source: "kg" }),
      expect.objectContaining({ name: "晴天" }),
      undefined,
    ]);
  });
});

describe("share links", () => {
  const link = "https://y.qq.com/n/ryqq/playlist/7?id=8&x=%E6%99%B4";
  test.each([
    ["in the path, encoded", `/playlist/tx/${encodeURIComponent(link)}`, link],
    ["in the path, as it is", "/playlist/wy/https://music.163.com/playlist/7", "https://music.163.com/playlist/7"],
    [
      "in the path, with its query and ours",
      "/playlist/wy/https://music.163.com/playlist?id=7&page=2",
      "https://music.163.com/playlist?id=7",
    ],
    ["in ?url=", `/playlist/tx/x?url=${encodeURIComponent(link)}`, link],
    ["in ?url= without an id", `/playlist/tx/?url=${encodeURIComponent(link)}`, link],
  ])("%s", async (_name, target, id) => {
    const rig = musicRig();
    expect((await ask(rig)(target)).status).toBe(200);
    expect(rig.asked[0]?.args[1]).toBe(id);
  });

  test.each([
    ["nothing", "/playlist/tx/"],
    ["too long", `/playlist/tx/x?url=${"a".repeat(2049)}`],
    ["control characters", "/playlist/tx/a%0Ab"],
  ])("%s is refused", async (_name, target) => {
    const response = await ask(musicRig())(target);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ code: 6, msg: "请求参数有错", data: null });
  });
});

describe("refusals", () => {
  const off = { code: 4, msg: "此平台已停止服务", data: null, "Your IP": "1.2.3.4" };
  const wrong = (msg: string | RegExp) => ({
    code: 6,
    msg: typeof msg === "string" ? msg : expect.stringMatching(msg),
    data: null,
  });
  const unknown = { code: 1, msg: "未知的源或不支持的方法", data: null };
  const rows: [target: string, status: number, body: object][] = [
    ["/info/xx/1", 404, off],
    ["/info/mg/1", 404, off],
    ["/search/xx/song?query=a", 404, off],
    ["/nothing/xx/1", 404, off],
    ["/nothing/kg/1", 200, unknown],
    ["/nothing/kg/1/128k", 200, unknown],
    ["/constructor/kg/1", 200, unknown],
    ["/url/xx/1/128k", 200, unknown],
    ["/url/kg/1", 200, { code: 2, msg: '需要参数"quality"', data: null }],
    ["/url/kg/1/999k", 400, wrong('不支持的音质 "999k"')],
    ["/url/kg/1/constructor", 400, wrong(/不支持的音质/)],
    [`/url/kg/1/${"k".repeat(50)}`, 400, wrong(`不支持的音质 "${"k".repeat(20)}"`)],
    ["/search/kg/song", 400, wrong('需要参数"query"')],
    ["/search/kg/song?query=%20%20", 400, wrong('需要参数"query"')],
    [`/search/kg/song?query=${"a".repeat(513)}`, 400, wrong('参数"query"过长')],
    ["/search/kg/video?query=a", 200, unknown],
    ["/suggest/kg", 400, wrong('需要参数"query"')],
    ["/comment/kg/1?sort=old", 400, wrong(/hot 或 new/)],
    ["/info/kg/gone", 200, { code: 2, msg: "酷狗: 没有这首歌", data: null }],
    ["/info/kg/broken", 500, { code: 4, msg: "内部服务器错误", data: null }],
    ["/info/kg/a%00b", 400, wrong("请求参数有错")],
    [`/info/kg/${"a".repeat(201)}`, 400, wrong("请求参数有错")],
    [`/mv/kg/${"a".repeat(201)}`, 400, wrong("请求参数有错")],
    ["/board/kg/a%7Fb", 400, wrong("请求参数有错")],
    ["/album/kg/%0d%0a", 400, wrong("请求参数有错")],
    ["/info/kg/%", 400, wrong("请求参数有错")],
    ["/info/kg/%c3%28", 400, wrong("请求参数有错")],
    ["/info/kg", 404, wrong("未找到您所请求的资源")],
    ["/info/kg/1/2/3", 404, wrong("未找到您所请求的资源")],
    ["/info/kg/", 404, wrong("未找到您所请求的资源")],
  ];
  test.each(rows.map(([target, status, body]) => ({ name: target.slice(0, 60), target, status, body })))(
    "$name -> $status",
    async ({ target, status, body }) => {
      const response = await ask(musicRig())(target);
      expect({ status: response.status, body: await response.json() }).toEqual({ status, body });
    },
  );

  const bounds: [value: string, good: boolean][] = [
    ["1", true],
    ["100", true],
    ["101", false],
    ["0", false],
    ["-1", false],
    ["1.5", false],
    ["1e2", false],
    ["x", false],
    ["99999999999999999999", false],
    ["", true],
  ];
  test.each(bounds)("size=%s", async (size, good) => {
    const response = await ask(musicRig())(`/search/kg/song?query=a&size=${size}`);
    expect(response.status).toBe(good ? 200 : 400);
  });

  test.each([
    ["10000", 200],
    ["10001", 400],
    ["0", 400],
  ])("page=%s", async (number, status) => {
    expect((await ask(musicRig())(`/board/kg/b?page=${number}`)).status).toBe(status);
  });

  test("any path is answered in the envelope, and never with a 500", async () => {
    const get = ask(musicRig());
    const part = fc.oneof(
      fc.constantFrom("url", "info", "kg", "tx", "128k", ".."),
      fc.string(),
      fc.string({ unit: "binary" }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 5 }), async (parts) => {
        const target = `/${parts.map((text) => encodeURIComponent(text.isWellFormed() ? text : "?")).join("/")}`;
        const response = await get(target);
        expect(response.status).not.toBe(500);
        const body = (await response.json()) as { code: number; msg: string };
        // Dots in the path are resolved before anyone sees it.
        if (["/url", "/info", "/lyric"].includes(new URL(`http://localhost${target}`).pathname))
          return expect(body.code).toBe(404);
        expect([0, 1, 2, 4, 5, 6]).toContain(body.code);
        expect(typeof body.msg).toBe("string");
      }),
    );
  });
});

describe("/url", () => {
  const rows: { name: string; answer: Partial<TrackAnswer>; endless?: boolean; data?: string; extra: object }[] = [
    {
      name: "fresh from the platform",
      answer: {},
      extra: { cache: false, expire: { time: 1_795_328_408, canExpire: true }, localfile: false },
    },
    {
      name: "without an end",
      answer: {},
      endless: true,
      extra: { expire: { time: null, canExpire: false } },
    },
    { name: "from the cache", answer: { cached: true, cacheStatus: "lx; hit; detail=memory" }, extra: { cache: true } },
    {
      name: "a lower quality says so",
      answer: { quality: "128k" },
      extra: { quality: { target: "flac", result: "128k" } },
    },
    {
      name: "from the library: a path of ours, signed",
      answer: { address: "/local/u?q=x", nearby: "library", cached: true },
      data: "/local/u?q=x?t=signed",
      extra: { localfile: true },
    },
    {
      name: "from the audio cache",
      answer: { address: "/cache/a.mp3", nearby: "audio", cached: true },
      data: "/cache/a.mp3?t=signed",
      extra: { localfile: true },
    },
    {
      name: "from WebDAV",
      answer: { address: "/webdav/kg/1/128k", nearby: "webdav", cached: true },
      data: "/webdav/kg/1/128k?t=signed",
      extra: { localfile: false, webdav: true },
    },
  ];
  test.each(rows)("$name", async ({ answer, endless, data, extra }) => {
    const { expiresAt, ...rest } = FRESH;
    const end = endless === true || expiresAt === undefined ? {} : { expiresAt };
    const rig = musicRig({ answer: () => ({ ...rest, ...end, ...answer }) });
    const response = await ask(rig)("/url/kg/A1/flac");
    const body = (await response.json()) as { code: number; msg: string; data: string; extra: object };
    expect(body).toMatchObject({ code: 0, msg: "success", data: data ?? "http://audio.test/a.mp3" });
    expect(body.extra).toMatchObject(extra);
    expect(Object.keys(body.extra)).toEqual(expect.arrayContaining(["cache", "quality", "expire", "localfile"]));
    expect("webdav" in body.extra).toBe(answer.nearby === "webdav");
    expect(response.headers.get("cache-status")).toBe(answer.cacheStatus ?? "lx; fwd=miss");
  });

  test("asks with the normal id, the client's info and address", async () => {
    const rig = musicRig();
    await ask(rig)(`/url/kg/A1/128k?info=${encode({ name: "n", songmid: 7 })}`);
    expect(rig.requests[0]).toMatchObject({
      source: "kg",
      songId: "a1",
      quality: "128k",
      client: "1.2.3.4",
      bypass: false,
      info: { name: "n", songmid: "7", source: "kg" },
    });
  });

  test.each([
    ["no-cache", true, true],
    ["max-age=0, No-Cache", true, true],
    ["no-cache", false, false],
    ["max-age=0", true, false],
    ["not-no-cachet", true, false],
  ])("Cache-Control: %s, let in: %p -> bypass %p", async (control, authorised, expected) => {
    const rig = musicRig();
    const get = ask(rig, { authorised });
    const headers = { "cache-control": control };
    await get("/url/kg/1/128k", { headers });
    await get("/info/kg/1", { headers });
    expect(rig.requests[0]?.bypass).toBe(expected);
    expect(rig.asked[0]?.bypass).toBe(expected);
  });

  test("a key that is not for this quality", async () => {
    const rig = musicRig();
    const response = await ask(rig, { keyName: "low" })("/url/kg/1/flac");
    expect(response.status).toBe(403);
    expect(await response.json()).toEqual({ code: 1, msg: "此key不能使用该音质", data: null });
    expect(rig.requests).toHaveLength(0);
  });

  test("a platform's no is 200 with code 2", async () => {
    const rig = musicRig({
      answer: () => {
        throw new AppError("upstream_needs_purchase", "酷狗: 需要会员 (账号 2 已过期)", { upstreamCode: 30020 });
      },
    });
    const response = await ask(rig)("/url/kg/1/128k");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ code: 2, msg: "酷狗: 需要会员 (账号 2 已过期)", data: null });
  });
});

test.each([
  ["hit", "lx; hit; detail=memory"],
  ["stale", "lx; hit; detail=memory"],
  ["miss", "lx; fwd=miss"],
  ["bypass", "lx; fwd=bypass"],
] as const)("Cache-Status of a %s", async (status, header) => {
  const response = await ask(musicRig({ status }))("/info/kg/1");
  expect(response.headers.get("cache-status")).toBe(header);
});

test.each([
  { name: "that was kept", note: "negative", header: "lx; hit; detail=negative" },
  { name: "of the platform, just now", note: "miss", header: "lx; fwd=miss" },
  { name: "of the platform, asked anew on purpose", note: "bypass", header: "lx; fwd=bypass" },
  { name: "before the cache was asked", note: undefined, header: null },
] as const)("Cache-Status of a failure $name", async ({ note, header }) => {
  const rig = musicRig({
    answer: (request) => {
      if (note !== undefined) request.note?.(note);
      throw new AppError("upstream_no_copyright", "酷狗: 没有版权");
    },
  });
  expect((await ask(rig)("/url/kg/1/128k")).headers.get("cache-status")).toBe(header);
});

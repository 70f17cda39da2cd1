import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { renderScript } from "../../src/client-script/render.ts";
import { importScript, type LxClient } from "../client/lx-client.ts";

/** A server that answers what the test says, and keeps what it is asked. */
let answer: (url: URL, request: Request) => Response | Promise<Response>;
let asked: { path: string; query: URLSearchParams; headers: Headers }[] = [];
let server: ReturnType<typeof Bun.serve>;
let base = "";

beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const url = new URL(request.url);
      asked.push({ path: url.pathname, query: url.searchParams, headers: request.headers });
      return answer(url, request);
    },
  });
  base = `http://127.0.0.1:${server.port}`;
});
afterAll(() => server.stop(true));

const envelope = (data: unknown, extra?: object) => () => Response.json({ code: 0, msg: "success", data, ...extra });
const failure =
  (code: number, msg?: string, status = 200) =>
  () =>
    Response.json({ code, msg, data: null }, { status });
const decode = (text: string | null) => JSON.parse(Buffer.from(text ?? "", "base64url").toString());
const INFO = { name: "晴天 + / ?", singer: "甲", songmid: "77", hash: "AB/CD", types: [] };

function script(change: { key?: string; update?: boolean } = {}) {
  return renderScript({
    name: "n",
    intro: "i",
    author: "a",
    version: "1",
    dev: false,
    update: change.update ?? false,
    quality: { kg: ["128k"], tx: ["128k"] },
    url: base,
    key: change.key ?? "",
  }).text;
}

describe.each(["desktop", "mobile"] as const)("%s", (env) => {
  let client: LxClient;
  let keyed: LxClient;
  beforeAll(async () => {
    client = await importScript(script(), env);
    keyed = await importScript(script({ key: "k'\"1" }), env);
  });
  afterAll(() => {
    client.close();
    keyed.close();
  });

  test("asks with the whole musicInfo, an encoded id and the key", async () => {
    asked = [];
    answer = envelope("http://a.test/a.mp3");
    expect(await keyed.musicUrl("kg", "128k", INFO)).toBe("http://a.test/a.mp3");
    expect(asked[0]?.path).toBe("/url/kg/AB%2FCD/128k");
    expect(decode(asked[0]?.query.get("info") ?? null)).toEqual(INFO);
    expect(asked[0]?.headers.get("x-request-key")).toBe("k'\"1");
    expect(asked[0]?.headers.get("user-agent")).toBe(`lx-music-${env}/2.0.0`);
  });

  test("without a key none is sent; songmid is the id where there is no hash", async () => {
    asked = [];
    answer = envelope("http://a.test/a.mp3");
    await client.musicUrl("tx", "128k", { ...INFO, hash: undefined, songmid: "0039 é" });
    expect(asked[0]?.path).toBe("/url/tx/0039%20%C3%A9/128k");
    expect(asked[0]?.headers.has("x-request-key")).toBe(false);
  });

  test("an address of ours becomes absolute", async () => {
    answer = envelope("/cache/a.mp3?t=x&e=1");
    expect(await client.musicUrl("kg", "128k", INFO)).toBe(`${base}/cache/a.mp3?t=x&e=1`);
  });

  test.each([
    ["the reason of the server", failure(2, "酷狗: 需要会员"), "酷狗: 需要会员"],
    ["a refusal", failure(1, undefined, 403), "访问被拒绝"],
    ["too many", failure(5, "IP限速", 429), "服务器繁忙"],
    ["busy", failure(5, "请稍后", 503), "服务器繁忙"],
    ["an internal error", failure(4, "", 500), "服务器内部错误"],
    ["an unknown code", failure(9), "未知错误"],
    ["no envelope", () => Response.json([1]), "未知错误"],
    ["null", () => Response.json(null), "未知错误"],
    ["HTML", () => new Response("<html>", { status: 502 }), "无法识别的数据 (HTTP 502)"],
    ["an empty address", envelope(""), "服务器没有给出地址"],
    ["an address of another kind", envelope("javascript:alert(1)"), "服务器没有给出地址"],
    ["no address", envelope({ url: "http://a" }), "服务器没有给出地址"],
  ])("%s", async (_name, reply, message) => {
    answer = reply;
    expect(await client.musicUrl("kg", "128k", INFO).catch((error) => error.message)).toContain(message);
  });

  test("too many requests is exactly the text that makes a player wait", async () => {
    answer = failure(5, "IP限速", 429);
    expect(await client.musicUrl("kg", "128k", INFO).catch((error) => error.message)).toBe("服务器繁忙");
  });

  describe("local files", () => {
    const local = { name: "n", songmid: "/music/中文 a.mp3" };
    const there = (links?: object) => (url: URL) =>
      url.pathname === "/local/c"
        ? envelope({ file: true, cover: true, lyric: true }, links && { extra: { links } })()
        : envelope("[00:01.00]a")();

    test("open addresses without links", async () => {
      asked = [];
      answer = there();
      const url = new URL(await client.musicUrl("local", null, local));
      expect(url.pathname).toBe("/local/u");
      expect(decode(url.searchParams.get("q"))).toEqual({ p: local.songmid });
      expect(new URL(await client.pic("local", local)).pathname).toBe("/local/p");
      expect(asked.map((row) => row.path)).toEqual(["/local/c", "/local/c"]);
    });

    test("signed ones with links", async () => {
      answer = there({ file: "/local/u?q=x&t=1&e=2", cover: "/local/p?q=x&t=3&e=4" });
      expect(await keyed.musicUrl("local", null, local)).toBe(`${base}/local/u?q=x&t=1&e=2`);
      expect(await keyed.pic("local", local)).toBe(`${base}/local/p?q=x&t=3&e=4`);
    });

    test("the lyric comes as text, with the key", async () => {
      asked = [];
      answer = there();
      expect((await keyed.lyric("local", local)).lyric).toBe("[00:01.00]a");
      expect(asked.map((row) => row.headers.get("x-request-key"))).toEqual(["k'\"1", "k'\"1"]);
    });

    test.each([
      ["nothing there", { file: false, cover: false, lyric: false }],
      ["no cover", { file: true, cover: null, lyric: true }],
      ["no answer", null],
    ])("%s", async (_name, data) => {
      answer = envelope(data);
      expect(await client.pic("local", local).catch((error) => error.message)).toBe("服务器上没有此文件");
    });

    describe("parts that are too long keep whole lines up to the client's limit", () => {
      const line = `[00:01.00]${"x".repeat(89)}\n`;
      test.each([
        ["lyric", 51_200],
        ["tlyric", 5119],
        ["rlyric", 5119],
        ["lxlyric", 8191],
      ] as const)("%s", async (part, limit) => {
        const long = line.repeat(Math.ceil(limit / line.length) + 3);
        answer = (url) =>
          url.pathname === "/local/c"
            ? envelope({ file: true, cover: true, lyric: true })()
            : envelope({ lyric: "[00:00.00]a", tlyric: "", rlyric: "", lxlyric: "", [part]: long })();
        const got = (await client.lyric("local", local))[part] ?? "";
        expect(got.length).toBeLessThanOrEqual(limit);
        expect(got.length).toBeGreaterThan(limit - line.length - 1);
        expect(long).toStartWith(`${got}\n`);
      });

      test("a single line that is too long goes", async () => {
        answer = (url) =>
          url.pathname === "/local/c"
            ? envelope({ file: true, cover: true, lyric: true })()
            : envelope({ lyric: "[00:00.00]a", tlyric: "y".repeat(6000) })();
        expect((await client.lyric("local", local)).tlyric).toBe("");
      });
    });
  });
});

describe("checkUpdate", () => {
  async function run(reply: typeof answer, key = "") {
    asked = [];
    answer = reply;
    const client = await importScript(script({ update: true, key }), "desktop");
    for (let tries = 0; asked.length === 0 && tries < 200; tries++) await Bun.sleep(5);
    for (let tries = 0; client.updateAlert === undefined && tries < 10; tries++) await Bun.sleep(5);
    return client;
  }

  test("asks with md5 and key, and tells the user", async () => {
    const client = await run(envelope({ updateMsg: "有更新", updateUrl: `${base}/script` }), "k&=");
    expect(asked[0]?.path).toBe("/script");
    expect(asked[0]?.query.get("key")).toBe("k&=");
    expect(asked[0]?.query.get("checkUpdate")).toMatch(/^[0-9a-f]{32}$/);
    expect(client.updateAlert).toEqual({ log: "有更新", updateUrl: `${base}/script` });
  });

  test.each([
    ["nothing new", envelope(null)],
    ["a refusal", failure(6, "key验证失败", 403)],
    ["garbage", () => new Response("<")],
  ])("%s: no alert, and the script is ready all the same", async (_name, reply) => {
    const client = await run(reply);
    expect(client.updateAlert).toBeUndefined();
    expect(client.sources["kg"]).toBeDefined();
  });

  test("no server at all does not keep the script from being ready", async () => {
    const gone = script({ update: true }).replaceAll(base, "http://127.0.0.1:9");
    expect((await importScript(gone, "desktop")).sources["kg"]).toBeDefined();
  });
});

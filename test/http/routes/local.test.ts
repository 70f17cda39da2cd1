import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { Elysia } from "elysia";
import { AppError } from "../../../src/core/errors.ts";
import { errorBody } from "../../../src/http/errors.ts";
import { decodeQuery, localRoutes } from "../../../src/http/routes/local.ts";
import { openLibrary, type TestLibrary, temporaryFolder, writeGoldenShelf } from "../../library/shelf.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let own: TestLibrary;
let refuse = false;
let signs = false;

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

function app() {
  return new Elysia()
    .onError(({ error }) => {
      const { status, body } = errorBody(error, "path");
      return Response.json(body, { status });
    })
    .use(
      localRoutes({
        library: own.library,
        authorise() {
          if (refuse) throw new AppError("unauthorized", "key验证失败");
        },
        ownLink: (path) => (signs ? `${path}&t=signed&e=1` : path),
      }),
    );
}

const ask = (target: string, init?: RequestInit) => app().handle(new Request(`http://localhost${target}`, init));

beforeAll(async () => {
  folder = await temporaryFolder();
  await writeGoldenShelf(join(folder.path, "audio"));
  await symlink("/etc/passwd", join(folder.path, "audio", "secret.mp3"));
  own = await openLibrary(folder.path);
  await own.library.scan();
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const found = (cover: boolean | null, lyric: boolean) => ({
  code: 0,
  msg: "success",
  data: { file: true, cover, lyric },
});
const nothing = { code: 0, msg: "success", data: { file: false, cover: false, lyric: false } };
const lyric = (data: string) => ({ code: 0, msg: "success", data });
const failure = (code: number, msg: string) => ({ code, msg, data: null });

describe("answers recorded from the original", () => {
  const rows: [name: string, target: string, status: number, body: unknown][] = [
    ["01 c Test Song.mp3", "/local/c?q=eyJwIjogIlRlc3QgU29uZy5tcDMifQ==", 200, found(true, true)],
    ["03 l", "/local/l?q=eyJwIjogIlRlc3QgU29uZy5tcDMifQ==", 200, lyric("[00:01.00]hi\n[00:02.00]there")],
    ["05 c lower case", "/local/c?q=eyJwIjogInRlc3Qgc29uZy5tcDMifQ==", 200, found(true, true)],
    ["07 l lower case", "/local/l?q=eyJwIjogInRlc3Qgc29uZy5tcDMifQ==", 200, lyric("[00:01.00]hi\n[00:02.00]there")],
    ["09 c CJK", "/local/c?q=eyJwIjogIuS4reaWhyDmrYzmm7IubXAzIn0=", 200, found(null, true)],
    [
      "11 l from .lrc",
      "/local/l?q=eyJwIjogIuS4reaWhyDmrYzmm7IubXAzIn0=",
      200,
      lyric("[00:01.00]lrc file\n[00:02.00]two"),
    ],
    ["13 c b.flac", "/local/c?q=eyJwIjogImIuZmxhYyJ9", 200, found(true, true)],
    ["15 l plain", "/local/l?q=eyJwIjogImIuZmxhYyJ9", 200, lyric("plain lyric")],
    ["17 c untagged (original: no answer)", "/local/c?q=eyJwIjogInVudGFnZ2VkLm1wMyJ9", 200, found(null, false)],
    ["19 l untagged (original: no answer)", "/local/l?q=eyJwIjogInVudGFnZ2VkLm1wMyJ9", 404, failure(2, "未找到歌词")],
    // The original overlooks a picture with a description and says null.
    ["21 c desc.mp3", "/local/c?q=eyJwIjogImRlc2MubXAzIn0=", 200, found(true, false)],
    ["23 l desc.mp3", "/local/l?q=eyJwIjogImRlc2MubXAzIn0=", 404, failure(2, "未找到歌词")],
    ["25 c nope (original: no answer)", "/local/c?q=eyJwIjogIm5vcGUubXAzIn0=", 200, nothing],
    ["27 l nope (original: no answer)", "/local/l?q=eyJwIjogIm5vcGUubXAzIn0=", 404, failure(2, "未找到歌词")],
    ["29 unpadded", "/local/c?q=eyJwIjogImIuZmxhYyJ9", 200, found(true, true)],
    ["31 c without extension", "/local/c?q=eyJwIjogImIifQ==", 200, found(true, true)],
    ["33 u traversal", "/local/u?q=eyJwIjogIi4uLy4uLy4uLy4uL2V0Yy9wYXNzd2QifQ==", 404, failure(2, "未找到文件")],
    ["35 no q", "/local/c", 404, failure(6, "请求参数有错")],
    ["37 q is no JSON", "/local/c?q=AAAA", 404, failure(6, "请求参数有错")],
    ["39 no p (original: 500)", "/local/c?q=e30=", 404, failure(6, "请求参数有错")],
    ["41 p is null", "/local/c?q=eyJwIjogbnVsbH0=", 200, nothing],
    ["43 p is a list (original: no answer)", "/local/u?q=eyJwIjogWyJiLmZsYWMiXX0=", 404, failure(6, "请求参数有错")],
  ];
  test.each(rows.map(([name, target, status, body]) => ({ name, target, status, body })))("$name", async (row) => {
    const response = await ask(row.target);
    expect(response.status).toBe(row.status);
    expect(response.headers.get("content-type")).toContain("application/json");
    expect(await response.json()).toEqual(row.body);
  });
});

describe("files and covers", () => {
  test("u sends the file, with ranges and its name", async () => {
    const target = `/local/u?q=${encode({ p: "D:\\x\\中文 歌曲.mp3" })}`;
    const whole = await ask(target);
    expect(whole.status).toBe(200);
    expect(whole.headers.get("content-type")).toBe("audio/mpeg");
    expect(whole.headers.get("content-disposition")).toContain(encodeURIComponent("中文 歌曲"));
    const bytes = await whole.bytes();
    expect(bytes).toEqual(await Bun.file(join(folder.path, "audio", "中文 歌曲.mp3")).bytes());
    const head = await ask(target, { method: "HEAD" });
    expect(head.headers.get("etag")).toBe(whole.headers.get("etag"));
    const part = await ask(target, { headers: { range: "bytes=10-19" } });
    expect(part.status).toBe(206);
    expect(await part.bytes()).toEqual(bytes.slice(10, 20));
  });

  test("p sends the picture of the tags; size makes it smaller; 304", async () => {
    const target = `/local/p?q=${encode({ p: "Test Song.mp3" })}`;
    const whole = await ask(target);
    expect(whole.headers.get("content-type")).toBe("image/png");
    expect((await new Bun.Image(await whole.arrayBuffer()).metadata()).width).toBe(64);
    const small = await ask(`${target}&size=40`);
    expect(small.headers.get("content-type")).toBe("image/jpeg");
    expect(await new Bun.Image(await small.arrayBuffer()).metadata()).toMatchObject({ width: 64, format: "jpeg" });
    const again = await ask(target, { headers: { "if-none-match": whole.headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
  });

  test.each([
    ["no cover", `/local/p?q=${encode({ p: "untagged.mp3" })}`, 404, failure(2, "未找到封面")],
    ["no file", `/local/u?q=${encode({ p: "nope.mp3" })}`, 404, failure(2, "未找到文件")],
    ["a link out of the folder", `/local/u?q=${encode({ p: "secret.mp3" })}`, 404, failure(2, "未找到文件")],
    ["silly size", `/local/p?q=${encode({ p: "b.flac" })}&size=9e9`, 400, failure(6, "缩略图尺寸应在 16 到 2000 之间")],
    ["broken UTF-8 in q", "/local/u?q=eyJwIjoi_yJ9", 404, failure(6, "请求参数有错")],
    ["a number for p", `/local/l?q=${encode({ p: 1 })}`, 404, failure(6, "请求参数有错")],
    ["an array for q", `/local/l?q=${encode(["p"])}`, 404, failure(6, "请求参数有错")],
  ])("%s", async (_name, target, status, body) => {
    const response = await ask(target);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual(body);
  });

  test("a file that was replaced by a link out is not served", async () => {
    const path = join(folder.path, "audio", "untagged.mp3");
    const backup = await Bun.file(path).bytes();
    await Bun.file(path).delete();
    await symlink("/etc/passwd", path);
    try {
      const response = await ask(`/local/u?q=${encode({ p: "untagged.mp3" })}`);
      expect(response.status).toBe(404);
      expect(await response.text()).not.toContain("root:");
    } finally {
      await Bun.file(path).delete();
      await Bun.write(path, backup);
    }
  });

  test.each(["c", "u", "l", "p"])("%s asks whether the client may", async (kind) => {
    refuse = true;
    try {
      const response = await ask(`/local/${kind}?q=${encode({ p: "b.flac" })}`);
      expect(response.status).toBe(403);
    } finally {
      refuse = false;
    }
  });

  test("the address of a track leads to that track", async () => {
    const track = own.library.match({ path: "b.flac" })?.track;
    if (track === undefined) throw new Error("not in the index");
    const response = await ask(own.library.address(track));
    expect(response.headers.get("content-type")).toBe("audio/flac");
  });
});

describe("links, while request keys are in use", () => {
  beforeAll(() => {
    signs = true;
  });
  afterAll(() => {
    signs = false;
  });

  test("a song that is there comes with signed addresses, which open", async () => {
    const body = await (await ask(`/local/c?q=${encode({ p: "Test Song.mp3" })}`)).json();
    const query = `?q=${encode({ p: "Test Song.mp3" })}&t=signed&e=1`;
    expect(body).toEqual({
      ...found(true, true),
      extra: { links: { file: `/local/u${query}`, cover: `/local/p${query}` } },
    });
    expect((await ask(body.extra.links.file)).headers.get("content-type")).toBe("audio/mpeg");
    expect((await ask(body.extra.links.cover)).headers.get("content-type")).toBe("image/png");
  });

  test("a song that is not there comes as recorded", async () => {
    expect(await (await ask(`/local/c?q=${encode({ p: "nope.mp3" })}`)).json()).toEqual(nothing);
  });
});

test.each([
  [
    "plus signs read as blanks",
    Buffer.from('{"p":"\u{3ff}~~>"}').toString("base64").replaceAll("+", " "),
    "\u{3ff}~~>",
  ],
  ["padded", "eyJwIjogImIifQ==", "b"],
  ["unpadded", "eyJwIjogImIifQ", "b"],
])("decodeQuery: %s", (_name, text, expected) => {
  expect(decodeQuery(text)).toBe(expected);
});

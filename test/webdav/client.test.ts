import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Elysia } from "elysia";
import { errorBody } from "../../src/http/errors.ts";
import { webdavRoutes } from "../../src/http/routes/webdav.ts";
import type { WebdavSource } from "../../src/webdav/client.ts";
import { openSource } from "./source.ts";
import { plant, startNginx, startRclone, temporary, type Upstream } from "./upstreams.ts";

const SONG = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 31) % 251);
const FILES: Record<string, string | Uint8Array> = {
  "cache_audio/kw_12345_320k.mp3": SONG,
  "cache_audio/tx_0039MnYb0qxYhV_flac.flac": "flac bytes",
  "cache_audio/kg_abcdef0123_128k.mp3": "kg bytes",
  "cache_audio/kw_12345_cover.jpg": "cover bytes",
  "cache_audio/sub/wy_99_atmos_plus.m4a": "atmos bytes",
  "cache_audio/notes.txt": "notes",
  "audio/周杰伦 - 晴天.mp3": "晴天 bytes",
  "audio/深/层/100% #1 & a+b?.mp3": "odd bytes",
  "audio/R&B [x] 'q' (1).flac": "rnb bytes",
  "secret.txt": "not indexed",
};

function app(webdav: WebdavSource) {
  return new Elysia()
    .onError(({ error, set }) => {
      const { status, body } = errorBody(error, "path");
      set.status = status;
      return Response.json(body, { status });
    })
    .use(webdavRoutes({ webdav, authorise: () => undefined }));
}

describe.each([
  ["rclone", startRclone],
  ["nginx", startNginx],
])("%s as upstream", (_name, start) => {
  let folder: Awaited<ReturnType<typeof temporary>>;
  let upstream: Upstream;
  let webdav: ReturnType<typeof openSource>;
  const ask = (target: string, init?: RequestInit) =>
    app(webdav).handle(new Request(`http://localhost${target}`, init));

  beforeAll(async () => {
    folder = await temporary("lx-dav-");
    await plant(folder.path, FILES);
    upstream = await start(folder.path);
    webdav = openSource({ url: upstream.url });
  });
  afterAll(async () => {
    await webdav.close();
    await upstream[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  test("the index holds both folders and nothing else", async () => {
    const summary = await webdav.refresh();
    expect(summary).toMatchObject({ files: 9, folders: 5, truncated: false, failed: [] });
    expect(webdav.find("kw", "12345", "320k")).toMatchObject({
      path: "/cache_audio/kw_12345_320k.mp3",
      size: SONG.length,
    });
    expect(webdav.find("kw", "12345", "flac")).toBeUndefined();
    expect(webdav.find("kg", "ABCDEF0123", "128k")?.path).toBe("/cache_audio/kg_abcdef0123_128k.mp3");
    expect(webdav.find("tx", "0039mnyb0qxyhv", "flac")).toBeUndefined();
    expect(webdav.find("wy", "99", "atmos_plus")?.path).toBe("/cache_audio/sub/wy_99_atmos_plus.m4a");
    expect(webdav.findCover("kw", "12345")?.path).toBe("/cache_audio/kw_12345_cover.jpg");
    expect(webdav.findLocal("D:\\x\\周杰倫 - 晴天.mp3")?.path).toBe("/audio/周杰伦 - 晴天.mp3");
    expect(webdav.findLocal("100% #1 & a+b?.mp3")?.path).toBe("/audio/深/层/100% #1 & a+b?.mp3");
    expect(webdav.findLocal("nothing.mp3")).toBeUndefined();
  });

  test.each([
    ["a stored song", "/webdav/kw/12345/320k", SONG, "audio/mpeg"],
    ["another", "/webdav/tx/0039MnYb0qxYhV/flac", Buffer.from("flac bytes"), "audio/flac"],
    ["its cover", "/webdav/kw/12345", Buffer.from("cover bytes"), "image/jpeg"],
    [
      "a local song",
      `/webdav/local/${encodeURIComponent("周杰伦 - 晴天.mp3")}/128k`,
      Buffer.from("晴天 bytes"),
      "audio/mpeg",
    ],
    [
      "odd signs",
      `/webdav/local/${encodeURIComponent("100% #1 & a+b?.mp3")}/128k`,
      Buffer.from("odd bytes"),
      "audio/mpeg",
    ],
    [
      "brackets",
      `/webdav/local/${encodeURIComponent("R&B [x] 'q' (1).flac")}/flac`,
      Buffer.from("rnb bytes"),
      "audio/flac",
    ],
  ])("%s comes as it is", async (_what, target, bytes, type) => {
    const response = await ask(target);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe(type);
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    expect(await response.bytes()).toEqual(new Uint8Array(bytes));
  });

  test("ranges, HEAD and validators are the upstream's", async () => {
    const part = await ask("/webdav/kw/12345/320k", { headers: { range: "bytes=1000-1999" } });
    expect(part.status).toBe(206);
    expect(part.headers.get("content-range")).toBe(`bytes 1000-1999/${SONG.length}`);
    expect(await part.bytes()).toEqual(SONG.slice(1000, 2000));
    const head = await ask("/webdav/kw/12345/320k", { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.headers.get("content-length")).toBe(String(SONG.length));
    const modified = head.headers.get("last-modified") ?? "";
    expect(Date.parse(modified)).toBeGreaterThan(0);
    const same = await ask("/webdav/kw/12345/320k", { headers: { "if-modified-since": modified } });
    expect(same.status).toBe(304);
    const beyond = await ask("/webdav/kw/12345/320k", { headers: { range: "bytes=9999999-" } });
    expect(beyond.status).toBe(416);
  });

  test("over a real socket the length is known too", async () => {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => app(webdav).handle(request) });
    try {
      const response = await fetch(`http://127.0.0.1:${server.port}/webdav/kw/12345/320k`);
      expect(response.headers.get("content-length")).toBe(String(SONG.length));
      expect((await response.bytes()).length).toBe(SONG.length);
    } finally {
      server.stop(true);
    }
  });

  test.each([
    ["unknown song", "/webdav/kw/1/320k", 404],
    ["unknown quality", "/webdav/kw/12345/huge", 404],
    ["proxy: a file below", "/webdav-proxy?url=/cache_audio/notes.txt", 200],
    ["proxy: missing", "/webdav-proxy?url=/cache_audio/no.mp3", 404],
    ["proxy: a way out ends at the top", "/webdav-proxy?url=/../../../cache_audio/notes.txt", [200, 403]],
    ["proxy: encoded way out", "/webdav-proxy?url=/%252e%252e/%252e%252e/etc/passwd", [403, 404]],
    ["proxy: encoded separator", "/webdav-proxy?url=/a%252f..%252fx", 403],
    ["proxy: another host", "/webdav-proxy?url=http://127.0.0.1:1/x", 403],
    ["proxy: another host without scheme", "/webdav-proxy?url=//example.com/x", 403],
    ["proxy: another scheme", "/webdav-proxy?url=file:///etc/passwd", 403],
    ["POST reads nothing", "/webdav/kw/12345/320k#post", 404],
    ["proxy: a folder", "/webdav-proxy?url=/audio/", 403],
  ])("%s: %s is %j", async (_what, target, status) => {
    const response = await ask(target, { method: target.endsWith("#post") ? "POST" : "GET" });
    expect([status].flat()).toContain(response.status);
    expect(await response.text()).not.toContain("root:");
  });

  test("proxy without an address answers as the original", async () => {
    const response = await ask("/webdav-proxy");
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ code: 2, msg: "缺少url参数", data: null });
  });

  test("proxy takes the absolute address that we would hand out", async () => {
    const address = webdav.remote.addressOf("/audio/周杰伦 - 晴天.mp3");
    const response = await ask(`/webdav-proxy?url=${encodeURIComponent(address)}`);
    expect(await response.text()).toBe("晴天 bytes");
  });

  test("a text file is never shown as a page", async () => {
    await plant(folder.path, { "cache_audio/page.html": "<script>alert(1)</script>" });
    const response = await ask("/webdav-proxy?url=/cache_audio/page.html");
    expect(response.headers.get("content-type")).toBe("application/octet-stream");
    expect(response.headers.get("content-disposition")).toBe("attachment");
    await rm(join(folder.path, "cache_audio/page.html"));
  });

  test("wrong credentials are told as such, without the password", async () => {
    await using wrong = openSource({ url: upstream.url, password: "geheim-123" });
    const error = await wrong.refresh().then(
      () => undefined,
      (problem: unknown) => problem,
    );
    expect(error).toMatchObject({ kind: "upstream_needs_login" });
    expect(JSON.stringify(error) + String(error)).not.toContain("geheim");
  });

  test("a song that is gone is forgotten", async () => {
    await plant(folder.path, { "cache_audio/mg_5_128k.mp3": "x" });
    await webdav.refresh();
    await rm(join(folder.path, "cache_audio/mg_5_128k.mp3"));
    expect((await ask("/webdav/mg/5/128k")).status).toBe(404);
    expect(webdav.find("mg", "5", "128k")).toBeUndefined();
  });

  test("the index outlives a restart and a dead server", async () => {
    const db = new Database(":memory:", { strict: true });
    {
      await using first = openSource({ url: upstream.url }, db);
      await first.refresh();
    }
    await using second = openSource({ url: upstream.url }, db);
    expect(second.find("kw", "12345", "320k")?.size).toBe(SONG.length);
    await using other = openSource({ url: `${upstream.url}/audio` }, db);
    expect(other.status().files).toBe(0);
  });
});

test.each([
  ["through us", {}, "/webdav/kw/a%2Fb/320k"],
  ["directly, without the password", { proxy_auth: false }, "http://dav.test/base/x%20y.mp3"],
  [
    "directly, with it",
    { direct_url: true, username: "u@x", password: "p/w" },
    "http://u%40x:p%2Fw@dav.test/base/x%20y.mp3",
  ],
])("address: %s", async (_name, change, expected) => {
  await using webdav = openSource({ url: "http://dav.test/base", ...change });
  const file = { path: "/x y.mp3", size: 1, etag: undefined, modified: undefined };
  expect(webdav.address("kw", "a/b", "320k", file)).toBe(expected);
});

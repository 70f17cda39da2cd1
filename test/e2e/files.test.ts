import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { plant, startRclone, temporary, type Upstream, USER, PASSWORD as WORD } from "../webdav/upstreams.ts";
import { type RunningServer, startServer } from "./server.ts";

const SONG = "bytes of a song";
let folder: Awaited<ReturnType<typeof temporary>>;
let upstream: Upstream;
let server: RunningServer;

beforeAll(async () => {
  folder = await temporary("lx-e2e-dav-");
  await plant(folder.path, {
    "cache_audio/kw_1_320k.mp3": SONG,
    "cache_audio/kw_1.jpg": "cover",
    "audio/100% #1? 歌 + ;.mp3": "local",
  });
  upstream = await startRclone(folder.path);
  const webdav_cache = { enable: true, url: upstream.url, username: USER, password: WORD };
  server = await startServer({ config: { common: { webdav_cache } } });
  for (let tries = 0; tries < 250 && !server.output().includes("webdav indexed"); tries++) await Bun.sleep(20);
});
afterAll(async () => {
  await server?.remove();
  await upstream?.[Symbol.asyncDispose]();
  await folder?.[Symbol.asyncDispose]();
});

// Read to its end, it would take an hour.
test("the head of a cached file says its size and reads nothing of it", async () => {
  const path = join(server.dataDir, "cache_audio", "kw_9_320k.mp3");
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, "");
  await truncate(path, 2 ** 40);
  const reply = await server.get("/cache/kw_9_320k.mp3", { method: "HEAD" });
  expect([reply.status, reply.headers.get("content-length")]).toEqual([200, String(2 ** 40)]);
  expect((await server.get("/cache/kw_9_320k.mp3", { method: "POST" })).status).toBe(404);
});

// All routes together: those of the music take three and four words of any kind.
test.each<[string, string, RequestInit, number, string]>([
  ["a stored song", "/webdav/kw/1/320k", {}, 200, SONG],
  ["a part of it", "/webdav/kw/1/320k", { headers: { range: "bytes=9-10" } }, 206, "a "],
  ["its head", "/webdav/kw/1/320k", { method: "HEAD" }, 200, ""],
  ["its cover", "/webdav/kw/1", {}, 200, "cover"],
  ["the cover's head", "/webdav/kw/1", { method: "HEAD" }, 200, ""],
  ["a local name", `/webdav/local/${encodeURIComponent("100% #1? 歌 + ;.mp3")}/128k`, {}, 200, "local"],
  ["another song", "/webdav/kw/2/320k", {}, 404, '{"code":6,"msg":"未找到文件","data":null}'],
  [
    "an upload",
    "/webdav/kw/1/320k",
    { method: "POST", body: "x" },
    404,
    '{"code":6,"msg":"未找到您所请求的资源","data":null}',
  ],
])("the executable passes %s on", async (_name, path, init, status, body) => {
  const reply = await server.get(path, init);
  expect(await reply.text()).toBe(body);
  expect(reply.status).toBe(status);
  if (init.method === "HEAD") expect(reply.headers.get("content-length")).toBe(path.endsWith("k") ? "15" : "5");
  expect(server.output()).not.toContain(WORD);
});

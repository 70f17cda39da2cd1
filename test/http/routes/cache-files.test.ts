import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rm, symlink, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import { join } from "node:path";
import { AppError } from "../../../src/core/errors.ts";
import { cacheFileRoutes } from "../../../src/http/routes/cache-files.ts";
import { composeRoutes } from "../../../src/http/routes/index.ts";
import { silentLogger } from "../../../src/ops/log.ts";
import { job, type Rig, startRig, TAGS } from "../../audio/rig.ts";
import { makeAudio } from "../../platforms/audio.ts";

const NAME = "tx_0039MnYb0qxYhV_128k.mp3";
let rig: Rig;
let server: ReturnType<typeof Bun.serve>;
let allowed = true;
const asked: string[] = [];

beforeAll(async () => {
  rig = await startRig();
  const audio = await makeAudio({ format: "mp3", seconds: 4, tone: 440, bitrate: 128 });
  const url = rig.origin.put("/a", await Bun.file(audio.path).bytes());
  await rig.cache.fetch(job(url, { tags: async () => TAGS }));
  const routes = cacheFileRoutes({
    audio: rig.cache,
    authorise(_request, path) {
      asked.push(path);
      if (!allowed) throw new AppError("unauthorized", "key验证失败");
    },
  });
  const app = composeRoutes([routes], silentLogger);
  server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: (request) => app.handle(request) });
});
afterAll(async () => {
  await server.stop(true);
  await rig.close();
});

const ask = (path: string, init?: RequestInit) => fetch(new URL(path, server.url), init);

/** A request line exactly as written; `fetch` would tidy the path. @returns the status line. */
function raw(target: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = createConnection(server.port ?? 0, "127.0.0.1", () => {
    socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  });
  let text = "";
  socket.on("data", (data) => {
    text += data.toString("latin1");
  });
  socket.on("error", reject);
  socket.on("close", () => resolve(text.split("\r\n")[0] ?? ""));
  return promise;
}

describe("a cached song", () => {
  test("comes whole, with its own name, and counts as played", async () => {
    const before = rig.cache.find("tx", "0039MnYb0qxYhV", "128k")?.plays ?? 0;
    const reply = await ask(`/cache/${NAME}`);
    const file = rig.cache.find("tx", "0039MnYb0qxYhV", "128k");
    expect(reply.status).toBe(200);
    expect(reply.headers.get("content-type")).toBe("audio/mpeg");
    expect(reply.headers.get("content-disposition")).toContain(
      `filename*=UTF-8''${encodeURIComponent("晴天 🌞 - 周杰伦/AC/DC.mp3")}`,
    );
    expect(Buffer.from(await reply.arrayBuffer()).equals(Buffer.from(await Bun.file(file?.path ?? "").bytes()))).toBe(
      true,
    );
    expect(file?.plays).toBe(before + 1);
  });

  test("seeking is no further play", async () => {
    const before = rig.cache.find("tx", "0039MnYb0qxYhV", "128k")?.plays;
    const reply = await ask(`/cache/${NAME}`, { headers: { range: "bytes=1000-1999" } });
    expect([reply.status, (await reply.arrayBuffer()).byteLength]).toEqual([206, 1000]);
    expect(rig.cache.find("tx", "0039MnYb0qxYhV", "128k")?.plays).toBe(before);
  });

  test("HEAD, and 304 for a known ETag", async () => {
    const head = await ask(`/cache/${NAME}`, { method: "HEAD" });
    expect(head.headers.get("content-length")).toBe(String(rig.cache.list()[0]?.size));
    const again = await ask(`/cache/${NAME}`, { headers: { "if-none-match": head.headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
  });

  test("is given to nobody without leave, and the leave is asked for this path", async () => {
    allowed = false;
    asked.length = 0;
    const reply = await ask(`/cache/${NAME}`);
    allowed = true;
    expect([reply.status, await reply.json()]).toEqual([403, { code: 1, msg: "key验证失败", data: null }]);
    expect(asked).toEqual([`/cache/${NAME}`]);
  });
});

describe("nothing else is served", () => {
  beforeAll(async () => {
    await writeFile(join(rig.dir, "secret.mp3"), "secret");
    await writeFile(join(rig.folder, "tx_9_128k.mp3.1-0123abcd.tmp"), "half");
    await writeFile(join(rig.folder, ".hidden.mp3"), "hidden");
    await writeFile(join(rig.folder, "notes.txt"), "notes");
    await symlink(join(rig.dir, "secret.mp3"), join(rig.folder, "link.mp3"));
    await symlink("/etc/passwd", join(rig.folder, "kg_1_128k.mp3"));
  });

  test.each([
    "/cache/missing.mp3",
    "/cache/tx_1_128k.mp3",
    "/cache/..%2fsecret.mp3",
    "/cache/..%5csecret.mp3",
    "/cache/%2e%2e%2fsecret.mp3",
    "/cache/../secret.mp3",
    "/cache/..",
    "/cache/.",
    "/cache/",
    "/cache",
    `/cache/${NAME}%00`,
    `/cache/${NAME}%00.txt`,
    `/cache/${NAME}/`,
    `/cache//${NAME}`,
    `/cache/%2f${NAME}`,
    "/cache/link.mp3",
    "/cache/kg_1_128k.mp3",
    "/cache/notes.txt",
    "/cache/.hidden.mp3",
    "/cache/tx_9_128k.mp3.1-0123abcd.tmp",
    `/cache/${"a".repeat(5000)}.mp3`,
  ])("%s -> 404", async (target) => {
    expect(await raw(target)).toMatch(/^HTTP\/1\.1 404 /);
  });

  test.each(["/cache/%", "/cache/%zz.mp3", "/cache/%ff%fe.mp3"])("%s is no address at all -> 400", async (target) => {
    expect(await raw(target)).toMatch(/^HTTP\/1\.1 400 /);
  });

  test("the answer is the original's", async () => {
    const reply = await ask("/cache/missing.mp3");
    expect(await reply.json()).toEqual({ code: 6, msg: "未找到您所请求的资源", data: null });
  });
});

test("an odd name of the original's is served too", async () => {
  await writeFile(join(rig.folder, "我的 歌.mp3"), "sound");
  const reply = await ask(`/cache/${encodeURIComponent("我的 歌.mp3")}`);
  expect([reply.status, await reply.text()]).toEqual([200, "sound"]);
  await rm(join(rig.folder, "我的 歌.mp3"));
});

test("a file that has gone is forgotten, so that the next answer is the platform's address", async () => {
  const audio = await makeAudio({ format: "mp3", seconds: 4, tone: 660, bitrate: 128 });
  await rig.cache.fetch(job(rig.origin.put("/b", await Bun.file(audio.path).bytes()), { songId: "gone" }));
  const file = rig.cache.find("tx", "gone", "128k");
  await rm(file?.path ?? "");
  expect((await ask("/cache/tx_gone_128k.mp3")).status).toBe(404);
  for (const deadline = Date.now() + 5000; Date.now() < deadline; await Bun.sleep(2)) {
    if (rig.cache.find("tx", "gone", "128k") === undefined) break;
  }
  expect(rig.cache.find("tx", "gone", "128k")).toBeUndefined();
});

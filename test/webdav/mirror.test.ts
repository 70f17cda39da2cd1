import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger } from "../../src/ops/log.ts";
import type { WebdavConfig } from "../../src/webdav/client.ts";
import { createMirror, type Mirror } from "../../src/webdav/mirror.ts";
import { openSource, webdavConfig } from "./source.ts";
import { startNginx, startRclone, temporary, type Upstream } from "./upstreams.ts";

const SONG = Uint8Array.from({ length: 500_000 }, (_, at) => (at * 7) % 253);

function open(
  url: string,
  mirror: Partial<WebdavConfig["mirror"]> = {},
  more: Partial<WebdavConfig> = {},
  db = new Database(":memory:", { strict: true }),
) {
  const base = webdavConfig({ url, ...more });
  const config = { ...base, mirror: { ...base.mirror, enable: true, retry_delay: 0.05, ...mirror } };
  const webdav = openSource(config, db);
  const own = createMirror({ db, log: silentLogger, config, webdav });
  return {
    mirror: own,
    webdav,
    db,
    async [Symbol.asyncDispose]() {
      await own.close();
      await webdav.close();
    },
  };
}

/** Waits until the queue looks like this. */
async function until(mirror: Mirror, good: (status: ReturnType<Mirror["status"]>) => boolean): Promise<void> {
  while (!good(mirror.status())) await Bun.sleep(5);
}
const settled = (mirror: Mirror) => until(mirror, ({ waiting, running }) => waiting === 0 && running === 0);

describe.each([
  ["rclone", startRclone],
  ["nginx", startNginx],
])("%s as upstream", (_name, start) => {
  let there: Awaited<ReturnType<typeof temporary>>;
  let here: Awaited<ReturnType<typeof temporary>>;
  let upstream: Upstream;
  beforeAll(async () => {
    there = await temporary("lx-there-");
    here = await temporary("lx-here-");
    upstream = await start(there.path);
  });
  afterAll(async () => {
    await upstream[Symbol.asyncDispose]();
    await there[Symbol.asyncDispose]();
    await here[Symbol.asyncDispose]();
  });
  const local = async (name: string, content: string | Uint8Array) => {
    const path = join(here.path, name);
    await writeFile(path, content);
    return path;
  };
  const remote = (name: string) => Bun.file(join(there.path, "cache_audio", name));

  test("files arrive whole under their own names, and are found at once", async () => {
    await using own = open(upstream.url);
    own.mirror.start();
    expect(own.mirror.add(await local("kw_1_320k.mp3", SONG))).toBe(true);
    expect(own.mirror.add(await local("tx_歌 & 曲_flac.flac", "flac"))).toBe(true);
    await settled(own.mirror);
    expect(own.mirror.status()).toMatchObject({ uploaded: 2, failed: 0, lastError: undefined });
    expect(await remote("kw_1_320k.mp3").bytes()).toEqual(SONG);
    expect(await remote("tx_歌 & 曲_flac.flac").text()).toBe("flac");
    expect(await readdir(join(there.path, "temp"))).toEqual([]);
    expect(own.webdav.find("kw", "1", "320k")?.size).toBe(SONG.length);
  });

  test("a newer file takes the place of the older", async () => {
    await using own = open(upstream.url);
    own.mirror.start();
    own.mirror.add(await local("wy_2_128k.mp3", "old"));
    await settled(own.mirror);
    own.mirror.add(await local("wy_2_128k.mp3", "newer"));
    await settled(own.mirror);
    expect(await remote("wy_2_128k.mp3").text()).toBe("newer");
  });

  test("nothing is deleted there unless the operator wants it", async () => {
    const file = await local("mg_3_128k.mp3", "keep");
    {
      await using own = open(upstream.url);
      own.mirror.start();
      own.mirror.add(file);
      await settled(own.mirror);
      own.mirror.removed(file);
      await settled(own.mirror);
      expect(await remote("mg_3_128k.mp3").exists()).toBe(true);
    }
    await using strict = open(upstream.url, { delete: true });
    strict.mirror.start();
    strict.mirror.removed(file);
    await settled(strict.mirror);
    expect(await remote("mg_3_128k.mp3").exists()).toBe(false);
  });

  test("what was not sent is sent after the next start", async () => {
    const db = new Database(":memory:", { strict: true });
    {
      await using stopped = open(upstream.url, {}, {}, db);
      stopped.mirror.add(await local("kg_4_128k.mp3", "later"));
      expect(stopped.mirror.status().waiting).toBe(1);
    }
    await using own = open(upstream.url, {}, {}, db);
    own.mirror.start();
    await settled(own.mirror);
    expect(await remote("kg_4_128k.mp3").text()).toBe("later");
  });

  test("a file that is gone before its turn is nothing to send", async () => {
    await using own = open(upstream.url);
    own.mirror.add(join(here.path, "kw_gone_128k.mp3"));
    own.mirror.start();
    await settled(own.mirror);
    expect(await remote("kw_gone_128k.mp3").exists()).toBe(false);
    expect(own.mirror.status().failed).toBe(0);
  });
});

describe("faults", () => {
  function serve(handler: (request: Request) => Response | Promise<Response>) {
    const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: handler });
    return { url: `http://127.0.0.1:${server.port}/`, [Symbol.dispose]: () => void server.stop(true) };
  }

  test("a refusal is tried again, then given up and listed; a dead server costs no tries", async () => {
    await using here = await temporary("lx-here-");
    const file = join(here.path, "kw_1_128k.mp3");
    await writeFile(file, "x");
    let puts = 0;
    let good = false;
    using server = serve((request) => {
      if (request.method === "PUT") puts++;
      if (good)
        return new Response(null, {
          status: request.method === "HEAD" ? 200 : 201,
          headers: { "content-length": "1" },
        });
      return new Response(null, { status: request.method === "PUT" ? 507 : 201 });
    });
    await using own = open(server.url, { retries: 2 }, { username: "", password: "" });
    own.mirror.start();
    own.mirror.add(file);
    await until(own.mirror, (status) => status.failed === 1);
    expect(puts).toBe(3);
    expect(own.mirror.status().lastError).toBe("WebDAV 上传失败（HTTP 507）");
    good = true;
    own.mirror.retryFailed();
    await settled(own.mirror);
    expect(own.mirror.status()).toMatchObject({ failed: 0, uploaded: 1 });

    await using dead = open("http://127.0.0.1:1/", { retries: 0 }, { username: "", password: "", rest: 0.05 });
    dead.mirror.start();
    dead.mirror.add(file);
    await until(dead.mirror, (status) => status.lastError !== undefined && status.running === 0);
    expect(dead.mirror.status()).toMatchObject({ waiting: 1, failed: 0 });
  });

  test("half a file there is never moved to its name", async () => {
    await using here = await temporary("lx-here-");
    const file = join(here.path, "kw_1_128k.mp3");
    await writeFile(file, "0123456789");
    const methods: string[] = [];
    using server = serve((request) => {
      methods.push(request.method);
      return new Response(null, { status: request.method === "HEAD" ? 200 : 201, headers: { "content-length": "4" } });
    });
    await using own = open(server.url, { retries: 0 }, { username: "", password: "" });
    own.mirror.start();
    own.mirror.add(file);
    await until(own.mirror, (status) => status.failed === 1);
    expect(methods).not.toContain("MOVE");
  });

  test("the queue has a bound; switched off, it takes nothing", async () => {
    await using own = open("http://127.0.0.1:1/", { queue: 2 });
    expect([1, 2, 3].map((n) => own.mirror.add(`/x/kw_${n}_128k.mp3`))).toEqual([true, true, false]);
    expect(own.mirror.add("/y/kw_1_128k.mp3")).toBe(true);
    await using off = open("http://127.0.0.1:1/", { enable: false });
    expect(off.mirror.add("/x/a.mp3")).toBe(false);
  });
});

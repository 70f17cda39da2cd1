import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { addressKey } from "../../src/cache/adapters.ts";
import { type CacheOperator, createOperator } from "../../src/cache/operate.ts";
import { createWarmer, type WarmItem } from "../../src/cache/warm.ts";
import { cacheCommands } from "../../src/cli/cache.ts";
import type { CommandContext } from "../../src/cli/command.ts";
import { AppError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { address, openCache } from "../cache/open.ts";
import { startRedis } from "../cache/redis-server.ts";
import { cacheSettings } from "../cache/settings.ts";

let it: Awaited<ReturnType<typeof openCache>>;
let operator: CacheOperator;
const warmed: WarmItem[] = [];

beforeAll(async () => {
  it = await openCache(cacheSettings());
  const warm = createWarmer({
    async *songs() {
      yield* ["s1", "s2"];
    },
    async fetch(item) {
      warmed.push(item);
      if (item.songId === "s2" && item.what.kind === "lyric") throw new AppError("upstream_not_found", "没有歌词");
      return { cached: false };
    },
    gapMs: () => 0,
  });
  operator = createOperator({
    cache: it.cache,
    config: () => it.config.current,
    warm,
    log: silentLogger,
    now: it.clock.now,
  });
  for (let index = 0; index < 4; index++) {
    const request = { source: "kg", songId: `s${index}`, quality: "320k", client: "c", bypass: false } as const;
    await it.addresses.through(request, async () => address(`http://a.test/${index}`));
  }
});
afterAll(async () => {
  await it[Symbol.asyncDispose]();
});

async function run(name: string, positionals: string[] = [], values: CommandContext["values"] = {}) {
  const command = cacheCommands(async () => operator).find((one) => one.name === `cache ${name}`);
  if (command === undefined) throw new Error(`no command ${name}`);
  const seen = { value: undefined as unknown, text: "", progress: 0 };
  const code = await command.run({
    positionals,
    values,
    json: false,
    dataDir: it.folder,
    configFile: undefined,
    say: (line) => {
      seen.text += `${line}\n`;
    },
    result(value, text) {
      seen.value = value;
      seen.text += text ?? "";
    },
    progress: () => ({
      update: () => {
        seen.progress += 1;
      },
      end() {},
    }),
    app: () => Promise.reject(new Error("not needed")),
  });
  return { code, ...seen };
}

test("stats has a line per tier", async () => {
  expect((await run("stats")).text).toMatch(
    /^memory {2}up {10}4 entries, 0\.0 MiB\nsqlite {2}up {10}4 entries, 0\.0 MiB$/,
  );
});

test("get shows entries, and says when there is none", async () => {
  expect((await run("get", ["v1:url:kg:320k:s1:*"])).value).toMatchObject([{ value: { url: "http://a.test/1" } }]);
  await expect(run("get", ["v1:url:tx:*"])).rejects.toMatchObject({ kind: "not_found" });
});

test("export, delete, import: what was written comes back, and nobody else can read the file", async () => {
  const file = join(it.folder, "out.ndjson");
  expect((await run("export", [file])).text).toBe(`4 entries written to ${file}`);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await run("delete", ["*"])).value).toEqual({ deleted: 4 });
  expect((await run("export", [file], { prefix: "v1:lyric:" })).value).toMatchObject({ entries: 0 });
  await expect(run("export", [join(it.folder, "no", "such", "folder")])).rejects.toMatchObject({
    kind: "storage_failed",
  });
  await expect(run("import", [join(it.folder, "absent")])).rejects.toMatchObject({ kind: "invalid_request" });
  expect((await readdir(it.folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test("import tells what it read, and fails when all of it is damaged", async () => {
  const file = join(it.folder, "in.ndjson");
  await Bun.write(file, '{"key":"v1:url:kg:a","expiresAt":null,"value":{"t":1,"f":null,"d":1}}\n{"key"\n');
  expect(await run("import", [file])).toMatchObject({
    code: 0,
    text: "2 read: 1 written, 0 past their time, 0 of other kinds, 1 damaged",
  });
  await Bun.write(file, "damaged\n");
  expect((await run("import", [file])).code).toBe(1);
});

test("import knows the Python server's cache.db by itself", async () => {
  const file = join(it.folder, "original.db");
  const db = new Database(file);
  db.run(
    "CREATE TABLE cache (id INTEGER PRIMARY KEY AUTOINCREMENT, module TEXT NOT NULL, key TEXT NOT NULL, data TEXT NOT NULL)",
  );
  db.run(
    `INSERT INTO cache (module, key, data) VALUES ('urls', 'kg_A_128k', '{"expire":true,"time":${Math.floor(it.clock.now() / 1000) + 100},"url":"http:\\/\\/a.test\\/old"}')`,
  );
  db.close();
  expect((await run("import", [file])).value).toMatchObject({ written: 1 });
  expect((await operator.find(addressKey("kg", "a", "128k"), 1))[0]?.value).toMatchObject({ url: "http://a.test/old" });
});

test("import reads the Python server's Redis, with its password and prefix", async () => {
  await using redis = await startRedis("--requirepass", "p@ss");
  await redis.command("SET", "OLD:urls:tx_1_flac", '{"expire":false,"time":0,"url":"http://a.test/redis"}');
  const from = `redis://:p%40ss@127.0.0.1:${redis.port}`;
  expect((await run("import", [from], { prefix: "OLD" })).value).toMatchObject({ written: 1 });
  expect((await operator.find(addressKey("tx", "1", "flac"), 1))[0]?.value).toMatchObject({
    url: "http://a.test/redis",
  });
  await expect(run("import", ["redis://"])).rejects.toMatchObject({ kind: "invalid_request" });
});

test("warm asks for what it is told, with progress", async () => {
  const { value, text, progress } = await run("warm", ["kg", "playlist", "1"], {
    quality: "128k,flac",
    also: "lyric",
    gap: "0",
  });
  expect(value).toEqual({ songs: 2, fetched: 5, cached: 0, failed: 1 });
  expect(text).toBe("2 songs: 5 fetched, 0 there already, 1 refused");
  expect(progress).toBe(6);
  expect(warmed.map((item) => item.songId)).toEqual(["s1", "s1", "s1", "s2", "s2", "s2"]);
});

test.each([
  { name: "an unknown source", words: ["xx", "playlist", "1"], values: {} },
  { name: "an unknown list", words: ["kg", "radio", "1"], values: {} },
  { name: "an unknown quality", words: ["kg", "playlist", "1"], values: { quality: "999k" } },
  { name: "a gap that is no number", words: ["kg", "playlist", "1"], values: { gap: "soon" } },
])("warm with $name is bad usage", async ({ words, values }) => {
  await expect(run("warm", [...words], values)).rejects.toMatchObject({ kind: "invalid_request" });
});

test("prune says what went", async () => {
  expect((await run("prune")).text).toMatch(/^\d+ entries dropped$/);
});

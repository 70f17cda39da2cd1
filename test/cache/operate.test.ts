import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import fc from "fast-check";
import { addressKey } from "../../src/cache/adapters.ts";
import { createOperator } from "../../src/cache/operate.ts";
import { exportLines, linesOf, noCounts, readLines } from "../../src/cache/transfer.ts";
import { createWarmer, type WarmItem, type WarmRequest } from "../../src/cache/warm.ts";
import { AppError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createCatalogCache } from "../../src/resolve/stored.ts";
import { address, by, openCache } from "./open.ts";
import { startRedis } from "./redis-server.ts";
import { cacheSettings } from "./settings.ts";

const noSongs = createWarmer({
  async *songs() {},
  fetch: async () => ({ cached: true }),
  gapMs: () => 0,
});

async function openOperated(...args: Parameters<typeof openCache>) {
  const it = await openCache(...args);
  const operator = createOperator({
    cache: it.cache,
    config: () => it.config.current,
    warm: noSongs,
    log: silentLogger,
    now: it.clock.now,
  });
  return Object.assign(it, { operator });
}

const request = { source: "kg", songId: "a", quality: "320k", client: "c", bypass: false } as const;
const fill = async (it: Awaited<ReturnType<typeof openOperated>>, count: number) => {
  for (let index = 0; index < count; index++) {
    await it.addresses.through({ ...request, songId: `s${index}` }, async () => address(`http://a.test/${index}`));
  }
};

describe("statistics, looking and deleting", () => {
  test("tell entries and bytes of every tier", async () => {
    await using it = await openOperated(cacheSettings());
    await fill(it, 5);
    const report = await it.operator.stats();
    expect(report.tiers.map((tier) => [tier.name, tier.size?.entries])).toEqual([
      ["memory", 5],
      ["sqlite", 5],
    ]);
    expect(report.tiers.every((tier) => (tier.size?.bytes ?? 0) > 1000)).toBe(true);
    expect(report.kinds.url.misses).toBe(5);
  });

  test("one key, a prefix, and what is not there", async () => {
    await using it = await openOperated(cacheSettings());
    await fill(it, 3);
    const key = addressKey("kg", "s1", "320k");
    expect(await it.operator.find(key, 10)).toMatchObject([{ key, tier: "memory", value: { url: "http://a.test/1" } }]);
    expect(await it.operator.find("v1:url:kg:*", 10)).toHaveLength(3);
    expect(await it.operator.find("v1:url:kg:*", 2)).toHaveLength(2);
    expect(await it.operator.find("v1:url:tx:*", 10)).toEqual([]);
    expect(await it.operator.find("v1:nothing", 10)).toEqual([]);
    expect(await it.operator.delete(key)).toBe(1);
    expect(await it.operator.delete(key)).toBe(0);
    expect(await it.operator.delete("v1:url:*")).toBe(2);
    expect(it.addresses.peek(addressKey("kg", "s0", "320k"), by("x"))).toBeUndefined();
    expect(await it.operator.find("*", 10)).toEqual([]);
  });

  test("what another process deletes is gone from this one's memory", async () => {
    await using server = await openOperated(cacheSettings());
    await fill(server, 2);
    await server.cache.chain.link("sqlite")?.tier.size?.();
    await using command = await openOperated(cacheSettings(), server.folder);
    expect(await command.operator.delete(addressKey("kg", "s0", "320k"))).toBe(1);
    const gone = (id: string) =>
      server.addresses.peek(addressKey("kg", id, "320k"), by(crypto.randomUUID())) === undefined;
    for (let round = 0; round < 100 && !gone("s0"); round++) await Bun.sleep(50);
    expect([gone("s0"), gone("s1")]).toEqual([true, false]);
  });

  test("pruning drops what is past its time", async () => {
    await using it = await openOperated(cacheSettings());
    await fill(it, 4);
    it.clock.advance(1_000_000);
    expect(await it.operator.prune()).toBeGreaterThanOrEqual(4);
    expect((await it.operator.stats()).tiers.map((tier) => tier.size?.entries)).toEqual([0, 0]);
  });
});

describe("as a command: at once after the start, and gone right after it", () => {
  const pattern = "v1:url:kg:*";
  const onRedis = (port: number) => cacheSettings({ adapter: "redis", redis: { port } });

  /** A server that was there before has stored three songs. @returns its export */
  async function storeThree(port: number): Promise<string[]> {
    await using server = await openOperated(onRedis(port));
    await server.operator.stats();
    await fill(server, 3);
    await server.cache.settle();
    return await Array.fromAsync(server.operator.export(""));
  }

  test.each<{ name: string; run: (it: Awaited<ReturnType<typeof openOperated>>) => Promise<unknown>; gives: unknown }>([
    {
      name: "stats",
      run: async ({ operator }) => (await operator.stats()).tiers.map(({ name, size }) => [name, size?.entries]),
      gives: [
        ["memory", 0],
        ["redis", 3],
        ["sqlite", 0],
      ],
    },
    { name: "get", run: async ({ operator }) => (await operator.find(pattern, 10)).length, gives: 3 },
    {
      name: "get of one key",
      run: async ({ operator }) => (await operator.find(addressKey("kg", "s1", "320k"), 1)).length,
      gives: 1,
    },
    { name: "export", run: async ({ operator }) => (await Array.fromAsync(operator.export(""))).length, gives: 3 },
    { name: "delete", run: ({ operator }) => operator.delete(pattern), gives: 3 },
    { name: "delete of one key", run: ({ operator }) => operator.delete(addressKey("kg", "s1", "320k")), gives: 1 },
    { name: "prune", run: ({ operator }) => operator.prune(), gives: 0 },
  ])("$name waits for the connection to Redis", async ({ run, gives }) => {
    await using redis = await startRedis();
    await storeThree(redis.port);
    await using command = await openOperated(onRedis(redis.port));
    expect(await run(command)).toEqual(gives);
  });

  test("import waits for it too", async () => {
    await using redis = await startRedis();
    const lines = await storeThree(redis.port);
    await redis.command("FLUSHALL");
    await using command = await openOperated(onRedis(redis.port));
    expect(await command.operator.import(linesOf(new Blob(lines).stream()))).toMatchObject({ written: 3 });
    expect(Number(await redis.command("DBSIZE"))).toBe(3);
  });

  test("without Redis: the rest is looked at, and what could not be deleted everywhere is said", async () => {
    await using it = await openOperated(onRedis(1));
    await fill(it, 3);
    expect((await it.operator.stats()).tiers.map(({ name, state }) => [name, state])).toEqual([
      ["memory", "up"],
      ["redis", "down"],
      ["sqlite", "up"],
    ]);
    expect(await it.operator.find(pattern, 10)).toHaveLength(3);
    expect(await Array.fromAsync(it.operator.export(""))).toHaveLength(3);
    expect(await it.operator.prune()).toBe(0);
    const refused = { kind: "storage_failed", message: "redis: 无法访问，那里没有删除" };
    await expect(it.operator.delete(addressKey("kg", "s1", "320k"))).rejects.toMatchObject(refused);
    expect(await it.operator.find(pattern, 10)).toHaveLength(2);
    await expect(it.operator.delete("*")).rejects.toMatchObject(refused);
    expect(await it.operator.find(pattern, 10)).toEqual([]);
  }, 60_000);

  test("a key is deleted when the command says so, and not a moment later", async () => {
    await using server = await openOperated(cacheSettings());
    await fill(server, 1);
    await server.cache.chain.link("sqlite")?.tier.size?.();
    await using command = await openOperated(cacheSettings(), server.folder);
    await command.operator.delete(addressKey("kg", "s0", "320k"));
    const db = new Database(join(server.folder, "cache.db"), { readonly: true });
    expect(db.query("SELECT count(*) AS rows FROM cache_entries_v1").get()).toEqual({ rows: 0 });
    db.close();
  });

  test("a key that a locked database keeps is not said to be deleted", async () => {
    await using it = await openOperated(cacheSettings());
    await fill(it, 1);
    await it.cache.chain.link("sqlite")?.tier.size?.();
    const lock = new Database(join(it.folder, "cache.db"));
    lock.run("BEGIN IMMEDIATE");
    await expect(it.operator.delete(addressKey("kg", "s0", "320k"))).rejects.toMatchObject({ kind: "storage_failed" });
    lock.close();
  }, 60_000);
});

describe("export and import", () => {
  test("what was exported is what is imported, deadlines included; memory does not keep an older value", async () => {
    await using from = await openOperated(cacheSettings());
    await fill(from, 1200);
    const lines = await Array.fromAsync(from.operator.export("v1:url:"));
    expect(lines).toHaveLength(1200);
    await using to = await openOperated(cacheSettings());
    await to.addresses.through({ ...request, songId: "s7" }, async () => address("http://old.test/"));
    const steps: number[] = [];
    const bytes = new Blob(lines).stream();
    const counts = await to.operator.import(linesOf(bytes), { progress: ({ written }) => void steps.push(written) });
    expect(counts).toEqual({ read: 1200, written: 1200, expired: 0, skipped: 0, invalid: 0 });
    expect(steps).toEqual([500, 1000, 1200]);
    const before = await from.operator.find(addressKey("kg", "s7", "320k"), 1);
    const after = await to.operator.find(addressKey("kg", "s7", "320k"), 1);
    expect(after).toEqual(before.map((entry) => ({ ...entry, tier: "sqlite" })));
    expect((await Array.fromAsync(to.operator.export(""))).sort()).toEqual(lines.sort());
  });

  test.each([
    { name: "no JSON", line: "{", counted: "invalid" },
    { name: "no object", line: "[]", counted: "invalid" },
    {
      name: "another version of keys",
      line: '{"key":"v0:url:kg:a","expiresAt":null,"value":{"t":1,"f":null,"d":1}}',
      counted: "invalid",
    },
    {
      name: "an unknown kind",
      line: '{"key":"v1:odd:kg:a","expiresAt":null,"value":{"t":1,"f":null,"d":1}}',
      counted: "invalid",
    },
    { name: "no envelope", line: '{"key":"v1:url:kg:a","expiresAt":null,"value":"http://a.test"}', counted: "invalid" },
    { name: "no value", line: '{"key":"v1:url:kg:a","expiresAt":null}', counted: "invalid" },
    {
      name: "past its time",
      line: '{"key":"v1:url:kg:a","expiresAt":5,"value":{"t":1,"f":5,"d":1}}',
      counted: "expired",
    },
    { name: "good", line: '{"key":"v1:url:kg:a","expiresAt":null,"value":{"t":1,"f":null,"d":1}}', counted: "written" },
    { name: "empty", line: "  ", counted: "none" },
  ])("a line that is $name counts as $counted", async ({ line, counted }) => {
    await using it = await openOperated(cacheSettings());
    const counts = await it.operator.import(
      (async function* () {
        yield line;
      })(),
    );
    const expected: Record<string, number> = { ...noCounts(), read: counted === "none" ? 0 : 1 };
    if (counted !== "none") expected[counted] = 1;
    expect(counts).toEqual(expected as typeof counts & Record<string, number>);
  });

  test("lines are found however the bytes are cut", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: "grapheme" }).map((text) => text.replace(/\n/g, ""))),
        fc.integer({ min: 1, max: 7 }),
        async (lines, size) => {
          const bytes = new TextEncoder().encode(lines.map((line) => line.toWellFormed()).join("\n"));
          async function* pieces() {
            for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
          }
          const found = await Array.fromAsync(linesOf(pieces()));
          expect(found.join("\n")).toBe(lines.map((line) => line.toWellFormed()).join("\n"));
        },
      ),
    );
  });

  test("a damaged line costs itself only", async () => {
    await using it = await openOperated(cacheSettings());
    await fill(it, 20);
    const lines = await Array.fromAsync(exportLines(it.cache.chain, ""));
    lines[3] = lines[3]?.slice(0, 40) ?? "";
    const counts = noCounts();
    const read = await Array.fromAsync(
      readLines(
        (async function* () {
          yield* lines.map((line) => line.trim());
        })(),
        counts,
      ),
    );
    expect([read.length, counts.invalid]).toEqual([19, 1]);
  });
});

describe("the original's cache", () => {
  const NOW = 1_700_000_000;
  const rows = [
    {
      name: "kg",
      module: "urls",
      key: "kg_ABCDEF_320k",
      data: { expire: true, time: NOW + 1000, url: "http://a.test/kg" },
    },
    {
      name: "time as text",
      module: "urls",
      key: "tx_003OUlho2HcRHC_flac",
      data: { expire: true, time: `${NOW + 500}`, url: "http://a.test/tx" },
    },
    {
      name: "a quality with a bar",
      module: "urls",
      key: "tx_mid_atmos_plus",
      data: { expire: true, time: NOW + 500, url: "http://a.test/plus" },
    },
    {
      name: "without end",
      module: "urls",
      key: "mg_1_2_128k",
      data: { expire: false, time: 0, url: "http://a.test/mg" },
    },
    {
      name: "newest form",
      module: "urls",
      key: "wy_33_128k",
      data: { expire: true, time: NOW + 100, url: { url: "http://a.test/wy", quality: "128k", ekey: "" } },
    },
    {
      name: "past its time",
      module: "urls",
      key: "kw_1_128k",
      data: { expire: true, time: NOW - 1, url: "http://a.test/kw" },
    },
    {
      name: "an unknown source",
      module: "urls",
      key: "xx_1_128k",
      data: { expire: true, time: NOW + 100, url: "http://a.test/" },
    },
    { name: "no quality", module: "urls", key: "kg_1", data: { expire: true, time: NOW + 100, url: "http://a.test/" } },
    { name: "a path", module: "urls", key: "kg_2_128k", data: { expire: true, time: NOW + 100, url: "/cache/a.mp3" } },
    {
      name: "a lyric",
      module: "lyric",
      key: "kg_ABCDEF",
      data: { expire: true, time: NOW + 100, data: { lyric: "[00:01]la", tlyric: null } },
    },
    { name: "another module", module: "info", key: "kg_1", data: { expire: true, time: NOW + 100, data: {} } },
  ];
  /** As the original writes it: no spaces, slashes escaped. */
  const ujson = (data: unknown) => JSON.stringify(data).replaceAll("/", "\\/");
  const counts = { read: 12, written: 6, expired: 1, skipped: 1, invalid: 4 };

  async function holdsThem(it: Awaited<ReturnType<typeof openOperated>>) {
    const never = async () => Promise.reject(new Error("asked"));
    const asked = (
      source: "kg" | "tx" | "mg" | "wy",
      songId: string,
      quality: "320k" | "flac" | "128k" | "atmos_plus",
    ) => it.addresses.through({ source, songId, quality, client: crypto.randomUUID(), bypass: false }, never);
    expect(await asked("kg", "abcdef", "320k")).toMatchObject({
      status: "hit",
      value: { url: "http://a.test/kg" },
      expiresAt: (NOW + 1000) * 1000,
      realExpiresAt: (NOW + 1000 + 86_400 / 4) * 1000,
    });
    expect(await asked("tx", "003OUlho2HcRHC", "flac")).toMatchObject({
      realExpiresAt: (NOW + 500 + 80_400 / 4) * 1000,
    });
    expect((await asked("tx", "mid", "atmos_plus")).value.url).toBe("http://a.test/plus");
    expect((await asked("mg", "1_2", "128k")).realExpiresAt).toBeUndefined();
    expect((await asked("wy", "33", "128k")).value.url).toBe("http://a.test/wy");
    const lyric = await createCatalogCache(it.cache).through(
      { kind: "lyric", form: "lyric", source: "kg", id: "abcdef", bypass: false },
      never,
    );
    expect(lyric).toMatchObject({ status: "hit", value: { lyric: "[00:01]la", tlyric: "", rlyric: "", lxlyric: "" } });
  }

  test("cache.db: every row is counted, and what is of use is served", async () => {
    await using it = await openOperated(cacheSettings());
    const path = join(it.folder, "original.db");
    const db = new Database(path);
    db.run(
      "CREATE TABLE cache (id INTEGER PRIMARY KEY AUTOINCREMENT, module TEXT NOT NULL, key TEXT NOT NULL, data TEXT NOT NULL)",
    );
    for (const row of rows)
      db.query("INSERT INTO cache (module, key, data) VALUES (?, ?, ?)").run(row.module, row.key, ujson(row.data));
    db.query("INSERT INTO cache (module, key, data) VALUES ('urls', 'kg_9_128k', '{broken')").run();
    // Columns of SQLite take anything.
    db.query("INSERT INTO cache (module, key, data) VALUES ('urls', x'00ff', x'00ff'), (7, 'kg_9_128k', '{}')").run();
    db.close();
    const { read, skipped, invalid } = counts;
    const more = { ...counts, read: read + 2, skipped: skipped + 1, invalid: invalid + 1 };
    expect(await it.operator.importOriginal(path)).toEqual(more);
    await holdsThem(it);
  });

  test("Redis keys: the same, and nothing of the server is changed", async () => {
    await using redis = await startRedis();
    await using it = await openOperated(cacheSettings());
    for (const row of rows) await redis.command("SET", `OLD*:${row.module}:${row.key}`, ujson(row.data));
    await redis.command("SET", "OLD*:urls:kg_9_128k", "{broken");
    await redis.command("HSET", "OLD*:urls:kg_7_128k", "another", "type");
    await redis.command("SET", "OLDER:urls:kg_8_128k", ujson({ expire: false, time: 0, url: "http://a.test/8" }));
    // Other modules are not even read there.
    const found = await it.operator.importOriginalRedis({ port: redis.port, key_prefix: "OLD*" });
    expect(found).toEqual({ ...counts, read: 12, skipped: 0, invalid: counts.invalid + 1 });
    await holdsThem(it);
    expect(Number(await redis.command("DBSIZE"))).toBe(rows.length + 3);
  });

  test("rows without a key or content are counted as damaged, and cost the others nothing", async () => {
    await using it = await openOperated(cacheSettings());
    const path = join(it.folder, "original.db");
    const db = new Database(path);
    db.run("CREATE TABLE cache (id INTEGER PRIMARY KEY, module, key, data)");
    const good = ujson({ expire: false, time: 0, url: "http://a.test/1" });
    const put = db.query("INSERT INTO cache (module, key, data) VALUES (?, ?, ?)");
    for (const [module, key, data] of [
      ["urls", null, good],
      ["urls", "kg_1_128k", null],
      [null, "kg_1_128k", good],
      ["urls", 5, 6],
      ["urls", "kg_1_128k", good],
    ] as const)
      put.run(module, key, data);
    db.close();
    expect(await it.operator.importOriginal(path)).toEqual({ read: 5, written: 1, expired: 0, skipped: 1, invalid: 3 });
  });

  test.each([
    { name: "a database without that table", make: (path: string) => new Database(path).run("CREATE TABLE other (a)") },
    { name: "no database", make: (path: string) => Bun.write(path, "SQLite format 3, or so it says") },
  ])("$name is refused", async ({ make }) => {
    await using it = await openOperated(cacheSettings());
    const path = join(it.folder, "other.db");
    await make(path);
    await expect(it.operator.importOriginal(path)).rejects.toMatchObject({ kind: "invalid_request" });
  });
});

describe("warming", () => {
  const asked: WarmRequest = {
    source: "kg",
    from: "playlist",
    id: "1",
    qualities: ["128k", "320k"],
    also: ["lyric"],
    limit: 3,
    gapMs: 0,
  };
  const make = (fetch: (item: WarmItem) => Promise<{ cached: boolean }>) =>
    createWarmer({
      async *songs() {
        for (let index = 0; index < 100; index++) yield `s${index}`;
      },
      fetch,
      gapMs: () => 0,
    });

  test("asks for every song in every quality, up to the limit, and counts", async () => {
    const items: string[] = [];
    const warm = make(async ({ songId, what }) => {
      items.push(`${songId} ${what.kind === "url" ? what.quality : what.kind}`);
      if (items.length === 2) throw new AppError("upstream_needs_purchase", "需要购买");
      return { cached: items.length === 3 };
    });
    expect(await warm(asked)).toEqual({ songs: 3, fetched: 7, cached: 1, failed: 1 });
    expect(items.slice(0, 4)).toEqual(["s0 128k", "s0 320k", "s0 lyric", "s1 128k"]);
    expect(items).toHaveLength(9);
  });

  test("leaves a gap after each question that reached the platform, and none after a hit", async () => {
    const times: number[] = [];
    const warm = make(async () => {
      times.push(performance.now());
      return { cached: times.length > 3 };
    });
    await warm({ ...asked, qualities: ["128k"], also: [], limit: 10, gapMs: 40 });
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(gaps.slice(0, 3).every((gap) => gap >= 39)).toBe(true);
    expect(times).toHaveLength(10);
  });

  test("stops when it is told to", async () => {
    const stopper = new AbortController();
    let calls = 0;
    const warm = make(async () => {
      calls += 1;
      if (calls === 2) stopper.abort();
      return { cached: false };
    });
    await expect(warm(asked, { signal: stopper.signal })).rejects.toThrow();
    expect(calls).toBe(2);
  });

  test("an unexpected fault ends it", async () => {
    await expect(make(async () => Promise.reject(new TypeError("oops")))(asked)).rejects.toThrow("oops");
  });
});

import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAddressStore } from "../../src/cache/adapters.ts";
import { createCache } from "../../src/cache/index.ts";
import { address, type Line, recordingLogger } from "./open.ts";
import { startRedis, until } from "./redis-server.ts";
import { cacheSettings } from "./settings.ts";

/** A cache on this Redis, and a load on it that never stops by itself. */
async function underLoad(port: number, changes: { sqlite?: boolean } = {}) {
  const folder = await mkdtemp(join(tmpdir(), "lx-cache-"));
  const lines: Line[] = [];
  const settings = cacheSettings({
    adapter: "redis",
    redis: { port },
    sqlite: { enable: changes.sqlite ?? true },
    breaker: { base: 50, max: 200 },
    heal: { enable: false },
  });
  const cache = createCache({
    config: () => settings,
    databasePath: join(folder, "cache.db"),
    log: recordingLogger(lines),
  });
  const addresses = createAddressStore(cache);
  const redis = cache.chain.link("redis");
  const state = {
    running: true,
    done: 0,
    failed: [] as unknown[],
    slowestMs: 0,
    loads: 0,
    redisHits: () => redis?.counts.hits ?? 0,
  };

  /** Half of the questions are of songs that were asked for before, by another instance as it were. */
  async function worker(number: number): Promise<void> {
    for (let round = 0; state.running; round++) {
      const songId = round % 2 === 0 ? `new-${number}-${round}` : `known-${round % 40}`;
      const start = performance.now();
      try {
        const answer = await addresses.through(
          { source: "kg", songId, quality: "320k", client: `${number}`, bypass: false },
          async () => {
            state.loads += 1;
            await Bun.sleep(2);
            return address(`http://a.test/${songId}`);
          },
        );
        if (answer.value.url !== `http://a.test/${songId}`) throw new Error(`a wrong answer for ${songId}`);
        state.done += 1;
      } catch (error) {
        state.failed.push(error);
      }
      state.slowestMs = Math.max(state.slowestMs, performance.now() - start);
    }
  }

  await until(async () => (await redis?.tier.size?.().catch(() => undefined)) !== undefined, "a connection");
  const workers = Array.from({ length: 16 }, (_, number) => worker(number));
  return {
    state,
    lines,
    cache,
    redisState: () => cache.stats().tiers.find((tier) => tier.name === "redis")?.state,
    /** Waits until this many more questions were answered. */
    async answered(more: number) {
      const goal = state.done + more;
      await until(() => state.done >= goal, `${more} more answers`, 20_000);
    },
    async [Symbol.asyncDispose]() {
      state.running = false;
      await Promise.all(workers);
      await cache.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const notes = (lines: Line[]) => lines.filter((line) => line.level === "warn" || line.level === "error");

describe("under load, no request fails", () => {
  test("while Redis is stopped, goes on, is killed and comes back", async () => {
    await using redis = await startRedis();
    await using it = await underLoad(redis.port);
    await it.answered(500);
    expect(it.redisState()).toBe("up");

    redis.signal("SIGSTOP");
    await until(() => it.redisState() !== "up", "the breaker to open");
    await it.answered(1000);
    redis.signal("SIGCONT");
    await until(() => it.redisState() === "up", "Redis to be used again", 20_000);
    await it.answered(500);

    await redis.kill();
    await until(() => it.redisState() !== "up", "the breaker to open");
    await it.answered(1000);
    await redis.restart();
    await until(() => it.redisState() === "up", "Redis to be used again", 20_000);
    const hits = it.state.redisHits();
    await it.answered(500);

    expect(it.state.failed).toEqual([]);
    // The deadline of one operation is 80 ms; a question asks Redis a handful of times at most.
    expect(it.state.slowestMs).toBeLessThan(2000);
    expect(Number(await redis.command("DBSIZE"))).toBeGreaterThan(0);
    expect(it.state.redisHits()).toBeGreaterThanOrEqual(hits);
    const times = notes(it.lines).length;
    expect(times).toBeGreaterThan(0);
    expect(times).toBeLessThan(40);
  }, 60_000);

  test.each([
    { name: "read-only", break: ["REPLICAOF", "127.0.0.1", "1"], mend: ["REPLICAOF", "NO", "ONE"] },
    { name: "out of memory", break: ["CONFIG", "SET", "maxmemory", "1"], mend: ["CONFIG", "SET", "maxmemory", "0"] },
    {
      name: "refusing our user",
      break: ["ACL", "SETUSER", "default", "-set", "-eval"],
      mend: ["ACL", "SETUSER", "default", "+set", "+eval"],
    },
  ])(
    "while Redis is $name: it is still read, and written again afterwards",
    async ({ break: broken, mend }) => {
      await using redis = await startRedis("--maxmemory-policy", "noeviction");
      await using it = await underLoad(redis.port);
      await it.answered(300);
      const [command = "", ...rest] = broken;
      await redis.command(command, ...rest);
      await until(() => it.redisState() === "writes_down", "the breaker of writes to open");
      await it.answered(500);
      const [again = "", ...args] = mend;
      await redis.command(again, ...args);
      await until(() => it.redisState() === "up", "Redis to be written again");
      await until(() => it.cache.stats().tiers[1]?.missedWrites === 0, "what was missed to be caught up");
      expect(it.state.failed).toEqual([]);
      expect(notes(it.lines).every((line) => line.message === "cache tier fails, served without it")).toBe(true);
    },
    60_000,
  );
});

test("a Redis that is not there from the start is no reason to fail or to wait", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lx-cache-"));
  const lines: Line[] = [];
  const settings = cacheSettings({ adapter: "redis", redis: { port: 1 } });
  const cache = createCache({
    config: () => settings,
    databasePath: join(folder, "cache.db"),
    log: recordingLogger(lines),
  });
  const addresses = createAddressStore(cache);
  for (let index = 0; index < 50; index++) {
    const load = async () => address(`http://a.test/${index}`);
    const request = { source: "kg", songId: `s${index}`, quality: "320k", client: "x", bypass: false } as const;
    expect((await addresses.through(request, load)).status).toBe("miss");
  }
  expect(cache.stats().tiers.map((tier) => [tier.name, tier.state])).toEqual([
    ["memory", "up"],
    ["redis", "down"],
    ["sqlite", "up"],
  ]);
  expect(
    notes(lines)
      .map((line) => line.fields?.["what"])
      .sort(),
  ).toEqual(["reads", "writes"]);
  await cache.close();
  await rm(folder, { recursive: true, force: true });
});

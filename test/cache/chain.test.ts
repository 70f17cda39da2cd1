import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createChain } from "../../src/cache/chain.ts";
import { createMemoryTier } from "../../src/cache/memory.ts";
import type { CacheTier, Entry, TierName } from "../../src/cache/tier.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { type Line, recordingLogger } from "./open.ts";
import { manualClock } from "./settings.ts";

/** A tier that can be made to fail: refuse, or do its work and lose the reply. */
function flaky(name: TierName, now: () => number) {
  const inner = createMemoryTier({ maxBytes: 8 << 20, now });
  const state = { reads: "up" as "up" | "down" | "hung", writes: "up" as "up" | "down" | "lost", asked: 0 };
  const tier: CacheTier = {
    name,
    async get(key) {
      state.asked += 1;
      await Bun.sleep(0);
      if (state.reads === "hung") await new Promise(() => undefined);
      if (state.reads === "down") throw new Error(`${name} is down`);
      return inner.get(key);
    },
    set: (key, entry) => writing(() => inner.set(key, entry)),
    delete: (key) => writing(() => inner.delete(key)),
    close: () => inner.close(),
  };
  async function writing(work: () => Promise<void>): Promise<void> {
    if (state.writes === "down") throw new Error(`${name} takes no writes`);
    await work();
    await Bun.sleep(0);
    if (state.writes === "lost") throw new Error(`${name} lost the reply`);
  }
  return { tier, state, inner };
}

const options = { breaker: { failures: 2, baseMs: 0, maxMs: 0 }, random: () => 0, log: silentLogger };

type Step =
  | { do: "set"; key: string; value: string; life: number }
  | { do: "delete"; key: string }
  | { do: "get"; key: string }
  | { do: "wait"; ms: number }
  | { do: "fail"; tier: number; reads: "up" | "down"; writes: "up" | "down" | "lost" }
  | { do: "drop from memory"; key: string };

const key = fc.constantFrom("a", "b", "c");
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("set" as const),
      key,
      value: fc.string({ maxLength: 4 }),
      life: fc.integer({ min: 1, max: 100 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("delete" as const), key }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("get" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 60 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("fail" as const),
      tier: fc.constantFrom(0, 1),
      reads: fc.constantFrom("up" as const, "down" as const),
      writes: fc.constantFrom("up" as const, "down" as const, "lost" as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drop from memory" as const), key }) },
);

/** Runs the steps against the chain and against a map with deadlines. */
async function compare(steps: Step[], withMemory: boolean): Promise<void> {
  const clock = manualClock();
  const far = [flaky("redis", clock.now), flaky("sqlite", clock.now)] as const;
  const memory = createMemoryTier({ maxBytes: 8 << 20, now: clock.now });
  const tiers = [...(withMemory ? [{ tier: memory }] : []), ...far.map(({ tier }) => ({ tier }))];
  const chain = createChain({ ...options, tiers, now: clock.now });
  const model = new Map<string, Entry>();
  const expected = (name: string) => {
    const entry = model.get(name);
    return entry !== undefined && entry.expiresAt > clock.now() ? entry : undefined;
  };
  let droppedFromMemory = false;
  for (const one of steps) {
    if (one.do === "wait") clock.advance(one.ms);
    else if (one.do === "fail")
      Object.assign(far[one.tier === 0 ? 0 : 1].state, { reads: one.reads, writes: one.writes });
    else if (one.do === "drop from memory") {
      memory.deleteSync(one.key);
      droppedFromMemory = true;
    } else if (one.do === "set") {
      const entry = { value: one.value, expiresAt: clock.now() + one.life };
      model.set(one.key, entry);
      await chain.set(one.key, entry);
    } else if (one.do === "delete") {
      model.delete(one.key);
      await chain.delete(one.key);
    } else {
      const got = (await chain.get(one.key))?.entry;
      // Never an older value, never a deleted one, never one past its deadline.
      if (got !== undefined) expect(got).toEqual(expected(one.key) as Entry);
      else if (withMemory && !droppedFromMemory) expect(expected(one.key)).toBeUndefined();
      await chain.settle();
    }
  }
  // Everything is mended: what was missed is caught up, and nothing is lost.
  for (const { state } of far) Object.assign(state, { reads: "up", writes: "up" });
  for (let round = 0; round < 3; round++) {
    for (const name of ["a", "b", "c"]) await chain.get(name);
    await chain.settle();
  }
  for (const name of ["a", "b", "c"]) {
    expect((await chain.get(name))?.entry).toEqual(expected(name) as Entry);
    for (const { inner } of far) {
      const held = await inner.get(name);
      if (held !== undefined) expect(held).toEqual(expected(name) as Entry);
    }
  }
  await chain.close();
}

describe("any sequence of writes, deletions, expiry and tier failures", () => {
  const runs = process.env["LX_TEST_HEAVY"] === "1" ? 20_000 : 600;
  test.each([{ withMemory: true }, { withMemory: false }])(
    "gives what a map with deadlines gives (memory: $withMemory)",
    async ({ withMemory }) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) => compare(steps, withMemory)),
        { numRuns: runs },
      );
    },
    600_000,
  );
});

describe("order and copying back", () => {
  test("the nearest tier answers; a farther hit is copied into all nearer ones with the same deadline", async () => {
    const clock = manualClock();
    const [redis, sqlite] = [flaky("redis", clock.now), flaky("sqlite", clock.now)];
    const memory = createMemoryTier({ maxBytes: 1 << 20, now: clock.now });
    const chain = createChain({
      ...options,
      now: clock.now,
      tiers: [{ tier: memory }, { tier: redis.tier }, { tier: sqlite.tier }],
    });
    const entry = { value: "one", expiresAt: clock.now() + 500 };
    await sqlite.inner.set("a", entry);
    clock.advance(100);
    expect(await chain.get("a")).toEqual({ entry, tier: "sqlite" });
    await chain.settle();
    expect(await redis.inner.get("a")).toEqual(entry);
    expect(await memory.get("a")).toEqual(entry);
    expect(await chain.get("a")).toEqual({ entry, tier: "memory" });
    expect(sqlite.state.asked).toBe(1);
    clock.advance(400);
    expect(await chain.get("a")).toBeUndefined();
  });

  test("a value that is deleted while it is read is not copied back", async () => {
    const clock = manualClock();
    const redis = flaky("redis", clock.now);
    const memory = createMemoryTier({ maxBytes: 1 << 20, now: clock.now });
    const chain = createChain({ ...options, now: clock.now, tiers: [{ tier: memory }, { tier: redis.tier }] });
    await redis.inner.set("a", { value: "old", expiresAt: clock.now() + 500 });
    const reading = chain.get("a");
    await chain.delete("a");
    await reading;
    await chain.settle();
    expect(memory.getSync("a")).toBeUndefined();
    expect(await chain.get("a")).toBeUndefined();
  });

  test("what another process dropped goes from our own tiers, by key or by prefix", async () => {
    const clock = manualClock();
    const memory = createMemoryTier({ maxBytes: 1 << 20, now: clock.now });
    const chain = createChain({ ...options, now: clock.now, tiers: [{ tier: memory }] });
    for (const name of ["v1:a", "v1:ab", "v1:b"]) await chain.set(name, { value: name, expiresAt: clock.now() + 500 });
    await chain.forget({ key: "v1:a", exact: true }, ["memory"]);
    expect([memory.getSync("v1:a"), memory.getSync("v1:ab")?.value]).toEqual([undefined, "v1:ab"]);
    await chain.forget({ key: "v1:a", exact: false }, ["memory"]);
    expect([memory.getSync("v1:ab"), memory.getSync("v1:b")?.value]).toEqual([undefined, "v1:b"]);
  });
});

describe("a tier that fails", () => {
  const make = (failures = 2) => {
    const clock = manualClock();
    const lines: Line[] = [];
    const redis = flaky("redis", clock.now);
    const chain = createChain({
      tiers: [{ tier: redis.tier, deadlineMs: 20 }],
      breaker: { failures, baseMs: 1000, maxMs: 8000 },
      now: clock.now,
      random: () => 0,
      log: recordingLogger(lines),
    });
    return { clock, lines, redis, chain };
  };

  test("is noted once, not asked while it rests, probed in the background with growing pauses, and noted when back", async () => {
    const { clock, lines, redis, chain } = make();
    redis.state.reads = "down";
    const pauses: number[] = [];
    let last = clock.now();
    for (let round = 0; round < 400; round++) {
      const before = redis.state.asked;
      expect(await chain.get("a")).toBeUndefined();
      await chain.settle();
      if (round >= 2 && redis.state.asked > before) {
        pauses.push(clock.now() - last);
        last = clock.now();
      } else if (round < 2) last = clock.now();
      clock.advance(100);
    }
    expect(pauses.slice(0, 5)).toEqual([1000, 2000, 4000, 8000, 8000]);
    expect(lines.map((line) => [line.level, line.message])).toEqual([["warn", "cache tier fails, served without it"]]);
    redis.state.reads = "up";
    await redis.inner.set("a", { value: "one", expiresAt: Number.POSITIVE_INFINITY });
    clock.advance(8000);
    expect(await chain.get("a")).toBeUndefined();
    await chain.settle();
    expect((await chain.get("a"))?.entry.value).toBe("one");
    expect(lines.at(-1)).toMatchObject({
      level: "info",
      message: "cache tier is back",
      fields: { tier: "redis", what: "reads" },
    });
  });

  test("by saying nothing costs its deadline a few times, then nothing", async () => {
    const { redis, chain } = make();
    redis.state.reads = "hung";
    await chain.get("a");
    await chain.get("a");
    for (let round = 0; round < 1000; round++) await chain.get("a");
    expect(redis.state.asked).toBe(2);
  });

  test("in writing only is still read", async () => {
    const { redis, chain, lines } = make();
    await chain.set("a", { value: "one", expiresAt: Number.POSITIVE_INFINITY });
    redis.state.writes = "down";
    for (const name of ["b", "c", "d"]) await chain.set(name, { value: name, expiresAt: Number.POSITIVE_INFINITY });
    expect((await chain.get("a"))?.entry.value).toBe("one");
    expect(await chain.get("b")).toBeUndefined();
    expect(lines.map((line) => line.fields?.["what"])).toEqual(["writes"]);
  });

  test("keeps no more missed writes than the bound", async () => {
    const { redis, chain } = make();
    redis.state.writes = "down";
    for (let index = 0; index < 25_000; index++)
      await chain.set(`k${index}`, { value: "v", expiresAt: Number.POSITIVE_INFINITY });
    expect(chain.link("redis")?.missed.size).toBe(20_000);
  });
});

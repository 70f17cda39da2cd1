import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createHealer } from "../../src/cache/heal.ts";
import { address, by, openCache } from "./open.ts";
import { cacheSettings, manualClock } from "./settings.ts";

const request = { source: "kg", songId: "abc", quality: "320k", client: "192.0.2.1", bypass: false } as const;

describe("self-healing addresses", () => {
  test.each([
    { name: "at once (a double request)", gap: 0, client: "192.0.2.1", healed: false },
    { name: "just under the least gap", gap: 999, client: "192.0.2.1", healed: false },
    { name: "after the least gap", gap: 1000, client: "192.0.2.1", healed: true },
    { name: "at the end of the window", gap: 10_000, client: "192.0.2.1", healed: true },
    { name: "after the window (a replay)", gap: 10_001, client: "192.0.2.1", healed: false },
    { name: "by somebody else", gap: 3000, client: "192.0.2.2", healed: false },
  ])("asked again $name: renewed = $healed", async ({ gap, client, healed }) => {
    for (const sync of [false, true]) {
      await using it = await openCache(cacheSettings());
      const avoided: string[][] = [];
      const load = async (avoid: ReadonlySet<string>) => {
        avoided.push([...avoid]);
        return address(`http://a.test/${avoided.length}`, { route: `route-${avoided.length}` });
      };
      await it.addresses.through(request, load);
      it.clock.advance(gap);
      if (sync)
        expect(it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by(client)) === undefined).toBe(healed);
      const again = sync && !healed ? undefined : await it.addresses.through({ ...request, client }, load);
      expect(avoided).toEqual(healed ? [[], ["route-1"]] : [[]]);
      if (healed) expect(again).toMatchObject({ status: "miss", value: { url: "http://a.test/2" } });
    }
  });

  test("all who ask while it is renewed get the new one, asked for once", async () => {
    await using it = await openCache(cacheSettings());
    let calls = 0;
    const load = async () => {
      calls += 1;
      const number = calls;
      await Bun.sleep(20);
      return address(`http://a.test/${number}`);
    };
    await it.addresses.through(request, load);
    it.clock.advance(2000);
    const key = it.addresses.keyOf("kg", "abc", "320k");
    const ask = async () => it.addresses.peek(key, by(request.client)) ?? it.addresses.through(request, load);
    const answers = await Promise.all(Array.from({ length: 50 }, ask));
    expect(new Set(answers.map((answer) => answer.value.url))).toEqual(new Set(["http://a.test/2"]));
    expect(calls).toBe(2);
  });

  test("the route is avoided until its mark is over", async () => {
    await using it = await openCache(cacheSettings({ heal: { mark: 100 } }));
    const seen: string[][] = [];
    const load = async (avoid: ReadonlySet<string>) => {
      seen.push([...avoid]);
      return address("http://a.test/1", { lifetimeSeconds: 40 });
    };
    await it.addresses.through(request, load);
    it.clock.advance(2000);
    await it.addresses.through(request, load);
    it.clock.advance(60_000);
    await it.addresses.through(request, load);
    it.clock.advance(60_000);
    await it.addresses.through(request, load);
    expect(seen).toEqual([[], ["kg"], ["kg"], []]);
  });

  test("a lyric asked for again is simply a hit", async () => {
    await using it = await openCache(cacheSettings());
    const codec = { decode: (value: unknown) => (typeof value === "string" ? value : undefined) };
    const asked = { kind: "lyric", key: "v1:lyric:kg:a:x", codec, client: "c", load: async () => "la" } as const;
    await it.cache.through(asked);
    it.clock.advance(2000);
    expect((await it.cache.through(asked)).status).toBe("hit");
  });

  test("switched off, nothing is renewed", async () => {
    await using it = await openCache(cacheSettings({ heal: { enable: false } }));
    await it.addresses.through(request, async () => address("http://a.test/1"));
    it.clock.advance(2000);
    expect(it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by(request.client ?? ""))).toBeDefined();
  });

  test("a song is renewed once per cool-down, however often it is asked for", async () => {
    await using it = await openCache(cacheSettings());
    let calls = 0;
    const load = async () => {
      calls += 1;
      return address("http://a.test/1", { lifetimeSeconds: 100_000 });
    };
    for (let second = 0; second < 58; second += 2) {
      await it.addresses.through(request, load);
      it.clock.advance(2000);
    }
    expect(calls).toBe(2);
    expect(it.cache.stats().heal).toEqual({ renewals: 1, held: 27 });
  });

  test("whatever a client does, it causes no more renewals than the rules allow", () => {
    const rules = { enable: true, min_gap: 1, window: 10, cool_down: 20, mark: 60, per_client: 4, total: 6 };
    const ask = fc.record({
      client: fc.constantFrom("a", "b", "c"),
      key: fc.constantFrom("1", "2", "3", "4", "5"),
      wait: fc.integer({ min: 0, max: 4000 }),
    });
    fc.assert(
      fc.property(fc.array(ask, { maxLength: 300 }), (asks) => {
        const clock = manualClock(60_000);
        const healer = createHealer(() => rules, clock.now);
        const perMinute = new Map<string, number>();
        const perKey = new Map<string, number>();
        for (const { client, key, wait } of asks) {
          clock.advance(wait);
          if (!healer.suspects(by(client), key)) continue;
          const minute = Math.floor(clock.now() / 60_000);
          for (const who of ["all", client]) {
            const used = (perMinute.get(`${minute} ${who}`) ?? 0) + 1;
            perMinute.set(`${minute} ${who}`, used);
            expect(used).toBeLessThanOrEqual(who === "all" ? rules.total : rules.per_client);
          }
          const before = perKey.get(key);
          if (before !== undefined) expect(clock.now() - before).toBeGreaterThanOrEqual(rules.cool_down * 1000);
          perKey.set(key, clock.now());
        }
      }),
      { numRuns: 200 },
    );
  });

  test("of a song that many want at once, a part is looked at: who the others are is not asked", () => {
    const clock = manualClock(60_000);
    const healer = createHealer(() => cacheSettings().heal, clock.now);
    let looks = 0;
    const asker = {
      get peer() {
        looks += 1;
        return { address: "a" };
      },
    };
    for (let turn = 0; turn < 1000; turn++) expect(healer.suspects(asker, "key")).toBe(false);
    expect(looks).toBe(32);
  });

  test("who asks without a pause is not taken for a player that comes back", () => {
    const clock = manualClock(60_000);
    const healer = createHealer(() => cacheSettings().heal, clock.now);
    for (let turn = 0; turn < 5000; turn++) {
      expect(healer.suspects(by("a"), "key")).toBe(false);
      clock.advance(2);
    }
    clock.advance(3000);
    expect(healer.suspects(by("a"), "key")).toBe(false);
    clock.advance(3000);
    expect(healer.suspects(by("a"), "key")).toBe(true);
  });

  test("what it remembers is bounded", () => {
    const clock = manualClock();
    const healer = createHealer(() => cacheSettings().heal, clock.now);
    const before = process.memoryUsage().heapUsed;
    for (let index = 0; index < 60_000; index++) {
      healer.served(`client-${index}`, `key-${index}`);
      healer.mark(`key-${index}`, "route");
    }
    Bun.gc(true);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(40 << 20);
    expect(healer.avoid("key-0").size).toBe(0);
    expect([...healer.avoid("key-59999")]).toEqual(["route"]);
  });
});

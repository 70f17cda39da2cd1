import { describe, expect, test } from "bun:test";
import { cacheKey } from "../../src/cache/keys.ts";
import { AppError, type ErrorKind } from "../../src/core/errors.ts";
import { address, anyCodec, by, type CatalogRequest, createCatalogStore, openCache } from "./open.ts";
import { cacheSettings } from "./settings.ts";

const request = { source: "kg", songId: "abc", quality: "320k", client: "192.0.2.1", bypass: false } as const;
const lyric = (text: string) => ({ lyric: text, tlyric: "", rlyric: "", lxlyric: "" });
const lyricKey = cacheKey({ kind: "lyric", source: "kg", id: "abc" });

/** Counts its calls, and answers what it is told to. */
function platform<T>(first: T) {
  const state = { answer: first as T | AppError, calls: 0 };
  return {
    state,
    ask: async () => {
      state.calls += 1;
      if (state.answer instanceof AppError) throw state.answer;
      return state.answer;
    },
  };
}

describe("playable addresses", () => {
  test.each([
    { name: "75 % of the platform's life", share: 0.75, life: 1000, fresh: 750 },
    { name: "another share", share: 0.5, life: 1000, fresh: 500 },
    { name: "no known end", share: 0.75, life: undefined, fresh: 86_400 },
  ])("are fresh for $name, to the millisecond", async ({ share, life, fresh }) => {
    await using it = await openCache(cacheSettings({ lifetimes: { url_share: share } }));
    const { state, ask } = platform(address("http://a.test/1", life === undefined ? {} : { lifetimeSeconds: life }));
    const given = life === undefined ? ({ url: "http://a.test/1", quality: "320k", route: "kg" } as const) : undefined;
    const load = async () => given ?? (await ask());
    const miss = await it.addresses.through(request, load);
    expect(miss).toMatchObject({ status: "miss", expiresAt: it.clock.now() + fresh * 1000 });
    expect(miss.realExpiresAt).toBe(life === undefined ? undefined : it.clock.now() + life * 1000);
    it.clock.advance(fresh * 1000 - 1);
    const other = { ...request, client: "192.0.2.2" };
    expect(await it.addresses.through(other, load)).toMatchObject({
      status: "hit",
      tier: "memory",
      expiresAt: miss.expiresAt,
      ...(miss.realExpiresAt === undefined ? {} : { realExpiresAt: miss.realExpiresAt }),
    });
    it.clock.advance(1);
    expect((await it.addresses.through(other, load)).status).toBe("miss");
    if (life !== undefined) expect(state.calls).toBe(2);
  });

  test("the stored end and the platform's own end survive every tier", async () => {
    await using it = await openCache(cacheSettings({ memory: false }));
    const { ask } = platform(address("http://a.test/1"));
    const miss = await it.addresses.through(request, ask);
    expect(await it.addresses.through({ ...request, client: "b" }, ask)).toEqual({
      ...miss,
      status: "hit",
      tier: "sqlite",
    });
  });

  test("a hit in memory is the same frozen object every time, and no promise", async () => {
    await using it = await openCache(cacheSettings());
    await it.addresses.through(request, platform(address("http://a.test/1")).ask);
    const first = it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by("x"));
    expect(first).toBeDefined();
    expect(it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by("y"))).toBe(first);
    expect(Object.isFrozen(first?.value)).toBe(true);
    expect(it.addresses.peek(it.addresses.keyOf("kg", "abc", "128k"), by("x"))).toBeUndefined();
  });

  test("a fault never brings back an address past its time", async () => {
    await using it = await openCache(cacheSettings());
    const { state, ask } = platform(address("http://a.test/1"));
    await it.addresses.through(request, ask);
    it.clock.advance(750_000);
    state.answer = new AppError("upstream_unreachable", "连接失败");
    await expect(it.addresses.through(request, ask)).rejects.toMatchObject({ kind: "upstream_unreachable" });
  });
});

describe("one flight per key", () => {
  test.each([{ memory: true }, { memory: false }])(
    "1,000 requests of one cold key ask once (memory: $memory)",
    async ({ memory }) => {
      await using it = await openCache(cacheSettings({ memory }));
      let calls = 0;
      const load = async () => {
        calls += 1;
        await Bun.sleep(20);
        return address("http://a.test/1");
      };
      const wave = () =>
        Array.from({ length: 500 }, () => it.addresses.through({ ...request, client: crypto.randomUUID() }, load));
      const early = wave();
      await Bun.sleep(10);
      const answers = await Promise.all([...early, ...wave()]);
      expect(calls).toBe(1);
      expect(new Set(answers.map((answer) => answer.value.url)).size).toBe(1);
      expect(it.cache.stats().kinds.url.loads).toBe(1);
    },
  );

  test("all who wait get the one failure, and the next question asks again when it is not kept", async () => {
    await using it = await openCache(cacheSettings());
    let calls = 0;
    const load = async () => {
      calls += 1;
      await Bun.sleep(10);
      throw new AppError("rate_limited", "请求过于频繁");
    };
    const all = await Promise.allSettled(Array.from({ length: 100 }, () => it.addresses.through(request, load)));
    expect(calls).toBe(1);
    expect(all.every((one) => one.status === "rejected" && one.reason.kind === "rate_limited")).toBe(true);
    await expect(it.addresses.through(request, load)).rejects.toMatchObject({ kind: "rate_limited" });
    expect(calls).toBe(2);
  });

  test("who waits longer than the deadline is told to come back; the next one starts anew", async () => {
    await using it = await openCache(cacheSettings({ wait: 0.1 }));
    let signal: AbortSignal | undefined;
    const hung = it.addresses.through(request, (_avoid, given) => {
      signal = given;
      return new Promise(() => undefined);
    });
    await expect(hung).rejects.toMatchObject({ kind: "busy", message: "服务器繁忙", retryAfterSeconds: 1 });
    expect(signal?.aborted).toBe(true);
    expect((await it.addresses.through(request, platform(address("http://a.test/2")).ask)).value.url).toBe(
      "http://a.test/2",
    );
  });

  test("a caller that leaves does not end the flight for the others", async () => {
    await using it = await openCache(cacheSettings());
    const leaving = new AbortController();
    const load = async () => {
      await Bun.sleep(30);
      return lyric("la");
    };
    const shared = { kind: "lyric", key: lyricKey, codec: anyCodec<ReturnType<typeof lyric>>(), load } as const;
    const first = it.cache.through({ ...shared, signal: leaving.signal });
    const second = it.cache.through(shared);
    leaving.abort();
    await expect(first).rejects.toMatchObject({ kind: "busy" });
    expect((await second).value.lyric).toBe("la");
  });

  test("a load that throws something unexpected is an internal error, told once in the log and not kept", async () => {
    await using it = await openCache(cacheSettings());
    const load = async () => {
      throw new TypeError("undefined is not a function");
    };
    await expect(it.addresses.through(request, load)).rejects.toMatchObject({
      kind: "internal",
      message: "内部服务器错误",
    });
    expect(it.lines.filter((line) => line.level === "error")).toHaveLength(1);
    expect((await it.addresses.through(request, platform(address("http://a.test/1")).ask)).status).toBe("miss");
  });
});

describe("refusals are kept by their kind", () => {
  test.each<{ kind: ErrorKind; seconds: number }>([
    { kind: "upstream_no_copyright", seconds: 7200 },
    { kind: "upstream_not_found", seconds: 3600 },
    { kind: "upstream_needs_purchase", seconds: 600 },
    { kind: "upstream_quality", seconds: 600 },
    { kind: "upstream_needs_login", seconds: 60 },
    { kind: "upstream_refused", seconds: 30 },
    { kind: "upstream_verify", seconds: 15 },
    { kind: "upstream_unreachable", seconds: 3 },
    { kind: "upstream_changed", seconds: 3 },
    { kind: "invalid_request", seconds: 0 },
    { kind: "internal", seconds: 0 },
    { kind: "busy", seconds: 0 },
  ])("$kind for $seconds s", async ({ kind, seconds }) => {
    await using it = await openCache(cacheSettings());
    const { state, ask } = platform<ReturnType<typeof address>>(address("http://a.test/1"));
    state.answer = new AppError(kind, "没有", { upstreamCode: 7 });
    const asked = () => it.addresses.through(request, ask);
    await expect(asked()).rejects.toMatchObject({ kind, message: "没有" });
    if (seconds > 0) {
      it.clock.advance(seconds * 1000 - 1);
      await expect(asked()).rejects.toMatchObject({ kind, message: "没有", upstreamCode: 7 });
      expect(state.calls).toBe(1);
      expect(it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by("x"))).toBeUndefined();
      it.clock.advance(1);
    }
    await expect(asked()).rejects.toMatchObject({ kind });
    expect(state.calls).toBe(2);
  });

  test("how it was answered is told before the failure is thrown", async () => {
    await using it = await openCache(cacheSettings());
    const { state, ask } = platform<ReturnType<typeof address>>(address("http://a.test/1"));
    state.answer = new AppError("upstream_no_copyright", "没有");
    const told: string[] = [];
    const asked = (bypass: boolean) =>
      it.addresses.through({ ...request, bypass, note: (status) => void told.push(status) }, ask);
    await expect(asked(false)).rejects.toThrow();
    await expect(asked(false)).rejects.toThrow();
    await expect(asked(true)).rejects.toThrow();
    expect(told).toEqual(["miss", "negative", "bypass"]);
  });

  test("a refusal of one quality says nothing about another", async () => {
    await using it = await openCache(cacheSettings());
    const { state, ask } = platform<ReturnType<typeof address>>(address("http://a.test/1"));
    state.answer = new AppError("upstream_quality", "没有");
    await expect(it.addresses.through(request, ask)).rejects.toThrow();
    state.answer = address("http://a.test/1");
    expect((await it.addresses.through({ ...request, quality: "128k" }, ask)).status).toBe("miss");
  });
});

describe("answers past their time", () => {
  const settings = () =>
    cacheSettings({
      lifetimes: { lyric: 100, search: 100 },
      stale: { while_revalidate: 1000, if_error: 5000 },
      jitter: 0,
    });
  const page = (name: string) => ({ total: 1, page: 1, size: 1, list: [{ name }] });
  const search: CatalogRequest = { kind: "search", parts: ["kg", "words", "1", "30"], bypass: false };

  test("a lyric is given at once and renewed in the background, once for all who ask", async () => {
    await using it = await openCache(settings());
    const catalog = createCatalogStore(it.cache);
    const ask: CatalogRequest = { kind: "lyric", parts: ["kg", "abc"], bypass: false };
    const { state, ask: load } = platform(lyric("old"));
    await catalog.through(ask, load);
    state.answer = lyric("new");
    it.clock.advance(100_000);
    const many = await Promise.all(
      Array.from({ length: 20 }, () => catalog.through<ReturnType<typeof lyric>>(ask, load)),
    );
    expect(many.every((answer) => answer.status === "stale" && answer.value.lyric === "old")).toBe(true);
    await it.cache.settle();
    expect(state.calls).toBe(2);
    expect(await catalog.through<ReturnType<typeof lyric>>(ask, load)).toMatchObject({
      status: "hit",
      value: { lyric: "new" },
    });
  });

  test("a search is asked anew; when the platform fails, the old one stands in, and the platform rests", async () => {
    await using it = await openCache(settings());
    const catalog = createCatalogStore(it.cache);
    const { state, ask: load } = platform(page("old"));
    await catalog.through(search, load);
    it.clock.advance(100_000);
    state.answer = new AppError("upstream_unreachable", "连接失败");
    expect(await catalog.through(search, load)).toMatchObject({ status: "stale", value: page("old") });
    expect(await catalog.through(search, load)).toMatchObject({ status: "stale" });
    expect(state.calls).toBe(2);
    it.clock.advance(3000);
    state.answer = page("new");
    expect(await catalog.through(search, load)).toMatchObject({ status: "miss", value: page("new") });
  });

  test.each<{ kind: ErrorKind; stands: boolean }>([
    { kind: "upstream_unreachable", stands: true },
    { kind: "upstream_changed", stands: true },
    { kind: "upstream_verify", stands: true },
    { kind: "internal", stands: true },
    { kind: "upstream_not_found", stands: false },
    { kind: "upstream_no_copyright", stands: false },
  ])("$kind: the old answer stands in = $stands", async ({ kind, stands }) => {
    await using it = await openCache(settings());
    const catalog = createCatalogStore(it.cache);
    const { state, ask: load } = platform(page("old"));
    await catalog.through(search, load);
    it.clock.advance(100_000);
    state.answer = new AppError(kind, "没有");
    const answer = catalog.through(search, load);
    if (stands) expect((await answer).status).toBe("stale");
    else await expect(answer).rejects.toMatchObject({ kind });
  });

  test("after the last grace it is gone", async () => {
    await using it = await openCache(settings());
    const catalog = createCatalogStore(it.cache);
    const { state, ask: load } = platform(page("old"));
    await catalog.through(search, load);
    it.clock.advance(100_000 + 5_000_000);
    state.answer = new AppError("upstream_unreachable", "连接失败");
    await expect(catalog.through(search, load)).rejects.toMatchObject({ kind: "upstream_unreachable" });
  });

  test("a kind that slides lives on while it is used, up to ten lives", async () => {
    await using it = await openCache(
      cacheSettings({
        sliding: ["lyric"],
        lifetimes: { lyric: 100 },
        jitter: 0,
        stale: { while_revalidate: 0, if_error: 0 },
      }),
    );
    const catalog = createCatalogStore(it.cache);
    const ask: CatalogRequest = { kind: "lyric", parts: ["kg", "abc"], bypass: false };
    const { state, ask: load } = platform(lyric("la"));
    await catalog.through(ask, load);
    for (let round = 0; round < 12; round++) {
      it.clock.advance(80_000);
      expect((await catalog.through(ask, load)).status).toBe("hit");
      await it.cache.settle();
    }
    expect(state.calls).toBe(1);
    it.clock.advance(80_000);
    await catalog.through(ask, load);
    it.clock.advance(80_000);
    await catalog.through(ask, load);
    expect(state.calls).toBe(2);
  });
});

describe("who may go past the cache", () => {
  test("a bypass asks anew, stores, and is shared by those who bypass at the same time", async () => {
    await using it = await openCache(cacheSettings());
    const { state, ask } = platform(address("http://a.test/1"));
    await it.addresses.through(request, ask);
    state.answer = address("http://a.test/2");
    const two = await Promise.all([1, 2].map(() => it.addresses.through({ ...request, bypass: true }, ask)));
    expect(two.map((answer) => [answer.status, answer.value.url])).toEqual([
      ["bypass", "http://a.test/2"],
      ["bypass", "http://a.test/2"],
    ]);
    expect(state.calls).toBe(2);
    expect(it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by("x"))?.value.url).toBe("http://a.test/2");
  });

  test.each<{ kind: ErrorKind; kept: boolean }>([
    { kind: "upstream_unreachable", kept: true },
    { kind: "upstream_changed", kept: true },
    { kind: "upstream_verify", kept: true },
    { kind: "upstream_no_copyright", kept: false },
  ])("a bypass that ends in $kind leaves the others what was stored: $kept", async ({ kind, kept }) => {
    await using it = await openCache(cacheSettings());
    const { state, ask } = platform<ReturnType<typeof address>>(address("http://a.test/1"));
    await it.addresses.through(request, ask);
    state.answer = new AppError(kind, "没有");
    await expect(it.addresses.through({ ...request, bypass: true }, ask)).rejects.toMatchObject({ kind });
    const other = it.addresses.through({ ...request, client: "b" }, ask);
    if (kept) expect((await other).status).toBe("hit");
    else await expect(other).rejects.toMatchObject({ kind });
    expect(state.calls).toBe(2);
  });

  test.each([
    { never: "/url", bypassed: true },
    { never: "/url/kg", bypassed: true },
    { never: "/url/k", bypassed: false },
    { never: "/search", bypassed: false },
  ])("the route list $never: not cached = $bypassed", async ({ never, bypassed }) => {
    await using it = await openCache(cacheSettings({ never: [never] }));
    const { state, ask } = platform(address("http://a.test/1"));
    await it.addresses.through(request, ask);
    const second = await it.addresses.through({ ...request, client: "b" }, ask);
    expect(second.status).toBe(bypassed ? "bypass" : "hit");
    expect(state.calls).toBe(bypassed ? 2 : 1);
    expect(it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by("c")) === undefined).toBe(bypassed);
  });

  test("a changed config counts at once", async () => {
    await using it = await openCache(cacheSettings());
    const { state, ask } = platform(address("http://a.test/1"));
    await it.addresses.through(request, ask);
    it.config.current = cacheSettings({ never: ["/url"] });
    expect((await it.addresses.through(request, ask)).status).toBe("bypass");
    expect(state.calls).toBe(2);
  });
});

describe("what is in the tiers", () => {
  test("survives a restart", async () => {
    await using before = await openCache(cacheSettings());
    const { state, ask } = platform(address("http://a.test/1"));
    await before.addresses.through(request, ask);
    await before.cache.close();
    await using after = await openCache(cacheSettings(), before.folder);
    expect(await after.addresses.through(request, ask)).toMatchObject({ status: "hit", tier: "sqlite" });
    expect(after.addresses.peek(after.addresses.keyOf("kg", "abc", "320k"), by("x"))?.tier).toBe("memory");
    expect(state.calls).toBe(1);
  });

  test.each([
    { name: "no JSON", value: "{" },
    { name: "another form", value: '{"url":"http://a.test"}' },
    { name: "no address", value: '{"t":1,"f":9000000000000,"d":{"url":"javascript:1"}}' },
    { name: "value and failure", value: '{"t":1,"f":9000000000000,"d":1,"n":{"k":"internal","m":""}}' },
    { name: "an unknown failure", value: '{"t":1,"f":9000000000000,"n":{"k":"odd","m":""}}' },
  ])("$name is asked for anew, and replaced", async ({ value }) => {
    await using it = await openCache(cacheSettings());
    const key = cacheKey({ kind: "url", source: "kg", id: "abc", quality: "320k" });
    await it.cache.chain.set(key, { value, expiresAt: it.clock.now() + 1_000_000 });
    expect(it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by("x"))).toBeUndefined();
    expect((await it.addresses.through(request, platform(address("http://a.test/1")).ask)).status).toBe("miss");
    expect(it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by("x"))?.value.url).toBe("http://a.test/1");
  });
});

describe("the counters", () => {
  test("tell hits, misses, refusals and loads per kind, and hits per tier", async () => {
    await using it = await openCache(cacheSettings());
    const { state, ask } = platform<ReturnType<typeof address>>(address("http://a.test/1"));
    await it.addresses.through(request, ask);
    it.addresses.peek(it.addresses.keyOf("kg", "abc", "320k"), by("b"));
    await it.addresses.through({ ...request, bypass: true }, ask);
    state.answer = new AppError("upstream_not_found", "没有");
    for (let round = 0; round < 2; round++) {
      await expect(it.addresses.through({ ...request, songId: "none" }, ask)).rejects.toThrow();
    }
    const { kinds, tiers } = it.cache.stats();
    expect(kinds.url).toEqual({
      hits: 1,
      misses: 2,
      stale: 0,
      bypass: 1,
      negative: 1,
      loads: 3,
      failures: 1,
      hitRatio: 0.5,
    });
    expect(tiers.map((tier) => [tier.name, tier.state])).toEqual([
      ["memory", "up"],
      ["sqlite", "up"],
    ]);
    expect(tiers[0]?.hits).toBeGreaterThanOrEqual(2);
  });
});

import { describe, expect, test } from "bun:test";
import type { StoredAddress } from "../../src/cache/codecs.ts";
import { AppError, type ErrorKind } from "../../src/core/errors.ts";
import type { MusicInfo, PlayableUrl, Quality, Song } from "../../src/core/types.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { musicInfoOf } from "../../src/resolve/music-info.ts";
import {
  type AddressCache,
  type Cached,
  createTrackResolver,
  type NearbyHit,
  qualityOf,
  type TrackDeps,
  type TrackRequest,
} from "../../src/resolve/track.ts";
import { asGuest, fakeSource } from "./fake-source.ts";

const SONG: Song = { source: "kg", songId: "abc", name: "晴天", artists: [], qualities: {}, ids: {} };
const STORED: StoredAddress = { url: "http://stored/a.mp3", quality: "320k", route: "kg", lifetimeSeconds: 1000 };
const NOW = 1_800_000_000_000;

type Outcome = ErrorKind | PlayableUrl | "hangs" | "throws";

interface World {
  library?: boolean;
  audio?: boolean;
  webdav?: boolean;
  stored?: boolean;
  source?: Outcome | Partial<Record<Quality, Outcome>>;
  /** Scripts that want to be asked, and what they give. */
  scripts?: { when: "before" | "after"; outcome: Outcome };
  avoid?: string[];
  downgrade?: boolean;
  deadlineMs?: number;
  song?: Song | undefined;
  enabled?: boolean;
}

const SOURCE_URL: PlayableUrl = { url: "http://source/a.mp3", quality: "320k", lifetimeSeconds: 100 };

function happen(outcome: Outcome, signal: AbortSignal | undefined): Promise<PlayableUrl> {
  if (outcome === "hangs") {
    return new Promise((_resolve, reject) =>
      signal?.addEventListener("abort", () => reject(new AppError("upstream_unreachable", "平台响应超时，请稍后重试"))),
    );
  }
  if (outcome === "throws") return Promise.reject(new TypeError("bug"));
  if (typeof outcome === "string") return Promise.reject(new AppError(outcome, `原因 ${outcome}`));
  return Promise.resolve(outcome);
}

function build(world: World) {
  const order: string[] = [];
  const infos: MusicInfo[] = [];
  const steps: [string, unknown][] = [];
  const logged: string[] = [];
  const resolved: StoredAddress[] = [];
  const near = (kind: NearbyHit["kind"], there: boolean | undefined) => (): NearbyHit | undefined => {
    order.push(kind);
    return there ? { address: `/${kind}/x`, quality: "flac", kind } : undefined;
  };
  const hit: Cached<StoredAddress> = {
    value: STORED,
    status: "hit",
    tier: "memory",
    expiresAt: NOW + 750_000,
    realExpiresAt: NOW + 1_000_000,
  };
  const cache: AddressCache = {
    keyOf: (...parts) => parts.join(":"),
    peek: () => (world.stored ? hit : undefined),
    async through(request, load) {
      order.push("address cache");
      if (world.stored && !request.bypass) return hit;
      const value = await load(new Set(world.avoid), request.signal ?? new AbortController().signal);
      return {
        value,
        status: request.bypass ? "bypass" : "miss",
        expiresAt: NOW + 75_000,
        realExpiresAt: NOW + 100_000,
      };
    },
  };
  const outcomeOf = (quality: Quality): Outcome => {
    const { source = SOURCE_URL } = world;
    if (typeof source === "string" || "url" in source) return source as Outcome;
    return source[quality] ?? "upstream_quality";
  };
  const deps: TrackDeps = {
    sources: new Map([
      [
        "kg",
        fakeSource({
          url: ({ quality }, { signal }) => {
            order.push(world.downgrade === undefined ? "source" : `source ${quality}`);
            return happen(outcomeOf(quality), signal);
          },
        }),
      ],
      ["tx", fakeSource({ id: "tx" })],
    ]),
    enabled: () => world.enabled ?? true,
    run: asGuest,
    cache,
    nearby: [near("library", world.library), near("audio", world.audio), near("webdav", world.webdav)],
    scripts: {
      wants: (when) => world.scripts?.when === when,
      async musicUrl(_source, _quality, info, { signal }) {
        order.push("scripts");
        infos.push(info);
        const { url } = await happen(world.scripts?.outcome ?? "upstream_refused", signal);
        return { url, script: "s1" };
      },
    },
    songOf: async () => ("song" in world ? world.song : SONG),
    musicInfoOf,
    resolved: (_request, address) => void resolved.push(address),
    allowDowngrade: () => world.downgrade ?? false,
    totalDeadlineMs: () => world.deadlineMs ?? 5000,
    log: { ...silentLogger, error: (message) => void logged.push(message) },
  };
  const track = createTrackResolver(deps);
  const ask = (change: Partial<TrackRequest> = {}) =>
    track.url({
      source: "kg",
      songId: "abc",
      quality: "320k",
      client: "1.2.3.4",
      bypass: false,
      step: (name, fields) => void steps.push([name, fields]),
      ...change,
    });
  return { track, ask, order, infos, steps, logged, resolved };
}

const NEAR = ["library", "audio", "webdav"];
const SCRIPT_URL: PlayableUrl = { url: "http://script/a.mp3", quality: "320k" };

describe("the order", () => {
  const rows: { name: string; world: World; order: string[]; address: string }[] = [
    {
      name: "everything has it: the library",
      world: { library: true, audio: true, webdav: true, stored: true },
      order: ["library"],
      address: "/library/x",
    },
    {
      name: "not in the library: the audio cache",
      world: { audio: true, webdav: true, stored: true },
      order: ["library", "audio"],
      address: "/audio/x",
    },
    { name: "not on this disk: WebDAV", world: { webdav: true, stored: true }, order: NEAR, address: "/webdav/x" },
    {
      name: "none of ours: the address cache",
      world: { stored: true },
      order: [...NEAR, "address cache"],
      address: STORED.url,
    },
    {
      name: "nothing stored: the platform",
      world: {},
      order: [...NEAR, "address cache", "source"],
      address: SOURCE_URL.url,
    },
    {
      name: "the platform has it: scripts that come after are not asked",
      world: { scripts: { when: "after", outcome: SCRIPT_URL } },
      order: [...NEAR, "address cache", "source"],
      address: SOURCE_URL.url,
    },
    {
      name: "the platform refuses: scripts",
      world: { source: "upstream_needs_purchase", scripts: { when: "after", outcome: SCRIPT_URL } },
      order: [...NEAR, "address cache", "source", "scripts"],
      address: SCRIPT_URL.url,
    },
    {
      name: "scripts that come before",
      world: { scripts: { when: "before", outcome: SCRIPT_URL } },
      order: [...NEAR, "address cache", "scripts"],
      address: SCRIPT_URL.url,
    },
    {
      name: "scripts that come before and refuse: the platform",
      world: { scripts: { when: "before", outcome: "upstream_refused" } },
      order: [...NEAR, "address cache", "scripts", "source"],
      address: SOURCE_URL.url,
    },
    {
      name: "the platform's address was bad: scripts first",
      world: { avoid: ["kg"], scripts: { when: "after", outcome: SCRIPT_URL } },
      order: [...NEAR, "address cache", "scripts"],
      address: SCRIPT_URL.url,
    },
    {
      name: "the platform's address was bad, and there is nothing else",
      world: { avoid: ["kg"] },
      order: [...NEAR, "address cache", "source"],
      address: SOURCE_URL.url,
    },
    {
      name: "the platform's address was bad, and the scripts refuse",
      world: { avoid: ["kg"], scripts: { when: "after", outcome: "upstream_refused" } },
      order: [...NEAR, "address cache", "scripts", "source"],
      address: SOURCE_URL.url,
    },
    {
      name: "a bug in the source does not keep scripts from being asked",
      world: { source: "throws", scripts: { when: "after", outcome: SCRIPT_URL } },
      order: [...NEAR, "address cache", "source", "scripts"],
      address: SCRIPT_URL.url,
    },
  ];
  test.each(rows)("$name", async ({ world, order, address }) => {
    const built = build(world);
    expect((await built.ask()).address).toBe(address);
    expect(built.order).toEqual(order);
  });

  test("bypass asks the platform although something is stored", async () => {
    const built = build({ stored: true });
    const answer = await built.ask({ bypass: true });
    expect(answer).toMatchObject({ address: SOURCE_URL.url, cached: false, cacheStatus: "lx; fwd=bypass" });
  });
});

describe("what the answer says", () => {
  test("of ours", async () => {
    expect(await build({ audio: true }).ask()).toEqual({
      address: "/audio/x",
      quality: "flac",
      cached: true,
      nearby: "audio",
      cacheStatus: "lx; hit; detail=audio",
    });
  });

  test("a hit has the platform's own end, a fresh one that of our cache", async () => {
    expect(await build({ stored: true }).ask()).toEqual({
      address: STORED.url,
      quality: "320k",
      cached: true,
      cacheStatus: "lx; hit; detail=memory",
      expiresAt: NOW / 1000 + 1000,
    });
    expect(await build({}).ask()).toEqual({
      address: SOURCE_URL.url,
      quality: "320k",
      cached: false,
      cacheStatus: "lx; fwd=miss",
      expiresAt: NOW / 1000 + 75,
    });
  });

  test("an address without an end says none", async () => {
    const answer = await build({ source: { url: "http://a", quality: "320k" } }).ask();
    expect("expiresAt" in answer).toBe(false);
  });

  test("only new addresses are told to those who keep audio", async () => {
    const fresh = build({});
    await fresh.ask();
    expect(fresh.resolved).toEqual([{ url: SOURCE_URL.url, quality: "320k", route: "kg", lifetimeSeconds: 100 }]);
    const scripted = build({ source: "upstream_refused", scripts: { when: "after", outcome: SCRIPT_URL } });
    await scripted.ask();
    expect(scripted.resolved).toEqual([{ url: SCRIPT_URL.url, quality: "320k", route: "script:s1" }]);
    const hit = build({ stored: true });
    await hit.ask();
    expect(hit.resolved).toEqual([]);
  });
});

describe("a lower quality", () => {
  const rows: { name: string; world: World; quality?: Quality; order: string[]; served?: Quality; kind?: ErrorKind }[] =
    [
      {
        name: "is not asked for unless allowed",
        world: { downgrade: false, source: { "128k": { ...SOURCE_URL, quality: "128k" } } },
        order: ["source 320k"],
        kind: "upstream_quality",
      },
      {
        name: "comes when allowed, the nearest first",
        world: { downgrade: true, source: { "128k": { ...SOURCE_URL, quality: "128k" }, "320k": SOURCE_URL } },
        quality: "flac",
        order: ["source flac", "source 320k"],
        served: "320k",
      },
      {
        name: "down to the lowest, and no higher one",
        world: { downgrade: true, source: {} },
        order: ["source 320k", "source 128k"],
        kind: "upstream_quality",
      },
      {
        name: "the first reason is told",
        world: { downgrade: true, source: { "320k": "upstream_needs_purchase", "128k": "upstream_refused" } },
        order: ["source 320k", "source 128k"],
        kind: "upstream_needs_purchase",
      },
      {
        name: "does not help without copyright",
        world: { downgrade: true, source: { "320k": "upstream_no_copyright" } },
        order: ["source 320k"],
        kind: "upstream_no_copyright",
      },
      {
        name: "does not help when nobody answers",
        world: { downgrade: true, source: { "320k": "upstream_unreachable" } },
        order: ["source 320k"],
        kind: "upstream_unreachable",
      },
    ];
  test.each(rows)("$name", async ({ world, quality = "320k", order, served, kind }) => {
    const built = build(world);
    const answer = built.ask({ quality });
    if (kind === undefined) expect((await answer).quality).toBe(served ?? quality);
    else expect(await answer.catch((error) => error.kind)).toBe(kind);
    expect(built.order.filter((row) => row.startsWith("source"))).toEqual(order);
  });
});

describe("the most telling failure", () => {
  const rows: [source: Outcome, scripts: Outcome, told: ErrorKind][] = [
    ["upstream_unreachable", "upstream_refused", "upstream_refused"],
    ["upstream_needs_purchase", "upstream_refused", "upstream_needs_purchase"],
    ["upstream_refused", "upstream_no_copyright", "upstream_no_copyright"],
    ["upstream_changed", "upstream_unreachable", "upstream_changed"],
    ["upstream_verify", "upstream_not_found", "upstream_not_found"],
    ["throws", "upstream_refused", "upstream_refused"],
    ["throws", "throws", "internal"],
    ["invalid_request", "upstream_unreachable", "upstream_unreachable"],
  ];
  test.each(rows)("source %s, scripts %s: %s", async (source, outcome, told) => {
    const built = build({ source, scripts: { when: "after", outcome } });
    expect(await built.ask().catch((error) => error.kind)).toBe(told);
  });

  test("a bug is logged and traced, a platform's no is only traced", async () => {
    const bug = build({ source: "throws" });
    await bug.ask().catch(() => {});
    expect(bug.logged).toEqual(["resolution step failed"]);
    const no = build({ source: "upstream_verify" });
    await no.ask().catch(() => {});
    expect(no.logged).toEqual([]);
    expect(no.steps).toEqual([
      ["source", expect.objectContaining({ failed: "upstream_verify", message: "原因 upstream_verify" })],
    ]);
  });
});

describe("deadlines", () => {
  test.each<{ name: string; world: World }>([
    { name: "the platform hangs", world: { source: "hangs" } },
    { name: "scripts hang", world: { source: "upstream_unreachable", scripts: { when: "after", outcome: "hangs" } } },
    { name: "both hang", world: { source: "hangs", scripts: { when: "before", outcome: "hangs" } } },
  ])("$name: the total deadline ends it", async ({ world }) => {
    const from = performance.now();
    const kind = await build({ ...world, deadlineMs: 60 })
      .ask()
      .catch((error) => error.kind);
    expect(kind).toBe("upstream_unreachable");
    expect(performance.now() - from).toBeLessThan(3000);
  });

  test("whoever ignores the signal cannot hold the answer back", async () => {
    const deaf = fakeSource({ url: () => new Promise<PlayableUrl>(() => {}) });
    const track = createTrackResolver({
      sources: new Map([["kg", deaf]]),
      enabled: () => true,
      run: asGuest,
      cache: {
        keyOf: () => "k",
        peek: () => undefined,
        through: async (_request, load) => ({
          value: await load(new Set(), new AbortController().signal),
          status: "miss",
          expiresAt: 0,
        }),
      },
      nearby: [],
      songOf: async () => undefined,
      musicInfoOf,
      allowDowngrade: () => false,
      totalDeadlineMs: () => 60,
      log: silentLogger,
    });
    const request = { source: "kg", songId: "a", quality: "128k", client: "", bypass: false } as const;
    expect(await track.url(request).catch((error) => error.kind)).toBe("upstream_unreachable");
  });

  test("after the deadline nobody else is asked", async () => {
    const built = build({ source: "hangs", scripts: { when: "after", outcome: SCRIPT_URL }, deadlineMs: 60 });
    await built.ask().catch(() => {});
    expect(built.order).not.toContain("scripts");
  });
});

describe("what cannot be asked", () => {
  test.each([
    ["a platform without addresses", {}, { source: "tx" }, "unsupported"],
    ["a platform that is not there", {}, { source: "mg" }, "unsupported"],
    ["a platform that is off", { enabled: false }, {}, "source_disabled"],
    ["a quality that the platform lacks", {}, { quality: "master" }, "invalid_request"],
  ] as const)("%s", async (_name, world, request, kind) => {
    const built = build(world);
    expect(await built.ask(request).catch((error) => error.kind)).toBe(kind);
    expect(built.order).toEqual([]);
  });

  test("a platform that is off is not answered from memory either", () => {
    const { track } = build({ stored: true, enabled: false });
    expect(track.peek(track.placeOf("kg", "abc", "320k"), { peer: { address: "1.2.3.4" } })).toBeUndefined();
  });
});

describe("peek", () => {
  test("gives the same object for the same hit", () => {
    const { track } = build({ stored: true });
    const place = track.placeOf("kg", "abc", "320k");
    expect(place.key).toBe("kg:abc:320k");
    const first = track.peek(place, { peer: { address: "1.2.3.4" } });
    expect(first).toMatchObject({ address: STORED.url, cached: true });
    expect(track.peek(place, { peer: { address: "5.6.7.8" } })).toBe(first);
  });

  test("what is ours comes first", () => {
    const { track } = build({ webdav: true, stored: true });
    expect(track.peek(track.placeOf("kg", "abc", "320k"), { peer: { address: "" } })?.nearby).toBe("webdav");
  });
});

describe("what scripts are told of the song", () => {
  const own: MusicInfo = { ...musicInfoOf(SONG), name: "客户端", hash: "ABC" };
  const refusing: World = { source: "upstream_refused", scripts: { when: "after", outcome: SCRIPT_URL } };

  test("the client's words, when they are of this song", async () => {
    const built = build(refusing);
    await built.ask({ info: own });
    expect(built.infos[0]).toBe(own);
  });

  test("ours, when the client speaks of another song: answers are shared", async () => {
    const built = build(refusing);
    await built.ask({ info: { ...own, hash: "other", songmid: "other" } });
    expect(built.infos[0]).toMatchObject({ name: "晴天", hash: "abc" });
  });

  test.each<[string, World]>([
    ["nobody knows the song", { ...refusing, song: undefined }],
    ["asking for it fails", { ...refusing, song: undefined }],
  ])("%s: scripts cannot be asked", async (_name, world) => {
    const built = build(world);
    const message = await built.ask().catch((error) => error.message);
    expect(message).toBe("原因 upstream_refused");
    expect(built.order).not.toContain("scripts");
  });
});

test.each([
  ["flac24bit", "flac24bit"],
  ["standard", "128k"],
  ["constructor", undefined],
  ["", undefined],
  ["FLAC", undefined],
])("qualityOf(%s) = %s", (word, quality) => {
  const source = fakeSource({ qualityAliases: { standard: "128k" } });
  expect(qualityOf(source, word)).toBe(quality as Quality | undefined);
});

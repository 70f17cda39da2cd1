import { describe, expect, test } from "bun:test";
import type { RequestContext } from "../../src/http/context.ts";
import { createFastLane } from "../../src/http/fast-lane.ts";
import { musicRoutes } from "../../src/http/routes/music.ts";
import { queryRoutes } from "../../src/http/routes/query.ts";
import { createTargets, targetOf } from "../../src/http/target.ts";
import type { TrackAnswer } from "../../src/resolve/track.ts";
import { FRESH, musicRig, PEER, serve } from "./routes/rig.ts";

const HIT: TrackAnswer = { ...FRESH, cached: true, cacheStatus: "lx; hit; detail=memory" };

function lane(answer: TrackAnswer | undefined = HIT, context: Partial<RequestContext> = {}) {
  const peeked: { songId: string; client: string }[] = [];
  const rig = musicRig({
    answer: () => ({ ...HIT, ...answer }),
    peek(place, { peer }) {
      peeked.push({ songId: place.songId, client: peer.address });
      return answer;
    },
  });
  const fast = createFastLane(rig.deps);
  const full: RequestContext = { id: "test-id", peer: PEER, startedAt: 0, role: "none", authorised: true, ...context };
  const targets = createTargets();
  return {
    peeked,
    routed: serve([queryRoutes(rig.deps), musicRoutes(rig.deps)]),
    ask: (target: string, init?: RequestInit) => {
      const request = new Request(`http://localhost${target}`, init);
      return fast(request, targets(request.url), full);
    },
  };
}

describe("what is in memory is answered at once, with the words of the router", () => {
  test.each([
    "/url/kg/A1/128k",
    "/url/kg/A1/128k?info=eyJuYW1lIjoibiJ9",
    "/url?source=kg&songId=A1&quality=128k",
    "/url?quality=128k&songId=A1&source=kg",
  ])("%s", async (target) => {
    const { ask, routed, peeked } = lane();
    const hot = ask(target);
    const slow = await routed(target);
    expect(JSON.parse(hot?.body ?? "null")).toEqual(await slow.json());
    expect(hot?.headers["content-type"]).toBe(slow.headers.get("content-type") ?? "");
    expect(hot?.headers["cache-status"]).toBe("lx; hit; detail=memory");
    expect(peeked).toEqual([{ songId: "a1", client: "1.2.3.4" }]);
    // The same answer is the same object: its headers are made once.
    expect(ask(target)).toBe(hot);
  });
});

describe("everything unusual is the router's", () => {
  test.each<{ name: string; target: string; init?: RequestInit }>([
    { name: "POST", target: "/url/kg/a/128k", init: { method: "POST" } },
    { name: "HEAD", target: "/url/kg/a/128k", init: { method: "HEAD" } },
    { name: "no-cache", target: "/url/kg/a/128k", init: { headers: { "cache-control": "no-cache" } } },
    { name: "an escape", target: "/url/kg/%61/128k" },
    { name: "an escape in the query", target: "/url?source=kg&songId=%61&quality=128k" },
    { name: "a plus in the query", target: "/url?source=kg&songId=a+b&quality=128k" },
    { name: "unknown source", target: "/url/xx/a/128k" },
    { name: "unknown quality", target: "/url/kg/a/8d" },
    { name: "a word for a quality", target: "/url/wy/a/standard" },
    { name: "no id", target: "/url/kg//128k" },
    { name: "too few parts", target: "/url/kg/a" },
    { name: "too many parts", target: "/url/kg/a/128k/x" },
    { name: "a slash at the end", target: "/url/kg/a/128k/" },
    { name: "another route", target: "/urls/kg/a/128k" },
    { name: "no query", target: "/url" },
    { name: "more in the query", target: "/url?source=kg&songId=a&quality=128k&x=1" },
    { name: "a name twice", target: "/url?source=kg&songId=a&songId=b&quality=128k" },
    { name: "a value with =", target: "/url?source=kg&songId=a=b&quality=128k" },
    { name: "a name without value", target: "/url?source=kg&songId&quality=128k" },
    { name: "POST with an id that is none", target: `/url/kg/${"a".repeat(201)}/128k`, init: { method: "POST" } },
    { name: "a preflight of such an id", target: `/url/kg/${"a".repeat(201)}/128k`, init: { method: "OPTIONS" } },
    { name: "an object's own words", target: "/url/constructor/a/128k" },
  ])("$name", ({ target, init }) => {
    const { ask, peeked } = lane();
    expect(ask(target, init)).toBeUndefined();
    expect(peeked).toEqual([]);
  });

  test("not in memory", () => {
    const rig = musicRig();
    const fast = createFastLane(rig.deps);
    const context: RequestContext = { id: "i", peer: PEER, startedAt: 0, role: "none", authorised: true };
    const request = new Request("http://localhost/url/kg/a/128k");
    expect(fast(request, targetOf(request.url), context)).toBeUndefined();
  });
});

test("an address of ours is signed anew each time", () => {
  let count = 0;
  const rig = musicRig({
    peek: () => ({ ...HIT, address: "/cache/a.mp3", nearby: "audio" }),
    ownLink: (path) => `${path}?t=${++count}`,
  });
  const fast = createFastLane(rig.deps);
  const context: RequestContext = { id: "i", peer: PEER, startedAt: 0, role: "none", authorised: true };
  const request = new Request("http://localhost/url/kg/a/128k");
  const data = () => JSON.parse(fast(request, targetOf(request.url), context)?.body ?? "{}").data;
  expect([data(), data()]).toEqual(["/cache/a.mp3?t=1", "/cache/a.mp3?t=2"]);
});

test.each(["/url/kg/a/flac", "/url?source=kg&songId=a&quality=flac"])("a key that may not ask: %s", (target) => {
  expect(() => lane(HIT, { keyName: "low" }).ask(target)).toThrow("此key不能使用该音质");
});

test("an id that is none is refused as by the router", () => {
  expect(() => lane().ask(`/url/kg/${"a".repeat(201)}/128k`)).toThrow("请求参数有错");
});

import { describe, expect, test } from "bun:test";
import { AppError } from "../../../src/core/errors.ts";
import { queryRoutes } from "../../../src/http/routes/query.ts";
import { FRESH, LYRIC, type MusicRig, musicRig, serve } from "./rig.ts";

const ask = (rig: MusicRig) => serve([queryRoutes(rig.deps)]);

describe("success", () => {
  test("/url", async () => {
    const rig = musicRig();
    const response = await ask(rig)("/url?source=kg&songId=A1&quality=128k");
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-status")).toBe("lx; fwd=miss");
    expect(await response.json()).toEqual({
      code: 200,
      message: "成功",
      url: "http://audio.test/a.mp3",
      quality: "128k",
      ekey: null,
      cache: { cache: false, canExpire: true, expireAt: 1_795_328_408 },
    });
    expect(rig.requests[0]).toMatchObject({ source: "kg", songId: "a1", quality: "128k", client: "1.2.3.4" });
  });

  test("/url with an address of ours that has no end", async () => {
    const { expiresAt: _none, ...answer } = {
      ...FRESH,
      address: "/cache/a.mp3",
      nearby: "audio" as const,
      cached: true,
    };
    const response = await ask(musicRig({ answer: () => answer }))("/url?source=kg&songId=1&quality=flac");
    expect(await response.json()).toMatchObject({
      url: "/cache/a.mp3?t=signed",
      cache: { cache: true, canExpire: false, expireAt: null },
    });
  });

  test.each([
    ["/info?source=kg&songId=1", { name: "晴天 (Live)", singer: "甲、乙" }],
    ["/lyric?source=kg&songId=1", LYRIC],
  ])("%s", async (target, data) => {
    const response = await ask(musicRig({ status: "hit" }))(target);
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-status")).toBe("lx; hit; detail=memory");
    expect(await response.json()).toMatchObject({ code: 200, message: "成功", data });
  });
});

test("a failure says how the cache answered", async () => {
  const rig = musicRig({
    answer: (request) => {
      request.note?.("negative");
      throw new AppError("upstream_no_copyright", "酷狗: 没有版权");
    },
  });
  const response = await ask(rig)("/url?source=kg&songId=1&quality=128k");
  expect(response.headers.get("cache-status")).toBe("lx; hit; detail=negative");
});

describe("failures: the status is the code", () => {
  test.each([
    ["/url", 404],
    ["/url?source=kg", 404],
    ["/url?source=kg&songId=&quality=128k", 404],
    ["/url?source=xx&songId=1&quality=128k", 404],
    ["/url?source=kg&songId=1", 404],
    ["/url?source=kg&songId=1&quality=8d", 404],
    ["/url?source=kg&songId=%00&quality=128k", 404],
    [`/url?source=kg&songId=${"a".repeat(201)}&quality=128k`, 404],
    ["/info", 404],
    ["/info?source=kg&songId=gone", 404],
    ["/info?source=kg&songId=broken", 500],
    ["/lyric?source=kg", 404],
    ["/lyric?source[]=kg&songId=1", 404],
  ])("%s -> %d", async (target, code) => {
    const response = await ask(musicRig())(target);
    expect(response.status).toBe(code);
    const body = (await response.json()) as Record<string, unknown>;
    expect(body).toEqual({ code, message: expect.any(String) });
    expect(JSON.stringify(body)).not.toContain("s3cret");
  });

  test.each([
    ["unauthorized", 403],
    ["upstream_needs_purchase", 404],
    ["upstream_unreachable", 500],
    ["busy", 503],
  ] as const)("%s -> %d", async (kind, code) => {
    const rig = musicRig({
      answer: () => {
        throw new AppError(kind, "原因");
      },
    });
    const response = await ask(rig)("/url?source=kg&songId=1&quality=128k");
    expect(response.status).toBe(code);
    expect(await response.json()).toEqual({ code, message: "原因" });
  });
});

import { describe, expect, test } from "bun:test";
import { kwSection } from "../../../src/config/sections/sources.ts";
import { createKw } from "../../../src/sources/kw/index.ts";
import type { Source } from "../../../src/sources/source.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { PLAYLIST_ID } from "../../platforms/kw/lists.ts";
import { kwPlatform } from "../../platforms/kw.ts";
import { BREAKAGES, failure, platformFor } from "../harness.ts";

const world = platformFor(kwPlatform, kwSection);
const id = songByKey("plain").ids.kw.id;
const page = { page: 1, size: 20 };

/** Every ability that asks the platform. */
const ABILITIES: Record<string, (source: Source) => Promise<unknown> | undefined> = {
  url: (source) => source.url?.({ songId: id, quality: "128k" }, {}),
  info: (source) => source.info?.(id, {}),
  lyric: (source) => source.lyric?.(id, {}),
  cover: (source) => source.cover?.(id, {}),
  searchSongs: (source) => source.searchSongs?.({ query: "晴", ...page }, {}),
  "search playlists": (source) => source.searchCollections?.("playlist", { query: "测试", ...page }, {}),
  "search albums": (source) => source.searchCollections?.("album", { query: "测试", ...page }, {}),
  "search artists": (source) => source.searchCollections?.("artist", { query: "测试", ...page }, {}),
  suggest: (source) => source.suggest?.("晴", {}),
  hot: (source) => source.hot?.({}),
  playlist: (source) => source.playlist?.(PLAYLIST_ID, page, {}),
  album: (source) => source.album?.("820001", page, {}),
  boards: (source) => source.boards?.({}),
  board: (source) => source.board?.("93", page, {}),
  "comments hot": (source) => source.comments?.({ songId: id, sort: "hot", ...page }, {}),
  "comments new": (source) => source.comments?.({ songId: id, sort: "new", ...page }, {}),
  mv: (source) => source.mv?.(id, {}),
};
const names = Object.keys(ABILITIES);
const run = (name: string, source: Source) => ABILITIES[name]?.(source) ?? Promise.reject(new Error(`no ${name}`));

test.each(names)("%s works when nothing is broken", async (name) => {
  expect(await run(name, createKw(world.deps()))).toBeDefined();
});

describe.each(BREAKAGES)("$fault", ({ fault, kinds }) => {
  test.each(names)("%s", async (name) => {
    world.fault(fault);
    expect(kinds).toContain((await failure(run(name, createKw(world.deps())))).kind);
  });
});

test.each(names)("%s gives up at its deadline", async (name) => {
  world.fault("slow", { delayMs: 400 });
  const error = await failure(run(name, createKw(world.deps(() => {}, { deadlineMs: 60 }))));
  expect([error.kind, error.message]).toEqual(["upstream_unreachable", "平台响应超时，请稍后重试"]);
});

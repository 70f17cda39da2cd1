import { describe, expect, test } from "bun:test";
import { txSection } from "../../../src/config/sections/sources.ts";
import type { Source } from "../../../src/sources/source.ts";
import { createTx } from "../../../src/sources/tx/index.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { txPlatform } from "../../platforms/tx.ts";
import { accountWith, BREAKAGES, failure, platformFor } from "../harness.ts";

const world = platformFor(txPlatform, txSection);
const song = songByKey("plain");
const { mid, id, vid } = song.ids.tx;
const page = { page: 1, size: 20 };
const me = accountWith("tx", { qqmusic_key: "Q_H_L_KEY", uin: "10001", refresh_key: "R" });

/** Every ability that asks the platform. */
const ABILITIES: Record<string, (source: Source) => Promise<unknown> | undefined> = {
  url: (source) => source.url?.({ songId: mid, quality: "128k" }, {}),
  info: (source) => source.info?.(mid, {}),
  lyric: (source) => source.lyric?.(id, {}),
  "lyric by mid": (source) => source.lyric?.(mid, {}),
  cover: (source) => source.cover?.(mid, {}),
  searchSongs: (source) => source.searchSongs?.({ query: "晴", ...page }, {}),
  "search albums": (source) => source.searchCollections?.("album", { query: "测试", ...page }, {}),
  suggest: (source) => source.suggest?.("晴", {}),
  hot: (source) => source.hot?.({}),
  playlist: (source) => source.playlist?.("7217720898", page, {}),
  album: (source) => source.album?.(song.album.mid, page, {}),
  boards: (source) => source.boards?.({}),
  board: (source) => source.board?.("26", page, {}),
  "comments hot": (source) => source.comments?.({ songId: id, sort: "hot", ...page }, {}),
  "comments new": (source) => source.comments?.({ songId: mid, sort: "new", ...page }, {}),
  mv: (source) => source.mv?.(vid, {}),
  "accounts.refresh": (source) => source.accounts?.refresh?.(me, {}),
  "accounts.check": (source) => source.accounts?.check?.(me, {}),
};
const names = Object.keys(ABILITIES);
const run = (name: string, source: Source) => ABILITIES[name]?.(source) ?? Promise.reject(new Error(`no ${name}`));

test.each(names)("%s works when nothing is broken", async (name) => {
  world.account("member", { token: "Q_H_L_KEY", refreshKey: "R" });
  expect(await run(name, createTx(world.deps()))).toBeDefined();
});

describe.each(BREAKAGES)("$fault", ({ fault, kinds }) => {
  test.each(names)("%s", async (name) => {
    world.account("member", { token: "Q_H_L_KEY", refreshKey: "R" });
    world.fault(fault);
    expect(kinds).toContain((await failure(run(name, createTx(world.deps())))).kind);
  });
});

test.each(names)("%s gives up at its deadline", async (name) => {
  world.account("member", { token: "Q_H_L_KEY", refreshKey: "R" });
  world.fault("slow", { delayMs: 400 });
  const error = await failure(run(name, createTx(world.deps(() => {}, { deadlineMs: 60 }))));
  expect([error.kind, error.message]).toEqual(["upstream_unreachable", "平台响应超时，请稍后重试"]);
});

test("a sign that does not fit is refused by the platform, and said so", async () => {
  const deps = world.deps();
  const tampering = {
    ...deps,
    http: (request: Parameters<typeof deps.http>[0]) => deps.http({ ...request, body: `${request.body} ` }),
  };
  const error = await failure(run("info", createTx(tampering)));
  expect([error.kind, error.upstreamCode]).toEqual(["upstream_refused", 2000]);
});

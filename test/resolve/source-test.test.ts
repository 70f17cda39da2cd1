import { expect, test } from "bun:test";
import { AppError } from "../../src/core/errors.ts";
import type { Song } from "../../src/core/types.ts";
import { type AbilityRow, testSource } from "../../src/resolve/source-test.ts";
import { asGuest, fakeSource } from "./fake-source.ts";

const song = (songId: string): Song => ({
  source: "kg",
  songId,
  name: `歌 ${songId}`,
  artists: [{ name: "甲" }],
  qualities: {},
  ids: {},
  mvId: `mv-${songId}`,
});
const page = { total: 3, page: 1, size: 5 };

function platform(asked: unknown[]) {
  return fakeSource({
    searchSongs: async ({ query }) => {
      asked.push(["search", query]);
      return { ...page, list: [song("found")] };
    },
    info: async (id) => song(id),
    lyric: async () => ({ lyric: "[00:01.00]a\n[00:02.00]b", tlyric: "x", rlyric: "", lxlyric: "y" }),
    cover: async () => Promise.reject(new AppError("upstream_not_found", "没有封面", { upstreamCode: 404 })),
    searchCollections: async () => ({ ...page, list: [{ source: "kg", type: "playlist", id: "p1", name: "单" }] }),
    playlist: async (id) => ({
      info: { source: "kg", type: "playlist", id, name: "单" },
      songs: { ...page, list: [] },
    }),
    boards: async () => [],
    board: async () => ({ ...page, list: [] }),
    mv: async (id) => {
      asked.push(["mv", id]);
      return { source: "kg", id, name: "", artists: [], files: { "720p": { url: "http://a" } }, ids: {} };
    },
    url: async ({ songId, quality }) => {
      asked.push(["url", songId, quality]);
      if (quality === "flac") throw new TypeError("bug");
      return { url: "http://host.test/a?token=s3cret", quality };
    },
  });
}

test("tries what the platform has, with what was found before, and says how it went", async () => {
  const asked: unknown[] = [];
  const told: AbilityRow[] = [];
  const rows = await testSource(platform(asked), undefined, asGuest, (row) => void told.push(row));
  expect(told).toEqual(rows);
  expect(rows.map(({ ability, ok, outcome }) => [ability, ok, outcome])).toEqual([
    ["search", true, "3 songs, first: 歌 found"],
    ["info", true, "歌 found - 甲"],
    ["lyric", true, "2 lines, by word, translated"],
    ["cover", false, "没有封面 (404)"],
    ["search playlists", true, "3 playlists"],
    ["playlist", true, "单: 3 songs"],
    ["boards", true, "0 boards"],
    ["board", false, "no board was found"],
    ["mv", true, "720p"],
    ["url 128k", true, "host.test"],
    ["url 320k", true, "host.test"],
    ["url flac", false, "内部服务器错误"],
  ]);
  expect(rows.every((row) => row.milliseconds >= 0)).toBe(true);
  expect(JSON.stringify(rows)).not.toContain("s3cret");
  expect(asked).toContainEqual(["mv", "mv-found"]);
});

test("a song that was named is the one that is tried", async () => {
  const asked: unknown[] = [];
  await testSource(platform(asked), "named", asGuest);
  expect(asked).toContainEqual(["url", "named", "128k"]);
  expect(asked).toContainEqual(["mv", "mv-named"]);
});

test("without a song nothing is asked that needs one", async () => {
  const { searchSongs: _search, ...rest } = platform([]);
  const rows = await testSource(rest, undefined, asGuest);
  expect(rows.find((row) => row.ability === "url 128k")).toMatchObject({
    ok: false,
    outcome: "no song is known: name one",
  });
});

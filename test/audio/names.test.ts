import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { fileName, isPlainName, parseName } from "../../src/audio/names.ts";
import type { TrackTags } from "../../src/audio/track-tags.ts";
import { safeSegment, treePath } from "../../src/audio/tree.ts";
import { QUALITIES, SOURCE_IDS } from "../../src/core/types.ts";

const key = fc.record({
  source: fc.constantFrom(...SOURCE_IDS),
  songId: fc.string({ unit: "binary", minLength: 1, maxLength: 60 }).filter((id) => id.isWellFormed()),
  quality: fc.constantFrom(...QUALITIES, "cover" as const),
});

test.each([
  { name: "tx_0039MnYb0qxYhV_320k.mp3", source: "tx", songId: "0039MnYb0qxYhV", quality: "320k", extension: "mp3" },
  { name: "tx_0039MnYb0qxYhV_cover.jpg", source: "tx", songId: "0039MnYb0qxYhV", quality: "cover", extension: "jpg" },
  {
    name: "kg_41f45664e8235b786990cbf213cd4725_flac.flac",
    source: "kg",
    songId: "41f45664e8235b786990cbf213cd4725",
    quality: "flac",
    extension: "flac",
  },
  { name: "tx_a_b_atmos_plus.FLAC", source: "tx", songId: "a_b", quality: "atmos_plus", extension: "flac" },
  { name: "wy_~e6~99~b4_128k.mp3", source: "wy", songId: "晴", quality: "128k", extension: "mp3" },
])("$name is understood", ({ name, ...expected }) => expect(parseName(name)).toEqual(expected as never));

test.each([
  "song.mp3",
  "xx_1_320k.mp3",
  "tx__320k.mp3",
  "tx_1_999k.mp3",
  "tx_1_320k.jpg",
  "tx_1_cover.mp3",
  "tx_1_320k.mp3.123-abcdef01.tmp",
  "tx_1_320k",
  "tx_~zz_320k.mp3",
  "tx_1\n_320k.mp3",
])("%j is not ours", (name) => expect(parseName(name)).toBeUndefined());

test("every key comes back from its name, and every name is fit for every file system", () => {
  fc.assert(
    fc.property(key, fc.boolean(), (wanted, strict) => {
      const extension = wanted.quality === "cover" ? "jpg" : "flac";
      const name = fileName(wanted, extension, strict);
      if (name === undefined) return;
      expect(parseName(name)).toEqual({ ...wanted, extension });
      expect(name).toMatch(/^[A-Za-z0-9_~.-]{1,140}$/);
      expect(isPlainName(name)).toBe(true);
      if (strict) expect(name).toBe(name.toLowerCase());
    }),
  );
});

test.each([
  "..",
  ".",
  "",
  "../x.mp3",
  "a/b.mp3",
  "a\\b.mp3",
  "a\0.mp3",
  ".hidden.mp3",
  "C:x.mp3",
  "x.mp3.tmp",
  "x.mp3.",
  "x.mp3 ",
  "x.part",
  "noext",
])("%j is no plain name", (name) => expect(isPlainName(name)).toBe(false));

interface Placed {
  name: string;
  tags: TrackTags;
  path: string;
}

describe("tree", () => {
  test.each<Placed>([
    {
      name: "full",
      tags: { title: "晴天", artists: ["周杰伦"], album: "叶惠美", track: 3 },
      path: "周杰伦/叶惠美/03 - 晴天.flac",
    },
    {
      name: "second disc",
      tags: { title: "t", artists: ["a"], album: "b", track: 3, disc: 2 },
      path: "a/b/2-03 - t.flac",
    },
    {
      name: "guests stay with the album",
      tags: { title: "t", artists: ["b"], albumArtists: ["a"], album: "c" },
      path: "a/c/t.flac",
    },
    { name: "nothing known", tags: {}, path: "未知歌手/未知专辑/未知歌曲.flac" },
    {
      name: "separators",
      tags: { title: "a/b\\c:d", artists: ["AC/DC"], album: "?" },
      path: "AC／DC/？/a／b＼c：d.flac",
    },
    { name: "a way out", tags: { title: "..", artists: ["../.."], album: "." }, path: "／/未知专辑/未知歌曲.flac" },
    {
      name: "device names",
      tags: { title: "aux", artists: ["CON"], album: "nul.txt" },
      path: "_CON/_nul.txt/_aux.flac",
    },
    { name: "ends with dots", tags: { title: "t...", artists: ["R.E.M."], album: "b " }, path: "R.E.M/b/t.flac" },
  ])("$name", ({ tags, path }) => {
    expect(treePath(tags, "flac")).toBe(path);
  });

  test("any tags give a path of three names that any file system takes", () => {
    const text = fc.string({ unit: "binary", maxLength: 300 });
    fc.assert(
      fc.property(text, text, text, text, (title, artist, album, distinction) => {
        const parts = treePath({ title, artists: [artist], album, track: 1 }, "flac", distinction).split("/");
        expect(parts.length).toBe(3);
        for (const part of parts) {
          expect(part).not.toMatch(/[\0-\x1f\\:*?"<>|]|^\.|[. ]$/);
          expect(part).not.toMatch(/^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i);
          expect(Buffer.byteLength(part)).toBeLessThanOrEqual(142);
          expect(part.length).toBeGreaterThan(0);
        }
      }),
    );
  });

  test("a long name is cut between letters, never inside one", () => {
    const cut = safeSegment("👨‍👩‍👧".repeat(50), "x");
    expect(cut.length % "👨‍👩‍👧".length).toBe(0);
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(140);
  });
});

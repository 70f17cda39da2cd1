import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { txSection } from "../../../src/config/sections/sources.ts";
import { isAppError } from "../../../src/core/errors.ts";
import { LYRIC_LIMITS, parseLrc, parseWords } from "../../../src/sources/lrc.ts";
import { createTx } from "../../../src/sources/tx/index.ts";
import { parseLyric } from "../../../src/sources/tx/lyric.ts";
import vectors from "../../fixtures/tx/vectors.json";
import { songByKey } from "../../platforms/catalog.ts";
import { encrypt } from "../../platforms/tx/lyric.ts";
import { txPlatform } from "../../platforms/tx.ts";
import type { CatalogSong } from "../../platforms/world.ts";
import { platformFor } from "../harness.ts";

const longLine = (index: number) => ({
  startMs: index * 2000,
  durationMs: 2000,
  words: Array.from({ length: 10 }, (_, at) => ({ offsetMs: at * 200, durationMs: 200, text: "字" })),
  translation: `A translation that goes on for quite a while, number ${index}`,
  romanised: "zi zi zi zi zi zi zi zi zi zi zi zi zi zi zi zi zi zi",
});
const long: CatalogSong = {
  ...songByKey("plain"),
  ids: { ...songByKey("plain").ids, tx: { mid: "00LONGLONG0001", id: "555", mediaMid: "M00LONG", vid: "v0LONGx" } },
  lyric: Array.from({ length: 150 }, (_, index) => longLine(index)),
};
const world = platformFor(txPlatform, txSection, [
  songByKey("plain"),
  songByKey("instrumental"),
  songByKey("odd"),
  long,
]);
const ask = (id: string) => createTx(world.deps()).lyric?.(id, {});

describe("known answers", () => {
  test.each(vectors.qq_lyric_parse.cases)("%#", ({ lyric, trans, roma, out }) => {
    expect(parseLyric(lyric, trans, roma)).toEqual(out);
  });
});

describe("from the platform", () => {
  test("four texts of one song, word times relative to the line", async () => {
    expect(await ask(songByKey("plain").ids.tx.mid)).toEqual({
      lyric: [
        "[offset:0]",
        "[00:00.000]测试 - 歌手",
        "[00:02.000]故事的小黄花",
        "[00:05.500]从出生那年就飘着",
        "[01:01.005]♪ Rock&Roll ",
      ].join("\n"),
      tlyric: [
        "[00:00.000]//",
        "[00:02.000]The little yellow flower of the story",
        "[00:05.500]It has been drifting since the year I was born",
        "[01:01.005]摇滚",
      ].join("\n"),
      rlyric: ["[00:02.000]gu shi de xiao huang hua ", "[00:05.500]cong chu sheng na nian jiu piao zhe "].join("\n"),
      lxlyric: [
        "[offset:0]",
        "[00:00.000]<0,500>测<500,500>试<1000,500> - <1500,500>歌手",
        "[00:02.000]<0,1000>故事<1000,1000>的<2000,1000>小黄花",
        "[00:05.500]<0,500>从<500,500>出生<1000,500>那年<1500,500>就<2000,500>飘着",
        "[01:01.005]<0,375>♪ <375,375>Rock<750,375>&<1125,375>Roll ",
      ].join("\n"),
    });
    expect(world.requests()).toHaveLength(2);
  });

  test("a number that is known saves a request", async () => {
    const { mid, id } = songByKey("plain").ids.tx;
    const song = { source: "tx" as const, songId: mid, name: "", artists: [], qualities: {}, ids: { id } };
    await createTx(world.deps()).lyric?.(mid, {}, song);
    expect(JSON.parse(world.only().text).req.param.songID).toBe(Number(id));
  });

  test("a song without a lyric has four empty texts", async () => {
    expect(await ask(songByKey("instrumental").ids.tx.id)).toEqual({ lyric: "", tlyric: "", rlyric: "", lxlyric: "" });
  });

  test("a number of nineteen digits is sent as it is", async () => {
    await ask("1152921504606846977")?.catch(() => undefined);
    expect(world.only().text).toContain('"songID":1152921504606846977,');
  });

  test("what is longer than a client takes is cut at whole lines, the words' end goes on in plain lines", async () => {
    const lyric = await ask(long.ids.tx.id);
    for (const name of ["lyric", "tlyric", "rlyric", "lxlyric"] as const) {
      expect(lyric?.[name].length).toBeLessThanOrEqual(LYRIC_LIMITS[name]);
      expect(lyric?.[name].length).toBeGreaterThan(3000);
    }
    expect(parseLrc(lyric?.lyric ?? "").lines).toHaveLength(150);
    expect(parseLrc(lyric?.lxlyric ?? "").lines).toHaveLength(150);
    expect(lyric?.tlyric.split("\n").at(-1)).toMatch(/number \d+$/);
    expect(lyric?.rlyric.split("\n").at(-1)).toMatch(/(?:zi ){18}$/);
    expect(lyric?.lxlyric.split("\n")[1]).toMatch(/^\[00:00\.000\](<\d+,\d+>字){10}$/);
  });
});

describe("forms", () => {
  const xml = (content: string) => `<Lyric_1 LyricType="1" LyricContent="${content}"/>`;
  test.each([
    {
      name: "a quote inside the content",
      text: xml('[al:THE BEST "Blue"]\n[1000,2000]he(1000,500)llo(1500,500)'),
      lyric: "[00:01.000]hello",
      lxlyric: "[00:01.000]<0,500>he<500,500>llo",
    },
    {
      name: "escaped line breaks and quotes",
      text: xml("[ti:x]&#10;[0,1]&quot;a&quot;(0,1)&#13;&#10;[5,1]b&amp;c(5,1)"),
      lyric: '[00:00.000]"a"\n[00:00.005]b&c',
      lxlyric: '[00:00.000]<0,1>"a"\n[00:00.005]<0,1>b&c',
    },
    {
      name: "round brackets that are no time",
      text: xml("[0,900]啊(Oh)(0,300)(Live)(300,600)"),
      lyric: "[00:00.000]啊(Oh)(Live)",
      lxlyric: "[00:00.000]<0,300>啊(Oh)<300,600>(Live)",
    },
    {
      name: "a word before its line, a rest without a time, a line without words",
      text: xml("[1000,900]a(900,300)b(1300,100)!\n[3000,10]plain\n[00:05.50]lrc"),
      lyric: "[00:01.000]ab!\n[00:03.000]plain\n[00:05.500]lrc",
      lxlyric: "[00:01.000]<0,300>a<300,100>b!\n[00:03.000]<0,0>plain\n[00:05.500]<0,0>lrc",
    },
    { name: "no timed line", text: xml("[ti:x]\n[ar:y]"), lyric: "", lxlyric: "" },
    {
      name: "no end of the content",
      text: '<x LyricContent="[0,1]a(0,1)',
      lyric: "[00:00.000]a",
      lxlyric: "[00:00.000]<0,1>a",
    },
  ])("$name", ({ text, lyric, lxlyric }) => {
    expect(parseLyric(text, "", "")).toEqual({ lyric, lxlyric, tlyric: "", rlyric: "" });
  });

  test("plain LRC keeps its text, translation and romanisation are paired all the same", () => {
    const lyric = "[ti:x]\n[00:01.00]plain\n[00:02.50]lrc";
    expect(parseLyric(lyric, "[00:01.05]klar\n[00:09.00]lost", "[00:02.50]l r c")).toEqual({
      lyric,
      tlyric: "[00:01.000]klar",
      rlyric: "[00:02.500]l r c",
      lxlyric: "",
    });
  });
});

describe("any text", () => {
  const word = fc.record({
    text: fc.string({ unit: "grapheme", maxLength: 6 }).filter((text) => !/[\r\n()&"<>[\]\u2028\u2029]/.test(text)),
    ms: fc.integer({ min: 0, max: 900 }),
  });
  const line = fc.record({
    gap: fc.integer({ min: 1, max: 9000 }),
    words: fc.array(word, { minLength: 1, maxLength: 6 }),
  });

  test("an LRC that comes out reads back to the lines that went in", () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 20 }), (lines) => {
        let at = 0;
        const timed = lines.map(({ gap, words }) => {
          at += gap;
          const start = at;
          let offset = 0;
          const placed = words.map(({ text, ms }) => {
            const placedWord = { text, offsetMs: offset, durationMs: ms };
            offset += ms;
            return placedWord;
          });
          return { start, placed };
        });
        const content = timed
          .map(
            ({ start, placed }) =>
              `[${start},1]${placed.map((w) => `${w.text}(${start + w.offsetMs},${w.durationMs})`).join("")}`,
          )
          .join("\n");
        const out = parseLyric(`<x LyricContent="${content}"/>`, "", "");
        expect(parseLrc(out.lyric).lines).toEqual(
          timed.map(({ start, placed }) => ({ timeMs: start, text: placed.map((w) => w.text).join("") })),
        );
        expect(parseWords(out.lxlyric)).toEqual(timed.map(({ start, placed }) => ({ timeMs: start, words: placed })));
      }),
    );
  });

  test("no text makes the reader throw", () => {
    const junk = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string().map((text) => `<x LyricContent="[0,1]${text}"/>`),
    );
    fc.assert(fc.property(junk, junk, junk, (lyric, trans, roma) => void parseLyric(lyric, trans, roma)));
  });

  test("what is encrypted is read, what is not fails with our own error", () => {
    expect(encrypt("晴天")).toMatch(/^[0-9A-F]+$/);
    fc.assert(
      fc.asyncProperty(fc.string(), async (text) => {
        const deps = world.deps();
        const http = async () => ({
          status: 200,
          headers: new Headers(),
          bytes: new Uint8Array(),
          text: () => "",
          json: () => ({ code: 0, req: { code: 0, data: { lyric: text } } }),
        });
        const outcome = await createTx({ ...deps, http })
          .lyric?.("1", {})
          .catch((error: unknown) => error);
        if (outcome instanceof Error) expect(isAppError(outcome) && outcome.kind).toBe("upstream_changed");
      }),
    );
  });
});

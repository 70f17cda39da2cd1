import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  cutLines,
  decodeEntities,
  formatLrc,
  formatTime,
  formatWords,
  LYRIC_LIMITS,
  limitLyric,
  lxWord,
  pairLines,
  parseLrc,
  parseWords,
} from "../../src/sources/lrc.ts";

describe("times and words", () => {
  test.each([
    [0, "[00:00.000]"],
    [5, "[00:00.005]"],
    [61_005, "[01:01.005]"],
    [29_264, "[00:29.264]"],
    [6_000_000, "[100:00.000]"],
    [-20, "[00:00.000]"],
    [999.6, "[00:01.000]"],
  ])("%p ms -> %p", (ms, tag) => expect(formatTime(ms)).toBe(tag));

  test.each([
    [0, 260, "故", "<0,260>故"],
    [-30, 260, "故", "<0,260>故"],
    [10.4, -1, " ", "<10,0> "],
  ])("word %p,%p %p -> %p", (start, length, text, form) => expect(lxWord(start, length, text)).toBe(form));

  test.each([
    ["[00:01.5]a", 1500],
    ["[00:01.50]a", 1500],
    ["[00:01.500]a", 1500],
    ["[00:01:50]a", 1500],
    ["[00:01]a", 1000],
    ["  [01:01.005]a", 61_005],
    ["[100:00.00]a", 6_000_000],
  ])("%p is read as %p ms", (line, timeMs) => expect(parseLrc(line).lines).toEqual([{ timeMs, text: "a" }]));
});

describe("lrc text", () => {
  test("tags, repeated times and untimed text", () => {
    expect(parseLrc("[ti:晴天]\r\n[offset:0]\n\n[00:02.00][00:01.00]again\nuntimed\n[00:03.00]")).toEqual({
      tags: ["[ti:晴天]", "[offset:0]"],
      lines: [
        { timeMs: 1000, text: "again" },
        { timeMs: 2000, text: "again" },
        { timeMs: 3000, text: "" },
      ],
    });
  });

  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("[00:01.00]x", " [1:2]", "<1,2>x", "a\nb", "]["),
  );
  const time = fc.integer({ min: 0, max: 20_000_000 });

  test("what is written is read back", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ timeMs: time, text })), (lines) => {
        const sorted = lines.sort((a, b) => a.timeMs - b.timeMs);
        const once = parseLrc(formatLrc(sorted)).lines;
        expect(once.map((line) => line.timeMs)).toEqual(sorted.map((line) => line.timeMs));
        expect(parseLrc(formatLrc(once)).lines).toEqual(once);
        once.forEach((line, index) => {
          const asked = sorted[index]?.text ?? "";
          if (!/[\r\n[<]/.test(asked)) expect(line.text).toBe(asked);
        });
      }),
    );
  });

  test("words that are written are read back", () => {
    const number = fc.integer({ min: 0, max: 1e6 });
    const word = fc.record({ offsetMs: number, durationMs: number, text });
    fc.assert(
      fc.property(fc.array(fc.record({ timeMs: time, words: fc.array(word, { minLength: 1 }) })), (lines) => {
        const sorted = lines.sort((a, b) => a.timeMs - b.timeMs);
        const read = parseWords(formatWords(sorted));
        const shape = (item: typeof sorted) =>
          item.map((line) => [line.timeMs, line.words.map((w) => [w.offsetMs, w.durationMs])]);
        expect(shape(read)).toEqual(shape(sorted));
        expect(parseWords(formatWords(read))).toEqual(read);
      }),
    );
  });

  test("reading never throws", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (junk) => void [parseLrc(junk), parseWords(junk)]));
  });
});

describe("pairing", () => {
  const lines = [0, 29_264, 32_832].map((timeMs) => ({ timeMs, text: String(timeMs) }));
  test.each<{ name: string; at: number[]; got: number[] }>([
    { name: "same time", at: [29_264], got: [29_264] },
    { name: "two-digit fraction", at: [29_260, 32_830], got: [29_264, 32_832] },
    { name: "just inside", at: [29_165, 32_931], got: [29_264, 32_832] },
    { name: "just outside", at: [29_164, 32_932], got: [] },
    { name: "a line without a partner is left out", at: [0, 10_000, 32_832], got: [0, 32_832] },
    { name: "one partner each", at: [29_250, 29_270], got: [29_264] },
    { name: "unordered", at: [32_832, 0], got: [0, 32_832] },
  ])("$name", ({ at, got }) => {
    const others = at.map((timeMs) => ({ timeMs, text: "t" }));
    expect(pairLines(lines, others).map((line) => line.timeMs)).toEqual(got);
  });
});

describe("limits", () => {
  const many = (count: number, line: (index: number) => string) =>
    Array.from({ length: count }, (_, i) => line(i)).join("\n");

  test("a short lyric is left alone", () => {
    const lyric = { lyric: "[00:00.000]a", tlyric: "[00:00.000]b", rlyric: "", lxlyric: "[00:00.000]<0,1>a" };
    expect(limitLyric(lyric)).toEqual(lyric);
  });

  test("only whole lines go", () => {
    const long = many(4000, (i) => `${formatTime(i * 1000)}第 ${i} 行`);
    const cut = limitLyric({ lyric: long, tlyric: long, rlyric: long, lxlyric: "" });
    for (const name of ["lyric", "tlyric", "rlyric"] as const) {
      expect(cut[name].length).toBeLessThanOrEqual(LYRIC_LIMITS[name]);
      expect(long.startsWith(`${cut[name]}\n`)).toBe(true);
      expect(cut[name].length).toBeGreaterThan(LYRIC_LIMITS[name] - 40);
    }
  });

  test("a long word lyric goes on in plain lines to the end of the song", () => {
    const words = Array.from({ length: 12 }, (_, index) => lxWord(index * 100, 100, "字")).join("");
    const long = `[offset:0]\n${many(120, (i) => formatTime(i * 1000) + words)}`;
    const cut = limitLyric({ lyric: "", tlyric: "", rlyric: "", lxlyric: long }).lxlyric;
    expect(cut.length).toBeLessThanOrEqual(LYRIC_LIMITS.lxlyric);
    expect(cut.split("\n")).toHaveLength(121);
    expect(cut.split("\n")[1]).toBe(`[00:00.000]${words}`);
    expect(cut.split("\n").at(-1)).toBe(`[01:59.000]${"字".repeat(12)}`);
    expect(parseLrc(cut).lines.map((line) => line.text.replace(/<\d+,\d+>/g, ""))).toEqual(
      Array.from({ length: 120 }, () => "字".repeat(12)),
    );
  });

  test.each([
    ["ab\ncd\nef", 5, "ab\ncd"],
    ["ab\ncd\nef", 4, "ab"],
    ["abcdef", 3, ""],
    ["ab", 2, "ab"],
  ])("cutLines(%p, %p) -> %p", (text, limit, got) => expect(cutLines(text, limit)).toBe(got));
});

test.each([
  ["Rock&amp;Roll &lt;3 &quot;x&quot; &apos;y&apos;", "Rock&Roll <3 \"x\" 'y'"],
  ["&#39;&#x4e2d;&nbsp;", "'中 "],
  ["&bogus; &#0; &#xd800; &#9999999;", "&bogus; &#0; &#xd800; &#9999999;"],
])("decodeEntities(%p)", (text, plain) => expect(decodeEntities(text)).toBe(plain));

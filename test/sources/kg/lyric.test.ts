import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isAppError } from "../../../src/core/errors.ts";
import { parseKrc, readLyric } from "../../../src/sources/kg/lyric.ts";
import vectors from "../../fixtures/kg/vectors.json";

/** The original forgets to pad the milliseconds: `.5` stands for 5 ms. */
const padded = (lrc: string) =>
  lrc
    .replace(/\[(\d+:\d\d)\.(\d{1,3})\]/g, (_, time: string, ms: string) => `[${time}.${ms.padStart(3, "0")}]`)
    .trimEnd();

describe("known answers", () => {
  // The fourth is wrong in the original (it rewrites words that look like the line's time), the fifth crashes there.
  test.each([0, 1, 2].map((index) => ({ index })))("case $index", ({ index }) => {
    const item = vectors.kugou_krc.cases[index];
    const wanted = item?.parsed as Record<string, string>;
    const found = parseKrc(item?.decoded ?? "");
    expect({ ...found, rlyric: found.rlyric.trimEnd() }).toEqual({
      lyric: padded(wanted["lyric"] ?? ""),
      tlyric: padded(wanted["tlyric"] ?? ""),
      rlyric: padded(wanted["rlyric"] ?? ""),
      lxlyric: padded(wanted["lxlyric"] ?? ""),
    });
  });

  test("words whose times look like the line's stay words", () => {
    const { lyric, lxlyric } = parseKrc(vectors.kugou_krc.cases[3]?.decoded ?? "");
    expect(lyric).toBe("[00:00.000]dupkey\n[00:59.999]a\n[01:00.000]b");
    expect(lxlyric).toBe("[00:00.000]<0,500>dup<0,500>key\n[00:59.999]<0,10>a\n[01:00.000]<0,10>b");
  });

  test("a translation with fewer lines than the song is used as far as it goes", () => {
    const { lyric, tlyric } = parseKrc(vectors.kugou_krc.cases[4]?.decoded ?? "");
    expect(lyric).toBe("[00:00.000]a\n[00:01.000]b");
    expect(tlyric).toBe("[00:00.000]one");
  });
});

describe("odd lines", () => {
  test.each([
    { name: "negative offsets become 0", krc: "[10,20]<-5,10,0>a", lxlyric: "[00:00.010]<0,10>a" },
    { name: "a line without word times is one word", krc: "[10,20]plain", lxlyric: "[00:00.010]<0,20>plain" },
    { name: "text before the first word gets a tag", krc: "[0,9]x<4,5,0>y", lxlyric: "[00:00.000]<0,4>x<4,5>y" },
    { name: "an empty line stays empty", krc: "[0,9]", lxlyric: "[00:00.000]" },
    { name: "entities are decoded", krc: "[0,9]<0,9,0>Rock&amp;Roll", lxlyric: "[00:00.000]<0,9>Rock&Roll" },
    { name: "angle brackets that are no times stay", krc: "[0,9]<0,9,0>a<b>c", lxlyric: "[00:00.000]<0,9>a<b>c" },
    {
      name: "headers stay, the file's number goes",
      krc: "[id:$0]\r\n[ti:x]\r\n[0,9]<0,9,0>a",
      lxlyric: "[ti:x]\n[00:00.000]<0,9>a",
    },
    {
      name: "a broken translation is left out",
      krc: "[language:%%%]\n[0,9]<0,9,0>a",
      lxlyric: "[language:%%%]\n[00:00.000]<0,9>a",
    },
    {
      name: "a translation that is no JSON is left out",
      krc: "[language:QUJD]\n[0,9]<0,9,0>a",
      lxlyric: "[00:00.000]<0,9>a",
    },
  ])("$name", ({ krc, lxlyric }) => {
    expect(parseKrc(krc).lxlyric).toBe(lxlyric);
  });

  test("syllables without spaces of their own are parted", () => {
    const language = Buffer.from(
      JSON.stringify({
        content: [
          {
            type: 0,
            lyricContent: [
              ["gu", "shi"],
              ["a ", "b "],
            ],
          },
        ],
      }),
    ).toString("base64");
    const { rlyric } = parseKrc(`[language:${language}]\n[0,9]<0,9,0>a\n[9,9]<0,9,0>b`);
    expect(rlyric).toBe("[00:00.000]gu shi\n[00:00.009]a b ");
  });
});

describe("properties", () => {
  const word = fc.record({
    offset: fc.nat(9000),
    duration: fc.nat(9000),
    text: fc.string({ unit: "grapheme", maxLength: 6 }).filter((text) => !/[<>&\r\n\u2028\u2029\v\f\x85]/.test(text)),
  });
  const line = fc.record({ start: fc.nat(5_999_999), words: fc.array(word, { minLength: 1, maxLength: 6 }) });

  test("the LRC that we write reads back to the same times and words", () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 10 }), (lines) => {
        const krc = lines
          .map(
            (item) => `[${item.start},100]${item.words.map((w) => `<${w.offset},${w.duration},0>${w.text}`).join("")}`,
          )
          .join("\n");
        const { lyric, lxlyric } = parseKrc(krc);
        const read = (text: string) =>
          text === ""
            ? []
            : text.split("\n").map((row) => {
                const [, m = "", s = "", rest = ""] = /^\[(\d+):(\d\d\.\d{3})\](.*)$/s.exec(row) ?? [];
                return { start: Number(m) * 60_000 + Math.round(Number(s) * 1000), text: rest };
              });
        expect(read(lyric)).toEqual(
          lines.map((item) => ({ start: item.start, text: item.words.map((w) => w.text).join("") })),
        );
        expect(read(lxlyric)).toEqual(
          lines.map((item) => ({
            start: item.start,
            text: item.words.map((w) => `<${w.offset},${w.duration}>${w.text}`).join(""),
          })),
        );
      }),
    );
  });

  test("any text parses, any bytes give a lyric or its own error", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => typeof parseKrc(text).lyric === "string"),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          readLyric(bytes);
        } catch (error) {
          expect(isAppError(error) && error.kind).toBe("upstream_changed");
        }
      }),
    );
  });
});

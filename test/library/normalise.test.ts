import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { simplify } from "../../src/library/chinese.ts";
import { compact, fold, normaliseFilename, stemOf } from "../../src/library/normalise.ts";
import { parseTitle, splitArtists } from "../../src/library/title.ts";

/** The original's own answers. */
const KNOWN: [string, string][] = [
  ["a.mp3", "a.mp3"],
  ["  a   b.mp3 ", "a b.mp3"],
  ["dir/x.mp3", "x.mp3"],
  ["C:\\m\\x.mp3", "x.mp3"],
  ["%E4%B8%AD.mp3", "中.mp3"],
  ["%2525x.mp3", "%x.mp3"],
  ["e\u0301.mp3", "é.mp3"],
  ["name. . ", "name"],
  ["..", ""],
  ["../../etc/passwd", "passwd"],
  ["%2e%2e%2fx.mp3", "../x.mp3"],
];

describe("normaliseFilename", () => {
  test.each(KNOWN)("%j -> %j", (name, expected) => {
    expect(normaliseFilename(name)).toBe(expected);
  });

  test.each([
    ["bytes that are not UTF-8 stay", "%ff%fe.mp3", "%ff%fe.mp3"],
    ["a cut escape stays", "100%.mp3", "100%.mp3"],
    ["at most three rounds", "%25252541.mp3", "%41.mp3"],
  ])("%s", (_name, input, expected) => {
    expect(normaliseFilename(input)).toBe(expected);
  });

  test("never grows beyond its bound and never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(normaliseFilename(text.repeat(50)).length).toBeLessThanOrEqual(4096);
      }),
    );
  });
});

test.each([
  ["traditional", "許嵩 - 斷橋殘雪", "许嵩 - 断桥残雪"],
  ["Taiwan and Hong Kong forms", "裡 裏 臺 台 爲 為 麪", "里 里 台 台 为 为 面"],
  ["simplified stays", "周杰伦 晴天", "周杰伦 晴天"],
  ["kana and hangul stay", "ガーネット 사랑", "ガーネット 사랑"],
])("simplify: %s", (_name, from, to) => {
  expect(simplify(from)).toBe(to);
});

test.each([
  ["width, case, blanks", "Ｆｕｌｌ　ＷＩＤＴＨ", "full width"],
  ["quotes and dashes", "Don’t — “stop”", 'don\'t - "stop"'],
  ["half-width kana", "ｶﾞｰﾈｯﾄ", "ガーネット"],
])("fold: %s", (_name, from, to) => {
  expect(fold(from)).toBe(to);
});

test("folding twice changes nothing", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      expect(fold(fold(text))).toBe(fold(text));
    }),
  );
});

test.each([
  ["Beyoncé!", "beyonce"],
  ["a - b (c)", "abc"],
  ["???", "???"],
  ["が", "が"],
])("compact(%s)", (from, to) => {
  expect(compact(fold(from))).toBe(to);
});

test.each([
  ["a.mp3", "a"],
  ["Symphony No. 5", "Symphony No. 5"],
  [".mp3", ".mp3"],
  ["a feat. x", "a feat. x"],
  ["a.b.flac", "a.b"],
])("stemOf(%s)", (from, to) => {
  expect(stemOf(from, new Set(["mp3", "flac"]))).toBe(to);
});

test.each([
  ["plain", "晴天", { key: "晴天", versions: [] }],
  ["live", "晴天 (Live)", { key: "晴天", versions: ["live"] }],
  ["live event", "Song (Live at Wembley 1986)", { key: "song", versions: ["live"], detail: "atwembley1986" }],
  ["without brackets after Han", "晴天伴奏", { key: "晴天", versions: ["instrumental"] }],
  ["a title that ends in live", "Long Live", { key: "longlive", versions: [] }],
  ["named version", "Style (Taylor's Version)", { key: "style", versions: ["taylorsversion"] }],
  ["after a dash", "Song - Radio Edit", { key: "song", versions: ["radio"] }],
  ["remaster is nothing", "Song - 2011 Remaster", { key: "song", versions: [] }],
  ["guests", "Song (feat. A & B)", { key: "song", guests: ["a", "b"] }],
  ["guests without brackets", "Song feat. A、B", { key: "song", guests: ["a", "b"] }],
  ["all in brackets", "(sic)", { key: "sic" }],
  ["two kinds", "歌 (DJ版) [Live]", { key: "歌", versions: ["dj", "live"] }],
  ["unknown words", "Song (Hm)", { key: "song", extras: ["hm"] }],
  ["book quotes at the start", "《红楼梦》序曲", { key: "红楼梦序曲" }],
])("parseTitle: %s", (_name, text, expected) => {
  expect(parseTitle(fold(text))).toMatchObject(expected);
});

test.each([
  ["周杰伦、费玉清", ["周杰伦", "费玉清"]],
  ["A feat. B", ["a", "b"]],
  ["Simon & Garfunkel", ["simon", "garfunkel"]],
  ["Various Artists", []],
  ["群星", []],
  ["A; B / C", ["a", "b", "c"]],
])("splitArtists(%s)", (text, expected) => {
  expect(splitArtists(fold(text))).toEqual(expected);
});

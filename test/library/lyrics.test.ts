import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import iconv from "iconv-lite";
import { decodeLyric, filterLyricLines, isLyricValid, lyricOfFile, lyricOfTag } from "../../src/library/lyrics.ts";

/** The original's own answers. */
test.each([
  [null, false],
  ["", false],
  ["[00:01]a\n[00:02]b", true],
  ["plain", false],
  ["\n\n", true],
  ["[a]\nplain", false],
])("isLyricValid(%j) is %p", (text, expected) => {
  expect(isLyricValid(text)).toBe(expected);
});

test("filtering keeps lines that begin with a bracket", () => {
  expect(filterLyricLines("\ufeff来自\r\n [00:01.00] 一 \r\n\r\nplain\n[by:x]\r[00:02]二")).toBe(
    "[00:01.00] 一\n[by:x]\n[00:02]二",
  );
});

describe("decodeLyric", () => {
  const text = "[00:01.00]晴天 🎵\n[00:02.50]從前從前";
  const rows: [string, Buffer][] = [
    ["UTF-8", Buffer.from(text)],
    ["UTF-8 with a mark", Buffer.from(`\ufeff${text}`)],
    ["UTF-16 LE with a mark", iconv.encode(text, "utf-16le", { addBOM: true })],
    ["UTF-16 BE with a mark", iconv.encode(text, "utf-16be", { addBOM: true })],
    ["UTF-16 LE without", iconv.encode(text, "utf-16le", { addBOM: false })],
    ["UTF-16 BE without", iconv.encode(text, "utf-16be", { addBOM: false })],
    ["GB18030", iconv.encode(text, "gb18030")],
  ];
  test.each(rows)("%s", (_name, bytes) => {
    expect(decodeLyric(bytes)).toBe(text);
    expect(lyricOfFile(bytes)).toBe(text);
  });

  test("GBK as Windows writes it", () => {
    const old = "[00:01.00]故事的小黄花\r\n[00:03.00]从出生那年就飘着";
    expect(lyricOfFile(iconv.encode(old, "gbk"))).toBe(old.replace("\r", ""));
  });

  test("any bytes give text and no exception", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(typeof decodeLyric(bytes)).toBe("string");
      }),
    );
  });
});

test.each([
  ["a file without a single line", "just words\nand more", undefined],
  ["an empty file", "", undefined],
])("lyricOfFile: %s", (_name, text, expected) => {
  expect(lyricOfFile(Buffer.from(text))).toBe(expected as never);
});

test.each([
  ["plain stays", "plain lyric", "plain lyric"],
  ["LRC is filtered", "by x\r\n[00:01.00]a\r\nb\r\n[00:02.00]c", "[00:01.00]a\n[00:02.00]c"],
  ["a bracket in plain text is no LRC", "[Chorus]\nla la", "[Chorus]\nla la"],
  ["blank", " \0 ", undefined],
])("lyricOfTag: %s", (_name, text, expected) => {
  expect(lyricOfTag(text)).toBe(expected as never);
});

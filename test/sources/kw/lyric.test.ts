import { describe, expect, test } from "bun:test";
import { deflateSync } from "node:zlib";
import fc from "fast-check";
import iconv from "iconv-lite";
import { kwSection } from "../../../src/config/sections/sources.ts";
import { isAppError } from "../../../src/core/errors.ts";
import { createKw } from "../../../src/sources/kw/index.ts";
import { parseContent } from "../../../src/sources/kw/lrcx.ts";
import { decodeContent } from "../../../src/sources/kw/lyric.ts";
import { parseLrc, parseWords } from "../../../src/sources/lrc.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { packed, wordTag } from "../../platforms/kw/lyric.ts";
import { kwPlatform } from "../../platforms/kw.ts";
import { failure, platformFor, steps } from "../harness.ts";

const world = platformFor(kwPlatform, kwSection);
const ask = (id: string, call = {}) => createKw(world.deps()).lyric?.(id, call) ?? Promise.reject(new Error("none"));
const PLAIN = songByKey("plain").ids.kw.id;

describe("from the platform", () => {
  test("words, and translations with the time of their own line", async () => {
    expect(await ask(PLAIN)).toEqual({
      lyric: [
        "[ti:晴天]",
        "[00:00.000]测试 - 歌手",
        "[00:02.000]故事的小黄花",
        "[00:05.500]从出生那年就飘着",
        "[01:01.000]♪ Rock&Roll ",
      ].join("\n"),
      tlyric: [
        "[00:02.000]The little yellow flower of the story",
        "[00:05.500]It has been drifting since the year I was born",
      ].join("\n"),
      rlyric: "",
      lxlyric: [
        "[00:00.000]<0,500>测<500,500>试<1000,500> - <1500,500>歌手",
        "[00:02.000]<0,1000>故事<1000,1000>的<2000,1000>小黄花",
        "[00:05.500]<0,500>从<500,500>出生<1000,500>那年<1500,500>就<2000,500>飘着",
        "[01:01.000]<0,375>♪ <375,375>Rock<750,375>&<1125,375>Roll ",
      ].join("\n"),
    });
    const { scheme, host, path, query } = world.only();
    expect(`${scheme}://${host}${path}`).toBe("http://newlyric.kuwo.cn/newlyric.lrc");
    expect(query).toMatch(/^[A-Za-z0-9+/]+=*$/);
  });

  test("id 123 gives the known query", async () => {
    await ask("123").catch(() => undefined);
    expect(world.requests()[0]?.query).toBe(
      "DBYAHlReXEpRUEAeCgxVEgAORRgLG0MXCRgaCwoRAB5UAwEaBAkEBhwaXxcAHVReSAsMAVEkOj0wJjpdW1xIFRcGFFRe",
    );
  });

  test("a song without a lyric has four empty texts", async () => {
    expect(await ask(songByKey("instrumental").ids.kw.id)).toEqual({ lyric: "", tlyric: "", rlyric: "", lxlyric: "" });
    expect(world.requests().map((request) => request.host)).toEqual(["newlyric.kuwo.cn", "m.kuwo.cn"]);
  });

  test("a song that does not exist", async () => {
    const error = await failure(ask("999"));
    expect([error.kind, error.message]).toEqual(["upstream_not_found", "歌曲信息获取失败"]);
  });

  test("word lyrics that do not read give way to plain ones", async () => {
    world.fault("garbage", { match: /newlyric/, times: 1 });
    const { call, names } = steps();
    const lyric = await ask(PLAIN, call);
    expect(names()).toContain("kw.lyric_unreadable");
    expect(lyric).toMatchObject({ lxlyric: "", tlyric: expect.stringContaining("[00:02.000]The little") });
    expect(lyric.lyric).toContain("[00:05.500]从出生那年就飘着");
  });

  test("neither gives way to those of the mobile page", async () => {
    world.fault("garbage", { match: /newlyric/ });
    expect(await ask(PLAIN)).toEqual({
      lyric: "[00:00.000]测试 - 歌手\n[00:02.000]故事的小黄花\n[00:05.500]从出生那年就飘着\n[01:01.005]♪ Rock&Roll ",
      tlyric: "",
      rlyric: "",
      lxlyric: "",
    });
    const { scheme, host, path, query } = world.requests()[2] ?? {};
    expect(`${scheme}://${host}${path}?${query}`).toBe(
      `http://m.kuwo.cn/newh5/singles/songinfoandlrc?musicId=${PLAIN}&httpsStatus=1`,
    );
  });
});

describe("forms of the text", () => {
  const tag = (start: number, duration: number) => wordTag(start, duration);
  test.each([
    {
      name: "a third number, negative numbers, a word that runs into the next",
      text: `[kuwo:042]\n[00:01.00]${tag(0, 500).replace(">", ",7>")}a${tag(300, 200)}b`,
      lxlyric: "[00:01.000]<0,300>a<300,200>b",
    },
    { name: "no factors", text: "[00:01.00]<12,-4>a", lxlyric: "" },
    { name: "a factor of 0 (octal 050 = 40)", text: "[kuwo:050]\n[00:01.00]<12,-4>a", lxlyric: "" },
    { name: "factors that are no octal", text: "[kuwo:089]\n[00:01.00]<12,-4>a", lxlyric: "" },
    {
      name: "a line without words among lines with words",
      text: `[kuwo:042]\n[00:01.00]${tag(0, 5)}a\n[00:02.00]b`,
      lxlyric: "[00:01.000]<0,5>a\n[00:02.000]<0,0>b",
    },
    {
      name: "entities",
      text: `[kuwo:042]\n[00:01.00]${tag(0, 5)}Rock&amp;${tag(5, 5)}&quot;Roll&quot;`,
      lxlyric: '[00:01.000]<0,5>Rock&<5,5>"Roll"',
    },
  ])("$name", ({ text, lxlyric }) => expect(parseContent(text)?.lxlyric).toBe(lxlyric));

  test("romanised lines come the same way", () => {
    const text = "[kuwo:042]\n[00:01.00]<7,-1>你\n[00:02.00]ni\n[00:02.00]翻译\n[00:02.00]<7,-1>好";
    expect(parseContent(text)).toMatchObject({
      lyric: "[00:01.000]你\n[00:02.000]好",
      tlyric: "[00:01.000]翻译",
      rlyric: "[00:01.000]ni",
    });
  });

  test("two lines with one time at the very start are both kept", () => {
    expect(parseContent("[00:00.00]a\n[00:00.00]b\n[00:01.00]c")?.lyric).toBe(
      "[00:00.000]a\n[00:00.000]b\n[00:01.000]c",
    );
  });

  test("a plain text with too many repeated times is not torn apart", () => {
    const lines = (count: number, repeated: number) =>
      Array.from({ length: count }, (_, at) => {
        const time = `[00:${String(at).padStart(2, "0")}.00]`;
        return at > 0 && at <= repeated ? `${time}t${at}\n${time}l${at}` : `${time}l${at}`;
      }).join("\n");
    expect(parseContent(lines(20, 8))).toBeUndefined();
    expect(parseContent(lines(20, 5))?.tlyric.split("\n")).toHaveLength(5);
    expect(parseContent(lines(8, 7))?.tlyric.split("\n")).toHaveLength(7);
  });

  test.each([
    ["none", Buffer.from("TP=none\r\n\r\n"), undefined],
    ["plain", packed("[00:01.00]晴天", false), "[00:01.00]晴天"],
  ])("reply: %s", (_name, bytes, text) => expect(decodeContent(bytes, false)).toBe(text as never));

  test.each([
    ["no head", Buffer.from("hello")],
    ["a head without content", Buffer.from("tp=content\r\n")],
    ["no zlib", Buffer.from("tp=content\r\n\r\nhello")],
    ["too much", Buffer.concat([Buffer.from("tp=content\r\n\r\n"), deflateSync(Buffer.alloc(5_000_000))])],
  ])("reply: %s", (_name, bytes) => expect(() => decodeContent(bytes, false)).toThrow("酷我: 歌词无法解密"));
});

describe("any text", () => {
  const encodable = (text: string) => iconv.decode(iconv.encode(text, "gb18030"), "gb18030") === text;
  const word = fc.record({
    text: fc
      .string({ unit: "grapheme", maxLength: 5 })
      .filter((text) => encodable(text) && !/[\r\n<>&[\]\\]/.test(text)),
    ms: fc.integer({ min: 1, max: 900 }),
  });
  const line = fc.record({
    gap: fc.integer({ min: 1, max: 500 }),
    words: fc.array(word, { minLength: 1, maxLength: 6 }),
  });

  test("words that the service would send come out as they were", () => {
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 15 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        (lines, start, duration) => {
          let at = 0;
          const timed = lines.map(({ gap, words }) => {
            at += gap * 10;
            let offset = 0;
            return {
              timeMs: at,
              words: words.map(({ text, ms }) => {
                const placed = { offsetMs: offset, durationMs: ms, text };
                offset += ms;
                return placed;
              }),
            };
          });
          const body = timed.map(({ timeMs, words }) => {
            const [minute, rest] = [Math.floor(timeMs / 60_000), timeMs % 60_000];
            const time = `[${String(minute).padStart(2, "0")}:${(rest / 1000).toFixed(2).padStart(5, "0")}]`;
            return time + words.map((w) => wordTag(w.offsetMs, w.durationMs, start, duration) + w.text).join("");
          });
          const content = [`[kuwo:0${(start * 10 + duration).toString(8)}]`, ...body].join("\n");
          const read = decodeContent(packed(content, true), true) ?? "";
          expect(read).toBe(content);
          const out = parseContent(read);
          expect(parseWords(out?.lxlyric ?? "")).toEqual(timed);
          expect(parseLrc(out?.lyric ?? "").lines).toEqual(
            timed.map(({ timeMs, words }) => ({ timeMs, text: words.map((w) => w.text).join("") })),
          );
        },
      ),
    );
  });

  test("no text makes the reader throw, no bytes another error than ours", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void parseContent(`[kuwo:042]\n[00:01.00]${text}`)));
    const bytes = fc.oneof(
      fc.uint8Array(),
      fc.uint8Array().map((raw) => Buffer.concat([Buffer.from("tp=content\r\n\r\n"), raw])),
      fc.uint8Array().map((raw) => Buffer.concat([Buffer.from("tp=content\r\n\r\n"), deflateSync(raw)])),
    );
    fc.assert(
      fc.property(bytes, fc.boolean(), (raw, words) => {
        try {
          decodeContent(raw, words);
        } catch (error) {
          expect(isAppError(error) && error.kind).toBe("upstream_changed");
        }
      }),
    );
  });
});

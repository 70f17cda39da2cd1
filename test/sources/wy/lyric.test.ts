import { afterAll, beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import { formatTime, LYRIC_LIMITS, parseLrc, parseWords } from "../../../src/sources/lrc.ts";
import { createWy } from "../../../src/sources/wy/index.ts";
import { parseYrc, toLyric } from "../../../src/sources/wy/lyric.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import { wyPlatform } from "../../platforms/wy.ts";
import { openEapi } from "../../platforms/wy-crypto.ts";
import { configOf, depsOn, depsWith, failureOf, scripted } from "../start.ts";

const emulator = startEmulator([wyPlatform]);
const wy = createWy(depsOn(emulator, configOf("wy")));
afterAll(() => emulator.stop());
beforeEach(() => emulator.reset());

test("the request", async () => {
  await wy.lyric?.("33890001", {});
  const [sent, ...others] = emulator.requestsTo("wy");
  expect(others).toEqual([]);
  expect(`${sent?.scheme}://${sent?.host}${sent?.path}`).toBe("https://interface3.music.163.com/eapi/song/lyric/v1");
  expect(openEapi(new URLSearchParams(sent?.text).get("params") ?? "")?.text).toBe(
    '{"id":"33890001","cp":false,"tv":0,"lv":0,"rv":0,"kv":0,"yv":0,"ytv":0,"yrv":0}',
  );
});

test("word by word, with translation and romanisation on the times of their lines", async () => {
  const lyric = await wy.lyric?.(songByKey("plain").ids.wy.id, {});
  expect(lyric?.lyric.split("\n")).toEqual([
    "[by:测试]",
    "[00:00.000]作词: 测试",
    "[00:00.000]测试 - 歌手",
    "[00:02.000]故事的小黄花",
    "[00:05.500]从出生那年就飘着",
    "[01:01.005]♪ Rock&Roll ",
  ]);
  expect(lyric?.lxlyric.split("\n")).toEqual([
    "[00:00.000]<0,0>作词: 测试",
    "[00:00.000]<0,500>测<500,500>试<1000,500> - <1500,500>歌手",
    "[00:02.000]<0,1000>故事<1000,1000>的<2000,1000>小黄花",
    "[00:05.500]<0,500>从<500,500>出生<1000,500>那年<1500,500>就<2000,500>飘着",
    "[01:01.005]<0,375>♪ <375,375>Rock<750,375>&<1125,375>Roll ",
  ]);
  expect(lyric?.tlyric.split("\n")).toEqual([
    "[00:02.000]The little yellow flower of the story",
    "[00:05.500]It has been drifting since the year I was born",
    "[01:01.005]摇滚",
  ]);
  expect(lyric?.rlyric.split("\n")).toEqual([
    "[00:02.000]gu shi de xiao huang hua",
    "[00:05.500]cong chu sheng na nian jiu piao zhe",
  ]);
});

test("line by line where there is nothing else, the translation 40 ms off", async () => {
  const lyric = await wy.lyric?.(songByKey("member").ids.wy.id, {});
  expect(lyric?.lxlyric).toBe("");
  expect(lyric?.lyric).toContain("[00:02.000]故事的小黄花");
  expect(lyric?.tlyric.split("\n")[0]).toBe("[00:02.000]The little yellow flower of the story");
  expect(lyric?.rlyric.split("\n")[0]).toBe("[00:02.000]gu shi de xiao huang hua");
});

test("a song without lyric has empty texts", async () => {
  const lyric = await wy.lyric?.(songByKey("instrumental").ids.wy.id, {});
  expect(lyric).toEqual({ lyric: "", tlyric: "", rlyric: "", lxlyric: "" });
});

const rows = [
  {
    name: "a word before its line starts with it",
    yrc: "[100,50](90,20,0)a(110,20,0)b",
    words: "[00:00.100]<0,20>a<10,20>b",
  },
  { name: "brackets inside words stay", yrc: "[0,9](0,1,0)(x) (5,2,0)[1,2]", words: "[00:00.000]<0,1>(x) <5,2>[1,2]" },
  { name: "a line without words is left out", yrc: "[0,9]\n[10,9](10,1,0)a", words: "[00:00.010]<0,1>a" },
  { name: "text that would be a tag is no tag", yrc: "[0,9](0,1,0)<1,2>x", words: "[00:00.000]<0,1>＜1,2>x" },
  { name: "lines come by time", yrc: "[10,1](10,1,0)b\n[0,1](0,1,0)a", words: "[00:00.000]<0,1>a\n[00:00.010]<0,1>b" },
  { name: "a broken head is left out", yrc: '{"t":0,"c":\n[0,1](0,1,0)a', words: "[00:00.000]<0,1>a" },
];
test.each(rows)("$name", ({ yrc, words }) => {
  expect(toLyric({ yrc: { lyric: yrc } }).lxlyric).toBe(words);
});

test("an old time with a colon before its hundredths, and an offset that belongs to another clock", () => {
  const lrc = { lyric: "[offset:500]\n[by:x]\n[00:01:50]a" };
  expect(toLyric({ lrc }).lyric).toBe("[offset:500]\n[by:x]\n[00:01.500]a");
  expect(toLyric({ lrc, yrc: { lyric: "[1400,100](1400,100,0)a" } }).lyric).toBe("[by:x]\n[00:01.400]a");
});

test("a long song stays within what a client takes, in whole lines", () => {
  const yrc = Array.from(
    { length: 3000 },
    (_, i) => `[${i * 100},90](${i * 100},40,0)长长的歌词(${i * 100 + 50},40,0)两个字`,
  );
  const trc = Array.from({ length: 3000 }, (_, i) => `${formatTime(i * 100)}translation of it`);
  const lyric = toLyric({ yrc: { lyric: yrc.join("\n") }, ytlrc: { lyric: trc.join("\n") } });
  for (const name of ["lyric", "tlyric", "rlyric", "lxlyric"] as const) {
    expect(lyric[name].length).toBeLessThanOrEqual(LYRIC_LIMITS[name]);
  }
  expect(lyric.tlyric).toEndWith("translation of it");
  expect(lyric.lxlyric.split("\n")[0]).toBe("[00:00.000]<0,40>长长的歌词<50,40>两个字");
});

const word = fc.stringMatching(/^[a-z一-龥 ]{1,6}$/);
const line = fc.record({ start: fc.nat(600_000), words: fc.array(word, { minLength: 1, maxLength: 6 }) });
test("what we emit reads back as the same lines and words", () => {
  fc.assert(
    fc.property(fc.uniqueArray(line, { maxLength: 15, selector: (one) => one.start }), (lines) => {
      const sorted = [...lines].sort((a, b) => a.start - b.start);
      const yrc = lines.map(
        (one) => `[${one.start},999]${one.words.map((text, i) => `(${one.start + i * 7},7,0)${text}`).join("")}`,
      );
      const lyric = toLyric({ yrc: { lyric: yrc.join("\n") } });
      expect(parseLrc(lyric.lyric).lines).toEqual(
        sorted.map((one) => ({ timeMs: one.start, text: one.words.join("") })),
      );
      expect(parseWords(lyric.lxlyric)).toEqual(
        sorted.map((one) => ({
          timeMs: one.start,
          words: one.words.map((text, i) => ({ offsetMs: i * 7, durationMs: 7, text })),
        })),
      );
    }),
  );
});

test("no text makes the decoder throw", () => {
  const piece = fc.oneof(
    fc.string(),
    fc.constantFrom("[1,2]", "(1,2,3)", '{"t":1,"c":[{"tx":"a"}]}', "\n", "[00:01.5]"),
  );
  fc.assert(
    fc.property(fc.array(piece), fc.array(piece), (a, b) => {
      expect(Array.isArray(parseYrc(a.join("")))).toBe(true);
      toLyric({ yrc: { lyric: a.join("") }, lrc: { lyric: b.join("") }, ytlrc: { lyric: b.join("") }, tlyric: null });
    }),
  );
});

test("null texts are no texts; other forms are a change", async () => {
  const nothing = createWy(depsWith(scripted({ code: 200, lrc: null, yrc: { lyric: null } }).http, configOf("wy")));
  expect((await nothing.lyric?.("1", {}))?.lyric).toBe("");
  const other = createWy(depsWith(scripted({ code: 200, lrc: "text" }).http, configOf("wy")));
  expect((await failureOf(other.lyric?.("1", {}) ?? Promise.reject())).kind).toBe("upstream_changed");
});

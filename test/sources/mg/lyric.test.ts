import { afterAll, beforeEach, expect, test } from "bun:test";
import fc from "fast-check";
import type { Song } from "../../../src/core/types.ts";
import { formatLrc, formatWords, parseLrc, parseWords } from "../../../src/sources/lrc.ts";
import { createMg } from "../../../src/sources/mg/index.ts";
import { parseMrc } from "../../../src/sources/mg/lyric.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import { mgPlatform } from "../../platforms/mg.ts";
import { configOf, depsOn, failureOf } from "../start.ts";

const emulator = startEmulator([mgPlatform]);
const mg = createMg(depsOn(emulator, configOf("mg"), 500));
afterAll(() => emulator.stop());
beforeEach(() => emulator.reset());
const paths = () => emulator.requestsTo("mg").map((one) => one.path.replace("/data/oss/resource", ""));
const songOf = (ids: Record<string, string>): Song => ({
  source: "mg",
  songId: "1100001",
  name: "歌",
  artists: [],
  qualities: {},
  ids,
});

test("word by word, with translation", async () => {
  expect(await mg.lyric?.(songByKey("plain").ids.mg.songId, {})).toEqual({
    lyric: [
      "[00:00.000]测试 - 歌手",
      "[00:02.000]故事的小黄花",
      "[00:05.500]从出生那年就飘着",
      "[01:01.005]♪ Rock&Roll ",
    ].join("\n"),
    lxlyric: [
      "[00:00.000]<0,500>测<500,500>试<1000,500> - <1500,500>歌手",
      "[00:02.000]<0,1000>故事<1000,1000>的<2000,1000>小黄花",
      "[00:05.500]<0,500>从<500,500>出生<1000,500>那年<1500,500>就<2000,500>飘着",
      "[01:01.005]<0,375>♪ <375,375>Rock<750,375>&<1125,375>Roll ",
    ].join("\n"),
    tlyric: [
      "[00:02.000]The little yellow flower of the story",
      "[00:05.500]It has been drifting since the year I was born",
      "[01:01.005]摇滚",
    ].join("\n"),
    rlyric: "",
  });
  expect(paths()).toEqual(["/MIGUM2.0/v2.0/content/querySongBySongId.do", "/mrc/1100001", "/trc/1100001"]);
});

test("line by line where there is no MRC; a song that is known is not asked for", async () => {
  const base = "https://d.musicapp.migu.cn/data/oss/resource";
  const known = songOf({ mrcUrl: `${base}/mrc/1100002`, lrcUrl: `${base}/lrc/1100002` });
  const lyric = await mg.lyric?.("1100002", {}, known);
  expect(lyric?.lyric.split("\n").slice(0, 2)).toEqual(["[ti:x]", "[00:00.000]测试 - 歌手"]);
  expect(lyric?.lxlyric).toBe("");
  expect(lyric?.tlyric).toBe("");
  expect(paths()).toEqual(["/mrc/1100002", "/lrc/1100002"]);
});

test("a song without lyric has empty texts", async () => {
  expect(await mg.lyric?.(songByKey("instrumental").ids.mg.songId, {})).toEqual({
    lyric: "",
    tlyric: "",
    rlyric: "",
    lxlyric: "",
  });
  expect(paths()).toHaveLength(1);
});

const foreign = [
  { url: "http://169.254.169.254/latest" },
  { url: "https://migu.cn.example.com/x" },
  { url: "https://example.com/.migu.cn/" },
  { url: "file:///etc/passwd" },
  { url: "https://user@example.com:1/x.migu.cn/" },
];
test.each(foreign)("a client's address $url is not fetched", async ({ url }) => {
  const lyric = await mg.lyric?.(
    songByKey("plain").ids.mg.songId,
    {},
    songOf({ lrcUrl: url, mrcUrl: url, trcUrl: url }),
  );
  expect(lyric?.lyric).toContain("故事的小黄花");
  expect(emulator.requestsTo("mg")[0]?.path).toContain("querySongBySongId");
});

test("a translation that fails is left out; a lyric that fails is a failure", async () => {
  emulator.world.faults.push({ kind: "http500", match: /\/trc\// });
  const lyric = await mg.lyric?.(songByKey("plain").ids.mg.songId, {});
  expect(lyric?.tlyric).toBe("");
  expect(lyric?.lxlyric).not.toBe("");
  emulator.world.faults.push({ kind: "http500", match: /\/(mrc|lrc)\// });
  expect((await failureOf(mg.lyric?.("1100001", {}) ?? Promise.reject())).kind).toBe("upstream_unreachable");
});

test("an MRC that cannot be read gives way to the plain text", async () => {
  emulator.world.faults.push({ kind: "html", match: /\/mrc\// });
  const lyric = await mg.lyric?.(songByKey("plain").ids.mg.songId, {});
  expect(lyric?.lxlyric).toBe("");
  expect(lyric?.lyric).toContain("[00:02.000]故事的小黄花");
});

const rows = [
  { name: "times stand behind their words", text: "[100,50]a(100,20)b(120,30)", words: "[00:00.100]<0,20>a<20,30>b" },
  { name: "a word before its line starts with it", text: "[100,50]a(90,20)", words: "[00:00.100]<0,20>a" },
  { name: "brackets inside words stay", text: "[0,9](x)(0,1)[1,2](1,2)", words: "[00:00.000]<0,1>(x)<1,2>[1,2]" },
  { name: "what is no line is left out", text: "[ti:x]\n[0,9]\nx\n[5,9]a(5,1)\r\n", words: "[00:00.005]<0,1>a" },
];
test.each(rows)("$name", ({ text, words }) => expect(formatWords(parseMrc(text))).toBe(words));

const word = fc.stringMatching(/^[a-z一-龥 ]{1,6}$/);
const line = fc.record({ start: fc.nat(600_000), words: fc.array(word, { minLength: 1, maxLength: 6 }) });
test("what we emit reads back as the same lines and words; no text makes the parser throw", () => {
  fc.assert(
    fc.property(fc.uniqueArray(line, { maxLength: 15, selector: (one) => one.start }), fc.string(), (lines, noise) => {
      parseMrc(noise);
      const sorted = [...lines].sort((a, b) => a.start - b.start);
      const text = lines.map(
        (one) => `[${one.start},9]${one.words.map((part, i) => `${part}(${one.start + i * 7},7)`).join("")}`,
      );
      const parsed = parseMrc(text.join("\n"));
      expect(parseLrc(formatLrc(parsed)).lines).toEqual(
        sorted.map((one) => ({ timeMs: one.start, text: one.words.join("") })),
      );
      expect(parseWords(formatWords(parsed)).map((one) => one.words.map((part) => part.text))).toEqual(
        sorted.map((one) => one.words),
      );
    }),
  );
});

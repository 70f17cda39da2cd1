import { describe, expect, test } from "bun:test";
import { isAppError } from "../../src/core/errors.ts";
import { isAudio } from "../../src/scripts/probe.ts";
import { createRank } from "../../src/scripts/rank.ts";
import { checkAddress, checkLyric } from "../../src/scripts/result.ts";

const kindOf = (work: () => unknown) => {
  try {
    return work();
  } catch (error) {
    return isAppError(error) ? error.kind : error;
  }
};

const addresses: [string, unknown, boolean][] = [
  ["https", "https://x.test/a.mp3", true],
  ["http", "http://x.test/", true],
  ["as long as allowed", `http:${"x".repeat(2043)}`, true],
  ["too long", `http:${"x".repeat(2044)}`, false],
  ["another scheme", "ftp://x.test/", false],
  ["upper case", "HTTP://x.test/", false],
  ["a space before it", " http://x.test/", false],
  ["empty", "", false],
  ["nothing", undefined, false],
  ["an object", { url: "http://x.test/" }, false],
];
test.each(addresses)("address: %s", (_, value, good) => {
  expect(kindOf(() => checkAddress(value))).toBe(good ? (value as string) : "upstream_changed");
});

const lyrics: [string, unknown, unknown][] = [
  [
    "all four",
    { lyric: "a", tlyric: "b", rlyric: "c", lxlyric: "d" },
    { lyric: "a", tlyric: "b", rlyric: "c", lxlyric: "d" },
  ],
  ["only the lyric", { lyric: "a" }, { lyric: "a", tlyric: "", rlyric: "", lxlyric: "" }],
  [
    "parts of another kind",
    { lyric: "a", tlyric: 1, rlyric: null, lxlyric: {} },
    { lyric: "a", tlyric: "", rlyric: "", lxlyric: "" },
  ],
  [
    "as long as allowed",
    { lyric: "x".repeat(51_200) },
    { lyric: "x".repeat(51_200), tlyric: "", rlyric: "", lxlyric: "" },
  ],
  ["too long", { lyric: "x".repeat(51_201) }, "upstream_changed"],
  [
    "long parts are dropped",
    { lyric: "", tlyric: "x".repeat(5_120), rlyric: "x".repeat(5_119), lxlyric: "x".repeat(8_192) },
    { lyric: "", tlyric: "", rlyric: "x".repeat(5_119), lxlyric: "" },
  ],
  ["a text", "lyric", "upstream_changed"],
  ["nothing", null, "upstream_changed"],
];
test.each(lyrics)("lyric: %s", (_, value, expected) => expect(kindOf(() => checkLyric(value))).toEqual(expected));

const bytes = (...parts: (string | number)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.from([part]))));
const starts: [string, Uint8Array, string, boolean][] = [
  ["MP3 with a tag", bytes("ID3\x04\x00"), "", true],
  ["MP3 without", bytes(0xff, 0xfb, 0x90), "application/octet-stream", true],
  ["AAC", bytes(0xff, 0xf1, 0x50), "", true],
  ["FLAC", bytes("fLaC\0"), "text/plain", true],
  ["Ogg", bytes("OggS\0"), "", true],
  ["M4A", bytes(0, 0, 0, 0x20, "ftypM4A "), "video/mp4", true],
  ["WAV", bytes("RIFF", 1, 2, 3, 4, "WAVEfmt "), "", true],
  ["unknown bytes of a declared audio type", bytes(1, 2, 3, 0, 0xfe), "audio/x-own", true],
  ["unknown bytes without a type", bytes(1, 2, 3, 0, 0xfe), "application/octet-stream", false],
  ["a page", bytes("<!DOCTYPE html>"), "text/html", false],
  ["a page that says audio", bytes("<!DOCTYPE html>"), "audio/mpeg", false],
  ["JSON that says audio", bytes('{"code":-1}'), "audio/mpeg", false],
  ["nothing", bytes(), "audio/mpeg", false],
];
test.each(starts)("audio: %s", (_, start, type, expected) => expect(isAudio(start, type)).toBe(expected));

describe("rank", () => {
  const make = () => createRank({ failures: 5, restMs: 1_000, now: () => 0 });

  test("listed scripts keep their order, others follow by success, then speed", () => {
    const rank = make();
    for (let i = 0; i < 10; i++) {
      rank.note("bad", "kw", i > 7, 100);
      rank.note("slow", "kw", true, 5_000);
      rank.note("fast", "kw", true, 100);
    }
    expect(rank.sort(["bad", "slow", "fast", "new"], "kw", [])).toEqual(["fast", "new", "slow", "bad"]);
    expect(rank.sort(["bad", "slow", "fast"], "kw", ["bad"])).toEqual(["bad", "fast", "slow"]);
    expect(rank.sort(["bad", "slow", "fast"], "kw", ["slow", "bad"])).toEqual(["slow", "bad", "fast"]);
  });

  test("platforms are judged apart, and only recent calls count", () => {
    const rank = make();
    for (let i = 0; i < 50; i++) rank.note("a", "kw", false, 10);
    expect(rank.record("a", "tx")).toMatchObject({ asked: 0, breaker: "closed" });
    for (let i = 0; i < 50; i++) rank.note("a", "kw", true, i);
    expect(rank.record("a", "kw")).toEqual({ asked: 100, answered: 50, successRate: 1, p90Ms: 44, breaker: "closed" });
    rank.forget("a");
    expect(rank.record("a", "kw").asked).toBe(0);
  });
});

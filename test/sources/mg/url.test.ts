import { afterAll, beforeEach, expect, test } from "bun:test";
import type { ErrorKind } from "../../../src/core/errors.ts";
import type { Quality, Song } from "../../../src/core/types.ts";
import { createMg } from "../../../src/sources/mg/index.ts";
import { MG_QUALITIES, type Way } from "../../../src/sources/mg/url.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import { mgPlatform } from "../../platforms/mg.ts";
import type { Fault } from "../../platforms/world.ts";
import { account, configOf, depsOn, depsWith, failureOf, scripted } from "../start.ts";

const emulator = startEmulator([mgPlatform]);
const { world } = emulator;
const states = ["member", "guest", "expired", "banned"] as const;
for (const state of states) {
  world.accounts.push({ source: "mg", id: state, token: `${state}-token`, state, requests: 0 });
}
afterAll(() => emulator.stop());
beforeEach(() => emulator.reset());

const agent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/89.0";
const cookieAccount = (state: string) => account("mg", { by: "b1", session: `${state}-token`, useragent: agent });
const tokenAccount = (state: string) => account("mg", { token: `${state}-token`, ce: "c1" });
const pageAccount = (state: string) => account("mg", { pacmtoken: `${state}-token` });

const only = (...ways: Way[]) => createMg(depsOn(emulator, configOf("mg", { ways }), 2000));
const mg = createMg(depsOn(emulator, configOf("mg"), 2000));
const ids = songByKey("plain").ids.mg;

test("the original's requests: information by copyright id, then the h5 page with the account's cookie", async () => {
  const answer = await mg.url?.({ songId: ids.copyrightId, quality: "flac" }, { account: cookieAccount("member") });
  expect(answer?.quality).toBe("flac");
  const [info, play, ...others] = emulator.requestsTo("mg");
  expect(others).toEqual([]);
  expect(`${info?.method} ${info?.scheme}://${info?.host}${info?.path}?${info?.query}`).toBe(
    `POST http://app.c.nf.migu.cn/MIGUM2.0/v1.0/content/resourceinfo.do?resourceType=2&copyrightId=${ids.copyrightId}`,
  );
  expect(info?.text).toBe("");
  expect(`${play?.method} ${play?.scheme}://${play?.host}${play?.path}?${play?.query}`).toBe(
    `GET https://m.music.migu.cn/migumusic/h5/play/auth/getSongPlayInfo?type=3&copyrightId=${ids.copyrightId}`,
  );
  const named = ["user-agent", "by", "cookie", "referer", "origin"].map((name) => play?.headers.get(name));
  expect(named).toEqual([
    agent,
    "b1",
    "SESSION=member-token",
    "https://m.music.migu.cn/v4/",
    "https://m.music.migu.cn",
  ]);
});

test("a song that the client has told of needs no request for information", async () => {
  const song: Song = { source: "mg", songId: ids.songId, name: "晴天", artists: [], qualities: {}, ids: { ...ids } };
  await mg.url?.({ songId: ids.songId, quality: "128k", song }, { account: cookieAccount("member") });
  expect(emulator.requestsTo("mg").map((request) => request.path)).toEqual(["/migumusic/h5/play/auth/getSongPlayInfo"]);
});

const ways: { way: Way; who: string; call: Parameters<NonNullable<typeof mg.url>>[1]; qualities: Quality[] }[] = [
  { way: "h5", who: "member", call: { account: cookieAccount("member") }, qualities: MG_QUALITIES },
  { way: "app-v2.4", who: "member", call: { account: tokenAccount("member") }, qualities: MG_QUALITIES },
  { way: "h5-v2.4", who: "member", call: { account: pageAccount("member") }, qualities: MG_QUALITIES },
  { way: "app-v2.4", who: "guest", call: {}, qualities: ["128k"] },
  { way: "app-v2.0", who: "guest", call: {}, qualities: ["128k"] },
  { way: "h5-v2.4", who: "guest", call: {}, qualities: ["128k"] },
];
const played = ways.flatMap(({ qualities, ...rest }) => qualities.map((quality) => ({ ...rest, quality })));

test.each(played)("$way plays $quality for a $who, by each kind of id", async ({ way, call, quality }) => {
  for (const songId of [ids.songId, ids.copyrightId, ids.contentId]) {
    const answer = await only(way).url?.({ songId, quality }, call);
    expect(answer?.quality).toBe(quality);
    expect(answer?.extension).toBe(quality.endsWith("k") ? "mp3" : "flac");
    expect(answer?.url).toContain("%2B1.");
    expect(answer?.url).toContain("?Key=0f1e&Tim=");
    const head = await fetch(answer?.url ?? "", { method: "HEAD" });
    expect(head.status).toBe(200);
  }
});

interface Refused {
  name: string;
  way: Way;
  song?: string;
  quality?: Quality;
  who?: ReturnType<typeof account>;
  fault?: Fault["kind"];
  kind: ErrorKind;
  message: RegExp;
}

const refused: Refused[] = [
  { name: "trial of a member's song", way: "app-v2.4", song: "member", kind: "upstream_quality", message: /试听/ },
  {
    name: "trial on the h5 page",
    way: "h5",
    song: "member",
    who: cookieAccount("guest"),
    kind: "upstream_quality",
    message: /试听/,
  },
  { name: "trial by fault", way: "app-v2.0", fault: "trial", kind: "upstream_quality", message: /试听/ },
  {
    name: "no membership",
    way: "app-v2.4",
    song: "member",
    quality: "flac",
    kind: "upstream_needs_purchase",
    message: /^咪咕: 开通白金会员/,
  },
  { name: "lower format", way: "app-v2.4", quality: "320k", kind: "upstream_quality", message: /需要 HQ，平台给出 PQ/ },
  {
    name: "lower formatId",
    way: "h5",
    quality: "flac",
    who: cookieAccount("member"),
    fault: "lower",
    kind: "upstream_quality",
    message: /需要 011002，平台给出 000009/,
  },
  {
    name: "no copyright",
    way: "app-v2.4",
    song: "gone",
    kind: "upstream_no_copyright",
    message: /^咪咕: 该歌曲暂无版权$/,
  },
  {
    name: "nothing on the h5 page",
    way: "h5",
    song: "gone",
    who: cookieAccount("member"),
    kind: "upstream_refused",
    message: /没有给出地址/,
  },
  { name: "encrypted file", way: "app-v2.4", fault: "encrypted", kind: "upstream_quality", message: /加密/ },
  {
    name: "encrypted on the h5 page",
    way: "h5",
    who: cookieAccount("member"),
    fault: "encrypted",
    kind: "upstream_quality",
    message: /加密/,
  },
  {
    name: "expired session",
    way: "h5",
    who: cookieAccount("expired"),
    kind: "upstream_needs_login",
    message: /用户未登录/,
  },
  {
    name: "expired token",
    way: "app-v2.4",
    who: tokenAccount("expired"),
    kind: "upstream_needs_login",
    message: /已过期/,
  },
  {
    name: "expired pacmtoken",
    way: "h5-v2.4",
    who: pageAccount("expired"),
    kind: "upstream_needs_login",
    message: /已过期/,
  },
  {
    name: "banned account",
    way: "app-v2.4",
    who: tokenAccount("banned"),
    kind: "upstream_needs_login",
    message: /封禁/,
  },
  { name: "captcha", way: "app-v2.4", fault: "verify", kind: "upstream_verify", message: /验证/ },
  { name: "guest where only accounts go", way: "h5", kind: "upstream_needs_login", message: /需要账号/ },
  { name: "server error", way: "app-v2.4", fault: "http500", kind: "upstream_unreachable", message: /./ },
  { name: "reset", way: "app-v2.4", fault: "reset", kind: "upstream_unreachable", message: /./ },
  { name: "timeout", way: "app-v2.4", fault: "slow", kind: "upstream_unreachable", message: /超时/ },
  { name: "a web page", way: "app-v2.4", fault: "html", kind: "upstream_changed", message: /./ },
  { name: "garbage", way: "h5-v2.4", fault: "garbage", kind: "upstream_changed", message: /./ },
  { name: "nothing", way: "h5-v2.4", fault: "empty", kind: "upstream_changed", message: /./ },
  { name: "another form", way: "app-v2.0", fault: "reshaped", kind: "upstream_changed", message: /格式/ },
  { name: "another form of the page", way: "h5-v2.4", fault: "reshaped", kind: "upstream_changed", message: /格式/ },
];

test.each(refused)("refused: $name ($way)", async (row) => {
  if (row.fault !== undefined) world.faults.push({ kind: row.fault, source: "mg", delayMs: 1500 });
  const source = createMg(depsOn(emulator, configOf("mg", { ways: [row.way] }), 500));
  const songIds = songByKey(row.song ?? "plain").ids.mg;
  const song: Song = { source: "mg", songId: songIds.songId, name: "歌", artists: [], qualities: {}, ids: songIds };
  const request = { songId: songIds.songId, quality: row.quality ?? "128k", song };
  const failure = await failureOf(source.url?.(request, { account: row.who }) ?? Promise.reject());
  expect(failure).toEqual({ kind: row.kind, message: expect.stringMatching(row.message) });
});

test("a second way is asked when the first fails, and the most telling failure is shown when all do", async () => {
  world.faults.push({ kind: "http500", match: /strategy\/listen-url\/v2\.4/ });
  const steps: string[] = [];
  const step = (name: string, fields?: Record<string, unknown>) =>
    steps.push(`${name} ${fields?.["way"] ?? ""}`.trim());
  const answer = await mg.url?.({ songId: ids.songId, quality: "128k" }, { step });
  expect(answer?.quality).toBe("128k");
  expect(steps).toEqual(["mg url app-v2.4", "mg info", "attempt failed app-v2.4", "mg url app-v2.0"]);

  const failure = await failureOf(mg.url?.({ songId: ids.songId, quality: "flac" }, {}) ?? Promise.reject());
  expect(failure).toEqual({ kind: "upstream_quality", message: "咪咕: 音质不符，需要 SQ，平台给出 PQ" });
});

test("after a captcha no other way is tried", async () => {
  world.faults.push({ kind: "verify", match: /strategy\/listen-url\/v2\.4/ });
  const song: Song = { source: "mg", songId: ids.songId, name: "歌", artists: [], qualities: {}, ids };
  const failure = await failureOf(mg.url?.({ songId: ids.songId, quality: "128k", song }, {}) ?? Promise.reject());
  expect(failure.kind).toBe("upstream_verify");
  expect(emulator.requestsTo("mg")).toHaveLength(1);
});

const bad = [{ id: "" }, { id: "abc" }, { id: "../../etc" }, { id: "1&b=2" }, { id: "九" }, { id: "1".repeat(60) }];
test.each(bad)("an id that is none: $id", async ({ id }) => {
  const failure = await failureOf(mg.url?.({ songId: id, quality: "128k" }, {}) ?? Promise.reject());
  expect(failure.kind).toBe("invalid_request");
  expect(emulator.requestsTo("mg")).toEqual([]);
});

const info = {
  code: "000000",
  resource: [{ songId: "1", songName: "歌", copyrightId: "60054701923", contentId: "600902000006889366" }],
};
const odd: { name: string; answers: unknown[]; expected: object }[] = [
  {
    name: "an address without scheme becomes https",
    answers: [info, { code: 200, data: { playUrl: "//freetyst.nf.migu.cn/a.mp3?k=1", formatId: "000009" } }],
    expected: { url: "https://freetyst.nf.migu.cn/a.mp3?k=1", quality: "128k", extension: "mp3" },
  },
  {
    name: "the code may be a text",
    answers: [info, { code: "200", data: { playUrl: "http://x.migu.cn/a", formatId: "000009", auditionsLength: "0" } }],
    expected: { url: "http://x.migu.cn/a", quality: "128k" },
  },
];
test.each(odd)("h5: $name", async ({ answers, expected }) => {
  const { http } = scripted(...answers);
  const source = createMg(depsWith(http, configOf("mg", { ways: ["h5"] })));
  const request = { songId: "60054701923", quality: "128k" } as const;
  expect(await source.url?.(request, { account: cookieAccount("x") })).toEqual(expected as never);
});

test("a song whose files are encrypted is refused before its address is asked", async () => {
  const { http, requests } = scripted({ ...info, resource: [{ ...info.resource[0], needEncrypt: "1" }] });
  const source = createMg(depsWith(http, configOf("mg")));
  const failure = await failureOf(source.url?.({ songId: "60054701923", quality: "128k" }, {}) ?? Promise.reject());
  expect(failure).toEqual({ kind: "upstream_quality", message: "咪咕: 只有加密文件" });
  expect(requests).toHaveLength(1);
});

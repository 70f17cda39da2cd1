import { afterAll, beforeEach, expect, test } from "bun:test";
import type { ErrorKind } from "../../../src/core/errors.ts";
import type { Quality } from "../../../src/core/types.ts";
import { createWy } from "../../../src/sources/wy/index.ts";
import { LEVELS } from "../../../src/sources/wy/url.ts";
import { SONGS, songByKey } from "../../platforms/catalog.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import type { CatalogSong, Fault } from "../../platforms/world.ts";
import { wyPlatform } from "../../platforms/wy.ts";
import { openEapi } from "../../platforms/wy-crypto.ts";
import { account, configOf, depsOn, depsWith, failureOf, scripted } from "../start.ts";

const everything: CatalogSong = {
  ...songByKey("plain"),
  key: "everything",
  qualities: Object.keys(LEVELS) as Quality[],
};
everything.ids = { ...everything.ids, wy: { id: "338990001", mv: "1" } };
const emulator = startEmulator([wyPlatform], 0, [...SONGS, everything]);
const { world } = emulator;
for (const state of ["member", "guest", "expired", "banned"] as const) {
  world.accounts.push({ source: "wy", id: state, token: `${state}-token`, state, requests: 0 });
}
afterAll(() => emulator.stop());
beforeEach(() => emulator.reset());

const cookie = (state: string) => account("wy", { cookie: `__csrf=c; MUSIC_U=${state}-token; os=pc` });
const protos = { offcial: {}, ncmapi: { proto: "ncmapi", ncmapi: { api_url: "https://ncmapi.test/" } } } as const;
type Proto = keyof typeof protos;
const wy = (proto: Proto, deadlineMs = 2000) => createWy(depsOn(emulator, configOf("wy", protos[proto]), deadlineMs));

const played = (Object.keys(protos) as Proto[]).flatMap((proto) =>
  Object.entries(LEVELS).map(([quality, level]) => ({ proto, quality: quality as Quality, level })),
);
test.each(played)("$proto: $quality is asked as $level and plays", async ({ proto, quality, level }) => {
  const request = { songId: everything.ids.wy.id, quality };
  const answer = await wy(proto).url?.(request, { account: cookie("member") });
  expect(answer).toMatchObject({ quality, lifetimeSeconds: 1200, extension: expect.stringMatching(/^(mp3|flac)$/) });
  expect(answer?.url).toContain("?vuutv=");
  expect(answer?.size).toBeGreaterThan(0);
  expect((await fetch(answer?.url ?? "", { method: "HEAD" })).status).toBe(200);

  const [sent, ...others] = emulator.requestsTo("wy");
  expect(others).toEqual([]);
  if (proto === "ncmapi") {
    expect(`${sent?.method} ${sent?.scheme}://${sent?.host}${sent?.path}?${sent?.query}`).toBe(
      `GET https://ncmapi.test/song/url/v1?id=338990001&level=${level}&cookie=__csrf%3Dc%3B+MUSIC_U%3Dmember-token%3B+os%3Dpc`,
    );
    return;
  }
  const inner = openEapi(new URLSearchParams(sent?.text).get("params") ?? "");
  const extra = quality === "sky" ? ',"immerseType":"c51"' : "";
  expect(inner).toEqual({
    path: "/api/song/enhance/player/url/v1",
    text: `{"ids":"[\\"338990001\\"]","level":"${level}","encodeType":"flac"${extra}}`,
  });
  expect(sent?.headers.get("cookie")).toBe("__csrf=c; MUSIC_U=member-token; os=pc");
});

test("a guest gets what is free", async () => {
  for (const proto of Object.keys(protos) as Proto[]) {
    const answer = await wy(proto).url?.({ songId: songByKey("plain").ids.wy.id, quality: "320k" }, {});
    expect(answer?.quality).toBe("320k");
  }
});

interface Refused {
  name: string;
  song?: string;
  quality?: Quality;
  who?: string;
  fault?: Fault["kind"];
  protos?: Proto[];
  kind: ErrorKind;
  message: RegExp | string;
}
const refused: Refused[] = [
  { name: "trial", song: "member", kind: "upstream_quality", message: "网易云: 只有试听片段，需要会员" },
  { name: "trial by fault", who: "member", fault: "trial", kind: "upstream_quality", message: /试听/ },
  { name: "an expired account is a guest", song: "member", who: "expired", kind: "upstream_quality", message: /试听/ },
  {
    name: "VIP only, guest",
    song: "member",
    quality: "flac",
    kind: "upstream_needs_purchase",
    message: "网易云: 需要会员账号",
  },
  {
    name: "VIP only",
    song: "member",
    quality: "flac",
    who: "guest",
    kind: "upstream_needs_purchase",
    message: "网易云: 需要会员",
  },
  { name: "no copyright", song: "gone", kind: "upstream_no_copyright", message: /版权/ },
  {
    name: "lower level",
    song: "low",
    quality: "320k",
    kind: "upstream_quality",
    message: "reject unmatched quality: expected=exhigh, got=standard",
  },
  {
    name: "lower level for a guest",
    quality: "flac",
    kind: "upstream_quality",
    message: "reject unmatched quality: expected=lossless, got=exhigh",
  },
  {
    name: "lower level by fault",
    who: "member",
    quality: "flac",
    fault: "lower",
    kind: "upstream_quality",
    message: /got=standard$/,
  },
  {
    name: "captcha",
    fault: "verify",
    protos: ["offcial"],
    kind: "upstream_verify",
    message: "网易云: 平台要求安全验证",
  },
  { name: "banned", who: "banned", protos: ["offcial"], kind: "upstream_verify", message: /拒绝/ },
  {
    name: "unknown cookie",
    who: "nobody",
    protos: ["ncmapi"],
    kind: "upstream_needs_login",
    message: "网易云: 账号登录已失效",
  },
  { name: "server error", fault: "http500", kind: "upstream_unreachable", message: /./ },
  { name: "reset", fault: "reset", kind: "upstream_unreachable", message: /./ },
  { name: "timeout", fault: "slow", kind: "upstream_unreachable", message: /超时/ },
  { name: "a web page", fault: "html", kind: "upstream_changed", message: /./ },
  { name: "garbage", fault: "garbage", kind: "upstream_changed", message: /./ },
  { name: "nothing", fault: "empty", kind: "upstream_changed", message: /./ },
  { name: "another form", fault: "reshaped", kind: "upstream_changed", message: /格式/ },
];
const cases = refused.flatMap((row) =>
  (row.protos ?? (Object.keys(protos) as Proto[])).map((proto) => ({ ...row, proto })),
);

test.each(cases)("$proto refuses: $name", async (row) => {
  if (row.fault !== undefined) world.faults.push({ kind: row.fault, source: "wy", delayMs: 1500 });
  const source = wy(row.proto, 500);
  const request = { songId: songByKey(row.song ?? "plain").ids.wy.id, quality: row.quality ?? "128k" };
  const call = row.who === undefined ? {} : { account: cookie(row.who) };
  const failure = await failureOf(source.url?.(request, call) ?? Promise.reject());
  const message = typeof row.message === "string" ? row.message : expect.stringMatching(row.message);
  expect(failure).toEqual({ kind: row.kind, message });
});

const item = { id: 1, url: null, level: null, code: 404, fee: 0, freeTrialInfo: null };
const odd: { name: string; answer: unknown; kind: ErrorKind; message: string }[] = [
  {
    name: "album to buy",
    answer: { code: 200, data: [{ ...item, fee: 4 }] },
    kind: "upstream_needs_purchase",
    message: "网易云: 需要购买专辑",
  },
  {
    name: "no item",
    answer: { code: 200, data: [] },
    kind: "upstream_changed",
    message: "网易云: 平台返回的数据格式已变化",
  },
  {
    name: "an empty address",
    answer: { code: 200, data: [{ ...item, url: "" }] },
    kind: "upstream_no_copyright",
    message: "网易云: 没有版权或已下架",
  },
  { name: "log in", answer: { code: 301 }, kind: "upstream_needs_login", message: "网易云: 需要登录" },
  { name: "too often", answer: { code: 405 }, kind: "upstream_verify", message: "网易云: 请求过于频繁" },
  { name: "bad parameters", answer: { code: 400 }, kind: "upstream_refused", message: "网易云: 平台不接受请求参数" },
  {
    name: "an unknown code with a reason",
    answer: { code: -7, message: "今日已达上限" },
    kind: "upstream_refused",
    message: "网易云: 今日已达上限",
  },
  { name: "an unknown code", answer: { code: -7 }, kind: "upstream_refused", message: "网易云: 平台返回错误 -7" },
  {
    name: "no level",
    answer: { code: 200, data: [{ ...item, url: "http://x/1" }] },
    kind: "upstream_quality",
    message: "reject unmatched quality: expected=standard, got=null",
  },
];
test.each(odd)("answers: $name", async ({ answer, kind, message }) => {
  const { http } = scripted(answer);
  const source = createWy(depsWith(http, configOf("wy")));
  expect(await failureOf(source.url?.({ songId: "1", quality: "128k" }, {}) ?? Promise.reject())).toEqual({
    kind,
    message,
  });
});

const bad = [
  { id: "" },
  { id: "abc" },
  { id: "../1" },
  { id: "0" },
  { id: "1,2" },
  { id: "1".repeat(40) },
  { id: '1"]' },
];
test.each(bad)("an id that is none: $id", async ({ id }) => {
  const failure = await failureOf(wy("offcial").url?.({ songId: id, quality: "128k" }, {}) ?? Promise.reject());
  expect(failure.kind).toBe("invalid_request");
  expect(emulator.requestsTo("wy")).toEqual([]);
});

test("a quality that NetEase has not, and ncmapi without an address, are unsupported", async () => {
  const one = await failureOf(wy("offcial").url?.({ songId: "1", quality: "atmos_plus" }, {}) ?? Promise.reject());
  expect(one.kind).toBe("unsupported");
  const source = createWy(depsOn(emulator, configOf("wy", { proto: "ncmapi" })));
  expect((await failureOf(source.url?.({ songId: "1", quality: "128k" }, {}) ?? Promise.reject())).kind).toBe(
    "unsupported",
  );
});

test("the platform's own names of qualities answer too", () => {
  const source = wy("offcial");
  for (const [name, quality] of Object.entries(source.qualityAliases ?? {})) {
    expect(LEVELS[quality as keyof typeof LEVELS] as string).toBe(name);
  }
  expect(source.qualities).toContain("master");
  expect(source.qualities).not.toContain("atmos_plus");
});

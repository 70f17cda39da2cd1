import { afterAll, beforeEach, expect, test } from "bun:test";
import { mergeCookies } from "../../../src/sources/wy/account.ts";
import { parseCookie } from "../../../src/sources/wy/client.ts";
import { createWy } from "../../../src/sources/wy/index.ts";
import recorded from "../../fixtures/wy/recorded.json";
import { startEmulator } from "../../platforms/emulator.ts";
import { wyPlatform } from "../../platforms/wy.ts";
import { account, configOf, depsOn, depsWith, failureOf, replyWith, scripted } from "../start.ts";

const emulator = startEmulator([wyPlatform]);
const wy = createWy(depsOn(emulator, configOf("wy")));
const accounts = wy.accounts;
afterAll(() => emulator.stop());
beforeEach(() => {
  emulator.reset();
  emulator.world.accounts.length = 0;
  for (const state of ["member", "guest", "expired", "banned"] as const) {
    emulator.world.accounts.push({ source: "wy", id: state, token: state, state, requests: 0 });
  }
});
const who = (state: string) => account("wy", { cookie: `MUSIC_U=${state}; __csrf=c; os=pc` });

const users = [
  { name: "nothing", user: { cookie: "" }, cookie: undefined },
  { name: "blanks", user: { cookie: "  " }, cookie: undefined },
  { name: "no section", user: undefined, cookie: undefined },
  { name: "a browser cookie", user: { cookie: "a=1; MUSIC_U=u; __csrf=c" }, cookie: "a=1; MUSIC_U=u; __csrf=c" },
  { name: "a copied header line", user: { cookie: "Cookie: MUSIC_U=u" }, cookie: "MUSIC_U=u" },
  { name: "a bare token", user: { cookie: "00aa11" }, cookie: "MUSIC_U=00aa11" },
];
test.each(users)("from the config: $name", ({ user, cookie }) => {
  const found = accounts?.fromConfig(user);
  expect(found?.credentials).toEqual(cookie === undefined ? undefined : ({ cookie } as never));
  if (found !== undefined) expect(found.id).toMatch(/^wy:[0-9a-f]{12}$/);
});

test("the id is the person's, not the browser's, and tells no secret", () => {
  const one = accounts?.fromConfig({ cookie: "MUSIC_U=u1; NMTID=x" });
  expect(accounts?.fromConfig({ cookie: "NMTID=y; MUSIC_U=u1" })?.id).toBe(one?.id ?? "");
  expect(accounts?.fromConfig({ cookie: "MUSIC_U=u2; NMTID=x" })?.id).not.toBe(one?.id ?? "");
  expect(one?.id).not.toContain("u1");
});

test("refresh: the recorded request to the byte, the new cookies in place of the old", async () => {
  const was = recorded.find((row) => row.id === "wy/13-internal-refresh")?.upstream[0];
  const [, now = "", number = ""] = /requestId=(\d+)_(\d+)/.exec(was?.headers["cookie"] ?? "") ?? [];
  const { http, requests } = scripted({ code: 200 });
  const deps = {
    ...depsWith(http, configOf("wy")),
    now: () => Number(now),
    random: () => (Number(number) + 0.5) / 10_000,
  };
  await createWy(deps).accounts?.refresh?.(account("wy", { cookie: "MUSIC_U=vip" }), {});
  const [sent] = requests;
  expect(`${sent?.method} ${sent?.url}`).toBe(`${was?.method} ${was?.scheme}://${was?.host}${was?.path}`);
  expect(sent?.body).toBe(was?.body ?? "");
  const headers = Object.entries(sent?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]);
  expect(Object.fromEntries(headers)).toEqual(was?.headers);
});

test("refresh by the platform", async () => {
  const renewed = await accounts?.refresh?.(who("member"), {});
  expect(renewed).toEqual({ cookie: "MUSIC_U=member+; __csrf=renewed; os=pc" });
  expect(await failureOf(accounts?.refresh?.(who("expired"), {}) ?? Promise.reject())).toEqual({
    kind: "upstream_needs_login",
    message: "网易云: 账号登录已失效",
  });
});

const merges = [
  {
    name: "new values replace old ones in their place",
    cookie: "a=1; b=2",
    set: ["a=9; Path=/", "c=3"],
    merged: "a=9; b=2; c=3",
  },
  {
    name: "emptied and expired cookies change nothing",
    cookie: "a=1",
    set: ["a=; Max-Age=0", "a=2; Max-Age=0"],
    merged: "a=1",
  },
  { name: "values may hold an equals sign", cookie: "a=1", set: ["b=x=y; HttpOnly"], merged: "a=1; b=x=y" },
  { name: "nothing new", cookie: "a=1; b", set: [], merged: "a=1" },
];
test.each(merges)("$name", ({ cookie, set, merged }) => expect(mergeCookies(cookie, set)).toBe(merged));

test("a cookie's parts", () => {
  expect([...parseCookie(" a = 1;b=2;;=3; c")]).toEqual([
    ["a", "1"],
    ["b", "2"],
  ]);
});

const states = [
  { who: "member", state: { state: "valid", nickname: "用户member", membership: "VIP" } },
  { who: "guest", state: { state: "valid", nickname: "用户guest" } },
  { who: "expired", state: { state: "expired" } },
  { who: "nobody", state: { state: "expired" } },
];
test.each(states)("check: $who", async ({ who: name, state }) => {
  const found = await accounts?.check?.(who(name), {});
  const { expiresAt, ...rest } = found ?? { state: "unknown" };
  expect(rest).toEqual(state as never);
  if (name === "member") expect(expiresAt).toBeGreaterThan(Date.now() + 4 * 86_400_000);
  else expect(expiresAt).toBeUndefined();
  const [sent] = emulator.requestsTo("wy");
  expect(`${sent?.method} ${sent?.host}${sent?.path}`).toBe("POST music.163.com/weapi/w/nuser/account/get");
});

test("check: banned, and a login code", async () => {
  const banned = createWy(
    depsWith(scripted({ code: 200, account: { id: 1, ban: 1 }, profile: null }).http, configOf("wy")),
  );
  expect(await banned.accounts?.check?.(who("x"), {})).toEqual({ state: "banned" });
  const out = createWy(depsWith(async () => replyWith({ code: 301 }), configOf("wy")));
  expect(await out.accounts?.check?.(who("x"), {})).toEqual({ state: "expired" });
});

test("check does without the membership", async () => {
  emulator.world.faults.push({ kind: "http500", match: /vip\/info/ });
  expect(await accounts?.check?.(who("member"), {})).toEqual({ state: "valid", nickname: "用户member" });
});

test("sign-in as the app and as the page; the second time is fine too", async () => {
  await accounts?.signIn?.(who("member"), {});
  await accounts?.signIn?.(who("member"), {});
  expect(emulator.requestsTo("wy").map((request) => request.path)).toEqual(Array(4).fill("/eapi/point/dailyTask"));
  const failure = await failureOf(accounts?.signIn?.(who("expired"), {}) ?? Promise.reject());
  expect(failure.kind).toBe("upstream_needs_login");
});

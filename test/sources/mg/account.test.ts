import { afterAll, beforeEach, expect, test } from "bun:test";
import { createMg } from "../../../src/sources/mg/index.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import { mgPlatform } from "../../platforms/mg.ts";
import { account, configOf, depsOn, depsWith, failureOf, replyWith } from "../start.ts";

const emulator = startEmulator([mgPlatform]);
for (const state of ["member", "guest", "expired", "banned"] as const) {
  emulator.world.accounts.push({ source: "mg", id: state, token: state, state, requests: 0 });
}
const { accounts } = createMg(depsOn(emulator, configOf("mg")));
afterAll(() => emulator.stop());
beforeEach(() => emulator.reset());
const agent = "Mozilla/5.0 (X11) Chrome/89.0";
const who = (session: string) => account("mg", { by: "b1", session, useragent: agent });

const users = [
  {
    name: "nothing",
    user: { by: "", session: "", useragent: agent, token: "", ce: "", pacmtoken: "" },
    credentials: undefined,
  },
  { name: "no section", user: undefined, credentials: undefined },
  { name: "only the header that goes with a session", user: { by: "b" }, credentials: undefined },
  {
    name: "a session",
    user: { by: "b", session: " s ", useragent: agent },
    credentials: { by: "b", session: "s", useragent: agent },
  },
  { name: "an app token", user: { token: "t", ce: "c", session: "" }, credentials: { token: "t", ce: "c" } },
  { name: "a page token", user: { pacmtoken: "p" }, credentials: { pacmtoken: "p" } },
];
test.each(users)("from the config: $name", ({ user, credentials }) => {
  const found = accounts?.fromConfig(user);
  expect(found?.credentials).toEqual(credentials as never);
  if (found !== undefined) expect(found.id).toMatch(/^mg:[0-9a-f]{12}$/);
});

test("refresh: the keep-alive request, the session as the platform sets it", async () => {
  expect(await accounts?.refresh?.(who("member"), {})).toEqual({ by: "b1", session: "member", useragent: agent });
  const [sent, ...others] = emulator.requestsTo("mg");
  expect(others).toEqual([]);
  expect(`${sent?.method} ${sent?.scheme}://${sent?.host}${sent?.path}`).toBe(
    "POST https://m.music.migu.cn/migumusic/h5/user/auth/userActiveNotice",
  );
  expect(sent?.text).toBe("");
  const named = ["user-agent", "by", "cookie", "referer", "origin"].map((name) => sent?.headers.get(name));
  expect(named).toEqual([agent, "b1", "SESSION=member", "https://m.music.migu.cn/v4/my", "https://m.music.migu.cn"]);
});

test("refresh: a new session is kept, an expired one is told, other tokens need none", async () => {
  const http = async () => replyWith({ code: "200" }, { "set-cookie": "SESSION=new; Path=/" });
  const renewed = await createMg(depsWith(http, configOf("mg"))).accounts?.refresh?.(who("old"), {});
  expect(renewed?.["session"]).toBe("new");
  const failure = await failureOf(accounts?.refresh?.(who("expired"), {}) ?? Promise.reject());
  expect(failure).toEqual({ kind: "upstream_needs_login", message: "咪咕: 用户未登录" });
  expect(await accounts?.refresh?.(account("mg", { token: "t" }), {})).toEqual({ token: "t" });
});

const states = [
  { name: "member", reply: undefined, state: "valid" },
  { name: "expired", reply: undefined, state: "expired" },
  { name: "x", reply: { code: 500, msg: "账号已被冻结" }, state: "banned" },
  { name: "x", reply: { code: 500, msg: "系统繁忙" }, state: "unknown" },
] as const;
test.each(states)("check: $name is $state", async ({ name, reply, state }) => {
  const source =
    reply === undefined ? accounts : createMg(depsWith(async () => replyWith(reply), configOf("mg"))).accounts;
  expect(await source?.check?.(who(name), {})).toEqual({ state });
});

test("check: of a token alone nothing is known", async () => {
  expect(await accounts?.check?.(account("mg", { token: "t" }), {})).toEqual({ state: "unknown" });
  expect(emulator.requestsTo("mg")).toEqual([]);
});

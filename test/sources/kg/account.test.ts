import { afterAll, describe, expect, test } from "bun:test";
import { silentLogger } from "../../../src/ops/log.ts";
import type { KgConfig } from "../../../src/sources/kg/client.ts";
import { createClient } from "../../../src/sources/kg/client.ts";
import { guidOf } from "../../../src/sources/kg/device.ts";
import type { Account } from "../../../src/sources/source.ts";
import vectors from "../../fixtures/kg/vectors.json";
import { kgPublicKey } from "../../platforms/kg.ts";
import { expectKind, kgConfig, lite, startKg, stubKg } from "./harness.ts";

const started: ReturnType<typeof startKg>[] = [];
afterAll(async () => void (await Promise.all(started.map((item) => item.emulator.stop()))));

function start(config: KgConfig = kgConfig()) {
  const platform = startKg({ config });
  started.push(platform);
  platform.world.accounts.push(
    { source: "kg", id: "1001", token: "tok/en+1", state: "member", requests: 0 },
    { source: "kg", id: "1002", token: "guest", state: "guest", requests: 0 },
    { source: "kg", id: "1003", token: "old", state: "expired", requests: 0 },
  );
  return platform;
}

const account = (userid: string, token: string, more: Record<string, string> = {}): Account => ({
  id: `kg:${userid}`,
  label: "账号 1",
  credentials: { userid, token, mid: "114514", ...more },
});

describe("config", () => {
  const { kg } = stubKg({}, 0);
  const user = (change: object) => ({ ...kgConfig().user, ...change });

  test("the default user is a guest", () => {
    expect(kg.accounts.fromConfig(kgConfig().user)).toBeUndefined();
  });

  test.each([
    { name: "a token without a userid", change: { token: "t" } },
    { name: "a userid without a token", change: { userid: "7" } },
    { name: "a userid that is none", change: { token: "t", userid: "7; x" } },
    { name: "another form", change: { token: 7 } },
  ])("$name is no account", ({ change }) => {
    expect(kg.accounts.fromConfig(user(change))).toBeUndefined();
  });

  test("keys of the original become credentials", () => {
    const found = kg.accounts.fromConfig(user({ token: " t ", userid: 42, mid: "9" }));
    expect(found).toEqual({
      id: "kg:42",
      credentials: {
        userid: "42",
        token: "t",
        mid: "9",
        loginUrl: "http://login.user.kugou.com/v4/login_by_token",
        mixsongid: "auto",
      },
    });
  });
});

describe("refresh", () => {
  test("v4 as the original: URL, body and headers", async () => {
    const { kg, asked } = stubKg(
      { "POST login.user.kugou.com /v4/login_by_token": { error_code: 0, data: { token: "new", userid: 1001 } } },
      1700000000123,
    );
    const found = await kg.accounts.refresh(account("1001", "tok/en+1", { dfid: "kept" }), {});
    const [request] = asked;
    const p3 = vectors.kugou_aes_sign.cases.find(
      (item) => item.plain.includes("tok\\/en") && item.key.startsWith("90b8"),
    )?.out;
    const body = `{"p3": "${p3}", "clienttime_ms": 1700000000123, "t1": 0, "t2": 0, "userid": "1001"}`;
    expect(String(request?.body)).toBe(body);
    expect(request?.url).toMatch(
      /^http:\/\/login\.user\.kugou\.com\/v4\/login_by_token\?dfid=-&appid=1005&mid=114514&clientver=12029&clienttime=1700000000&signature=[0-9a-f]{32}$/,
    );
    expect(request?.headers).toMatchObject({ "KG-THash": "3e5ec6b", "Content-Type": "application/json" });
    expect(found).toEqual({
      userid: "1001",
      token: "new",
      mid: "114514",
      dfid: "kept",
      expiresAt: String(1700000000123 + 30 * 86_400_000),
    });
  });

  test.each([
    { name: "Android", config: kgConfig() },
    { name: "lite", config: kgConfig(lite) },
  ])("the $name platform opens v4 and v5, and the new token works", async ({ config }) => {
    const { kg, emulator } = start(config);
    const second = await kg.accounts.refresh(account("1001", "tok/en+1"), {});
    expect(second["token"]).not.toBe("tok/en+1");
    const third = await kg.accounts.refresh(
      account("1001", second["token"] ?? "", { loginUrl: "http://login.user.kugou.com/v5/login_by_token" }),
      {},
    );
    expect(third["token"]).not.toBe(second["token"]);
    expect(emulator.requestsTo("kg").map((request) => request.path)).toEqual([
      "/v4/login_by_token",
      "/v5/login_by_token",
    ]);
    expect(await kg.accounts.check(account("1001", third["token"] ?? ""), {})).toMatchObject({ state: "valid" });
    expect(await kg.accounts.check(account("1001", "tok/en+1"), {})).toEqual({ state: "expired" });
  });

  test("v5 is the second attempt when v4 is out of order", async () => {
    const { kg, emulator, world } = start();
    world.faults.push({ source: "kg", kind: "encrypted", match: /v4/ });
    const fresh = await kg.accounts.refresh(account("1001", "tok/en+1"), {});
    expect(fresh["token"]).toMatch(/^[0-9a-f]{32}$/);
    expect(emulator.requestsTo("kg").map((request) => request.path)).toEqual([
      "/v4/login_by_token",
      "/v5/login_by_token",
    ]);
  });

  test("a dead token is said at once, without a second attempt", async () => {
    const { kg, emulator } = start();
    await expectKind(kg.accounts.refresh(account("1003", "old"), {}), "upstream_needs_login");
    expect(emulator.requestsTo("kg")).toHaveLength(1);
  });

  test.each(["reshaped", "garbage", "html", "reset", "http500"] as const)(
    "%s never gives an empty token",
    async (kind) => {
      const { kg, world } = start();
      world.faults.push({ source: "kg", kind });
      const wanted = kind === "reset" || kind === "http500" ? "upstream_unreachable" : "upstream_changed";
      await expectKind(kg.accounts.refresh(account("1001", "tok/en+1"), {}), wanted);
    },
  );
});

describe("check", () => {
  test.each([
    {
      name: "a member",
      who: account("1001", "tok/en+1"),
      wanted: { state: "valid", membership: "SVIP", expiresAt: Date.parse("2026-12-31T23:59:59+08:00") },
    },
    { name: "no member", who: account("1002", "guest"), wanted: { state: "valid" } },
    { name: "an expired token", who: account("1003", "old"), wanted: { state: "expired" } },
  ] as const)("$name", async ({ who, wanted }) => {
    const { kg } = start();
    expect(await kg.accounts.check(who, {})).toEqual(wanted);
  });

  test("learns the account's own vip type", async () => {
    const { kg } = start();
    const learned: object[] = [];
    await kg.accounts.check(account("1001", "tok/en+1"), { learn: (found) => void learned.push(found) });
    expect(learned).toEqual([{ vipType: "6" }]);
  });
});

describe("sign-in", () => {
  test("only the lite edition has one", async () => {
    const { kg } = start();
    await expectKind(kg.accounts.signIn(account("1001", "tok/en+1"), {}), "unsupported");
  });

  test("reports a song of the TOP 500, and a second time is no failure", async () => {
    const { kg, emulator } = start(kgConfig(lite));
    await kg.accounts.signIn(account("1001", "tok/en+1"), {});
    await kg.accounts.signIn(account("1001", "tok/en+1"), {});
    expect(
      emulator
        .requestsTo("kg")
        .map((request) => request.path)
        .slice(0, 3),
    ).toEqual(["/api/v3/rank/song", "/song_search_v2", "/v2/report/listen_song"]);
  });

  test("a configured song is reported as it is, by the newer path when the older is out of order", async () => {
    const { kg, emulator, world } = start(kgConfig(lite));
    world.faults.push({ source: "kg", kind: "lower", match: /v2\/report/ });
    await kg.accounts.signIn(account("1001", "tok/en+1", { mixsongid: "45290001" }), {});
    expect(emulator.requestsTo("kg").map((request) => [request.path, request.text])).toEqual([
      ["/v2/report/listen_song", '{"mixsongid":45290001}'],
      ["/youth/v2/report/listen_song", '{"mixsongid":45290001}'],
    ]);
  });

  test("an expired account", async () => {
    const { kg } = start(kgConfig(lite));
    await expectKind(kg.accounts.signIn(account("1003", "old", { mixsongid: "45290001" }), {}), "upstream_needs_login");
  });
});

describe("device", () => {
  test("one account is one device, another account another one", () => {
    const guid = guidOf({ userid: "1", mid: "114514" });
    expect(guid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(guidOf({ userid: "1", mid: "114514" })).toBe(guid);
    expect(guidOf({ userid: "2", mid: "114514" })).not.toBe(guid);
  });

  test.each([
    { appid: "1005", start: "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDIAG7Q" },
    { appid: "3116", start: "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDECi0N" },
  ])("the RSA key belongs to appid $appid unless one is configured", ({ appid, start: begin }) => {
    const config = kgConfig((item) => {
      item.client.appid = appid;
      item.client.public_key = "";
    });
    const deps = { config, http: () => Promise.reject(new Error("offline")), now: () => 0, random: () => 0 };
    expect(createClient({ ...deps, log: silentLogger }).edition.publicKey.startsWith(begin)).toBe(true);
    config.client.public_key = kgPublicKey;
    expect(createClient({ ...deps, log: silentLogger }).edition.publicKey).toBe(kgPublicKey);
  });
});

import type { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { moduleSection } from "../../src/config/sections/sources.ts";
import { AppError, type ErrorKind } from "../../src/core/errors.ts";
import type { Quality } from "../../src/core/types.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createSqliteAccountStore } from "../../src/sources/account-store.ts";
import {
  type AccountPool,
  type AccountSettings,
  createAccountPool,
  type WriteBack,
} from "../../src/sources/accounts.ts";
import type { AccountState, Call, Source } from "../../src/sources/source.ts";

const START = Date.parse("2026-11-21T20:00:00+08:00");
const DAY = 86_400_000;

/** What the platform does with each asker; "ok" or the failure's kind. */
type Behaviour = "ok" | ErrorKind;

let now = START;
let db: Database;
let settings: AccountSettings;
let slept: number[];
let written: WriteBack[];
/** Who asked, in order. */
let asked: string[];
let behaviour: Record<string, Behaviour>;
let checked: AccountState;
let folder: string;

const source: Source = {
  id: "kg",
  name: "酷狗",
  qualities: ["128k", "320k", "flac"],
  normalizeId: (id) => id,
  accounts: {
    fromConfig(user) {
      const { userid, token } = user as { userid: string; token: string };
      return token === "" ? undefined : { id: `kg:${userid}`, credentials: { userid: String(userid), token } };
    },
    refresh: async (account) => {
      if (behaviour[account.label] === "upstream_needs_login") throw new AppError("upstream_needs_login", "登录失效");
      return { ...account.credentials, token: `${account.credentials["token"]}+`, expiresAt: String(now + 30 * DAY) };
    },
    check: async () => checked,
    signIn: async () => {},
  },
};

function module_(users: { userid: string; token: string }[]) {
  const module = Value.Create(moduleSection);
  const [first] = module.cookiepool.kg;
  expect(first).toBeUndefined();
  module.cookiepool.kg = users.map((user) => ({ ...structuredClone(module.kg.user), ...user }));
  return module;
}

function open(): AccountPool {
  return createAccountPool({
    sources: new Map([["kg", source]]),
    store: createSqliteAccountStore(db),
    settings: () => settings,
    log: silentLogger,
    now: () => now,
    sleep: async (ms) => {
      slept.push(ms);
      now += ms;
    },
    writeBack: async (change) => void written.push(change),
  });
}

async function work(call: Call): Promise<string> {
  const who = call.account?.label ?? "游客";
  asked.push(who);
  const does = behaviour[who] ?? "ok";
  if (does === "ok") return who;
  throw new AppError(
    does,
    does === "upstream_needs_purchase" ? "链接获取失败，请检查账号是否有会员或数字专辑是否购买" : "拒绝",
  );
}

const ask = (pool: AccountPool, quality: Quality | undefined = "320k") => pool.run(source, { quality }, work);

const three = [
  { userid: "1", token: "a" },
  { userid: "2", token: "b" },
  { userid: "3", token: "c" },
];

beforeEach(async () => {
  now = START;
  folder = await mkdtemp(join(tmpdir(), "lx-accounts-"));
  db = openDatabase(join(folder, "lx.db"), silentLogger);
  settings = {
    guestFirst: true,
    coolDownMs: 900_000,
    dailyBudget: 0,
    minimumGapMs: 0,
    writeBack: false,
    warnBeforeMs: 3 * DAY,
  };
  slept = [];
  written = [];
  asked = [];
  behaviour = {};
  checked = { state: "valid" };
});
afterEach(async () => {
  db.close();
  await rm(folder, { recursive: true });
});

function poolOf(users = three): AccountPool {
  const pool = open();
  pool.configure(module_(users), true);
  return pool;
}

describe("who is asked", () => {
  test("without accounts, the guest, and its own words", async () => {
    behaviour["游客"] = "upstream_needs_purchase";
    const pool = poolOf([]);
    await expect(ask(pool)).rejects.toMatchObject({ message: "链接获取失败，请检查账号是否有会员或数字专辑是否购买" });
    expect(asked).toEqual(["游客"]);
  });

  test("least recently used first", async () => {
    const pool = poolOf();
    for (let i = 0; i < 6; i++) {
      now += 10;
      await ask(pool);
    }
    expect(asked).toEqual(["账号 1", "账号 2", "账号 3", "账号 1", "账号 2", "账号 3"]);
  });

  test.each([
    { name: "128k: the guest first", quality: "128k", guestFirst: true, first: "游客" },
    { name: "128k, switched off: an account", quality: "128k", guestFirst: false, first: "账号 1" },
    { name: "320k: an account", quality: "320k", guestFirst: true, first: "账号 1" },
    { name: "no quality: nobody's account is needed", quality: undefined, guestFirst: false, first: "游客" },
  ] as { name: string; quality: Quality | undefined; guestFirst: boolean; first: string }[])(
    "$name",
    async ({ quality, guestFirst, first }) => {
      settings.guestFirst = guestFirst;
      const pool = poolOf();
      await pool.run(source, quality === undefined ? {} : { quality }, work);
      expect(asked).toEqual([first]);
    },
  );

  test.each([
    { kind: "upstream_needs_purchase", asked: ["账号 1", "账号 2", "账号 3"] },
    { kind: "upstream_verify", asked: ["账号 1", "账号 2", "账号 3", "游客"] },
    { kind: "upstream_refused", asked: ["账号 1", "账号 2", "账号 3", "游客"] },
    { kind: "upstream_no_copyright", asked: ["账号 1"] },
    { kind: "upstream_not_found", asked: ["账号 1"] },
    { kind: "upstream_unreachable", asked: ["账号 1"] },
    { kind: "upstream_changed", asked: ["账号 1"] },
    { kind: "invalid_request", asked: ["账号 1"] },
  ] as { kind: ErrorKind; asked: string[] }[])("after $kind", async ({ kind, asked: wanted }) => {
    for (const who of ["账号 1", "账号 2", "账号 3", "游客"]) behaviour[who] = kind;
    await expect(ask(poolOf())).rejects.toMatchObject({ kind });
    expect(asked).toEqual(wanted);
  });

  test("never more than three accounts for one song", async () => {
    const many = Array.from({ length: 9 }, (_, index) => ({ userid: String(index + 1), token: "t" }));
    for (const index of many.keys()) behaviour[`账号 ${index + 1}`] = "upstream_needs_purchase";
    await expect(ask(poolOf(many))).rejects.toMatchObject({ kind: "upstream_needs_purchase" });
    expect(asked).toHaveLength(3);
  });

  test("a bug in a source is not taken for a refusal", async () => {
    const failing = poolOf().run(source, {}, async () => {
      throw new TypeError("x is undefined");
    });
    await expect(failing).rejects.toThrow(TypeError);
  });
});

describe("accounts that fail", () => {
  test("an expired one is out of rotation, and named", async () => {
    const pool = poolOf(three.slice(0, 2));
    behaviour = { "账号 1": "upstream_needs_login", "账号 2": "upstream_needs_purchase" };
    await expect(ask(pool)).rejects.toMatchObject({
      kind: "upstream_needs_purchase",
      message: "酷狗: 需要会员 (账号 1 已过期)",
    });
    await expect(ask(pool)).rejects.toMatchObject({ message: "酷狗: 需要会员 (账号 1 已过期)" });
    expect(asked).toEqual(["账号 1", "账号 2", "账号 2"]);
    expect(pool.list().map((view) => view.state)).toEqual(["expired", "healthy"]);
  });

  test("the guest's refusal names the account that could have helped", async () => {
    behaviour = { "账号 1": "upstream_needs_login", 游客: "upstream_needs_purchase" };
    await expect(ask(poolOf(three.slice(0, 1)), "128k")).rejects.toMatchObject({
      message: "酷狗: 需要会员 (账号 1 已过期)",
    });
  });

  test("one that must verify rests, and comes back", async () => {
    const pool = poolOf();
    behaviour["账号 1"] = "upstream_verify";
    expect(await ask(pool)).toBe("账号 2");
    expect(pool.list()[0]).toMatchObject({ state: "resting", restsUntil: START + 900_000, lastError: "拒绝" });
    behaviour = {};
    asked = [];
    for (let i = 0; i < 4; i++) {
      now += 1;
      await ask(pool);
    }
    expect(asked).not.toContain("账号 1");
    now += 900_000;
    expect(await ask(pool)).toBe("账号 1");
  });

  test("a guest that must verify rests too, while there are accounts", async () => {
    const pool = poolOf();
    behaviour["游客"] = "upstream_verify";
    expect(await ask(pool, "128k")).toBe("账号 1");
    expect(await ask(pool, "128k")).toBe("账号 2");
    expect(asked).toEqual(["游客", "账号 1", "账号 2"]);
    now += 900_001;
    behaviour = {};
    expect(await ask(pool, "128k")).toBe("游客");
  });

  test("all of them resting: the guest is asked, and the user told why", async () => {
    for (const who of ["账号 1", "账号 2", "账号 3"]) behaviour[who] = "upstream_verify";
    behaviour["游客"] = "upstream_needs_purchase";
    await expect(ask(poolOf())).rejects.toMatchObject({
      message: "酷狗: 需要会员 (账号 1 被限制，稍后恢复，账号 2 被限制，稍后恢复，账号 3 被限制，稍后恢复)",
    });
  });

  test("a banned one, found by a check, is out of rotation until it is well again", async () => {
    const pool = poolOf(three.slice(0, 1));
    const [{ handle } = { handle: "" }] = pool.list();
    checked = { state: "banned" };
    expect(await pool.check(handle)).toMatchObject({ state: "banned" });
    behaviour["游客"] = "upstream_needs_purchase";
    await expect(ask(pool)).rejects.toMatchObject({ message: "酷狗: 需要会员 (账号 1 已被封禁)" });
    checked = { state: "valid", nickname: "我", membership: "SVIP", expiresAt: now + DAY };
    expect(await pool.check(handle)).toMatchObject({
      state: "healthy",
      nickname: "我",
      membership: "SVIP",
      expiresSoon: true,
    });
    expect(await ask(pool)).toBe("账号 1");
  });
});

describe("budget and gap", () => {
  test("no account is used beyond its day's budget, and the new day begins at midnight in China", async () => {
    settings.dailyBudget = 2;
    const pool = poolOf();
    for (let i = 0; i < 6; i++) await ask(pool);
    behaviour["游客"] = "upstream_needs_purchase";
    await expect(ask(pool)).rejects.toMatchObject({ message: expect.stringContaining("账号 1 今日次数已用完") });
    expect(asked.filter((who) => who !== "游客")).toHaveLength(6);
    now = Date.parse("2026-11-22T00:00:01+08:00");
    expect(await ask(pool)).toBe("账号 1");
  });

  test("a second attempt within one call counts", async () => {
    settings.dailyBudget = 3;
    const pool = poolOf(three.slice(0, 1));
    const answers = await pool.run(source, { quality: "320k" }, async (call) => [
      call.mayAskAgain?.(),
      call.mayAskAgain?.(),
      call.mayAskAgain?.(),
    ]);
    expect(answers).toEqual([true, true, false]);
    expect(pool.list()[0]?.usedToday).toBe(3);
  });

  test("requests of one account keep their distance, whoever else waits", async () => {
    settings.minimumGapMs = 1000;
    const pool = poolOf(three.slice(0, 1));
    const starts: number[] = [];
    const mark = async () => void starts.push(now);
    await pool.run(source, { quality: "320k" }, mark);
    await pool.run(source, { quality: "320k" }, mark);
    await pool.run(source, { quality: "320k" }, mark);
    expect(starts).toEqual([START, START + 1000, START + 2000]);
    expect(slept).toEqual([1000, 1000]);
  });

  test("a turn that is too far away is nobody's turn", async () => {
    settings.minimumGapMs = 60_000;
    const pool = poolOf(three.slice(0, 1));
    expect(await ask(pool)).toBe("账号 1");
    expect(await ask(pool)).toBe("游客");
    expect(slept).toEqual([]);
  });
});

describe("what lasts", () => {
  test("state, counts and what was learned survive a restart", async () => {
    settings.dailyBudget = 10;
    const pool = poolOf(three.slice(0, 2));
    behaviour["账号 1"] = "upstream_needs_login";
    await ask(pool);
    await pool.run(source, { quality: "320k" }, async (call) => call.learn?.({ dfid: "D" }));
    const again = poolOf(three.slice(0, 2));
    expect(again.list()).toEqual(pool.list());
    asked = [];
    let dfid: string | undefined;
    await again.run(source, { quality: "320k" }, async (call) => {
      dfid = call.account?.credentials["dfid"];
      return work(call);
    });
    expect([asked, dfid]).toEqual([["账号 2"], "D"]);
    expect(again.list()[1]?.usedToday).toBe(3);
  });

  test("a refreshed token is kept, and the config's old one does not come back", async () => {
    const pool = poolOf(three.slice(0, 1));
    const [{ handle } = { handle: "" }] = pool.list();
    expect(await pool.refresh(handle)).toMatchObject({ refreshedAt: START, expiresAt: START + 30 * DAY });
    const token = (from: AccountPool) =>
      from.run(source, { quality: "320k" }, async (call) => call.account?.credentials["token"]);
    expect(await token(pool)).toBe("a+");
    expect(await token(poolOf(three.slice(0, 1)))).toBe("a+");
    expect(await token(poolOf([{ userid: "1", token: "edited" }]))).toBe("edited");
  });

  test("an account that left the config is forgotten, one that was added stays", async () => {
    const pool = poolOf();
    const added = pool.add("kg", { userid: "9", token: "secret9" }, "备用");
    pool.configure(module_(three.slice(1)), true);
    expect(pool.list().map((view) => view.label)).toEqual(["备用", "账号 1", "账号 2"]);
    expect(open().list()).toHaveLength(3);
    expect(() => pool.remove(pool.list()[1]?.handle ?? "")).toThrow("配置文件");
    pool.remove(added.handle);
    expect(open().list()).toHaveLength(2);
  });

  test("without the pool only module.kg.user counts", () => {
    const pool = open();
    const module = module_(three);
    module.kg.user.token = "own";
    module.kg.user.userid = "77";
    pool.configure(module, false);
    expect(pool.list().map((view) => view.label)).toEqual(["账号 1"]);
  });

  test("written back only when asked, with the values before and after", async () => {
    const pool = poolOf(three.slice(0, 1));
    const [{ handle } = { handle: "" }] = pool.list();
    await pool.refresh(handle);
    expect(written).toEqual([]);
    settings.writeBack = true;
    await pool.refresh(handle);
    expect(written).toEqual([
      {
        source: "kg",
        before: { userid: "1", token: "a+", expiresAt: expect.any(String) },
        after: { userid: "1", token: "a++", expiresAt: expect.any(String) },
      },
    ]);
    // The config now holds what was written: nothing starts afresh.
    pool.configure(module_([{ userid: "1", token: "a++" }]), true);
    expect(pool.list()[0]?.refreshedAt).toBe(START);
  });

  test("a refused refresh takes the account out and says so", async () => {
    const pool = poolOf(three.slice(0, 1));
    const [{ handle } = { handle: "" }] = pool.list();
    behaviour["账号 1"] = "upstream_needs_login";
    await expect(pool.refresh(handle)).rejects.toMatchObject({ message: "酷狗: 账号 1 登录失效" });
    expect(open().list()[0]).toMatchObject({ state: "expired", lastError: "登录失效" });
  });

  test("rows that cannot be read are left out", () => {
    poolOf(three.slice(0, 1));
    db.run("UPDATE accounts SET credentials = '{broken'");
    expect(open().list()).toEqual([]);
  });
});

describe("adding", () => {
  test("credentials are never shown", () => {
    const pool = poolOf([]);
    const view = pool.add("kg", { userid: "123456789", token: "very-secret" });
    const text = JSON.stringify([view, pool.list(), pool.health()]);
    expect(text).not.toContain("very-secret");
    expect(text).not.toContain("123456789");
    expect(view).toMatchObject({ label: "账号 1", origin: "added", credentials: { token: "***", userid: "***" } });
    expect(view.handle).toMatch(/^kg-[0-9a-f]{10}$/);
  });

  test.each([
    { name: "an unknown key", user: { userid: "1", token: "t", tokem: "x" }, kind: "invalid_request" },
    { name: "a wrong type", user: { userid: "1", token: { a: 1 } }, kind: "invalid_request" },
    { name: "no token", user: { userid: "1" }, kind: "invalid_request" },
  ])("$name is refused", ({ user, kind }) => {
    const pool = poolOf([]);
    expect(() => pool.add("kg", user)).toThrow(expect.objectContaining({ kind }));
  });

  test("twice the same person is refused", () => {
    const pool = poolOf([]);
    pool.add("kg", { userid: "1", token: "t" });
    expect(() => pool.add("kg", { userid: "1", token: "u" })).toThrow(expect.objectContaining({ kind: "conflict" }));
  });

  test("a source without accounts is unsupported", () => {
    expect(() => poolOf([]).add("tx", { uin: "1" })).toThrow(expect.objectContaining({ kind: "unsupported" }));
  });
});

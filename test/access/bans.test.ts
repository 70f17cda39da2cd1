import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAddress } from "../../src/access/address.ts";
import { readOriginalBans } from "../../src/access/ban-import.ts";
import { type BanPolicy, createBans } from "../../src/access/bans.ts";
import { createTables } from "../../src/access/store.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";

const POLICY: BanPolicy = {
  enable: true,
  expire: true,
  windowSeconds: 600,
  growth: 2,
  maxSeconds: 1000,
  allow: ["10.0.0.0/8"],
  addresses: 1000,
  offences: {
    key: { count: 1, seconds: 100 },
    lxm: { count: 0, seconds: 100 },
    host: { count: 3, seconds: 100 },
    probe: { count: 5, seconds: 50 },
    login: { count: 2, seconds: 50 },
  },
};

function at(text: string) {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return address;
}

function rig(policy: Partial<BanPolicy> = {}, path = ":memory:") {
  const db = openDatabase(path, silentLogger);
  createTables(db);
  let time = 1_800_000_000_000;
  const bans = createBans({ db, policy: { ...POLICY, ...policy }, log: silentLogger, now: () => time });
  return {
    bans,
    db,
    pass: (seconds: number) => {
      time += seconds * 1000;
    },
    banned: (address: string) => bans.isBanned(at(address)),
    async [Symbol.asyncDispose]() {
      await bans.close();
      db.close();
    },
  };
}

describe("automatic bans", () => {
  test("after as many offences as the policy says, and not before", async () => {
    await using it = rig();
    expect(it.bans.strike(at("1.1.1.1"), "host")).toBeUndefined();
    expect(it.bans.strike(at("1.1.1.1"), "host")).toBeUndefined();
    expect(it.banned("1.1.1.1")).toBe(false);
    expect(it.bans.strike(at("1.1.1.1"), "host")).toMatchObject({ target: "1.1.1.1", reason: "host", times: 1 });
    expect(it.banned("1.1.1.1")).toBe(true);
    expect(it.banned("1.1.1.2")).toBe(false);
  });

  test("offences fade", async () => {
    await using it = rig();
    for (let round = 0; round < 10; round++) {
      expect(it.bans.strike(at("1.1.1.1"), "host")).toBeUndefined();
      it.pass(301);
    }
  });

  test("each lasts longer than the one before, up to the bound", async () => {
    await using it = rig();
    const lengths: number[] = [];
    for (let round = 0; round < 6; round++) {
      const ban = it.bans.strike(at("1.1.1.1"), "key");
      lengths.push(((ban?.expiresAt ?? 0) - (ban?.createdAt ?? 0)) / 1000);
      it.pass((lengths.at(-1) ?? 0) - 1);
      expect(it.banned("1.1.1.1")).toBe(true);
      it.pass(1);
      expect(it.banned("1.1.1.1")).toBe(false);
    }
    expect(lengths).toEqual([100, 200, 400, 800, 1000, 1000]);
  });

  test.each([
    ["an offence that is not counted", {}, "2.2.2.2", "lxm"],
    ["loopback", {}, "127.0.0.1", "key"],
    ["loopback, IPv6", {}, "::1", "key"],
    ["the allow-list", {}, "10.1.2.3", "key"],
    ["bans switched off", { enable: false }, "2.2.2.2", "key"],
  ] as const)("never: %s", async (_, policy, address, offence) => {
    await using it = rig(policy);
    for (let i = 0; i < 20; i++) expect(it.bans.strike(at(address), offence)).toBeUndefined();
    expect(it.bans.list()).toEqual([]);
  });

  test("without expiry they stay", async () => {
    await using it = rig({ expire: false });
    it.bans.strike(at("1.1.1.1"), "key");
    it.pass(1e9);
    expect(it.banned("1.1.1.1")).toBe(true);
  });

  test("IPv6 is banned by /64", async () => {
    await using it = rig();
    expect(it.bans.strike(at("2001:db8:1:2::3"), "key")?.target).toBe("2001:db8:1:2::/64");
    expect([it.banned("2001:db8:1:2:ffff::1"), it.banned("2001:db8:1:3::1")]).toEqual([true, false]);
  });

  test("a flood of offenders keeps to the bound, and manual bans stay", async () => {
    await using it = rig();
    it.bans.add({ target: "9.9.9.9" });
    for (let i = 0; i < 51_000; i++) it.bans.strike({ family: 4, text: "", words: [0, 0, 0, 0x0b000000 + i] }, "key");
    expect(it.bans.list().length).toBeLessThanOrEqual(50_000);
    expect(it.banned("9.9.9.9")).toBe(true);
  });
});

describe("manual bans", () => {
  test("a network, with an end and a note", async () => {
    await using it = rig();
    expect(it.bans.add({ target: "198.51.100.77/24", seconds: 60, note: "crawler" })).toMatchObject({
      target: "198.51.100.0/24",
      reason: "manual",
      note: "crawler",
    });
    expect([it.banned("198.51.100.200"), it.banned("198.51.101.1")]).toEqual([true, false]);
    it.pass(60);
    expect(it.banned("198.51.100.200")).toBe(false);
  });

  test("even everyone: loopback and the allow-list still get in", async () => {
    await using it = rig();
    it.bans.add({ target: "0.0.0.0/0" });
    expect([it.banned("8.8.8.8"), it.banned("127.0.0.1"), it.banned("10.0.0.1"), it.banned("::1")]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  test.each(["127.0.0.1", "::1", "127.0.0.0/8", "10.2.3.4", "10.0.0.0/9", "nonsense", "1.2.3.4/40", ""])(
    "%p cannot be banned",
    async (target) => {
      await using it = rig();
      expect(() => it.bans.add({ target })).toThrow();
      expect(it.bans.list()).toEqual([]);
    },
  );

  test("are lifted under any spelling, once", async () => {
    await using it = rig();
    it.bans.add({ target: "2001:DB8::/32" });
    expect(it.bans.remove("2001:db8:0::/32")).toBe(true);
    expect(it.bans.remove("2001:db8::/32")).toBe(false);
    expect(it.banned("2001:db8::1")).toBe(false);
  });
});

test("outlive a restart, and count on", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lx-bans-"));
  try {
    {
      await using first = rig({}, join(folder, "lx.db"));
      first.bans.strike(at("1.1.1.1"), "key");
      first.bans.add({ target: "5.0.0.0/8", note: "why" });
    }
    await using second = rig({}, join(folder, "lx.db"));
    expect([second.banned("1.1.1.1"), second.banned("5.6.7.8"), second.banned("6.6.6.6")]).toEqual([true, true, false]);
    expect(second.bans.list().find((ban) => ban.target === "5.0.0.0/8")).toMatchObject({
      note: "why",
      expiresAt: Number.POSITIVE_INFINITY,
    });
    second.pass(101);
    expect(second.bans.strike(at("1.1.1.1"), "key")?.times).toBe(2);
  } finally {
    await rm(folder, { recursive: true });
  }
});

describe("the original's data.db", () => {
  async function write(value: string | undefined): Promise<{ file: string; folder: string }> {
    const folder = await mkdtemp(join(tmpdir(), "lx-data-"));
    const file = join(folder, "data.db");
    const db = new Database(file);
    if (value !== undefined) {
      db.run("CREATE TABLE data (key TEXT PRIMARY KEY, value TEXT)");
      db.query("INSERT INTO data VALUES ('banList', ?), ('requestTime', '{}')").run(value);
    } else db.run("CREATE TABLE other (x)");
    db.close();
    return { file, folder };
  }

  test("bans in force are taken over, ended and broken ones are not", async () => {
    const now = 1_800_000_000_000;
    const { file, folder } = await write(
      JSON.stringify([
        { ip: "1.2.3.4", expire: true, expire_time: now / 1000 + 500 },
        { ip: "1.2.3.5", expire: true, expire_time: now / 1000 - 5 },
        { ip: "1.2.3.6", expire: false, expire_time: 0 },
        { ip: "1.2.3.7", expire: true, expire_time: 604_800 },
        { ip: "127.0.0.1", expire: false },
        { ip: "junk", expire: false },
        { nothing: 1 },
      ]),
    );
    await using it = rig();
    expect(it.bans.take(readOriginalBans(file, now))).toBe(3);
    expect(["1.2.3.4", "1.2.3.5", "1.2.3.6", "1.2.3.7"].map(it.banned)).toEqual([true, false, true, true]);
    it.pass(501);
    expect(["1.2.3.4", "1.2.3.6", "1.2.3.7"].map(it.banned)).toEqual([false, true, true]);
    await rm(folder, { recursive: true });
  });

  test.each([
    ["another database", undefined],
    ["no JSON", "{"],
    ["no list", '{"a":1}'],
  ])("%s is refused in words", async (_, value) => {
    const { file, folder } = await write(value);
    expect(() => readOriginalBans(file)).toThrow(file);
    await rm(folder, { recursive: true });
  });

  test("no file", () => expect(() => readOriginalBans("/nonexistent/data.db")).toThrow("没有文件"));
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Redis } from "ioredis";
import { parseAddress } from "../../src/access/address.ts";
import { createBanSharing } from "../../src/access/ban-sharing.ts";
import type { BanPolicy } from "../../src/access/bans.ts";
import { createBans } from "../../src/access/bans.ts";
import type { LimitOptions, LimitSubject } from "../../src/access/limits.ts";
import { createRedisLimiter } from "../../src/access/limits-redis.ts";
import { MINUTE } from "../../src/access/quota.ts";
import { createSharedQuota } from "../../src/access/quota-redis.ts";
import { sharedSecret } from "../../src/access/secrets.ts";
import { createTables } from "../../src/access/store.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { type RedisServer, startRedis, until } from "../cache/redis-server.ts";

let server: RedisServer;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => server[Symbol.asyncDispose]());

function at(text: string) {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return address;
}

const subject = (address: string): LimitSubject => ({ address: at(address), group: "url", keyId: 7 });
let prefixes = 0;
const freshPrefix = () => `test${++prefixes}`;

function limiters(options: Partial<LimitOptions>, redis: () => Redis = () => server.client()) {
  const prefix = freshPrefix();
  const full = { global: 0, ip: 0, rules: [], addresses: 1000, ...options };
  const make = () => createRedisLimiter({ options: full, redis: redis(), prefix, log: silentLogger, deadlineMs: 2000 });
  return { one: make(), two: make() };
}

describe("limits", () => {
  test("several instances admit together no more than the bound, however they hurry", async () => {
    const { one, two } = limiters({ rules: [{ scope: "ip", groups: [], requests: 10, seconds: 600, burst: 10 }] });
    const asked = Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? one : two).admitClient(subject("1.1.1.1")));
    const verdicts = await Promise.all(asked);
    expect(verdicts.filter((verdict) => verdict.admitted)).toHaveLength(10);
    const refused = verdicts.find((verdict) => !verdict.admitted);
    expect(refused).toMatchObject({
      message: "IP限速",
      headers: { "ratelimit-limit": "10", "ratelimit-remaining": "0" },
    });
    expect(refused?.retryAfterSeconds).toBeGreaterThan(50);
    expect((await one.admitClient(subject("1.1.1.2"))).admitted).toBe(true);
  });

  test("a refusal charges no rule", async () => {
    const { one, two } = limiters({
      ip: 600,
      rules: [{ scope: "global", groups: [], requests: 3, seconds: 600, burst: 3 }],
    });
    expect((await one.admitClient(subject("1.1.1.1"))).admitted).toBe(true);
    for (let i = 0; i < 5; i++) expect((await two.admitClient(subject("1.1.1.1"))).message).toBe("IP限速");
    expect((await one.admitClient(subject("1.1.1.2"))).admitted).toBe(true);
    expect((await one.admitClient(subject("1.1.1.3"))).admitted).toBe(true);
    expect((await two.admitClient(subject("1.1.1.4"))).message).toBe("全局限速");
  });

  test("IPv6 by /64, keys by number, and everything is gone when it is over", async () => {
    const { one, two } = limiters({
      ip: 0.3,
      rules: [{ scope: "key", groups: [], requests: 1, seconds: 0.3, burst: 1 }],
    });
    expect((await one.admitClient(subject("2001:db8::1"))).admitted).toBe(true);
    expect((await two.admitClient(subject("2001:db8::2"))).admitted).toBe(false);
    expect((await one.admitKey(subject("1.1.1.1"))).admitted).toBe(true);
    expect((await two.admitKey(subject("2.2.2.2"))).message).toBe("key限速");
    await until(
      async () => !JSON.stringify(await server.command("KEYS", `test${prefixes}:*`)).includes("limit"),
      "expiry",
    );
    expect((await two.admitKey(subject("2.2.2.2"))).admitted).toBe(true);
  });

  test("without Redis each instance counts for itself, and waits for it only once", async () => {
    const gone = await startRedis();
    const { one } = limiters({ ip: 600 }, () => gone.client());
    expect((await one.admitClient(subject("1.1.1.1"))).admitted).toBe(true);
    gone.signal("SIGSTOP");
    expect((await one.admitClient(subject("1.1.1.1"))).admitted).toBe(true);
    const started = performance.now();
    expect((await one.admitClient(subject("1.1.1.1"))).message).toBe("IP限速");
    expect(performance.now() - started).toBeLessThan(1000);
    await gone[Symbol.asyncDispose]();
  });
});

describe("quotas of keys", () => {
  test("are one count for all instances", async () => {
    const prefix = freshPrefix();
    const quotas = [1, 2, 3].map(() => createSharedQuota(server.client(), prefix, silentLogger, 2000));
    const waits = await Promise.all(Array.from({ length: 30 }, (_, i) => quotas[i % 3]?.take(1, MINUTE, 12)));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(12);
    const longest = Math.max(...waits.map((wait) => wait ?? 0));
    expect(longest).toBeGreaterThan(55_000);
    expect(longest).toBeLessThanOrEqual(61_000);
    expect(await quotas[0]?.take(2, MINUTE, 12)).toBe(0);
  });

  test("Redis away: undefined, so that the instance counts by itself", async () => {
    const gone = await startRedis();
    const quota = createSharedQuota(gone.client(), "p", silentLogger, 100);
    expect(await quota.take(1, MINUTE, 1)).toBe(0);
    gone.signal("SIGSTOP");
    expect(await quota.take(1, MINUTE, 1)).toBeUndefined();
    await gone[Symbol.asyncDispose]();
  });
});

const POLICY: BanPolicy = {
  enable: true,
  expire: true,
  windowSeconds: 60,
  growth: 1,
  maxSeconds: 1000,
  allow: [],
  addresses: 1000,
  offences: {
    key: { count: 1, seconds: 100 },
    lxm: { count: 0, seconds: 1 },
    host: { count: 0, seconds: 1 },
    probe: { count: 0, seconds: 1 },
    login: { count: 0, seconds: 1 },
  },
};

function instance(prefix: string, from: RedisServer = server) {
  const db = openDatabase(":memory:", silentLogger);
  createTables(db);
  const bans = createBans({
    db,
    policy: POLICY,
    log: silentLogger,
    sharing: createBanSharing(from.client(), prefix, silentLogger),
  });
  return { bans, has: (address: string) => bans.isBanned(at(address)) };
}

describe("bans", () => {
  test("made and lifted on one instance, they hold and end on all; a later one learns of them", async () => {
    const prefix = freshPrefix();
    const [one, two] = [instance(prefix), instance(prefix)];
    await until(
      async () => JSON.stringify(await server.command("PUBSUB", "NUMSUB", `${prefix}:bans`)).endsWith("2]"),
      "both listen",
    );
    one.bans.strike(at("1.1.1.1"), "key");
    two.bans.add({ target: "9.0.0.0/8", note: "all of them" });
    await until(() => two.has("1.1.1.1") && one.has("9.1.2.3"), "each other's bans");
    expect(one.bans.list().find((ban) => ban.target === "9.0.0.0/8")).toMatchObject({
      note: "all of them",
      expiresAt: Number.POSITIVE_INFINITY,
    });
    const three = instance(prefix);
    await until(() => three.has("1.1.1.1") && three.has("9.1.2.3"), "earlier bans");
    three.bans.remove("1.1.1.1");
    await until(() => !one.has("1.1.1.1") && !two.has("1.1.1.1"), "lifted everywhere");
    expect(one.has("9.1.2.3")).toBe(true);
    for (const { bans } of [one, two, three]) await bans.close();
  });

  test("what others publish is not believed blindly", async () => {
    const prefix = freshPrefix();
    const one = instance(prefix);
    await until(
      async () => JSON.stringify(await server.command("PUBSUB", "NUMSUB", `${prefix}:bans`)).endsWith("1]"),
      "it listens",
    );
    const ban = { from: "x", op: "add", reason: "key", note: "", createdAt: 1, expiresAt: null, times: 1 };
    for (const message of [
      "{",
      "[]",
      '{"op":"add"}',
      JSON.stringify({ ...ban, target: "junk" }),
      JSON.stringify({ ...ban, target: "127.0.0.1" }),
      JSON.stringify({ ...ban, target: "1.1.1.1", reason: "x" }),
    ]) {
      await server.command("PUBLISH", `${prefix}:bans`, message);
    }
    await server.command("PUBLISH", `${prefix}:bans`, JSON.stringify({ ...ban, target: "7.7.7.7" }));
    await until(() => one.has("7.7.7.7"), "the good one");
    expect([one.has("127.0.0.1"), one.has("1.1.1.1")]).toEqual([false, false]);
    await one.bans.close();
  });

  test("Redis coming back finds an instance that learns what it missed", async () => {
    const flaky = await startRedis();
    const prefix = freshPrefix();
    const one = instance(prefix, flaky);
    await until(
      async () => JSON.stringify(await flaky.command("PUBSUB", "NUMSUB", `${prefix}:bans`)).endsWith("1]"),
      "it listens",
    );
    await flaky.kill();
    one.bans.strike(at("1.1.1.1"), "key");
    expect(one.has("1.1.1.1")).toBe(true);
    await flaky.restart();
    const told = {
      from: "x",
      op: "add",
      target: "8.8.8.8",
      reason: "key",
      note: "",
      createdAt: 1,
      expiresAt: null,
      times: 1,
    };
    await flaky.command("HSET", `${prefix}:bans`, "8.8.8.8", JSON.stringify(told));
    await until(async () => {
      await flaky.command("PUBLISH", `${prefix}:bans`, JSON.stringify({ ...told, target: "8.8.4.4" }));
      return one.has("8.8.4.4");
    }, "it listens again");
    expect(one.has("1.1.1.1")).toBe(true);
    await one.bans.close();
    await flaky[Symbol.asyncDispose]();
  });
});

test("the first instance gives all the secret of signed links", async () => {
  const key = `${freshPrefix()}:links`;
  const secrets = await Promise.all([1, 2, 3].map(() => sharedSecret(server.client(), key, silentLogger)));
  expect(new Set(secrets).size).toBe(1);
  expect(secrets[0]?.length).toBeGreaterThan(40);
});

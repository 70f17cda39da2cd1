import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createChain } from "../../src/cache/chain.ts";
import { compressed } from "../../src/cache/compress.ts";
import { createMemoryTier } from "../../src/cache/memory.ts";
import { createRedisTier, escapeGlob } from "../../src/cache/redis.ts";
import { createRedisClient } from "../../src/cache/redis-client.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { conformance } from "./conformance.ts";
import { type RedisServer, startRedis, until } from "./redis-server.ts";
import { cacheSettings } from "./settings.ts";

let server: RedisServer;
let rounds = 0;
beforeAll(async () => {
  server = await startRedis();
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

async function connect(changes: Partial<ReturnType<typeof cacheSettings>["redis"]> = {}) {
  const client = createRedisClient(cacheSettings({ redis: { port: server.port, ...changes } }).redis, silentLogger);
  await until(() => client.status === "ready", "a connection to Redis");
  return client;
}

/** Every test has a prefix of its own, with every character that a pattern could misread. */
async function tierOf(now: () => number) {
  rounds += 1;
  const client = await connect();
  return createRedisTier({ client, prefix: `t[${rounds}]*?\\`, now, announce: async () => undefined });
}

conformance("Redis", { open: async (now) => ({ tier: await tierOf(now) }) });
conformance("Redis, compressed", { open: async (now) => ({ tier: compressed(await tierOf(now), 64) }) });
conformance("the chain of memory and Redis", {
  operated: false,
  async open(now) {
    const chain = createChain({
      tiers: [
        { tier: createMemoryTier({ maxBytes: 8 << 20, now }) },
        { tier: compressed(await tierOf(now), 64), deadlineMs: 5000 },
      ],
      breaker: { failures: 2, baseMs: 1, maxMs: 10 },
      now,
      random: Math.random,
      log: silentLogger,
    });
    return { tier: { ...chain, get: async (key) => (await chain.get(key))?.entry } };
  },
});

describe("Redis tier", () => {
  test("keys carry the prefix, and Redis itself drops them at their deadline", async () => {
    const client = await connect();
    const tier = createRedisTier({ client, prefix: "own", now: Date.now, announce: async () => undefined });
    await tier.set("v1:url:a", { value: "one", expiresAt: Date.now() + 60_000 });
    await tier.set("v1:url:for-ever", { value: "two", expiresAt: Number.POSITIVE_INFINITY });
    const left = Number(await server.command("PTTL", "own:cache:v1:url:a"));
    expect(left).toBeGreaterThan(50_000);
    expect(left).toBeLessThanOrEqual(60_000);
    expect(Number(await server.command("PTTL", "own:cache:v1:url:for-ever"))).toBe(-1);
    await tier.close();
  });

  test.each([
    { name: "no deadline", text: "value" },
    { name: "a deadline that is no number", text: "soon|value" },
    { name: "an empty deadline", text: "|value" },
    { name: "nothing", text: "" },
  ])("a foreign value ($name) counts as absent", async ({ text }) => {
    const client = await connect();
    const tier = createRedisTier({ client, prefix: "own", now: Date.now, announce: async () => undefined });
    await client.set("own:cache:odd", text);
    expect(await tier.get("odd")).toBeUndefined();
    await tier.close();
  });

  test("another prefix sees nothing of it", async () => {
    const client = await connect();
    const tier = (prefix: string) =>
      createRedisTier({ client, prefix, now: Date.now, announce: async () => undefined });
    await tier("a").set("k", { value: "one", expiresAt: Date.now() + 60_000 });
    expect(await tier("b").get("k")).toBeUndefined();
    expect((await tier("b").size?.())?.entries).toBe(0);
    client.disconnect();
  });

  test("patterns are escaped", () => {
    expect(escapeGlob("a*b?c[d]e\\f")).toBe("a\\*b\\?c\\[d\\]e\\\\f");
  });
});

describe("Redis access", () => {
  test("user and password open it, and a wrong password does not", async () => {
    await server.command("ACL", "SETUSER", "lx", "on", ">se cret#1", "~*", "&*", "+@all");
    const client = await connect({ user: "lx", password: "se cret#1" });
    expect(await client.ping()).toBe("PONG");
    client.disconnect();
    const refused = createRedisClient(
      cacheSettings({ redis: { port: server.port, user: "lx", password: "wrong" } }).redis,
      silentLogger,
    );
    await expect(refused.ping()).rejects.toThrow();
    refused.disconnect();
  });

  test.each([
    { name: "nobody listens there", changes: () => ({ port: 1 }), reason: /ECONNREFUSED|connection/i },
    {
      name: "the password is wrong",
      changes: () => ({ port: server.port, user: "nobody", password: "no" }),
      reason: /WRONGPASS/,
    },
  ])("what fails because $name says so", async ({ changes, reason }) => {
    const client = createRedisClient(cacheSettings({ redis: changes() }).redis, silentLogger);
    const tier = createRedisTier({ client, prefix: "p", now: Date.now, announce: async () => undefined });
    const complaint = () => tier.get("a").then(String, (error) => String(error));
    await expect(tier.ready?.()).rejects.toThrow(reason);
    // Known by now: nobody waits for it again.
    await expect(tier.ready?.()).rejects.toThrow(reason);
    expect(await complaint()).toMatch(reason);
    client.disconnect();
  });

  test("a certificate that cannot be read is named", () => {
    const settings = cacheSettings({ redis: { tls: true, tls_ca: "/nowhere/ca.pem" } }).redis;
    expect(() => createRedisClient(settings, silentLogger)).toThrow(
      "common.cache.redis.tls_ca: cannot read /nowhere/ca.pem",
    );
  });

  test("the database number is honoured", async () => {
    const client = await connect({ db: 5 });
    await client.set("only-in-5", "1");
    await server.command("SELECT", "5");
    expect(await server.command("EXISTS", "only-in-5")).toBe(1);
    await server.command("SELECT", "0");
    expect(await server.command("EXISTS", "only-in-5")).toBe(0);
    client.disconnect();
  });

  test("a server that is not there fails at once, not after a wait", async () => {
    const client = createRedisClient(cacheSettings({ redis: { port: 1 } }).redis, silentLogger);
    const start = performance.now();
    await expect(client.get("a")).rejects.toThrow();
    expect(performance.now() - start).toBeLessThan(1000);
    client.disconnect();
  });
});

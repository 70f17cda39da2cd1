import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { addressKey, createAddressStore } from "../../src/cache/adapters.ts";
import { createCache } from "../../src/cache/index.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { address, by } from "./open.ts";
import { type RedisServer, startRedis, until } from "./redis-server.ts";
import { cacheSettings } from "./settings.ts";

let redis: RedisServer;
let folder: string;
const children: Subprocess[] = [];

/** Counts the calls of each song, and answers after a while. */
const calls = new Map<string, number>();
const gate = { waitMs: 50, status: 200 };
const platform = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const song = new URL(request.url).pathname.slice(1);
    calls.set(song, (calls.get(song) ?? 0) + 1);
    const { waitMs, status } = gate;
    await Bun.sleep(waitMs);
    return status === 200 ? new Response(`http://cdn.test/${song}`) : new Response("没有权限", { status });
  },
});

beforeAll(async () => {
  redis = await startRedis();
  folder = await mkdtemp(join(tmpdir(), "lx-cache-"));
});
afterAll(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    await child.exited;
  }
  await redis[Symbol.asyncDispose]();
  await platform.stop(true);
  await rm(folder, { recursive: true, force: true });
});

async function instance(lock = 5) {
  const child = Bun.spawn(
    [
      "bun",
      join(import.meta.dir, "instance.ts"),
      `${redis.port}`,
      join(folder, `${crypto.randomUUID()}.db`),
      `http://127.0.0.1:${platform.port}`,
      `${lock}`,
    ],
    { stdout: "pipe", stderr: "inherit" },
  );
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  const port = Number(new TextDecoder().decode(value));
  return {
    child,
    ask: async (song: string) => {
      const reply = await fetch(`http://127.0.0.1:${port}/${song}`);
      return { ok: reply.status === 200, text: await reply.text() };
    },
  };
}

describe("three processes and one Redis", () => {
  test("1,000 requests of one cold key: the platform is asked once", async () => {
    const servers = [await instance(), await instance(), await instance()];
    for (const song of ["cold-1", "cold-2", "cold-3"]) {
      const asked = Array.from({ length: 1000 }, (_, index) => servers[index % 3]?.ask(song));
      const answers = await Promise.all(asked);
      expect(new Set(answers.map((answer) => answer?.text.split(" ")[1]))).toEqual(
        new Set([`http://cdn.test/${song}`]),
      );
      expect(calls.get(song)).toBe(1);
    }
  }, 60_000);

  test("one refusal is shared by all, and asked once", async () => {
    const servers = [await instance(), await instance(), await instance()];
    gate.status = 403;
    const answers = await Promise.all(Array.from({ length: 300 }, (_, index) => servers[index % 3]?.ask("refused")));
    gate.status = 200;
    expect(new Set(answers.map((answer) => answer?.text))).toEqual(new Set(["upstream_refused 没有权限"]));
    expect(calls.get("refused")).toBe(1);
  }, 60_000);

  test("when the one that asks dies, another takes over once its lock is over", async () => {
    const owner = await instance(1);
    const other = await instance(1);
    gate.waitMs = 60_000;
    owner.ask("orphan").catch(() => undefined);
    await until(() => calls.get("orphan") === 1, "the first call");
    gate.waitMs = 20;
    const waiting = Promise.all(Array.from({ length: 50 }, () => other.ask("orphan")));
    await until(async () => JSON.parse((await other.ask("stats")).text).flights.remoteWaits > 0, "the other to wait");
    expect(calls.get("orphan")).toBe(1);
    owner.child.kill("SIGKILL");
    const answers = await waiting;
    expect(answers.every((answer) => answer.text.endsWith("http://cdn.test/orphan"))).toBe(true);
    expect(calls.get("orphan")).toBe(2);
  }, 60_000);

  test("a slow owner that lives keeps its lock beyond the lock's own life", async () => {
    const owner = await instance(0.5);
    const other = await instance(0.5);
    gate.waitMs = 1800;
    const first = owner.ask("slow");
    await until(() => calls.get("slow") === 1, "the first call");
    const answers = await Promise.all([first, ...Array.from({ length: 20 }, () => other.ask("slow"))]);
    gate.waitMs = 50;
    expect(answers.every((answer) => answer.ok)).toBe(true);
    expect(calls.get("slow")).toBe(1);
  }, 60_000);
});

describe("two caches on one Redis", () => {
  const settings = cacheSettings({ adapter: "redis" });
  const open = () => {
    const mine = cacheSettings({ adapter: "redis", redis: { ...settings.redis, port: redis.port, key_prefix: "two" } });
    const cache = createCache({
      config: () => mine,
      databasePath: join(folder, `${crypto.randomUUID()}.db`),
      log: silentLogger,
    });
    return { cache, addresses: createAddressStore(cache) };
  };
  const request = { source: "kg", songId: "a", quality: "320k", client: "x", bypass: false } as const;

  test("what one evicts is gone at the other as well, from memory and from its own database", async () => {
    const [one, other] = [open(), open()];
    const load = async () => address("http://a.test/1");
    await until(
      async () => Number(((await redis.command("PUBSUB", "NUMSUB", "two:bus")) as unknown[])[1]) === 2,
      "both to listen",
    );
    await other.addresses.through(request, load);
    await other.cache.settle();
    expect((await one.addresses.through({ ...request, client: "y" }, load)).tier).toBe("redis");
    const key = addressKey("kg", "a", "320k");
    expect(await other.cache.chain.getFrom("sqlite", key)).toBeDefined();
    await one.cache.evict(key);
    await until(
      () => other.addresses.peek(other.addresses.keyOf("kg", "a", "320k"), by("z")) === undefined,
      "the news",
    );
    expect(await other.cache.chain.get(key)).toBeUndefined();
    await one.cache.close();
    await other.cache.close();
  });
});

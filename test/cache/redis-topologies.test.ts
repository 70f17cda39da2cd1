import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { createAddressStore } from "../../src/cache/adapters.ts";
import { createCache } from "../../src/cache/index.ts";
import { createRedisTier } from "../../src/cache/redis.ts";
import { createRedisClient, type RedisClient } from "../../src/cache/redis-client.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { address } from "./open.ts";
import { freePort, startRedis, until } from "./redis-server.ts";
import { cacheSettings } from "./settings.ts";

type RedisChanges = Partial<ReturnType<typeof cacheSettings>["redis"]>;

let folder: string;
const children: Subprocess[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-redis-"));
});
afterAll(async () => {
  for (const child of children) {
    child.kill("SIGKILL");
    await child.exited;
  }
  await rm(folder, { recursive: true, force: true });
});

function spawn(...command: string[]): Subprocess {
  const child = Bun.spawn(command, { cwd: folder, stdout: "ignore", stderr: "ignore" });
  children.push(child);
  return child;
}

async function run(...command: string[]): Promise<string> {
  const child = Bun.spawn(command, { cwd: folder, stdout: "pipe", stderr: "pipe" });
  return (await new Response(child.stdout).text()) + (await new Response(child.stderr).text());
}

const openClient = (changes: RedisChanges) => createRedisClient(cacheSettings({ redis: changes }).redis, silentLogger);
const tierOf = (client: RedisClient) =>
  createRedisTier({ client, prefix: "lx", now: Date.now, announce: async () => undefined });
const entry = (value: string) => ({ value, expiresAt: Date.now() + 60_000 });

/** What every topology must do; a client that is still connecting refuses, so it is asked until it takes the first. */
async function works(client: RedisClient): Promise<void> {
  const tier = tierOf(client);
  await until(
    () =>
      tier.set("first", entry("1")).then(
        () => true,
        () => false,
      ),
    "the first write",
    20_000,
  );
  const keys = Array.from({ length: 200 }, (_, index) => `v1:url:kg:${index}`);
  await Promise.all(keys.map((key) => tier.set(key, entry(key))));
  expect((await Promise.all(keys.map((key) => tier.get(key)))).map((got) => got?.value)).toEqual(keys);
  const seen: string[] = [];
  for await (const [key] of tier.entries?.("v1:") ?? []) seen.push(key);
  expect(seen.sort()).toEqual([...keys].sort());
  expect(await tier.deletePrefix?.("v1:url:kg:1")).toBe(111);
  expect((await tier.size?.())?.entries).toBe(90);
}

/** Two caches ask for ten songs at the same time: each song is asked for once. */
async function sharesFlights(redis: RedisChanges): Promise<void> {
  // A slow answer means "go on without Redis": here the flights are looked at, not the machine.
  const settings = cacheSettings({ adapter: "redis", redis: { ...redis, deadline: 5000 }, sqlite: { enable: false } });
  const caches = [1, 2].map(() => createCache({ config: () => settings, databasePath: ":memory:", log: silentLogger }));
  const ready = (cache: (typeof caches)[number]) =>
    // Keys of every master: each has a connection of its own, opened when it is first asked.
    Promise.all(Array.from({ length: 40 }, (_, index) => cache.chain.link("redis")?.tier.get(`probe${index}`))).then(
      () => true,
      () => false,
    );
  for (const cache of caches) await until(async () => (await ready(cache)) === true, "a connection");
  let calls = 0;
  const load = async () => {
    calls += 1;
    await Bun.sleep(100);
    return address("http://a.test/1");
  };
  const asked = caches.flatMap((cache) =>
    Array.from({ length: 10 }, (_, index) =>
      createAddressStore(cache).through(
        { source: "kg", songId: `s${index}`, quality: "320k", client: "c", bypass: false },
        load,
      ),
    ),
  );
  await Promise.all(asked);
  expect(calls).toBe(10);
  for (const cache of caches) await cache.close();
}

describe("Redis topologies", () => {
  test("TLS with our own CA and a client certificate; without the CA it is refused", async () => {
    await run(
      "openssl",
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      "ca.key",
      "-out",
      "ca.pem",
      "-subj",
      "/CN=test-ca",
      "-days",
      "2",
    );
    await run(
      "openssl",
      "req",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-keyout",
      "redis.key",
      "-out",
      "redis.csr",
      "-subj",
      "/CN=localhost",
    );
    await Bun.write(join(folder, "san.txt"), "subjectAltName=DNS:localhost,IP:127.0.0.1");
    await run(
      "openssl",
      "x509",
      "-req",
      "-in",
      "redis.csr",
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-out",
      "redis.pem",
      "-days",
      "2",
      "-extfile",
      "san.txt",
    );
    const port = await freePort();
    const file = (name: string) => join(folder, name);
    spawn(
      "redis-server",
      "--port",
      "0",
      "--tls-port",
      `${port}`,
      "--save",
      "",
      "--tls-cert-file",
      file("redis.pem"),
      "--tls-key-file",
      file("redis.key"),
      "--tls-ca-cert-file",
      file("ca.pem"),
      "--tls-auth-clients",
      "yes",
    );
    const tls = { host: "localhost", port, tls: true, tls_cert: file("redis.pem"), tls_key: file("redis.key") };
    const client = openClient({ ...tls, tls_ca: file("ca.pem") });
    await works(client);
    const doubting = openClient(tls);
    const errors: string[] = [];
    doubting.on("error", (error: Error) => errors.push(error.message));
    await until(() => errors.length > 0, "a refusal of the unknown CA");
    expect(doubting.status).not.toBe("ready");
    doubting.disconnect();
    client.disconnect();
  });

  test("sentinels name the master, and the new one after a failover", async () => {
    await using first = await startRedis();
    await using second = await startRedis("--replicaof", "127.0.0.1", `${first.port}`);
    const port = await freePort();
    await Bun.write(
      join(folder, "sentinel.conf"),
      `port ${port}\nbind 127.0.0.1\nsentinel monitor music 127.0.0.1 ${first.port} 1\nsentinel down-after-milliseconds music 500\nsentinel failover-timeout music 2000\n`,
    );
    spawn("redis-server", join(folder, "sentinel.conf"), "--sentinel");
    await until(
      async () => /role:slave[\s\S]*master_link_status:up/.test(String(await second.command("INFO", "replication"))),
      "replication",
    );
    const client = openClient({ mode: "sentinel", nodes: [`127.0.0.1:${port}`], sentinel_name: "music" });
    await works(client);
    await until(
      async () => (await run("redis-cli", "-p", `${port}`, "sentinel", "replicas", "music")).includes(`${second.port}`),
      "the sentinel to know the replica",
      20_000,
    );
    await first.kill();
    const tier = tierOf(client);
    await until(
      () =>
        tier.set("after", entry("2")).then(
          () => true,
          () => false,
        ),
      "a write to the new master",
      25_000,
    );
    expect(await second.command("EXISTS", "lx:cache:after")).toBe(1);
    client.disconnect();
  }, 60_000);

  test("a cluster of three masters holds every key, walks all of them, and shares flights", async () => {
    const ports = [await freePort(), await freePort(), await freePort()];
    for (const port of ports) {
      spawn(
        "redis-server",
        "--port",
        `${port}`,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--cluster-enabled",
        "yes",
        "--cluster-config-file",
        `nodes-${port}.conf`,
        "--cluster-port",
        `${await freePort()}`,
      );
    }
    const addresses = ports.map((port) => `127.0.0.1:${port}`);
    await until(
      async () =>
        (await run("redis-cli", "--cluster", "create", ...addresses, "--cluster-yes")).includes(
          "All 16384 slots covered",
        ),
      "the cluster",
      25_000,
    );
    const client = openClient({ mode: "cluster", nodes: addresses.slice(0, 1) });
    await works(client);
    const sizes = await Promise.all(ports.map((port) => run("redis-cli", "-p", `${port}`, "dbsize")));
    expect(sizes.every((size) => Number.parseInt(size, 10) > 10)).toBe(true);
    client.disconnect();
    await sharesFlights({ mode: "cluster", nodes: addresses });
  }, 60_000);
});

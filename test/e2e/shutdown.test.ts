import { Database } from "bun:sqlite";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { songByKey } from "../platforms/catalog.ts";
import type { Emulator } from "../platforms/emulator.ts";
import { startAllPlatforms } from "../platforms/index.ts";
import { type RunningServer, startServer } from "./server.ts";

let emulator: Emulator;
let server: RunningServer | undefined;

beforeAll(() => {
  emulator = startAllPlatforms();
});
afterEach(async () => {
  emulator.reset();
  await server?.remove();
  server = undefined;
});
afterAll(() => emulator.stop());

async function start(
  change: Record<string, unknown> = {},
  security: Record<string, unknown> = {},
): Promise<RunningServer> {
  const common = { upstream_gateway: emulator.origin, remote_cache: { enable: false }, shutdown_deadline: 5 };
  server = await startServer({ config: { common: { ...common, ...change }, security } });
  return server;
}

const path = `/url/kg/${songByKey("plain").ids.kg.hash}/128k`;

/** Waits until the platform has been asked, so that the request is known to run. */
async function untilAsked(): Promise<void> {
  for (let tries = 0; tries < 500 && emulator.requestsTo("kg").length === 0; tries++) await Bun.sleep(10);
  expect(emulator.requestsTo("kg").length).toBeGreaterThan(0);
}

async function refusesConnections(url: string): Promise<void> {
  const { hostname, port } = new URL(url);
  for (let tries = 0; tries < 300; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket: Socket = connect(Number(port), hostname, () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
    if (!open) return;
    await Bun.sleep(10);
  }
  throw new Error("still accepts connections");
}

describe.each(["SIGTERM", "SIGINT"] as const)("%s", (signal) => {
  test("idle: ends with 0 at once, with a log that is whole", async () => {
    const running = await start();
    await running.get("/");
    const from = performance.now();
    expect(await running.stop(signal)).toBe(0);
    expect(performance.now() - from).toBeLessThan(4000);
    const lines = (await readFile(join(running.dataDir, "logs", "lx.log"), "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line).message)).toContain("stopping");
  });

  test("a running request is finished, new ones are not accepted", async () => {
    const running = await start();
    emulator.world.faults.push({ kind: "slow", source: "kg", delayMs: 1200, times: 1 });
    const answer = running.get(path);
    await untilAsked();
    const stopped = running.stop(signal);
    await refusesConnections(running.url);
    const response = await answer;
    expect(response.status).toBe(200);
    expect(((await response.json()) as { code: number }).code).toBe(0);
    expect(await stopped).toBe(0);
  });
});

test("SIGHUP: the config is read again, and the server goes on", async () => {
  const running = await start();
  const file = join(running.dataDir, "config", "config.yml");
  await Bun.write(
    file,
    (await Bun.file(file).text()).replace("security: {}", "security: {key: {enable: true, values: [k-1234567]}}"),
  );
  process.kill(running.pid, "SIGHUP");
  for (let tries = 0; tries < 500 && !running.output().includes("config changed"); tries++) await Bun.sleep(10);
  expect((await running.get("/url/kg/x/128k", { headers: { host: "a.test" } })).status).toBe(403);
  expect(await running.stop("SIGTERM")).toBe(0);
});

test("a config that is emptied or removed while it runs lifts no rule", async () => {
  const running = await start({}, { key: { enable: true, values: ["k-1234567"] }, whitelist_host: [] });
  const file = join(running.dataDir, "config", "config.yml");
  for (const take of [() => Bun.write(file, ""), () => rm(file)]) {
    const before = running.output().length;
    await take();
    const said = () => running.output().slice(before);
    for (let tries = 0; tries < 500 && !said().includes("config refused"); tries++) await Bun.sleep(10);
    expect(said()).toContain("changed config refused");
    expect((await running.get("/url/kg/x/128k")).status).toBe(403);
  }
});

test("a request that takes longer than the deadline is cut, and the end is still orderly", async () => {
  const running = await start({ shutdown_deadline: 0.5 });
  emulator.world.faults.push({ kind: "slow", source: "kg", delayMs: 30_000, times: 1 });
  const answer = running.get(path).then(
    (response) => response.status,
    () => "cut",
  );
  await untilAsked();
  const from = performance.now();
  expect(await running.stop("SIGTERM")).toBe(0);
  expect(performance.now() - from).toBeLessThan(5000);
  expect(await answer).toBe("cut");
});

test("a second signal ends at once", async () => {
  const running = await start({ shutdown_deadline: 60 });
  emulator.world.faults.push({ kind: "slow", source: "kg", delayMs: 30_000, times: 1 });
  const answer = running.get(path).catch(() => undefined);
  await untilAsked();
  const first = running.stop("SIGTERM");
  await refusesConnections(running.url);
  const from = performance.now();
  process.kill(running.pid, "SIGTERM");
  expect(await first).toBe(1);
  expect(performance.now() - from).toBeLessThan(3000);
  await answer;
});

test("a connection that is only held open does not hold the end back", async () => {
  const running = await start({ shutdown_deadline: 30 });
  const { hostname, port } = new URL(running.url);
  const socket = connect(Number(port), hostname);
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  const from = performance.now();
  expect(await running.stop("SIGTERM")).toBe(0);
  expect(performance.now() - from).toBeLessThan(5000);
  socket.destroy();
});

const ROUNDS = process.env["LX_TEST_HEAVY"] === "1" ? 50 : 4;

test("kill -9 during requests leaves a folder that starts again, with sound databases", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "lx-kill-"));
  const common = { upstream_gateway: emulator.origin, hosts: ["127.0.0.1"], ports: [0] };
  const songs = ["plain"].map((key) => songByKey(key).ids.kg.hash);
  try {
    for (let round = 0; round < ROUNDS; round++) {
      const running = await startServer({ dataDir, config: { common } });
      const targets = Array.from(
        { length: 40 },
        (_, i) => `/url/kg/${i % 2 ? `${round}${i}`.padEnd(32, "0") : songs[0]}/128k`,
      );
      const requests = targets.map((target) =>
        running.get(target).then(
          (reply) => reply.text(),
          () => "",
        ),
      );
      // Some of the answers are there, others are on their way.
      await Promise.any(requests);
      process.kill(running.pid, "SIGKILL");
      await Promise.all(requests);
      await running.stop("SIGKILL");
    }
    const again = await startServer({ dataDir, config: { common } });
    const answer = (await (await again.get(`/url/kg/${songs[0]}/128k`)).json()) as { code: number };
    expect(answer.code).toBe(0);
    expect(await again.stop()).toBe(0);
    expect(again.output()).not.toContain("corrupt");
    for (const file of ["lx.db", "cache.db"]) {
      using db = new Database(join(dataDir, file));
      expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});

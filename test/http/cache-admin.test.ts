import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { AuditEntry } from "../../src/access/audit.ts";
import { addressKey } from "../../src/cache/adapters.ts";
import { createOperator } from "../../src/cache/operate.ts";
import { createWarmer } from "../../src/cache/warm.ts";
import { AppError } from "../../src/core/errors.ts";
import { type Role, setContext } from "../../src/http/context.ts";
import { cacheAdminRoutes } from "../../src/http/routes/cache-admin.ts";
import { composeRoutes } from "../../src/http/routes/index.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { address, openCache } from "../cache/open.ts";
import { until } from "../cache/redis-server.ts";
import { cacheSettings } from "../cache/settings.ts";

let it: Awaited<ReturnType<typeof openCache>>;
let app: ReturnType<typeof composeRoutes>;
const audited: AuditEntry[] = [];
const gate = { open: true };

beforeAll(async () => {
  it = await openCache(cacheSettings());
  const warm = createWarmer({
    async *songs({ id }) {
      if (id === "gone") throw new AppError("upstream_not_found", "歌单不存在");
      for (let index = 0; index < 5; index++) yield `s${index}`;
    },
    async fetch() {
      await until(() => gate.open, "the gate to open");
      return { cached: false };
    },
    gapMs: () => 0,
  });
  const operator = createOperator({
    cache: it.cache,
    config: () => it.config.current,
    warm,
    log: silentLogger,
    now: it.clock.now,
  });
  app = composeRoutes(
    [cacheAdminRoutes({ operator, audit: { record: (entry) => void audited.push(entry) }, log: silentLogger })],
    silentLogger,
  );
});
afterAll(async () => {
  await it[Symbol.asyncDispose]();
});

async function ask(method: string, path: string, role: Role, body?: unknown) {
  const raw = typeof body === "string";
  const request = new Request(`http://localhost/api/v1/cache${path}`, {
    method,
    ...(body === undefined
      ? {}
      : {
          body: raw ? body : JSON.stringify(body),
          headers: { "content-type": raw ? "application/x-ndjson" : "application/json" },
        }),
  });
  setContext(request, {
    id: "r",
    peer: { address: "127.0.0.1", loopback: true, forwarded: false },
    startedAt: 0,
    role,
    user: "root",
    authorised: true,
  });
  const reply = await app.handle(request);
  const text = await reply.text();
  return { status: reply.status, headers: reply.headers, text, body: () => JSON.parse(text) };
}

const fill = (count: number) =>
  Promise.all(
    Array.from({ length: count }, (_, index) =>
      it.addresses.through(
        { source: "kg", songId: `s${index}`, quality: "320k", client: "c", bypass: false },
        async () => address(`http://a.test/${index}`),
      ),
    ),
  );

describe("/api/v1/cache", () => {
  test("stats, entries, delete, prune", async () => {
    await fill(3);
    const stats = (await ask("GET", "/stats", "viewer")).body();
    expect(stats.data.tiers).toMatchObject([
      { name: "memory", state: "up", size: { entries: 3 } },
      { name: "sqlite", size: { entries: 3 } },
    ]);
    expect(stats.data.kinds.url).toMatchObject({ misses: 3, loads: 3, hitRatio: 0 });
    const key = addressKey("kg", "s1", "320k");
    const found = (await ask("GET", `/entries?key=${encodeURIComponent(key)}`, "admin")).body();
    expect(found.data).toMatchObject([{ key, value: { url: "http://a.test/1" } }]);
    expect((await ask("DELETE", `/entries?key=${encodeURIComponent(key)}`, "admin")).body()).toEqual({
      data: { deleted: 1 },
    });
    expect((await ask("GET", `/entries?key=${encodeURIComponent(key)}`, "admin")).status).toBe(404);
    expect((await ask("DELETE", "/entries?key=v1:url:*", "admin")).body()).toEqual({ data: { deleted: 2 } });
    expect((await ask("POST", "/prune", "admin")).body()).toEqual({ data: { dropped: 0 } });
    expect(audited.map((entry) => [entry.actor, entry.action])).toContainEqual(["root", "cache.delete"]);
  });

  test("an export comes back through an import", async () => {
    await fill(30);
    const exported = await ask("GET", "/export?prefix=v1:url:", "admin");
    expect(exported.headers.get("content-type")).toBe("application/x-ndjson; charset=utf-8");
    expect(exported.text.trimEnd().split("\n")).toHaveLength(30);
    await ask("DELETE", "/entries?key=*", "admin");
    const counts = (await ask("POST", "/import", "admin", `${exported.text}{"key":1}\n`)).body();
    expect(counts.data).toEqual({ read: 31, written: 30, expired: 0, skipped: 0, invalid: 1 });
    expect((await ask("GET", "/export", "admin")).text.split("\n").sort()).toEqual(exported.text.split("\n").sort());
  });

  test("warming runs in the background, one at a time, and can be stopped", async () => {
    const body = { source: "kg", from: "playlist", id: "1", qualities: ["128k"], limit: 3, gapMs: 0 };
    gate.open = false;
    expect((await ask("POST", "/warm", "admin", body)).status).toBe(202);
    expect((await ask("POST", "/warm", "admin", body)).status).toBe(409);
    gate.open = true;
    const state = async () => (await ask("GET", "/warm", "viewer")).body().data;
    await until(async () => !(await state()).running, "the end");
    expect(await state()).toMatchObject({ running: false, counts: { songs: 3, fetched: 3 }, error: null });
    gate.open = false;
    await ask("POST", "/warm", "admin", body);
    expect((await ask("DELETE", "/warm", "admin")).status).toBe(200);
    gate.open = true;
    await until(async () => !(await state()).running, "the end");
    expect((await state()).error).toBe("已停止");
    await ask("POST", "/warm", "admin", { ...body, id: "gone" });
    await until(async () => !(await state()).running, "the end");
    expect((await state()).error).toBe("歌单不存在");
  });

  test.each<{ name: string; method: string; path: string; role: Role; body?: unknown; status: number }>([
    { name: "stats without a sign-in", method: "GET", path: "/stats", role: "none", status: 401 },
    { name: "entries as a viewer", method: "GET", path: "/entries?key=a", role: "viewer", status: 403 },
    { name: "delete as a viewer", method: "DELETE", path: "/entries?key=*", role: "viewer", status: 403 },
    { name: "export as a viewer", method: "GET", path: "/export", role: "viewer", status: 403 },
    { name: "import as a viewer", method: "POST", path: "/import", role: "viewer", body: "{}", status: 403 },
    { name: "import of nothing", method: "POST", path: "/import", role: "admin", status: 400 },
    { name: "delete of nothing", method: "DELETE", path: "/entries", role: "admin", status: 400 },
    {
      name: "an unknown source",
      method: "POST",
      path: "/warm",
      role: "admin",
      body: { source: "xx", from: "board", id: "1" },
      status: 400,
    },
    {
      name: "too many songs",
      method: "POST",
      path: "/warm",
      role: "admin",
      body: { source: "kg", from: "board", id: "1", limit: 1e6 },
      status: 400,
    },
  ])("$name -> $status", async ({ method, path, role, body, status }) => {
    expect((await ask(method, path, role, body)).status).toBe(status);
  });
});

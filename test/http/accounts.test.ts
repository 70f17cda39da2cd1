import { Database } from "bun:sqlite";
import { afterAll, describe, expect, test } from "bun:test";
import { type Role, setContext } from "../../src/http/context.ts";
import { accountRoutes } from "../../src/http/routes/accounts.ts";
import { composeRoutes } from "../../src/http/routes/index.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createSqliteAccountStore } from "../../src/sources/account-store.ts";
import { createAccountPool } from "../../src/sources/accounts.ts";
import { startKg } from "../sources/kg/harness.ts";

const platform = startKg();
platform.world.accounts.push({ source: "kg", id: "1001", token: "good-token", state: "member", requests: 0 });
const db = new Database(":memory:", { strict: true });
const pool = createAccountPool({
  sources: new Map([["kg", platform.kg]]),
  store: createSqliteAccountStore(db),
  settings: () => ({
    guestFirst: true,
    coolDownMs: 1000,
    dailyBudget: 0,
    minimumGapMs: 0,
    writeBack: false,
    warnBeforeMs: 0,
  }),
  log: silentLogger,
  now: Date.now,
});
const app = composeRoutes([accountRoutes({ pool })], silentLogger);
afterAll(async () => {
  await platform.emulator.stop();
  db.close();
});

async function ask(method: string, path: string, role: Role, body?: unknown) {
  const request = new Request(`http://localhost/api/v1/accounts${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
  });
  setContext(request, {
    id: "r",
    peer: { address: "127.0.0.1", loopback: true, forwarded: false },
    startedAt: 0,
    role,
    authorised: true,
  });
  const reply = await app.handle(request);
  const text = await reply.text();
  expect(text).not.toContain("good-token");
  expect(text).not.toContain("1001");
  return { status: reply.status, body: JSON.parse(text) };
}

const good = { source: "kg", user: { userid: "1001", token: "good-token" }, label: "主号" };

describe("/api/v1/accounts", () => {
  test("add, list, check, refresh, remove", async () => {
    const added = await ask("POST", "", "admin", good);
    expect(added.status).toBe(201);
    const { handle } = added.body.data;
    const listed = await ask("GET", "?page=1&pageSize=10", "viewer");
    expect(listed.body).toMatchObject({
      data: [{ handle, label: "主号", state: "healthy", credentials: { token: "***" } }],
      pagination: { page: 1, pageSize: 10, total: 1, totalPages: 1 },
    });
    expect((await ask("POST", "", "admin", good)).status).toBe(409);
    expect((await ask("POST", `/${handle}/check`, "admin")).body.data).toMatchObject({ membership: "SVIP" });
    expect((await ask("POST", `/${handle}/refresh`, "admin")).body.data.refreshedAt).toBeGreaterThan(0);
    const signIn = await ask("POST", `/${handle}/sign-in`, "admin");
    expect([signIn.status, signIn.body.error.code]).toEqual([400, "VALIDATION_ERROR"]);
    expect((await ask("DELETE", `/${handle}`, "admin")).status).toBe(200);
    expect((await ask("GET", "", "viewer")).body.data).toEqual([]);
  });

  test.each([
    { name: "list without a sign-in", method: "GET", path: "", role: "none", status: 401 },
    { name: "add as a viewer", method: "POST", path: "", role: "viewer", body: good, status: 403 },
    { name: "remove as a viewer", method: "DELETE", path: "/kg-0123456789", role: "viewer", status: 403 },
    { name: "an unknown handle", method: "POST", path: "/kg-0123456789/check", role: "admin", status: 404 },
    { name: "a handle that is none", method: "DELETE", path: "/..%2fx", role: "admin", status: 400 },
    {
      name: "an unknown source",
      method: "POST",
      path: "",
      role: "admin",
      body: { ...good, source: "xx" },
      status: 400,
    },
    { name: "no user", method: "POST", path: "", role: "admin", body: { source: "kg" }, status: 400 },
    { name: "a bad page", method: "GET", path: "?page=0", role: "viewer", status: 400 },
  ] as { name: string; method: string; path: string; role: Role; body?: unknown; status: number }[])(
    "$name -> $status",
    async ({ method, path, role, body, status }) => {
      expect((await ask(method, path, role, body)).status).toBe(status);
    },
  );
});

import { describe, expect, test } from "bun:test";
import { findSecrets } from "../secrets.ts";
import { cookiesOf, createTestServer, type TestServer } from "./server.ts";

const PASSWORD = "correct horse battery";
const AUTH = "/api/v1/auth";

interface Signed {
  cookie: string;
  csrf: string;
  headers: Record<string, string>;
}

async function dataOf(response: Response): Promise<Record<string, unknown>> {
  const body = (await response.json()) as { data?: Record<string, unknown> };
  return body.data ?? {};
}

async function signed(response: Response, before = ""): Promise<Signed> {
  expect(response.ok).toBe(true);
  const cookie = cookiesOf(response, before);
  const csrf = String((await dataOf(response))["csrfToken"]);
  return { cookie, csrf, headers: { cookie, "x-csrf-token": csrf } };
}

/** The first admin, through the set-up token. */
async function setUp(server: TestServer): Promise<Signed> {
  const token = server.access.admin.setupToken() ?? "";
  return signed(
    await server.fetch(`${AUTH}/setup`, { method: "POST", json: { token, name: "root", password: PASSWORD } }),
  );
}

const login = (server: TestServer, name: string, password: string, peer = "93.184.216.34") =>
  server.fetch(`${AUTH}/login`, { method: "POST", json: { name, password }, peer });

describe("set-up", () => {
  test("works once, with the token that the console showed", async () => {
    await using server = await createTestServer();
    const token = server.access.admin.setupToken() ?? "";
    expect(token.length).toBeGreaterThan(40);
    expect(await dataOf(await server.fetch(`${AUTH}/state`))).toEqual({ setupNeeded: true });
    const wrong = await server.fetch(`${AUTH}/setup`, {
      method: "POST",
      json: { token: "x", name: "root", password: PASSWORD },
    });
    expect(wrong.status).toBe(401);
    const admin = await setUp(server);
    expect(await dataOf(await server.fetch(`${AUTH}/me`, admin))).toMatchObject({ name: "root", role: "admin" });
    expect(server.access.admin.setupToken()).toBeUndefined();
    const again = await server.fetch(`${AUTH}/setup`, {
      method: "POST",
      json: { token, name: "two", password: PASSWORD },
    });
    expect(again.status).toBe(409);
    expect(server.access.admin.users.list().map((user) => user.name)).toEqual(["root"]);
  });

  test("two at once make one admin", async () => {
    await using server = await createTestServer();
    const token = server.access.admin.setupToken() ?? "";
    const json = (name: string) => ({ token, name, password: PASSWORD });
    const both = ["one", "two"].map((name) => server.fetch(`${AUTH}/setup`, { method: "POST", json: json(name) }));
    expect((await Promise.all(both)).map((response) => response.status).sort()).toEqual([201, 409]);
    expect(server.access.admin.users.count()).toBe(1);
  });

  test("a refused password leaves the token good", async () => {
    await using server = await createTestServer();
    const token = server.access.admin.setupToken() ?? "";
    for (const password of ["short", "aaaaaaaaaaaaaaaa", "x".repeat(500)]) {
      const refused = await server.fetch(`${AUTH}/setup`, { method: "POST", json: { token, name: "root", password } });
      expect(refused.status).toBe(400);
    }
    await setUp(server);
  });
});

describe("signing in", () => {
  test("sets cookies that scripts and other sites cannot use", async () => {
    await using server = await createTestServer();
    await setUp(server);
    const response = await login(server, "ROOT", PASSWORD);
    expect(response.headers.get("cache-control")).toBe("no-store");
    const [session = "", refresh = ""] = response.headers.getSetCookie();
    expect(session).toMatch(/^lx_session=[\w-]+\.[\w-]+\.[\w-]+; Path=\/; Max-Age=600; HttpOnly; SameSite=Strict$/);
    expect(refresh).toMatch(
      /^lx_refresh=[\w-]+\.[\w-]+; Path=\/api\/v1\/auth; Max-Age=1209600; HttpOnly; SameSite=Strict$/,
    );
    expect(await response.text()).not.toContain(session.slice(11, 40));
  });

  test("wrong names and wrong passwords get the same answer", async () => {
    await using server = await createTestServer();
    await setUp(server);
    const bodies = [await login(server, "root", "wrong password"), await login(server, "nobody", PASSWORD)];
    expect(bodies.map((response) => response.status)).toEqual([401, 401]);
    expect(await bodies[0]?.text()).toBe((await bodies[1]?.text()) ?? "");
  });

  test("guessing is slowed down, then shut out for that address, and the admin elsewhere is not", async () => {
    await using server = await createTestServer({ "security.admin.lockout_attempts": 2 });
    await setUp(server);
    const started = performance.now();
    expect((await login(server, "root", "guess number one")).status).toBe(401);
    expect((await login(server, "root", "guess number two")).status).toBe(401);
    expect(performance.now() - started).toBeGreaterThan(700);
    const locked = await login(server, "root", PASSWORD);
    expect([locked.status, Number(locked.headers.get("retry-after")) > 800]).toEqual([429, true]);
    expect((await login(server, "root", PASSWORD, "9.9.9.9")).status).toBe(200);
    server.pass(901);
    expect((await login(server, "root", PASSWORD)).status).toBe(200);
  });

  test("many misses ban the address", async () => {
    await using server = await createTestServer({ "security.banlist.strikes.login": 2 });
    await setUp(server);
    expect((await login(server, "a1", "guess number one")).status).toBe(401);
    expect((await login(server, "a2", "guess number two")).status).toBe(401);
    expect((await login(server, "root", PASSWORD)).status).toBe(403);
  });

  test("other sites cannot sign anyone in", async () => {
    await using server = await createTestServer();
    await setUp(server);
    const json = { name: "root", password: PASSWORD };
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await server.fetch(`${AUTH}/login`, { method: "POST", json, headers })).status).toBe(403);
    const form = { method: "POST", body: JSON.stringify(json), headers: { "content-type": "text/plain" } };
    expect((await server.fetch(`${AUTH}/login`, form)).status).toBe(400);
  });
});

describe("a session", () => {
  test("changes nothing without its CSRF token", async () => {
    await using server = await createTestServer();
    const { cookie, csrf, headers } = await setUp(server);
    const add = (extra: Record<string, string>) =>
      server.fetch("/api/v1/keys", { method: "POST", json: { name: "k" }, headers: { cookie, ...extra } });
    expect((await add({})).status).toBe(403);
    expect((await add({ "x-csrf-token": `${csrf.slice(0, -1)}_` })).status).toBe(403);
    expect((await server.fetch("/api/v1/keys", { headers: { cookie } })).status).toBe(200);
    expect((await server.fetch("/api/v1/keys", { method: "POST", json: { name: "k" }, headers })).status).toBe(201);
  });

  test("ends with its time, and is renewed by its refresh cookie", async () => {
    await using server = await createTestServer();
    const admin = await setUp(server);
    server.pass(601);
    expect((await server.fetch(`${AUTH}/me`, admin)).status).toBe(401);
    const renewed = await signed(
      await server.fetch(`${AUTH}/refresh`, { method: "POST", headers: { cookie: admin.cookie } }),
      admin.cookie,
    );
    expect((await server.fetch(`${AUTH}/me`, renewed)).status).toBe(200);
    expect(renewed.csrf).toBe(admin.csrf);
  });

  test("a refresh secret that comes a second time ends the session for both", async () => {
    await using server = await createTestServer();
    const admin = await setUp(server);
    const refresh = (cookie: string) => server.fetch(`${AUTH}/refresh`, { method: "POST", headers: { cookie } });
    const renewed = await signed(await refresh(admin.cookie), admin.cookie);
    // A second tab, a moment later: no thief.
    expect((await refresh(admin.cookie)).status).toBe(200);
    server.pass(60);
    expect((await refresh(admin.cookie)).status).toBe(401);
    expect((await refresh(renewed.cookie)).status).toBe(401);
    expect((await server.fetch(`${AUTH}/me`, renewed)).status).toBe(401);
  });

  test("ends when it is not used for long", async () => {
    await using server = await createTestServer();
    const admin = await setUp(server);
    server.pass(1_209_601);
    expect((await server.fetch(`${AUTH}/refresh`, { method: "POST", headers: { cookie: admin.cookie } })).status).toBe(
      401,
    );
  });

  test("ends by signing out", async () => {
    await using server = await createTestServer();
    const admin = await setUp(server);
    const out = await server.fetch(`${AUTH}/logout`, { method: "POST", headers: { cookie: admin.cookie } });
    expect(out.headers.getSetCookie().every((line) => line.includes("Max-Age=0"))).toBe(true);
    expect((await server.fetch(`${AUTH}/me`, admin)).status).toBe(401);
  });

  test("a change of the password ends all sessions, and the old password with them", async () => {
    await using server = await createTestServer();
    const first = await setUp(server);
    const second = await signed(await login(server, "root", PASSWORD));
    const change = (oldPassword: string) =>
      server.fetch(`${AUTH}/password`, {
        method: "POST",
        json: { oldPassword, newPassword: "another long one" },
        headers: first.headers,
      });
    expect((await change("not the old one")).status).toBe(401);
    expect((await change(PASSWORD)).status).toBe(200);
    for (const session of [first, second]) {
      expect((await server.fetch(`${AUTH}/me`, session)).status).toBe(401);
      expect(
        (await server.fetch(`${AUTH}/refresh`, { method: "POST", headers: { cookie: session.cookie } })).status,
      ).toBe(401);
    }
    expect((await login(server, "root", PASSWORD)).status).toBe(401);
    expect((await login(server, "root", "another long one")).status).toBe(200);
  });

  test.each([
    ["no signature", "eyJhbGciOiJub25lIn0.eyJzaWQiOiJ4In0."],
    ["rubbish", "a.b.c"],
    ["nothing", ""],
    ["very long", "a".repeat(5000)],
  ])("forged: %s", async (_, token) => {
    await using server = await createTestServer();
    await setUp(server);
    expect((await server.fetch(`${AUTH}/me`, { headers: { cookie: `lx_session=${token}` } })).status).toBe(401);
    expect((await server.fetch(`${AUTH}/me`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(401);
  });
});

describe("roles", () => {
  test("a viewer reads and changes nothing; nobody sees nothing", async () => {
    await using server = await createTestServer();
    const admin = await setUp(server);
    const added = { method: "POST", json: { name: "eve", password: PASSWORD, role: "viewer" }, headers: admin.headers };
    expect((await server.fetch("/api/v1/users", added)).status).toBe(201);
    const viewer = await signed(await login(server, "eve", PASSWORD));
    const asked: [string, string, unknown, number, number, number][] = [
      ["GET", "/api/v1/keys", undefined, 200, 200, 401],
      ["GET", "/api/v1/bans", undefined, 200, 200, 401],
      ["GET", "/api/v1/users", undefined, 200, 403, 401],
      ["GET", "/api/v1/audit", undefined, 200, 403, 401],
      ["POST", "/api/v1/keys", { name: "k" }, 201, 403, 401],
      ["PATCH", "/api/v1/keys/k", { note: "n" }, 200, 403, 401],
      ["DELETE", "/api/v1/keys/k", undefined, 200, 403, 401],
      ["POST", "/api/v1/bans", { target: "5.5.5.0/24" }, 201, 403, 401],
      ["DELETE", "/api/v1/bans/5.5.5.0%2F24", undefined, 200, 403, 401],
      ["PATCH", "/api/v1/users/eve", { role: "viewer" }, 200, 403, 401],
      ["GET", "/api/v1/nothing", undefined, 404, 404, 401],
    ];
    for (const [method, target, json, forAdmin, forViewer, forNobody] of asked) {
      const options = json === undefined ? { method } : { method, json };
      expect([method, target, (await server.fetch(target, options)).status]).toEqual([method, target, forNobody]);
      expect([method, target, (await server.fetch(target, { ...options, ...viewer })).status]).toEqual([
        method,
        target,
        forViewer,
      ]);
      expect([method, target, (await server.fetch(target, { ...options, ...admin })).status]).toEqual([
        method,
        target,
        forAdmin,
      ]);
    }
  });

  test("a taken role and a removed user count at once; the last admin stays", async () => {
    await using server = await createTestServer();
    const admin = await setUp(server);
    await server.access.admin.users.add("second", PASSWORD, "admin");
    const second = await signed(await login(server, "second", PASSWORD));
    const patch = { method: "PATCH", json: { role: "viewer" }, headers: admin.headers };
    expect((await server.fetch("/api/v1/users/second", patch)).status).toBe(200);
    expect((await server.fetch("/api/v1/users", second)).status).toBe(403);
    expect((await server.fetch("/api/v1/users/root", { ...patch })).status).toBe(409);
    expect((await server.fetch("/api/v1/users/root", { method: "DELETE", headers: admin.headers })).status).toBe(409);
    expect((await server.fetch("/api/v1/users/second", { method: "DELETE", headers: admin.headers })).status).toBe(200);
    expect((await server.fetch(`${AUTH}/me`, second)).status).toBe(401);
  });
});

describe("tokens for programs", () => {
  test("need no CSRF token, keep to their role, are shown once and end when removed", async () => {
    await using server = await createTestServer();
    const admin = await setUp(server);
    const make = async (name: string, role: string) =>
      String(
        (await dataOf(await server.fetch(`${AUTH}/tokens`, { method: "POST", json: { name, role }, ...admin })))[
          "secret"
        ],
      );
    const [strong, weak] = [await make("ci", "admin"), await make("watch", "viewer")];
    const bearer = (secret: string) => ({ headers: { authorization: `Bearer ${secret}` } });
    expect(
      (await server.fetch("/api/v1/keys", { method: "POST", json: { name: "k" }, ...bearer(strong) })).status,
    ).toBe(201);
    expect((await server.fetch("/api/v1/keys", { method: "POST", json: { name: "l" }, ...bearer(weak) })).status).toBe(
      403,
    );
    expect((await server.fetch("/api/v1/keys", bearer(weak))).status).toBe(200);
    // A token is no user: it cannot make further tokens or change a password.
    expect(
      (await server.fetch(`${AUTH}/tokens`, { method: "POST", json: { name: "x", role: "admin" }, ...bearer(strong) }))
        .status,
    ).toBe(403);
    expect(await (await server.fetch(`${AUTH}/tokens`, admin)).text()).not.toContain(strong.slice(5));
    expect((await server.fetch(`${AUTH}/tokens/ci`, { method: "DELETE", ...admin })).status).toBe(200);
    expect((await server.fetch("/api/v1/keys", bearer(strong))).status).toBe(401);
  });
});

describe("/health, /ready, /metrics", () => {
  test.each([
    ["loopback, by default", {}, "127.0.0.1", true],
    ["others, by default", {}, "10.0.0.1", false],
    ["a listed network", { "security.ops.allow": ["10.0.0.0/8"] }, "10.0.0.1", true],
    ["all", { "security.ops.allow": ["all"] }, "8.8.8.8", true],
    ["nobody", { "security.ops.allow": [] }, "127.0.0.1", false],
  ])("%s", async (_, keys, peer, open) => {
    await using server = await createTestServer(keys);
    for (const path of ["/health", "/ready", "/metrics"]) {
      expect([path, (await server.ask(path, { peer })).error === undefined]).toEqual([path, open]);
    }
  });

  test("or whoever has signed in", async () => {
    await using server = await createTestServer();
    const { cookie } = await setUp(server);
    expect((await server.ask("/metrics", { headers: { cookie } })).error).toBeUndefined();
    expect((await server.ask("/metrics", { headers: { cookie: "lx_session=x" } })).error?.kind).toBe("forbidden");
  });
});

describe("/dav", () => {
  const basic = (name: string, password: string) => ({
    headers: { authorization: `Basic ${btoa(`${name}:${password}`)}` },
  });

  test("a user's password opens it with the user's role, also the second time, until it changes", async () => {
    await using server = await createTestServer();
    await setUp(server);
    for (let i = 0; i < 2; i++) {
      expect(await server.ask("/dav/a", basic("root", PASSWORD))).toMatchObject({ role: "admin", user: "root" });
    }
    server.pass(1);
    await server.access.admin.users.setPassword("root", "another long one");
    expect((await server.ask("/dav/a", basic("root", PASSWORD))).error?.kind).toBe("unauthorized");
  });

  test("a stored key as password opens it for reading; the config's only while keys are in use", async () => {
    await using server = await createTestServer();
    const { secret } = server.access.keys.add("player", {});
    expect(await server.ask("/dav/a", basic("any", secret))).toMatchObject({
      role: "none",
      keyName: "player",
      authorised: true,
    });
    expect((await server.ask("/dav/a", basic("any", "114514"))).error?.kind).toBe("unauthorized");
    await using keyed = await createTestServer({ "security.key.enable": true });
    expect(await keyed.ask("/dav/a", basic("any", "114514"))).toMatchObject({ keyName: "config-1" });
  });

  test("without anything the client is asked for it", async () => {
    await using server = await createTestServer();
    const decision = await server.ask("/dav/a", { method: "PROPFIND" });
    expect(decision.error?.kind).toBe("unauthorized");
    expect(decision.headers?.["www-authenticate"]).toContain("Basic");
  });

  test("user and password are for WebDAV clients only: browsers would send them by themselves", async () => {
    await using server = await createTestServer();
    await setUp(server);
    expect((await server.ask("/api/v1/users", basic("root", PASSWORD))).error?.kind).toBe("unauthorized");
  });
});

test("the audit log says who, what, when and from where; no secret is in it, in the log or in an answer", async () => {
  await using server = await createTestServer();
  const token = server.access.admin.setupToken() ?? "";
  const admin = await setUp(server);
  await server.fetch("/api/v1/keys", { method: "POST", json: { name: "k", note: "phone" }, ...admin });
  await server.fetch("/api/v1/users", {
    method: "POST",
    json: { name: "eve", password: "eve's own password", role: "viewer" },
    ...admin,
  });
  await server.fetch("/api/v1/users/eve", { method: "PATCH", json: { password: "eve's new password" }, ...admin });
  await server.fetch("/api/v1/keys/k", { method: "DELETE", ...admin });
  await login(server, "root", "a wrong password");
  server.access.audit.record({
    actor: "cli",
    address: "",
    action: "config.change",
    target: "x",
    detail: { password: "hidden secret", deep: { token: "hidden secret" } },
  });
  const list = (await (await server.fetch("/api/v1/audit?pageSize=3", admin)).json()) as {
    data: Record<string, unknown>[];
    pagination: unknown;
  };
  expect(list.pagination).toEqual({ page: 1, pageSize: 3, total: 6, totalPages: 2 });
  expect(list.data[1]).toMatchObject({ actor: "root", address: "93.184.216.34", action: "key.remove", target: "k" });
  expect(list.data[1]?.["requestId"]).toMatch(/^\S{8,}$/);
  const texts = [...server.lines.map((text, line) => ({ where: `log line ${line}`, text })), ...server.answers];
  const secrets = [token, PASSWORD, "eve's own password", "eve's new password", "a wrong password", "hidden secret"];
  expect(findSecrets(texts, secrets)).toEqual([]);
  expect(server.lines.length).toBeGreaterThan(5);
});

test.each([
  ["no body", "POST", "/api/v1/keys", undefined],
  ["a wrong type", "POST", "/api/v1/keys", { name: 5 }],
  ["an unknown source", "POST", "/api/v1/keys", { name: "k", sources: ["xx"] }],
  ["an end that is no time", "POST", "/api/v1/keys", { name: "k", expiresAt: "soon" }],
  ["a page of nothing", "GET", "/api/v1/keys?page=0", undefined],
  ["a page that is none", "GET", "/api/v1/keys?page=x", undefined],
  ["too large a page", "GET", "/api/v1/audit?pageSize=100000", undefined],
  ["a target that is none", "POST", "/api/v1/bans", { target: "nobody" }],
  ["loopback as target", "POST", "/api/v1/bans", { target: "127.0.0.1" }],
  ["a length below zero", "POST", "/api/v1/bans", { target: "1.1.1.1", seconds: -1 }],
  ["an unknown role", "POST", "/api/v1/users", { name: "a", password: PASSWORD, role: "god" }],
])("bad input is 400 in the management form: %s", async (_, method, target, json) => {
  await using server = await createTestServer();
  const admin = await setUp(server);
  const response = await server.fetch(target, { method, ...(json === undefined ? {} : { json }), ...admin });
  expect(response.status).toBe(400);
  expect((await response.json()) as unknown).toMatchObject({ error: { code: "VALIDATION_ERROR" } });
});

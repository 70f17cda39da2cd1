import { describe, expect, test } from "bun:test";
import { Elysia, t } from "elysia";
import { AppError } from "../../src/core/errors.ts";
import { contextOf, requireRole } from "../../src/http/context.ts";
import type { HotAnswer } from "../../src/http/hot-answer.ts";
import { createAnswerHeaders } from "../../src/http/plugins/answer-headers.ts";
import { composeRoutes } from "../../src/http/routes/index.ts";
import { type AccessDecision, createHandler, type HandlerDeps } from "../../src/http/server.ts";
import type { Target } from "../../src/http/target.ts";
import { type Fields, silentLogger } from "../../src/ops/log.ts";

const peer = { address: "1.2.3.4", loopback: false, forwarded: false };
const open: AccessDecision = { role: "none", authorised: true };
const hot: HotAnswer = {
  body: '{"hot":true}',
  headers: { "content-type": "application/json", "cache-status": "lx; hit" },
};

const secret = "postgres://user:s3cret@db/x";

function groups() {
  return [
    new Elysia()
      .get("/plain", () => new Response("plain", { headers: { "x-own": "1", vary: "Accept" } }))
      .get("/json/:id", ({ params }) => ({ id: params.id }))
      .get("/context", ({ request }) => {
        const context = contextOf(request);
        context.cacheStatus = "lx; fwd=miss";
        return { id: context.id, address: context.peer.address };
      })
      .get("/throws", () => {
        throw new TypeError(secret);
      })
      .get("/throws-text", () => {
        throw secret;
      })
      .get("/rejects", async () => {
        throw new AppError("upstream_refused", "酷狗: 需要会员", { detail: secret });
      })
      .get("/limited", () => {
        throw new AppError("rate_limited", "IP限速", { retryAfterSeconds: 1.2 });
      })
      .get("/off", () => {
        throw new AppError("source_disabled", "此平台已停止服务");
      })
      .get("/redirect", () => Response.redirect("http://localhost/plain", 302))
      .get("/cache/file", ({ request }) => new Response(request.method))
      .head("/cache/file", ({ request }) => new Response(null, { headers: { "x-method": request.method } }))
      .post("/echo", async ({ request }) => new Response(await request.text()), { parse: "none" })
      .post("/api/v1/things", ({ body }) => body, { body: t.Object({ name: t.String(), size: t.Integer() }) })
      .get("/api/v1/admin", ({ request }) => requireRole(request, "admin").role)
      .get("/api/v1/throws", () => {
        throw new Error(secret);
      }),
  ];
}

interface Finished {
  path: string;
  method: string;
  status: number;
}

function rig(
  change: Partial<HandlerDeps> = {},
  decide: (path: string) => AccessDecision | Promise<AccessDecision> = () => open,
) {
  const finished: Finished[] = [];
  const logged: { level: string; message: string; fields: Fields | undefined }[] = [];
  const note = (level: string) => (message: string, fields?: Fields) => void logged.push({ level, message, fields });
  const log = { ...silentLogger, debug: note("debug"), info: note("info"), warn: note("warn"), error: note("error") };
  const handle = createHandler({
    routes: composeRoutes(groups(), log),
    access: { check: (_request, { path }) => decide(path), peerOf: () => peer },
    headers: createAnswerHeaders({ enable: true, origins: ["*"], max_age: 60 }, { hsts: 0, pages: [""] }),
    observer: {
      finished(path, method, status, milliseconds) {
        expect(milliseconds).toBeGreaterThanOrEqual(0);
        finished.push({ path, method, status });
      },
    },
    log,
    debug: () => false,
    ...change,
  });
  const ask = async (target: string, init?: RequestInit) =>
    handle(new Request(`http://localhost${target}`, init), peer);
  return { ask, handle, finished, logged };
}

describe("every answer", () => {
  const rows: [target: string, init: RequestInit | undefined, status: number][] = [
    ["/plain", undefined, 200],
    ["/json/a", undefined, 200],
    ["/nowhere", undefined, 404],
    ["/nowhere", { method: "HEAD" }, 404],
    ["/plain", { method: "POST" }, 404],
    ["/plain", { method: "OPTIONS" }, 404],
    ["/plain", { method: "OPTIONS", headers: { "access-control-request-method": "GET", origin: "http://x" } }, 204],
    ["/throws", undefined, 500],
    ["/rejects", undefined, 200],
    ["/limited", undefined, 429],
    ["/redirect", undefined, 302],
    [`/${"a".repeat(9000)}`, undefined, 400],
    ["/api/v1/nowhere", undefined, 404],
  ];
  test.each(
    rows.map(([target, init, status]) => ({
      name: `${init?.method ?? "GET"} ${target.slice(0, 30)}`,
      target,
      init,
      status,
    })),
  )("$name has id, nosniff and CORS, and is counted", async ({ target, init, status }) => {
    const { ask, finished } = rig();
    const response = await ask(target, init);
    expect(response.status).toBe(status);
    expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f]{12}-\w+$/);
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("access-control-allow-origin")).toBe("*");
    expect(response.headers.get("server-timing")).toBeNull();
    expect(finished).toEqual([{ path: target, method: init?.method ?? "GET", status }]);
  });

  test("ids differ, and the client's own is kept when it is sane", async () => {
    const { ask } = rig();
    const ids = await Promise.all(
      Array.from({ length: 50 }, async () => (await ask("/plain")).headers.get("x-request-id")),
    );
    expect(new Set(ids).size).toBe(50);
    const own = await ask("/context", { headers: { "x-request-id": "client.id_1-2" } });
    expect(own.headers.get("x-request-id")).toBe("client.id_1-2");
    expect(await own.json()).toEqual({ id: "client.id_1-2", address: "1.2.3.4" });
    expect(own.headers.get("cache-status")).toBe("lx; fwd=miss");
  });

  test.each([["short"], ["a".repeat(65)], ["with space in it"], ["<script>alert(1)</script>"], ["umlaut-äöü-äöü"]])(
    "the client's id %p is not taken over",
    async (id) => {
      const response = await rig().ask("/plain", { headers: { "x-request-id": id } });
      expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f]{12}-\w+$/);
    },
  );

  test("what the route says of itself stays, and Vary is added up", async () => {
    const deps = {
      headers: createAnswerHeaders({ enable: true, origins: ["http://a"], max_age: 1 }, { hsts: 0, pages: [] }),
    };
    const response = await rig(deps).ask("/plain", { headers: { origin: "http://a" } });
    expect(response.headers.get("vary")).toBe("Accept, Origin");
    expect(response.headers.get("x-own")).toBe("1");
    expect(response.headers.get("access-control-allow-origin")).toBe("http://a");
  });

  test("debug adds Server-Timing and a line", async () => {
    const { ask, logged } = rig({ debug: () => true, fastLane: () => hot });
    const response = await ask("/json/a?key=s3cret");
    expect(await response.json()).toEqual({ id: "a" });
    expect(response.headers.get("server-timing")).toMatch(/^total;dur=\d+\.\d$/);
    expect(logged).toEqual([
      {
        level: "debug",
        message: "request",
        fields: expect.objectContaining({ method: "GET", path: "/json/a", status: 200, peer: "1.2.3.4" }),
      },
    ]);
  });
});

describe("HEAD", () => {
  test("has the headers of GET, its length and no body", async () => {
    const { ask } = rig();
    const response = await ask("/json/a", { method: "HEAD" });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).toBe(String('{"id":"a"}'.length));
    expect(response.headers.get("content-type")).toStartWith("application/json");
    expect(await response.text()).toBe("");
  });

  test("a route of files answers it itself", async () => {
    expect((await rig().ask("/cache/file", { method: "HEAD" })).headers.get("x-method")).toBe("HEAD");
  });

  test("the context is that of the request", async () => {
    const response = await rig().ask("/context", { method: "HEAD", headers: { "x-request-id": "client.id" } });
    expect(response.headers.get("x-request-id")).toBe("client.id");
    expect(response.headers.get("cache-status")).toBe("lx; fwd=miss");
  });
});

describe("failures", () => {
  test.each([
    ["/throws", 500, { code: 4, msg: "内部服务器错误", data: null }],
    ["/throws-text", 500, { code: 4, msg: "内部服务器错误", data: null }],
    ["/rejects", 200, { code: 2, msg: "酷狗: 需要会员", data: null }],
    ["/limited", 429, { code: 5, msg: "IP限速", data: null }],
    ["/off", 404, { code: 4, msg: "此平台已停止服务", data: null, "Your IP": "1.2.3.4" }],
    ["/nowhere", 404, { code: 6, msg: "未找到您所请求的资源", data: null }],
    ["/json/%ff", 400, { code: 6, msg: "请求参数有错", data: null }],
    ["/json/%", 400, { code: 6, msg: "请求参数有错", data: null }],
    ["/api/v1/nowhere", 404, { error: { code: "NOT_FOUND", message: "未找到您所请求的资源" } }],
    ["/api/v1/admin", 401, { error: { code: "UNAUTHORIZED", message: "请先登录" } }],
    ["/api/v1/throws", 500, { error: { code: "INTERNAL_ERROR", message: "内部服务器错误" } }],
    ["/url", 404, { code: 404, message: "未找到您所请求的资源" }],
  ] as const)("%s", async (target, status, body) => {
    const { ask } = rig();
    const response = await ask(target);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await response.json()).toEqual(body);
  });

  test("only our own faults are errors in the log, with their id", async () => {
    const { ask, logged } = rig();
    await ask("/throws", { headers: { "x-request-id": "client.id" } });
    await ask("/nowhere");
    await ask("/rejects");
    expect(logged.map((row) => [row.level, row.message])).toEqual([
      ["error", "request failed"],
      ["info", "request refused"],
    ]);
    expect(logged[0]?.fields).toMatchObject({ id: "client.id", path: "/throws" });
  });

  test("Retry-After is whole seconds", async () => {
    expect((await rig().ask("/limited")).headers.get("retry-after")).toBe("2");
  });

  test.each<{ name: string; change: Partial<HandlerDeps> }>([
    { name: "the access rules throw", change: { access: { check: () => fail(), peerOf: () => peer } } },
    { name: "the access rules reject", change: { access: { check: async () => fail(), peerOf: () => peer } } },
    { name: "the fast lane throws", change: { fastLane: () => fail() } },
    { name: "a mount throws", change: { mounts: [{ prefix: "/plain/", handle: async () => fail() }] } },
    { name: "a mount throws at once", change: { mounts: [{ prefix: "/plain/", handle: () => fail() }] } },
  ])("$name: an answer all the same", async ({ change }) => {
    const { ask, logged, finished } = rig(change);
    const response = await ask("/plain");
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ code: 4, msg: "内部服务器错误", data: null });
    expect(response.headers.get("x-request-id")).not.toBeNull();
    expect(finished).toHaveLength(1);
    expect(logged[0]?.level).toBe("error");
  });
});

function fail(): never {
  throw new TypeError(secret);
}

describe("what the access rules decide", () => {
  const refused: AccessDecision = {
    role: "none",
    authorised: false,
    error: new AppError("rate_limited", "IP限速", { retryAfterSeconds: 3 }),
    headers: { "ratelimit-remaining": "0" },
  };
  test.each([
    { name: "at once", decide: () => refused },
    { name: "later", decide: async () => refused },
  ])("$name: a refusal reaches no route and has its headers", async ({ decide }) => {
    const response = await rig({ fastLane: () => fail() }, decide).ask("/plain");
    expect(response.status).toBe(429);
    expect(response.headers.get("retry-after")).toBe("3");
    expect(response.headers.get("ratelimit-remaining")).toBe("0");
  });

  test.each(["/plain", "/throws", "/hot"])("headers of an admission come with %s", async (target) => {
    const decide = () => ({ ...open, headers: { "ratelimit-remaining": "7" } });
    const fastLane = (_request: Request, { path }: Target) => (path === "/hot" ? hot : undefined);
    const response = await rig({ fastLane }, decide).ask(target);
    expect(response.headers.get("ratelimit-remaining")).toBe("7");
  });
});

describe("the rules and the router read the same path", () => {
  const rules = (path: string): AccessDecision =>
    path.startsWith("/open/") ? open : { role: "none", authorised: false, error: new AppError("unauthorized", "no") };

  test.each([
    ["localhost", "/open/plain", 404],
    ["x", "/open/plain", 404],
    ["nas", "/open/plain", 404],
    ["a.b", "/open/api/v1/things", 404],
    ["x", "/plain", 403],
  ])("http://%s%s: %p", async (host, path, status) => {
    const handle = rig({}, rules).handle;
    expect((await handle(new Request(`http://${host}${path}`), peer)).status).toBe(status);
  });

  test.each(["http://nas", "http://x", "https://x", "http://localhost"])(
    "a host of any length is served: %s",
    async (origin) => {
      const { handle } = rig();
      const body = { method: "POST", body: "text" };
      expect(await (await handle(new Request(`${origin}/plain`), peer)).text()).toBe("plain");
      expect((await handle(new Request(`${origin}/plain`, { method: "HEAD" }), peer)).status).toBe(200);
      expect(await (await handle(new Request(`${origin}/echo`, body), peer)).text()).toBe("text");
    },
  );

  test("a path without a host is of the connection's scheme", async () => {
    const headers = createAnswerHeaders({ enable: false, origins: [], max_age: 0 }, { hsts: 9, pages: [] });
    for (const [secure, hsts] of [
      [true, "max-age=9"],
      [false, null],
    ] as const) {
      const own = { value: "/plain", configurable: true };
      const request = Object.defineProperty(new Request("http://localhost/"), "url", own);
      const response = await rig({ headers }).handle(request, { address: "1.2.3.4", secure });
      expect(await response.text()).toBe("plain");
      expect(response.headers.get("strict-transport-security")).toBe(hsts);
    }
  });
});

describe("hot answers", () => {
  test("a target that is too long is no hot one either", async () => {
    const { ask } = rig({ fastLane: () => hot });
    expect((await ask(`/x?${"a".repeat(8187)}`)).status).toBe(200);
    expect((await ask(`/x?${"a".repeat(8188)}`)).status).toBe(400);
  });

  test("a refusal has the headers of the admission", async () => {
    const decide = () => ({ ...open, headers: { "ratelimit-remaining": "7" } });
    const fastLane = () => {
      throw new AppError("forbidden", "此key不能使用该音质");
    };
    for (const decision of [decide, async () => decide()]) {
      const response = await rig({ fastLane }, decision).ask("/hot");
      expect(response.status).toBe(403);
      expect(response.headers.get("ratelimit-remaining")).toBe("7");
    }
  });

  test("go out at once, with all headers, and each with its own id", async () => {
    const handle = createHandler({
      routes: composeRoutes([], silentLogger),
      access: { check: () => open, peerOf: () => peer },
      fastLane: () => hot,
      headers: createAnswerHeaders({ enable: true, origins: ["*"], max_age: 60 }, { hsts: 0, pages: [] }),
      log: silentLogger,
      debug: () => false,
    });
    const answers = [1, 2].map(() => handle(new Request("http://localhost/x"), peer));
    const [first, second] = answers;
    if (!(first instanceof Response) || !(second instanceof Response)) throw new Error("not at once");
    expect(first.headers.get("x-request-id")).not.toBe(second.headers.get("x-request-id"));
    const { "x-request-id": _id, ...rest } = Object.fromEntries(first.headers);
    expect(rest).toMatchObject({
      "content-type": "application/json",
      "cache-status": "lx; hit",
      "x-content-type-options": "nosniff",
      "access-control-allow-origin": "*",
    });
    expect(await first.text()).toBe(hot.body);
    expect(await second.text()).toBe(hot.body);
  });

  test("nobody finds out who asks as long as nobody wants to know", async () => {
    const asked: string[] = [];
    const remote = {
      get address() {
        asked.push("remote");
        return "1.2.3.4";
      },
    };
    const handle = createHandler({
      routes: composeRoutes(groups(), silentLogger),
      access: { check: () => open, peerOf: (_headers, { address }) => ({ ...peer, address }) },
      fastLane: (_request, { path }) => (path === "/hot" ? hot : undefined),
      headers: createAnswerHeaders({ enable: true, origins: ["*"], max_age: 60 }, { hsts: 0, pages: [] }),
      log: silentLogger,
      debug: () => false,
    });
    for (let turn = 0; turn < 200; turn++) await handle(new Request("http://localhost/hot"), remote);
    expect(asked).toEqual([]);
    await handle(new Request("http://localhost/context"), remote);
    expect(asked.length).toBeGreaterThan(0);
  });

  test("are all counted, those that were not timed as well", async () => {
    const { ask, finished } = rig({ fastLane: () => hot });
    for (let turn = 0; turn < 200; turn++) await ask("/hot");
    expect(finished).toHaveLength(200);
  });

  test("origins that differ do not share headers", async () => {
    const headers = createAnswerHeaders(
      { enable: true, origins: ["http://a", "http://b"], max_age: 1 },
      { hsts: 0, pages: [] },
    );
    const { ask } = rig({ headers, fastLane: () => hot });
    for (const origin of ["http://a", "http://b", "http://a"]) {
      const response = await ask("/x", { headers: { origin } });
      expect(response.headers.get("access-control-allow-origin")).toBe(origin);
    }
    expect(
      (await ask("/x", { headers: { origin: "http://c" } })).headers.get("access-control-allow-origin"),
    ).toBeNull();
  });
});

describe("bodies", () => {
  const limit = { bodyLimit: (_method: string, path: string) => (path === "/api/v1/things" ? 64 : 10) };
  const chunked = (size: number, onCancel = () => {}) =>
    new ReadableStream<Uint8Array>({
      pull(to) {
        if (size <= 0) to.close();
        else to.enqueue(new Uint8Array(Math.min(4, size)).fill(120));
        size -= 4;
      },
      cancel: onCancel,
    });
  const post = (target: string, body: BodyInit, headers: Record<string, string> = {}) =>
    rig(limit).ask(target, { method: "POST", body, headers });

  test.each([
    { name: "with a length, fits", body: () => "x".repeat(10), headers: { "content-length": "10" }, status: 200 },
    { name: "with a length, too large", body: () => "x".repeat(11), headers: { "content-length": "11" }, status: 413 },
    { name: "chunked, fits", body: () => chunked(10), headers: {}, status: 200 },
    { name: "chunked, too large", body: () => chunked(11), headers: {}, status: 413 },
    {
      name: "a length that is a lie is the server's affair",
      body: () => chunked(10),
      headers: { "content-length": "99" },
      status: 413,
    },
  ])("$name", async ({ body, headers, status }) => {
    const response = await post("/echo", body(), headers);
    expect(response.status).toBe(status);
    if (status === 200) expect(await response.text()).toBe("x".repeat(10));
    else expect(await response.json()).toEqual({ code: 6, msg: "请求体过大", data: null });
  });

  test("no more is read than the limit says", async () => {
    let cancelled = false;
    const endless = chunked(Number.POSITIVE_INFINITY, () => {
      cancelled = true;
    });
    expect((await post("/echo", endless)).status).toBe(413);
    expect(cancelled).toBe(true);
  });

  test("management answers in its own form", async () => {
    const response = await post("/api/v1/things", chunked(100));
    expect(response.status).toBe(413);
    expect(await response.json()).toEqual({ error: { code: "VALIDATION_ERROR", message: "请求体过大" } });
  });

  test("what was read reaches the route, with context and headers", async () => {
    const text = '{"name":"a","size":1}';
    const body = new ReadableStream<Uint8Array>({
      start(to) {
        for (const byte of new TextEncoder().encode(text)) to.enqueue(new Uint8Array([byte]));
        to.close();
      },
    });
    const response = await post("/api/v1/things", body, { "content-type": "application/json" });
    expect(await response.json()).toEqual({ name: "a", size: 1 });
  });

  test.each([
    { name: "broken JSON", body: '{"name":', type: "application/json", fields: undefined },
    { name: "not an object", body: "[]", type: "application/json", fields: ["name", "size"] },
    { name: "wrong fields", body: '{"name":1}', type: "application/json", fields: ["name", "size"] },
    { name: "another type", body: "<a/>", type: "application/xml", fields: ["name", "size"] },
    { name: "no body", body: "", type: "application/json", fields: ["name", "size"] },
  ])("$name is a validation error", async ({ body, type, fields }) => {
    const response = await post("/api/v1/things", body, { "content-type": type });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as { error: { code: string; details?: { errors: { field: string }[] } } };
    expect(error.code).toBe("VALIDATION_ERROR");
    if (fields !== undefined) {
      expect(
        error.details?.errors
          .map((row) => row.field)
          .filter((field) => !field.includes("<"))
          .sort(),
      ).toEqual([...fields]);
    }
  });

  test("routes without a limit stream", async () => {
    const response = await rig({ bodyLimit: () => undefined }).ask("/echo", { method: "POST", body: chunked(1000) });
    expect((await response.text()).length).toBe(1000);
  });
});

describe("mounts", () => {
  const mounts = [
    { prefix: "/dav/", handle: async (request: Request) => new Response(`${request.method} ${request.url}`) },
  ];
  test.each([
    ["PROPFIND", "/dav/a%20b", true],
    ["GET", "/dav", true],
    ["GET", "/dav/", true],
    ["GET", "/davos", false],
  ])("%s %s", async (method, target, taken) => {
    const response = await rig({ mounts }).ask(target, { method });
    expect(response.status).toBe(taken ? 200 : 404);
    if (taken) expect(await response.text()).toBe(`${method} http://localhost${target}`);
    expect(response.headers.get("x-request-id")).not.toBeNull();
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { baseUrl } from "../../src/http/base-url.ts";
import { contextOf, requireRole, setContext } from "../../src/http/context.ts";
import { addCommon, merged } from "../../src/http/hot-answer.ts";
import { createRequestIds } from "../../src/http/plugins/request-id.ts";
import { ok, pageOf } from "../../src/http/schema.ts";
import { PEER } from "./routes/rig.ts";

describe("baseUrl", () => {
  const plain = { publicUrl: "", behindHttps: false, trusted: false, fallback: "http://fallback:1" };
  const forwarded = { "x-forwarded-proto": "https", "x-forwarded-host": "music.example.com" };
  const rows: [name: string, headers: Record<string, string>, options: Partial<typeof plain>, expected: string][] = [
    ["the request's Host", { host: "lx.test:9763" }, {}, "http://lx.test:9763"],
    ["IPv6", { host: "[::1]:9763" }, {}, "http://[::1]:9763"],
    ["behind https", { host: "lx.test" }, { behindHttps: true }, "https://lx.test"],
    [
      "public_url",
      { host: "lx.test", ...forwarded },
      { publicUrl: "https://p.test/lx//", trusted: true },
      "https://p.test/lx",
    ],
    ["a trusted proxy", { host: "10.0.0.1", ...forwarded }, { trusted: true }, "https://music.example.com"],
    ["a stranger's word", { host: "lx.test", ...forwarded }, {}, "http://lx.test"],
    [
      "the nearest proxy's word",
      { host: "a", "x-forwarded-host": "evil.test, b.test" },
      { trusted: true },
      "http://b.test",
    ],
    ["another scheme", { host: "a", "x-forwarded-proto": "javascript" }, { trusted: true }, "http://a"],
    ["no Host", {}, {}, "http://fallback:1"],
    ...['a"b', "a b", "a/b", "a\\b", "a@b", "<script>", "a'b", "-a", "a:99999999", "", "http://a"].map(
      (host): (typeof rows)[number] => [`Host ${host}`, { host }, {}, "http://fallback:1"],
    ),
  ];
  test.each(rows.map(([name, headers, options, expected]) => ({ name, headers, options, expected })))(
    "$name",
    ({ headers, options, expected }) => {
      const request = new Request("http://localhost/");
      for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
      expect(baseUrl(request, { ...plain, ...options })).toBe(expected);
    },
  );

  test("no header can put anything but a host there", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary-ascii" }), (text) => {
        const request = new Request("http://localhost/");
        try {
          request.headers.set("host", text);
        } catch {
          return;
        }
        expect(baseUrl(request, plain)).toMatch(/^http:\/\/[\w.:[\]-]+$/);
      }),
    );
  });
});

describe("request ids", () => {
  test("a sane one is kept, others are replaced by unique ones", () => {
    const next = createRequestIds();
    const other = createRequestIds();
    fc.assert(
      fc.property(fc.option(fc.string({ unit: "binary" })), (given) => {
        const id = next(given);
        expect(id).toMatch(/^[\w.-]{8,64}$/);
        if (given !== null && /^[\w.-]{8,64}$/.test(given)) expect(id).toBe(given);
        else expect(id).not.toBe(other(null));
      }),
    );
    const ids = Array.from({ length: 1000 }, () => next(null));
    expect(new Set(ids).size).toBe(1000);
  });
});

describe("page and size", () => {
  test.each([
    [{}, { page: 1, size: 20 }],
    [
      { page: "2", size: "100" },
      { page: 2, size: 100 },
    ],
    [
      { page: "", size: "" },
      { page: 1, size: 20 },
    ],
    [{ page: "007" }, { page: 7, size: 20 }],
  ])("%j", (query, expected) => {
    expect(pageOf(query, 20, 100)).toEqual(expected);
  });

  test.each([
    [{ size: "101" }, '参数"size"应为 1 到 100 的整数'],
    [{ size: "0" }, '参数"size"应为 1 到 100 的整数'],
    [{ page: "10001" }, '参数"page"应为 1 到 10000 的整数'],
    [{ page: "1 " }, '参数"page"'],
    [{ page: "٣" }, '参数"page"'],
    [{ page: "0x1" }, '参数"page"'],
  ])("%j is refused", (query, message) => {
    expect(() => pageOf(query, 20, 100)).toThrow(message);
  });
});

test.each([
  [undefined, { code: 0, msg: "success", data: [1] }],
  [{ a: 1 }, { code: 0, msg: "success", data: [1], extra: { a: 1 } }],
])("ok with extra %j", async (extra, body) => {
  expect(await ok([1], extra).json()).toEqual(body);
});

describe("headers of two sides", () => {
  test.each([
    [{ a: "1" }, { b: "2" }, { a: "1", b: "2" }],
    [{ a: "common" }, { a: "own" }, { a: "own" }],
    [{ vary: "Origin" }, { vary: "Accept" }, { vary: "Accept, Origin" }],
    [{ vary: "Origin" }, { vary: "accept, origin" }, { vary: "accept, origin" }],
    [{ vary: "Origin" }, { vary: "*" }, { vary: "*" }],
    [{ vary: "Origin" }, {}, { vary: "Origin" }],
  ])("%j and %j", (common, own, expected) => {
    expect(Object.fromEntries(merged(common, own))).toEqual(expected);
    const headers = new Headers(own);
    addCommon(headers, common);
    addCommon(headers, common);
    expect(Object.fromEntries(headers)).toEqual(expected);
  });
});

describe("context", () => {
  const context = { id: "i", peer: PEER, startedAt: 0, authorised: true } as const;
  test.each([
    ["none", "viewer", "unauthorized"],
    ["none", "admin", "unauthorized"],
    ["viewer", "viewer", undefined],
    ["viewer", "admin", "forbidden"],
    ["admin", "viewer", undefined],
    ["admin", "admin", undefined],
  ] as const)("%s where %s is needed: %s", (role, needed, kind) => {
    const request = new Request("http://localhost/");
    setContext(request, { ...context, role });
    if (kind === undefined) expect(requireRole(request, needed).role).toBe(role);
    else expect(() => requireRole(request, needed)).toThrow(expect.objectContaining({ kind }));
  });

  test("a request that came by no pipeline", () => {
    expect(() => contextOf(new Request("http://localhost/"))).toThrow(expect.objectContaining({ kind: "internal" }));
  });
});

import { describe, expect, test } from "bun:test";
import { AppError, ERROR_KINDS, type ErrorKind, isAppError, toAppError } from "../../src/core/errors.ts";
import { dialectOf, errorBody, FieldsError } from "../../src/http/errors.ts";

/** HTTP status and LX code of dialect A; status (= code) of dialect B; status and code of the management API. */
const TABLE: [kind: ErrorKind, path: [number, number], query: number, api: [number, string]][] = [
  ["invalid_request", [400, 6], 404, [400, "VALIDATION_ERROR"]],
  ["unsupported", [200, 1], 404, [400, "VALIDATION_ERROR"]],
  ["unauthorized", [403, 1], 403, [401, "UNAUTHORIZED"]],
  ["forbidden", [403, 1], 403, [403, "FORBIDDEN"]],
  ["banned", [403, 1], 403, [403, "FORBIDDEN"]],
  ["rate_limited", [429, 5], 429, [429, "RATE_LIMIT_EXCEEDED"]],
  ["busy", [503, 5], 503, [503, "BUSY"]],
  ["too_large", [413, 6], 413, [413, "VALIDATION_ERROR"]],
  ["not_found", [404, 6], 404, [404, "NOT_FOUND"]],
  ["conflict", [409, 6], 409, [409, "CONFLICT"]],
  ["source_disabled", [404, 4], 404, [404, "NOT_FOUND"]],
  ["upstream_refused", [200, 2], 404, [502, "UPSTREAM_ERROR"]],
  ["upstream_not_found", [200, 2], 404, [502, "UPSTREAM_ERROR"]],
  ["upstream_no_copyright", [200, 2], 404, [502, "UPSTREAM_ERROR"]],
  ["upstream_needs_login", [200, 2], 404, [502, "UPSTREAM_ERROR"]],
  ["upstream_needs_purchase", [200, 2], 404, [502, "UPSTREAM_ERROR"]],
  ["upstream_verify", [200, 2], 404, [502, "UPSTREAM_ERROR"]],
  ["upstream_quality", [200, 2], 404, [502, "UPSTREAM_ERROR"]],
  ["upstream_unreachable", [200, 2], 500, [502, "UPSTREAM_ERROR"]],
  ["upstream_changed", [200, 2], 500, [502, "UPSTREAM_ERROR"]],
  ["storage_failed", [500, 4], 500, [500, "DATABASE_ERROR"]],
  ["internal", [500, 4], 500, [500, "INTERNAL_ERROR"]],
];

test("the table has every kind", () => {
  expect(TABLE.map(([kind]) => kind)).toEqual([...ERROR_KINDS]);
});

describe.each(TABLE.map(([kind, path, query, api]) => ({ kind, path, query, api })))(
  "$kind",
  ({ kind, path, query, api }) => {
    const error = new AppError(kind, "原因", { detail: { secret: "s3cret" }, upstreamCode: 1 });
    test.each([
      ["path" as const, path[0], { code: path[1], msg: "原因", data: null }],
      ["query" as const, query, { code: query, message: "原因" }],
      ["api" as const, api[0], { error: { code: api[1], message: "原因" } }],
    ])("%s", (dialect, status, body) => {
      expect(errorBody(error, dialect)).toEqual({ status, body });
    });
  },
);

test.each([
  ["/url", "query"],
  ["/info", "query"],
  ["/lyric", "query"],
  ["/url/kg/x/128k", "path"],
  ["/info/kg/x", "path"],
  ["/pic", "path"],
  ["/", "path"],
  ["/api/v1/keys", "api"],
  ["/api", "path"],
  ["/apiary/x", "path"],
] as const)("%s answers in the form %s", (path, dialect) => {
  expect(dialectOf(path)).toBe(dialect);
});

test("extra fields join the envelope of dialect A only", () => {
  const error = new AppError("source_disabled", "此平台已停止服务");
  const extra = { "Your IP": "1.2.3.4" };
  expect(errorBody(error, "path", extra).body).toEqual({ code: 4, msg: "此平台已停止服务", data: null, ...extra });
  expect(errorBody(error, "query", extra).body).not.toHaveProperty("Your IP");
  expect(errorBody(error, "api", extra).body).not.toHaveProperty("Your IP");
});

test("wrong fields are named to management clients, and to no others", () => {
  const error = new FieldsError("请求参数有错", [{ field: "name", message: "Expected string", type: "54" }]);
  expect(errorBody(error, "api").body).toEqual({
    error: {
      code: "VALIDATION_ERROR",
      message: "请求参数有错",
      details: { errors: [{ field: "name", message: "Expected string", type: "54" }] },
    },
  });
  expect(errorBody(error, "path").body).toEqual({ code: 6, msg: "请求参数有错", data: null });
});

test.each([
  ["an error", new TypeError("x is undefined at /src/a.ts:1")],
  ["a text", "boom /src/a.ts"],
  ["nothing", undefined],
  ["null", null],
  ["an object that throws", { toString: () => assertNever() }],
  ["an object without a prototype", Object.create(null)],
])("%s thrown anywhere becomes an internal error that shows nothing", (_name, thrown) => {
  for (const dialect of ["path", "query", "api"] as const) {
    const { status, body } = errorBody(thrown, dialect);
    expect(status).toBe(500);
    expect(JSON.stringify(body)).not.toContain("/src/");
    expect(JSON.stringify(body)).toContain("内部服务器错误");
  }
});

function assertNever(): never {
  throw new Error("no text");
}

test("an AppError passes through as it is, with what it carries", () => {
  const cause = new Error("below");
  const error = new AppError("busy", "忙", { cause, retryAfterSeconds: 3, upstreamCode: "x1" });
  expect(toAppError(error)).toBe(error);
  expect(isAppError(error)).toBe(true);
  expect(isAppError(new Error("busy"))).toBe(false);
  expect(error).toMatchObject({ kind: "busy", message: "忙", cause, retryAfterSeconds: 3, upstreamCode: "x1" });
  expect("cause" in new AppError("busy", "忙")).toBe(false);
});

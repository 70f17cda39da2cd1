import { describe, expect, test } from "bun:test";
import { opsRoutes } from "../../../src/http/routes/ops.ts";
import { traceRoutes } from "../../../src/http/routes/traces.ts";
import { createMetrics } from "../../../src/ops/metrics.ts";
import { createTraces } from "../../../src/ops/trace.ts";
import { bare } from "./rig.ts";

const check = { name: "database", required: true, ok: true };
const ops = (ready: boolean) =>
  bare(
    opsRoutes({
      version: "1.2.3",
      startedAt: Date.now() - 5500,
      ready: async () => ({ ready, checks: [{ ...check, ok: ready, ...(ready ? {} : { reason: "closed" }) }] }),
      metrics: createMetrics("1.2.3"),
    }),
  );

test("/health", async () => {
  const response = await ops(true)("/health");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: "ok", version: "1.2.3", uptimeSeconds: 5 });
});

test.each([
  [true, 200, { status: "ready", checks: [check] }],
  [false, 503, { status: "not ready", checks: [{ ...check, ok: false, reason: "closed" }] }],
])("/ready %p", async (ready, status, body) => {
  const response = await ops(ready)("/ready");
  expect(response.status).toBe(status);
  expect(await response.json()).toEqual(body);
});

test("/metrics is Prometheus text", async () => {
  const response = await ops(true)("/metrics");
  expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await response.text()).toContain('lx_build_info{version="1.2.3"');
});

describe("traces", () => {
  const traces = createTraces();
  for (let i = 0; i < 60; i++) traces.recorder(`request-${i}`)("source", { account: "账号 1", token: "s3cret" });
  const ask = (target: string, role: "none" | "viewer" | "admin" = "admin") =>
    bare(traceRoutes(traces), { role })(target);

  test("one by its request", async () => {
    const response = await ask("/api/v1/traces/request-7");
    const { data } = await response.json();
    expect(data).toMatchObject({
      id: "request-7",
      steps: [{ name: "source", fields: { account: "账号 1", token: "***" } }],
    });
  });

  test.each([
    ["/api/v1/traces", 50],
    ["/api/v1/traces?count=2", 2],
    ["/api/v1/traces?count=500", 60],
  ])("%s: %d, newest first", async (target, count) => {
    const { data } = await (await ask(target)).json();
    expect(data).toHaveLength(count);
    expect(data[0].id).toBe("request-59");
  });

  test.each([
    ["/api/v1/traces/nothing", "admin", 404, "NOT_FOUND"],
    ["/api/v1/traces?count=0", "admin", 400, "VALIDATION_ERROR"],
    ["/api/v1/traces?count=501", "admin", 400, "VALIDATION_ERROR"],
    ["/api/v1/traces?count=x", "admin", 400, "VALIDATION_ERROR"],
    ["/api/v1/traces", "viewer", 403, "FORBIDDEN"],
    ["/api/v1/traces/request-7", "viewer", 403, "FORBIDDEN"],
    ["/api/v1/traces", "none", 401, "UNAUTHORIZED"],
  ] as const)("%s as %s -> %d", async (target, role, status, code) => {
    const response = await ask(target, role);
    expect(response.status).toBe(status);
    expect((await response.json()).error.code).toBe(code);
  });
});

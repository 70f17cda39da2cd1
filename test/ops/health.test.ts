import { expect, test } from "bun:test";
import { type HealthCheck, runHealthChecks } from "../../src/ops/health.ts";

const never = new Promise<true>(() => {});

test.each<{ name: string; check: HealthCheck["check"]; reason: string | undefined }>([
  { name: "well", check: () => true, reason: undefined },
  { name: "well, later", check: async () => true as const, reason: undefined },
  { name: "says what is wrong", check: () => "disk full", reason: "disk full" },
  {
    name: "throws",
    check: () => {
      throw new Error("closed");
    },
    reason: "closed",
  },
  { name: "rejects", check: () => Promise.reject("down"), reason: "down" },
  { name: "never answers", check: () => never, reason: "no answer in 0.05 s" },
])("$name", async ({ check, reason }) => {
  const report = await runHealthChecks([{ name: "part", required: true, check }], 50);
  expect(report).toEqual({
    ready: reason === undefined,
    checks: [{ name: "part", required: true, ok: reason === undefined, ...(reason === undefined ? {} : { reason }) }],
  });
});

test("a part that is not required leaves the server ready", async () => {
  const report = await runHealthChecks([
    { name: "database", required: true, check: () => true },
    { name: "redis", required: false, check: () => "down" },
  ]);
  expect(report.ready).toBe(true);
  expect(report.checks[1]).toEqual({ name: "redis", required: false, ok: false, reason: "down" });
});

test("all are asked at once", async () => {
  let inside = 0;
  let most = 0;
  const check = async () => {
    most = Math.max(most, ++inside);
    await Bun.sleep(5);
    inside--;
    return true as const;
  };
  await runHealthChecks(["a", "b", "c"].map((name) => ({ name, required: true, check })));
  expect(most).toBe(3);
});

import { expect, test } from "bun:test";
import { createTraces } from "../../src/ops/trace.ts";

test("keeps steps with their times", () => {
  let now = 1000;
  const traces = createTraces({ now: () => now });
  const step = traces.recorder("r1");
  expect(traces.get("r1")).toBeUndefined();
  step("account", { account: "账号 2" });
  now += 25;
  step("kg request");
  expect(traces.get("r1")).toEqual({
    id: "r1",
    startedAt: 1000,
    dropped: 0,
    steps: [
      { name: "account", atMs: 0, fields: { account: "账号 2" } },
      { name: "kg request", atMs: 25 },
    ],
  });
});

test("the oldest trace makes room, the newest comes first", () => {
  const traces = createTraces({ maxTraces: 3 });
  for (const id of ["a", "b", "c", "d"]) traces.recorder(id)("x");
  expect(traces.get("a")).toBeUndefined();
  expect(traces.recent(2).map((trace) => trace.id)).toEqual(["d", "c"]);
  expect(traces.recent(99)).toHaveLength(3);
  expect(traces.recent(0)).toEqual([]);
});

test("steps are bounded, and said to be", () => {
  const traces = createTraces({ maxSteps: 2 });
  const step = traces.recorder("a");
  for (let i = 0; i < 5; i++) step(`s${i}`);
  expect(traces.get("a")).toMatchObject({ steps: [{ name: "s0" }, { name: "s1" }], dropped: 3 });
});

test("secrets are masked, long texts are cut", () => {
  const traces = createTraces({ lengthLimit: 5 });
  traces.recorder("a")("x", { token: "abc", deep: { cookie: "def" }, text: "0123456789" });
  expect(traces.get("a")?.steps[0]?.fields).toEqual({ token: "***", deep: { cookie: "***" }, text: "01234…" });
});

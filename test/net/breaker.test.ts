import { expect, test } from "bun:test";
import { createBreaker } from "../../src/net/breaker.ts";

function make() {
  let time = 1_000;
  const pass = (ms: number) => {
    time += ms;
  };
  const breaker = createBreaker({ threshold: 3, openMs: 100, maxOpenMs: 400, now: () => time });
  return { breaker, pass };
}

test("opens after failures in a row, and a success starts the count anew", () => {
  const { breaker } = make();
  breaker.failure();
  breaker.failure();
  breaker.success();
  breaker.failure();
  breaker.failure();
  expect(breaker.allow()).toBe(true);
  breaker.failure();
  expect([breaker.state, breaker.allow()]).toEqual(["open", false]);
});

test("after the rest exactly one is let through; its success closes", () => {
  const { breaker, pass } = make();
  for (let i = 0; i < 3; i++) breaker.failure();
  pass(100);
  expect([breaker.allow(), breaker.allow()]).toEqual([true, false]);
  breaker.success();
  expect([breaker.state, breaker.allow(), breaker.allow()]).toEqual(["closed", true, true]);
});

test("a failed trial doubles the rest, up to the limit", () => {
  const { breaker, pass } = make();
  for (let i = 0; i < 3; i++) breaker.failure();
  const rests: number[] = [];
  for (let i = 0; i < 4; i++) {
    let waited = 0;
    while (!breaker.allow()) {
      pass(50);
      waited += 50;
    }
    rests.push(waited);
    breaker.failure();
  }
  expect(rests).toEqual([100, 200, 400, 400]);
});

test("a trial that is given up makes room for the next", () => {
  const { breaker, pass } = make();
  for (let i = 0; i < 3; i++) breaker.failure();
  pass(100);
  expect(breaker.allow()).toBe(true);
  breaker.release();
  expect(breaker.allow()).toBe(true);
  pass(400);
  expect(breaker.allow()).toBe(true);
});

import { describe, expect, test } from "bun:test";
import type { Fields } from "../../src/ops/log.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createSchedule } from "../../src/ops/schedule.ts";

/** Waits for something that the work itself brings about. */
async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400 && !holds(); tries++) await Bun.sleep(5);
  expect(holds()).toBe(true);
}

test("runs again and again, and never twice at once", async () => {
  const schedule = createSchedule(silentLogger);
  let rounds = 0;
  let inside = 0;
  let most = 0;
  schedule.every("work", { intervalMs: () => 1, firstMs: 0 }, async () => {
    most = Math.max(most, ++inside);
    await Bun.sleep(4);
    inside--;
    rounds++;
  });
  await until(() => rounds >= 4);
  await schedule.stop();
  expect(most).toBe(1);
});

describe("a failure is logged, and the next round comes", () => {
  test.each<{ name: string; fail: () => Promise<void> }>([
    { name: "rejection", fail: () => Promise.reject(new Error("no")) },
    {
      name: "throw",
      fail: () => {
        throw new Error("no");
      },
    },
  ])("$name", async ({ fail }) => {
    const warned: (Fields | undefined)[] = [];
    const schedule = createSchedule({ ...silentLogger, warn: (_message, fields) => void warned.push(fields) });
    schedule.every("work", { intervalMs: () => 1, firstMs: 0 }, fail);
    await until(() => warned.length >= 2);
    await schedule.stop();
    expect(warned[0]).toMatchObject({ name: "work", error: new Error("no") });
  });
});

test("stop waits for what runs, and nothing starts afterwards", async () => {
  const schedule = createSchedule(silentLogger);
  let started = 0;
  let ended = 0;
  schedule.every("work", { intervalMs: () => 1, firstMs: 0 }, async () => {
    started++;
    await Bun.sleep(30);
    ended++;
  });
  await until(() => started === 1);
  await schedule.stop();
  expect(ended).toBe(1);
  schedule.every("late", { intervalMs: () => 0, firstMs: 0 }, async () => void started++);
  await Bun.sleep(20);
  expect(started).toBe(1);
});

test("pauses vary by the jitter, and an interval of weeks fits into a timer", async () => {
  const delays: number[] = [];
  const original = globalThis.setTimeout;
  const rolls = [0, 0.5, 1, 0.5];
  const schedule = createSchedule(silentLogger, () => rolls.shift() ?? 0.5);
  try {
    globalThis.setTimeout = ((_work: () => void, ms: number) => {
      delays.push(ms);
      return { unref() {} };
    }) as unknown as typeof setTimeout;
    const work = async () => {};
    for (let i = 0; i < 3; i++) schedule.every("work", { intervalMs: () => 1000, jitter: 0.2 }, work);
    schedule.every("rare", { intervalMs: () => 90 * 86_400_000 }, work);
  } finally {
    globalThis.setTimeout = original;
  }
  expect(delays).toEqual([800, 1000, 1200, 2 ** 31 - 1]);
});

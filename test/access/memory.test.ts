import { expect, test } from "bun:test";
import { join } from "node:path";

const COUNT = process.env["LX_TEST_HEAVY"] === "1" ? 1_000_000 : 200_000;

interface Report {
  megabytes: number;
  refused: number;
  active: number;
}

test(`${COUNT} distinct addresses: limiter, strikes and bans stay within 50 MB`, async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "memory-child.ts"), String(COUNT)], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const report = JSON.parse(await new Response(child.stdout).text()) as Report;
  expect(await child.exited).toBe(0);
  expect(report.megabytes).toBeLessThanOrEqual(50);
  // Nobody came twice: who is refused had to share a place, which must stay rare.
  expect(report.refused).toBeLessThan(COUNT * 0.02);
  expect(report.active).toBeGreaterThan(COUNT / 200);
}, 120_000);

import { describe, expect, test } from "bun:test";
import { AppError } from "../../src/core/errors.ts";
import { type Fields, silentLogger } from "../../src/ops/log.ts";
import type { AccountRow } from "../../src/sources/account-store.ts";
import { handleOf, viewOf } from "../../src/sources/account-view.ts";
import { createKeepAlive } from "../../src/sources/keep-alive.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = 1_800_000_000_000;

function row(change: Partial<AccountRow> = {}): AccountRow {
  return {
    id: "kg:1",
    source: "kg",
    label: "账号 1",
    origin: "config",
    credentials: { token: "secret" },
    configured: {},
    schedule: { refreshSeconds: 86_400 },
    state: "healthy",
    coolDownUntil: 0,
    expiresAt: undefined,
    lastUsed: 0,
    day: "",
    dayCount: 0,
    details: { refreshedAt: START },
    ...change,
  };
}

function setUp(rows: AccountRow[], random = () => 0.5) {
  let now = START;
  let fails = false;
  const jobs: { handle: string; job: string; at: number }[] = [];
  const warnings: { message: string; fields: Fields | undefined }[] = [];
  const job = (name: "refreshedAt" | "signedInAt") => async (handle: string) => {
    jobs.push({ handle, job: name, at: now });
    if (fails) throw new AppError("upstream_unreachable", "无法连接平台");
    const found = rows.find((item) => handleOf(item) === handle);
    if (found !== undefined) found.details = { ...found.details, [name]: now };
  };
  const keepAlive = createKeepAlive({
    pool: {
      rows: () => rows,
      health: () => rows.map((item) => viewOf(item, now, 3 * DAY)),
      refresh: job("refreshedAt"),
      signIn: job("signedInAt"),
    },
    log: { ...silentLogger, warn: (message, fields) => void warnings.push({ message, fields }) },
    now: () => now,
    random,
  });
  return {
    keepAlive,
    jobs,
    warnings,
    fail: (value: boolean) => {
      fails = value;
    },
    /** Ticks every ten minutes for this long. */
    async pass(ms: number) {
      for (const end = now + ms; now < end; now += 600_000) await keepAlive.tick();
    },
  };
}

describe("keep-alive", () => {
  test("refreshes once in the interval, give or take a tenth", async () => {
    for (const random of [() => 0, () => 0.5, () => 0.999]) {
      const { pass, jobs } = setUp([row()], random);
      await pass(10 * DAY);
      const gaps = jobs.map((job, index) => job.at - (jobs[index - 1]?.at ?? START));
      expect(jobs.length).toBeGreaterThanOrEqual(8);
      for (const gap of gaps) {
        expect(gap).toBeGreaterThanOrEqual(0.9 * DAY);
        expect(gap).toBeLessThanOrEqual(1.1 * DAY + 600_000);
      }
    }
  });

  test("accounts of unknown age have their turn soon, not all at once", async () => {
    let next = 0;
    const rows = [1, 2, 3, 4].map((number) => row({ id: `kg:${number}`, details: {} }));
    const { pass, jobs } = setUp(rows, () => (next++ % 4) / 4);
    await pass(20 * 60_000);
    expect(jobs).toHaveLength(4);
    expect(new Set(jobs.map((job) => job.at)).size).toBeGreaterThan(1);
  });

  test("a failure is tried again within the hour or so, not at every tick", async () => {
    const { pass, jobs, fail, warnings } = setUp([row({ details: { refreshedAt: START - 2 * DAY } })]);
    fail(true);
    await pass(4 * HOUR);
    expect(jobs).toHaveLength(4);
    expect(warnings[0]).toMatchObject({ message: "account could not be kept alive", fields: { account: "账号 1" } });
    fail(false);
    await pass(20 * HOUR);
    expect(jobs).toHaveLength(5);
  });

  test.each([
    { name: "an expired account", change: { state: "expired" as const } },
    { name: "a banned account", change: { state: "banned" as const } },
    { name: "an account without a schedule", change: { schedule: {} } },
  ])("$name is left alone", async ({ change }) => {
    const { pass, jobs } = setUp([row(change)]);
    await pass(5 * DAY);
    expect(jobs).toEqual([]);
  });

  test("signs in by its own rhythm", async () => {
    const { pass, jobs } = setUp([row({ schedule: { signInSeconds: 43_200 }, details: { signedInAt: START } })]);
    await pass(2 * DAY);
    expect(jobs.map((job) => job.job)).toEqual(["signedInAt", "signedInAt", "signedInAt"]);
  });

  test("an account that will die is announced days before, once a day, without its secrets", async () => {
    const { pass, warnings } = setUp([row({ schedule: {}, expiresAt: START + 5 * DAY })]);
    await pass(1.9 * DAY);
    expect(warnings).toEqual([]);
    await pass(2 * DAY);
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toEqual({
      message: "account will expire soon",
      fields: { source: "kg", account: "账号 1", hoursLeft: 71 },
    });
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createRank, type Rank } from "../../src/scripts/rank.ts";

type Calls = ["ok" | "failed" | "slow", number][];
const repeated = (count: number, outcome: Calls[number][0], ms: number): Calls =>
  Array.from({ length: count }, () => [outcome, ms]);

function rankAt(clock = { now: 0 }): Rank {
  return createRank({ failures: 3, restMs: 1_000, now: () => clock.now });
}

function tell(rank: Rank, id: string, calls: Calls, platform = "kw"): void {
  for (const [outcome, ms] of calls) {
    if (outcome === "slow") rank.noteSlow(id, platform, ms);
    else rank.note(id, platform, outcome === "ok", ms);
  }
}

describe("who is asked first", () => {
  test.each<{ name: string; better: Calls; worse: Calls }>([
    { name: "the quicker of two good ones", better: repeated(5, "ok", 100), worse: repeated(5, "ok", 2_000) },
    { name: "one that works over one that was never asked", better: repeated(5, "ok", 800), worse: [] },
    { name: "one that was never asked over one that fails", better: [], worse: repeated(5, "failed", 600) },
    {
      name: "the one that fails less",
      better: repeated(9, "ok", 200),
      worse: [...repeated(5, "ok", 200), ...repeated(4, "failed", 200)],
    },
    {
      name: "the one that was not overtaken",
      better: repeated(4, "ok", 200),
      worse: [...repeated(1, "ok", 200), ...repeated(3, "slow", 5_000)],
    },
    {
      name: "what was lately counts",
      better: [...repeated(90, "failed", 50), ...repeated(50, "ok", 100)],
      worse: [...repeated(90, "ok", 50), ...repeated(50, "failed", 100)],
    },
  ])("$name", ({ better, worse }) => {
    const rank = rankAt();
    tell(rank, "better", better);
    tell(rank, "worse", worse);
    expect(rank.sort(["worse", "better"], "kw", [])).toEqual(["better", "worse"]);
  });

  test("the operator's order goes before everything, the rest follows", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.stringMatching(/^[0-9a-f]{2,4}$/), { minLength: 1, maxLength: 10 }),
        fc.nat(10),
        (ids, count) => {
          const listed = ids.slice(0, count).toReversed();
          const sorted = rankAt().sort(ids, "kw", listed);
          expect(sorted.slice(0, listed.length)).toEqual(listed);
          expect(sorted.toSorted()).toEqual(ids.toSorted());
        },
      ),
    );
  });
});

test("the usual time is the 90th percentile of answers and of what was too slow, not of refusals", () => {
  const rank = rankAt();
  expect(rank.p90("a", "kw")).toBeUndefined();
  tell(rank, "a", repeated(20, "failed", 1));
  expect(rank.p90("a", "kw")).toBeUndefined();
  tell(rank, "a", [...repeated(9, "ok", 100), ...repeated(1, "slow", 900)]);
  expect(rank.p90("a", "kw")).toBe(100);
  tell(rank, "a", repeated(2, "slow", 900));
  expect(rank.p90("a", "kw")).toBe(900);
});

test("failures in a row give a rest on that platform only; being slow does not", () => {
  const clock = { now: 0 };
  const rank = rankAt(clock);
  tell(rank, "a", repeated(10, "slow", 5_000));
  expect(rank.breaker("a", "kw").state).toBe("closed");
  tell(rank, "a", repeated(3, "failed", 10));
  expect([rank.breaker("a", "kw").state, rank.breaker("a", "wy").state]).toEqual(["open", "closed"]);
  clock.now = 1_000;
  expect(rank.breaker("a", "kw").state).toBe("half-open");
});

test("counts are of all platforms together, and a removed script is forgotten", () => {
  const rank = rankAt();
  tell(rank, "a", repeated(3, "ok", 100));
  tell(
    rank,
    "a",
    [
      ["failed", 5],
      ["slow", 900],
      ["ok", 300],
    ],
    "wy",
  );
  tell(rank, "ab", repeated(7, "failed", 1));
  expect(rank.counts("a")).toEqual({ calls: 6, failures: 1, p50Ms: 100 });
  rank.forget("a");
  expect(rank.counts("a")).toEqual({ calls: 0, failures: 0, p50Ms: undefined });
  expect(rank.counts("ab").calls).toBe(7);
});

import { type Breaker, createBreaker } from "../net/breaker.ts";

export interface RankOptions {
  /** Failures in a row that give a script a rest on that platform. */
  failures: number;
  restMs: number;
  now: () => number;
}

export interface ScriptRecord {
  asked: number;
  answered: number;
  /** Of the recent calls: share answered, 0 to 1. */
  successRate: number;
  /** Milliseconds within which nine of ten recent answers came; undefined = none yet. */
  p90Ms: number | undefined;
  breaker: "closed" | "open" | "half-open";
}

/** How scripts have done lately, per script and platform. */
export interface Rank {
  /** Listed ids first, in their order; the others by recent success, then speed. */
  sort(ids: readonly string[], platform: string, listed: readonly string[]): string[];
  breaker(id: string, platform: string): Breaker;
  note(id: string, platform: string, ok: boolean, ms: number): void;
  /** It was given up after this time, because another one had answered. */
  noteSlow(id: string, platform: string, ms: number): void;
  p90(id: string, platform: string): number | undefined;
  record(id: string, platform: string): ScriptRecord;
  /** Of all platforms together. */
  counts(id: string): { calls: number; failures: number; p50Ms: number | undefined };
  forget(id: string): void;
}

const REMEMBERED = 50;
/** An answer after this many milliseconds counts half as much as one at once. */
const HALF_WORTH_MS = 4_000;
const MAX_REST_MS = 3_600_000;

interface Held {
  breaker: Breaker;
  recent: { outcome: "ok" | "failed" | "slow"; ms: number }[];
  asked: number;
  answered: number;
  failed: number;
}

export function createRank(options: RankOptions): Rank {
  const held = new Map<string, Held>();

  function of(id: string, platform: string): Held {
    const key = `${id} ${platform}`;
    let entry = held.get(key);
    if (entry === undefined) {
      const breaker = createBreaker({
        threshold: options.failures,
        openMs: options.restMs,
        maxOpenMs: Math.max(MAX_REST_MS, options.restMs),
        now: options.now,
      });
      entry = { breaker, recent: [], asked: 0, answered: 0, failed: 0 };
      held.set(key, entry);
    }
    return entry;
  }

  /** Unknown scripts stand between good and bad ones, so that each gets its chance. */
  function score({ recent }: Held): number {
    const worth = recent.reduce(
      (sum, item) => sum + (item.outcome === "ok" ? HALF_WORTH_MS / (HALF_WORTH_MS + item.ms) : 0),
      0.5,
    );
    return worth / (recent.length + 1);
  }

  function p90({ recent }: Held): number | undefined {
    const times = recent.filter((item) => item.outcome !== "failed").map((item) => item.ms);
    return times.sort((a, b) => a - b)[Math.ceil(times.length * 0.9) - 1];
  }

  function remember(entry: Held, outcome: Held["recent"][number]["outcome"], ms: number): void {
    entry.asked++;
    if (outcome === "failed") entry.failed++;
    entry.recent.push({ outcome, ms });
    if (entry.recent.length > REMEMBERED) entry.recent.shift();
  }

  return {
    sort(ids, platform, listed) {
      const position = (id: string) => {
        const at = listed.indexOf(id);
        return at < 0 ? listed.length : at;
      };
      return [...ids].sort(
        (a, b) => position(a) - position(b) || score(of(b, platform)) - score(of(a, platform)) || (a < b ? -1 : 1),
      );
    },
    breaker: (id, platform) => of(id, platform).breaker,
    note(id, platform, ok, ms) {
      const entry = of(id, platform);
      remember(entry, ok ? "ok" : "failed", ms);
      if (ok) entry.answered++;
      if (ok) entry.breaker.success();
      else entry.breaker.failure();
    },
    noteSlow: (id, platform, ms) => remember(of(id, platform), "slow", ms),
    p90: (id, platform) => p90(of(id, platform)),
    record(id, platform) {
      const entry = of(id, platform);
      const good = entry.recent.filter((item) => item.outcome === "ok").length;
      return {
        asked: entry.asked,
        answered: entry.answered,
        successRate: entry.recent.length === 0 ? 0 : good / entry.recent.length,
        p90Ms: p90(entry),
        breaker: entry.breaker.state,
      };
    },
    counts(id) {
      const all = [...held].filter(([key]) => key.startsWith(`${id} `)).map(([, entry]) => entry);
      const times = all
        .flatMap((entry) => entry.recent.filter((item) => item.outcome === "ok").map((item) => item.ms))
        .sort((a, b) => a - b);
      const sum = (of: (entry: Held) => number) => all.reduce((total, entry) => total + of(entry), 0);
      return {
        calls: sum((entry) => entry.asked),
        failures: sum((entry) => entry.failed),
        p50Ms: times[Math.floor(times.length / 2)],
      };
    },
    forget(id) {
      for (const key of held.keys()) if (key.startsWith(`${id} `)) held.delete(key);
    },
  };
}

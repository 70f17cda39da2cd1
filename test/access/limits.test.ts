import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseAddress } from "../../src/access/address.ts";
import { createMemoryLimiter, type LimitOptions, type LimitSubject, type Verdict } from "../../src/access/limits.ts";
import { createQuota } from "../../src/access/quota.ts";
import { createRateTable } from "../../src/access/rate-table.ts";
import { createRig } from "./rig.ts";
import { createTestServer } from "./server.ts";

const NONE: LimitOptions = { global: 0, ip: 0, rules: [], addresses: 1000 };

function subject(address: string, more: Partial<LimitSubject> = {}): LimitSubject {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(address);
  return { address: parsed, group: "url", ...more };
}

function limiter(options: Partial<LimitOptions>) {
  let time = 1000;
  const made = createMemoryLimiter({ ...NONE, ...options }, () => time);
  const now = (verdict: Verdict | Promise<Verdict>): Verdict => {
    if (verdict instanceof Promise) throw new Error("memory limits answer at once");
    return verdict;
  };
  return {
    client: (address: string, more?: Partial<LimitSubject>) => now(made.admitClient(subject(address, more))),
    key: (keyId: number | undefined, more?: Partial<LimitSubject>) =>
      now(made.admitKey(subject("1.1.1.1", { ...more, keyId }))),
    pass: (ms: number) => {
      time += ms;
    },
  };
}

describe("a token bucket", () => {
  /** Times in ms at which a client asks; with the bound it must never pass. */
  const arrivals = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 300 });
  const rates = fc.record({ intervalMs: fc.integer({ min: 1, max: 500 }), burst: fc.integer({ min: 1, max: 20 }) });

  test("never admits more than its bound in any window, for any arrivals, however full the table", () => {
    fc.assert(
      fc.property(arrivals, rates, fc.integer({ min: 0, max: 200 }), (gaps, rate, others) => {
        // Eight places for all: most clients have to share.
        const table = createRateTable(8, 0);
        const index = table.add(rate);
        const admitted: number[] = [];
        let time = 5;
        for (const [turn, gap] of gaps.entries()) {
          time += gap;
          for (let other = 0; other < others / 10; other++) {
            const lo = turn * 100 + other + 2;
            if (table.wait(index, 1, lo, time) === 0) table.take(index, 1, lo, time);
          }
          if (table.wait(index, 1, 1, time) > 0) continue;
          table.take(index, 1, 1, time);
          admitted.push(time);
        }
        for (let from = 0; from < admitted.length; from++) {
          for (let to = from; to < admitted.length; to++) {
            const span = (admitted[to] ?? 0) - (admitted[from] ?? 0);
            if (to - from + 1 > rate.burst + span / rate.intervalMs) return false;
          }
        }
        return true;
      }),
      { numRuns: 200 },
    );
  });

  test("admits a client that keeps to the rate, and says exactly how long another must wait", () => {
    fc.assert(
      fc.property(arrivals, rates, (gaps, rate) => {
        const table = createRateTable(64, 0);
        const index = table.add(rate);
        let time = 1;
        for (const gap of gaps) {
          time += gap;
          const wait = table.wait(index, 7, 7, time);
          if (wait > 0 && table.wait(index, 7, 7, time + wait - 1) === 0) return false;
          time += wait;
          if (table.wait(index, 7, 7, time) !== 0) return false;
          table.take(index, 7, 7, time);
        }
        return true;
      }),
    );
  });

  test("still holds when the clock's range is used up", () => {
    const table = createRateTable(64, 0);
    const index = table.add({ intervalMs: 1000, burst: 2 });
    for (const start of [1, 2 ** 31 + 5, 2 ** 33, 2 ** 40]) {
      for (const expected of [0, 0]) {
        expect(table.wait(index, 1, 1, start)).toBe(expected);
        table.take(index, 1, 1, start);
      }
      expect(table.wait(index, 1, 1, start)).toBe(1000);
      expect(table.wait(index, 1, 1, start + 1000)).toBe(0);
    }
  });

  test("forgets who has waited long enough", () => {
    const table = createRateTable(1024, 0);
    const index = table.add({ intervalMs: 10, burst: 1 });
    for (let client = 0; client < 100; client++) table.take(index, 1, client, 5);
    expect(table.size(5)).toBe(100);
    expect(table.size(16)).toBe(0);
  });
});

describe("a sliding quota", () => {
  test("never admits more than its bound in any window, for any arrivals", () => {
    const windowMs = 1000;
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 200 }),
        fc.integer({ min: 1, max: 12 }),
        fc.constantFrom(1, 4, 10, 100),
        (gaps, bound, parts) => {
          const quota = createQuota({ windowMs, parts });
          const admitted: number[] = [];
          let time = 1_700_000_000_123;
          for (const gap of gaps) {
            time += gap;
            const wait = quota.take(1, bound, time);
            if (wait === 0) admitted.push(time);
            else if (!(wait > 0 && wait <= windowMs * 2)) return false;
          }
          return admitted.every(
            (start) => admitted.filter((at) => at >= start && at < start + windowMs).length <= bound,
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  test("admits again when it said it would", () => {
    const quota = createQuota({ windowMs: 60_000, parts: 60 });
    const start = 1_700_000_000_000;
    for (let i = 0; i < 5; i++) expect(quota.take(1, 5, start + i)).toBe(0);
    const wait = quota.take(1, 5, start + 5);
    expect(wait).toBeGreaterThan(59_000);
    expect(quota.take(1, 5, start + 5 + wait)).toBe(0);
  });

  test("outlives a restart, without what is too old", () => {
    const start = 1_700_000_000_000;
    const before = createQuota({ windowMs: 60_000, parts: 60 });
    for (let i = 0; i < 3; i++) before.take(1, 5, start);
    const after = createQuota({ windowMs: 60_000, parts: 60 });
    after.restore(1, before.save(1, start), start + 1000);
    expect([after.take(1, 5, start + 1000), after.take(1, 5, start + 1000)]).toEqual([0, 0]);
    expect(after.take(1, 5, start + 1000)).toBeGreaterThan(0);
    const late = createQuota({ windowMs: 60_000, parts: 60 });
    late.restore(1, before.save(1, start), start + 200_000);
    expect(late.save(1, start + 200_000)).toEqual([]);
  });
});

describe("rules", () => {
  test("the original's gaps: global before address, counted from what was admitted", () => {
    const { client, pass } = limiter({ global: 1, ip: 3 });
    expect(client("1.1.1.1").admitted).toBe(true);
    expect(client("2.2.2.2")).toMatchObject({ admitted: false, message: "全局限速", retryAfterSeconds: 1 });
    pass(1000);
    expect(client("1.1.1.1")).toMatchObject({ admitted: false, message: "IP限速", retryAfterSeconds: 2 });
    // The refusal above has cost the others nothing.
    expect(client("2.2.2.2").admitted).toBe(true);
    pass(2000);
    expect(client("1.1.1.1").admitted).toBe(true);
  });

  test("IPv6 is limited by /64", () => {
    const { client } = limiter({ ip: 1 });
    expect(client("2001:db8::1").admitted).toBe(true);
    expect(client("2001:db8::2").admitted).toBe(false);
    expect(client("2001:db8:0:1::1").admitted).toBe(true);
  });

  test("an address, the number of a key and the global counter never meet", () => {
    const { client, key } = limiter({
      rules: [
        { scope: "ip", groups: [], requests: 1, seconds: 60, burst: 1 },
        { scope: "key", groups: [], requests: 1, seconds: 60, burst: 1 },
        { scope: "global", groups: [], requests: 2, seconds: 60, burst: 2 },
      ],
    });
    expect(client("0.0.0.1").admitted).toBe(true);
    expect(key(1).admitted).toBe(true);
    expect(key(1)).toMatchObject({ admitted: false, message: "key限速" });
    expect(key(2).admitted).toBe(true);
    expect(key(undefined).admitted).toBe(true);
    expect(client("0.0.0.0").admitted).toBe(true);
    expect(client("0.0.0.2")).toMatchObject({ admitted: false, message: "全局限速" });
  });

  test("a rule holds for its groups only, and its burst may be smaller than its rate", () => {
    const { client, pass } = limiter({
      rules: [{ scope: "ip", groups: ["url"], requests: 60, seconds: 60, burst: 2 }],
    });
    expect([1, 2, 3].map(() => client("1.1.1.1").admitted)).toEqual([true, true, false]);
    expect(client("1.1.1.1", { group: "info" }).admitted).toBe(true);
    pass(1000);
    expect([1, 2].map(() => client("1.1.1.1").admitted)).toEqual([true, false]);
  });

  test("headers speak of the rule that is nearest to its end", () => {
    const { client } = limiter({
      rules: [
        { scope: "ip", groups: [], requests: 100, seconds: 60, burst: 0 },
        { scope: "ip", groups: [], requests: 3, seconds: 60, burst: 0 },
      ],
    });
    expect(client("1.1.1.1").headers).toEqual({
      "ratelimit-limit": "3",
      "ratelimit-policy": "3;w=60",
      "ratelimit-remaining": "2",
      "ratelimit-reset": "20",
    });
    client("1.1.1.1");
    client("1.1.1.1");
    const refused = client("1.1.1.1");
    expect(refused).toMatchObject({ admitted: false, retryAfterSeconds: 20 });
    expect(refused.headers?.["ratelimit-remaining"]).toBe("0");
  });

  test("without rules nothing is counted, and no header sent", () => {
    expect(limiter({}).client("1.1.1.1")).toEqual({ admitted: true, retryAfterSeconds: 0 });
  });
});

test("what a client sees: RateLimit headers, then 429 with Retry-After and code 5", async () => {
  await using server = await createTestServer({
    "security.rate_limit.rules": [{ scope: "ip", requests: 2, seconds: 60 }],
  });
  const first = await server.fetch("/nope");
  expect([first.status, first.headers.get("ratelimit-remaining"), first.headers.get("retry-after")]).toEqual([
    404,
    "1",
    null,
  ]);
  await server.fetch("/nope");
  const refused = await server.fetch("/nope");
  expect(refused.status).toBe(429);
  expect(refused.headers.get("ratelimit-remaining")).toBe("0");
  expect(refused.headers.get("retry-after")).toBe("30");
  expect((await refused.json()) as unknown).toEqual({ code: 5, msg: "IP限速", data: null });
  const managed = await server.fetch("/api/v1/keys");
  expect((await managed.json()) as unknown).toEqual({ error: { code: "RATE_LIMIT_EXCEEDED", message: "IP限速" } });
});

test("at the gate: 429 with Retry-After, and the change of another key does not reset the count", async () => {
  await using rig = await createRig({ "security.rate_limit.ip": 10 });
  expect((await rig.ask("/")).error).toBeUndefined();
  const refused = await rig.ask("/");
  expect(refused.error).toMatchObject({ kind: "rate_limited", message: "IP限速", retryAfterSeconds: 10 });
  const { security } = rig.access;
  rig.access.configure({
    security: { ...security, cors: { ...security.cors, enable: false } },
    reverse_proxy: {
      allow_proxy: true,
      allow_public_ip: false,
      real_ip_header: "X-Real-IP",
      trusted: [],
      proxy_protocol: false,
    },
  });
  expect((await rig.ask("/")).error?.kind).toBe("rate_limited");
});

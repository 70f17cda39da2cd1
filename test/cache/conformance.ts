import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { CacheTier, Entry } from "../../src/cache/tier.ts";
import { manualClock } from "./settings.ts";

export type TierUnderTest = Pick<CacheTier, "get" | "set" | "delete" | "close"> & Partial<CacheTier>;

/** What the suite needs of a tier under test. */
export interface Subject {
  tier: TierUnderTest;
  /** Removes whatever the tier left behind. */
  remove?: () => Promise<void>;
}

export interface ConformanceOptions {
  /** The tier goes by this clock; a tier on another machine (Redis) goes by real time as well. */
  open: (now: () => number) => Promise<Subject>;
  /** Runs of the property tests. */
  runs?: number;
  /** False for the chain, whose tiers are operated one by one. */
  operated?: boolean;
}

const HOUR = 3_600_000;
/** Well-formed text: tiers store UTF-8. */
const text = fc.string({ unit: "grapheme", maxLength: 60 });
const anyText = fc.oneof(
  text,
  fc.string({ unit: "binary-ascii", maxLength: 60 }),
  fc.constant("\u0001z"),
  fc.constant("\u0001p\u0000"),
  fc.string({ minLength: 3000, maxLength: 4000, unit: "grapheme-ascii" }),
);
const keyText = fc
  .oneof(text, fc.constant("v1:url:kg:128k:abc"), fc.string({ minLength: 200, maxLength: 400 }))
  .map((key) => key.toWellFormed());

/** The contract of `CacheTier`, which every tier and the chain of them keep. */
export function conformance(name: string, options: ConformanceOptions): void {
  describe(`${name} keeps the tier contract`, () => {
    const clock = manualClock(Date.now());
    let subject: Subject;
    let tier: TierUnderTest;
    const entry = (value: string, ms = HOUR): Entry => ({ value, expiresAt: clock.now() + ms });

    beforeEach(async () => {
      subject = await options.open(clock.now);
      tier = subject.tier;
    });
    afterEach(async () => {
      await tier.close();
      await subject.remove?.();
    });

    test("an absent key is undefined, not null and not an error", async () => {
      expect(await tier.get("absent")).toBeUndefined();
    });

    test.each([9e15, 1e19, 1e300, Number.MAX_VALUE])(
      "a deadline of %p ms, beyond any clock, is no fault",
      async (expiresAt) => {
        await tier.set("far", { value: "one", expiresAt });
        expect((await tier.get("far"))?.value).toBe("one");
      },
    );

    test("what was set comes back with its deadline", async () => {
      const given = entry("one");
      await tier.set("a", given);
      expect(await tier.get("a")).toEqual(given);
    });

    test("a later set wins, with the later deadline", async () => {
      await tier.set("a", entry("one"));
      const second = entry("two", 2 * HOUR);
      await tier.set("a", second);
      expect(await tier.get("a")).toEqual(second);
    });

    test("an entry without end has the deadline Infinity", async () => {
      await tier.set("a", { value: "for ever", expiresAt: Number.POSITIVE_INFINITY });
      expect(await tier.get("a")).toEqual({ value: "for ever", expiresAt: Number.POSITIVE_INFINITY });
    });

    test("past its deadline it is gone, and not a millisecond sooner", async () => {
      await tier.set("a", entry("one", 1000));
      clock.advance(999);
      expect((await tier.get("a"))?.value).toBe("one");
      clock.advance(1);
      expect(await tier.get("a")).toBeUndefined();
    });

    test("setting an entry that is past its deadline leaves nothing", async () => {
      await tier.set("a", entry("one"));
      await tier.set("a", entry("late", -1));
      expect(await tier.get("a")).toBeUndefined();
    });

    test("a deleted key is gone; deleting an absent one is no error; others stay", async () => {
      await tier.set("a", entry("one"));
      await tier.set("b", entry("two"));
      await tier.delete("a");
      await tier.delete("never there");
      expect(await tier.get("a")).toBeUndefined();
      expect((await tier.get("b"))?.value).toBe("two");
    });

    test("what was given and what is returned are not the tier's own object", async () => {
      const given = entry("one");
      await tier.set("a", given);
      given.value = "changed by the caller";
      const got = await tier.get("a");
      expect(got?.value).toBe("one");
      if (got !== undefined) got.value = "changed again";
      expect((await tier.get("a"))?.value).toBe("one");
    });

    test("any key and any text come back as they were", async () => {
      await fc.assert(
        fc.asyncProperty(keyText, anyText, async (key, value) => {
          const given = entry(value.toWellFormed());
          await tier.set(key, given);
          expect(await tier.get(key)).toEqual(given);
        }),
        { numRuns: options.runs ?? 100 },
      );
    });

    test("any sequence of writes and deletions ends as in a plain map", async () => {
      const step = fc.tuple(fc.constantFrom("a", "b", "c"), fc.option(text.map((value) => value.toWellFormed())));
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
          const model = new Map<string, Entry>();
          for (const key of ["a", "b", "c"]) await tier.delete(key);
          for (const [key, value] of steps) {
            if (value === null) {
              model.delete(key);
              await tier.delete(key);
            } else {
              model.set(key, entry(value));
              await tier.set(key, entry(value));
            }
          }
          for (const key of ["a", "b", "c"]) expect(await tier.get(key)).toEqual(model.get(key));
        }),
        { numRuns: Math.ceil((options.runs ?? 100) / 2) },
      );
    });

    test("many writes at once of one key leave one of them, whole", async () => {
      const values = Array.from({ length: 50 }, (_, index) => `${index}:`.repeat(index * 20 + 1));
      await Promise.all(values.map((value) => tier.set("a", entry(value))));
      const got = await tier.get("a");
      expect(values).toContain(got?.value ?? "nothing");
    });

    if (options.operated === false) return;

    test("operators see what is live, by prefix", async () => {
      await tier.set("v1:url:a", entry("1"));
      await tier.set("v1:url:b", entry("2".repeat(3000)));
      await tier.set("v1:lyric:c", entry("3"));
      await tier.set("v1:url:late", entry("4", 5));
      clock.advance(10);
      const seen = new Map<string, string>();
      for await (const [key, found] of tier.entries?.("v1:url:") ?? []) seen.set(key, found.value);
      expect([...seen].sort()).toEqual([
        ["v1:url:a", "1"],
        ["v1:url:b", "2".repeat(3000)],
      ]);
      expect((await tier.size?.())?.entries).toBeGreaterThanOrEqual(3);
    });

    test("dropping by prefix drops nothing else", async () => {
      for (const key of ["v1:url:a", "v1:url:b", "v1:urlx", "v1:lyric:c"]) await tier.set(key, entry(key));
      expect(await tier.deletePrefix?.("v1:url:")).toBe(2);
      expect(await tier.get("v1:url:a")).toBeUndefined();
      expect((await tier.get("v1:urlx"))?.value).toBe("v1:urlx");
      expect((await tier.get("v1:lyric:c"))?.value).toBe("v1:lyric:c");
    });

    test("pruning drops what is past its deadline and keeps the rest", async () => {
      await tier.set("late", entry("1", 5));
      await tier.set("live", entry("2"));
      clock.advance(10);
      expect(tier.prune).toBeDefined();
      await tier.prune?.();
      expect(await tier.get("late")).toBeUndefined();
      expect((await tier.get("live"))?.value).toBe("2");
    });
  });
}

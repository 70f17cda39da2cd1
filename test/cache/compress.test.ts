import { expect, test } from "bun:test";
import fc from "fast-check";
import { compressed, pack, unpack } from "../../src/cache/compress.ts";
import { createMemoryTier } from "../../src/cache/memory.ts";

const text = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 300 }),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).map((piece) => piece.repeat(200)),
  fc.string({ maxLength: 20 }).map((tail) => `\u0001${tail}`),
);

test("any text comes back, at any threshold", async () => {
  await fc.assert(
    fc.asyncProperty(text, fc.integer({ min: 0, max: 400 }), async (given, threshold) => {
      const value = given.toWellFormed();
      expect(await unpack(await pack(value, threshold))).toBe(value);
    }),
    { numRuns: 300 },
  );
});

test.each([
  { name: "long and repetitive", value: "歌词".repeat(2000), smaller: true },
  { name: "at the threshold", value: "a".repeat(1024), smaller: false },
  {
    name: "long but dense",
    value: Buffer.from(crypto.getRandomValues(new Uint8Array(3000))).toString("base64"),
    smaller: false,
  },
])("$name: compressed = $smaller", async ({ value, smaller }) => {
  expect((await pack(value, 1024)).length < value.length).toBe(smaller);
});

test.each([
  { name: "cut short", damage: (packed: string) => packed.slice(0, packed.length / 2) },
  { name: "changed", damage: (packed: string) => `${packed.slice(0, 20)}AAAA${packed.slice(24)}` },
  { name: "of an unknown form", damage: () => "\u0001?abc" },
  { name: "empty", damage: () => "\u0001z" },
])("a stored value that is $name counts as absent", async ({ damage }) => {
  const inner = createMemoryTier({ maxBytes: 1 << 20, now: () => 0 });
  const tier = compressed(inner, 100);
  await tier.set("a", { value: "x".repeat(5000), expiresAt: 1000 });
  const packed = (await inner.get("a"))?.value ?? "";
  expect(packed.length).toBeLessThan(1000);
  await inner.set("a", { value: damage(packed), expiresAt: 1000 });
  expect(await tier.get("a")).toBeUndefined();
});

test("a small value that unfolds to far too much counts as absent", async () => {
  const bomb = `\u0001z${Buffer.from(Bun.zstdCompressSync(Buffer.alloc(80 << 20))).toString("base64")}`;
  expect(bomb.length).toBeLessThan(100_000);
  await expect(unpack(bomb)).rejects.toThrow();
});

test("a deletion or a short value is not overtaken by a longer compression that began before", async () => {
  const tier = compressed(createMemoryTier({ maxBytes: 1 << 20, now: () => 0 }), 100);
  const long = { value: "long ".repeat(5000), expiresAt: 1000 };
  const slow = tier.set("a", long);
  await Promise.all([slow, tier.set("a", { value: "short", expiresAt: 1000 })]);
  expect((await tier.get("a"))?.value).toBe("short");
  await Promise.all([tier.set("a", long), tier.delete("a")]);
  expect(await tier.get("a")).toBeUndefined();
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createChain } from "../../src/cache/chain.ts";
import { compressed } from "../../src/cache/compress.ts";
import { createMemoryTier } from "../../src/cache/memory.ts";
import { createSqliteTier } from "../../src/cache/sqlite.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { conformance } from "./conformance.ts";

async function sqliteIn(now: () => number) {
  const folder = await mkdtemp(join(tmpdir(), "lx-cache-"));
  const tier = createSqliteTier({
    path: join(folder, "cache.db"),
    maxRows: 100_000,
    maxBytes: 1 << 30,
    flushMs: 1,
    now,
    log: silentLogger,
  });
  return { tier, remove: () => rm(folder, { recursive: true, force: true }) };
}

conformance("memory", { open: async (now) => ({ tier: createMemoryTier({ maxBytes: 8 << 20, now }) }) });
conformance("SQLite", { open: sqliteIn });
conformance("SQLite, written at once", {
  async open(now) {
    const { tier, remove } = await sqliteIn(now);
    // Every write is in the table, and none in the batch, when it is read.
    const flushed = async (work: Promise<void>) => {
      await work;
      tier.flush();
    };
    return {
      tier: {
        ...tier,
        set: (key, entry) => flushed(tier.set(key, entry)),
        delete: (key) => flushed(tier.delete(key)),
      },
      remove,
    };
  },
});
conformance("SQLite, compressed", {
  async open(now) {
    const { tier, remove } = await sqliteIn(now);
    return { tier: compressed(tier, 64), remove };
  },
});
conformance("the chain of memory and SQLite", {
  operated: false,
  async open(now) {
    const { tier, remove } = await sqliteIn(now);
    const chain = createChain({
      tiers: [{ tier: createMemoryTier({ maxBytes: 8 << 20, now }) }, { tier: compressed(tier, 64) }],
      breaker: { failures: 2, baseMs: 1, maxMs: 10 },
      now,
      random: Math.random,
      log: silentLogger,
    });
    return { tier: { ...chain, get: async (key) => (await chain.get(key))?.entry }, remove };
  },
});

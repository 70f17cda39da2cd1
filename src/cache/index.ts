import type { Logger } from "../ops/log.ts";
import { type Chain, createChain } from "./chain.ts";
import { compressed } from "./compress.ts";
import type { CacheConfig } from "./kinds.ts";
import { createMemoryTier } from "./memory.ts";
import type { RemoteFlights } from "./remote.ts";
import { createSqliteTier } from "./sqlite.ts";
import { createStore, type Store } from "./store.ts";
import type { CacheTier } from "./tier.ts";

export interface CacheDeps {
  /** `common.cache`; read at each use. Keys marked `restart` count when the cache is made. */
  config: () => CacheConfig;
  /** Database file of the SQLite tier; best one of its own, since a cache that broke is thrown away. */
  databasePath: string;
  log: Logger;
  /** Unix ms. */
  now?: () => number;
  random?: () => number;
}

export interface Cache extends Store {
  readonly chain: Chain;
  /** Writes what waits, and closes every tier. */
  close(): Promise<void>;
}

/** The tiers that the config asks for, in their order, behind one store. */
export function createCache(deps: CacheDeps): Cache {
  const { log, now = Date.now, random = Math.random } = deps;
  const config = deps.config();
  const memory = config.memory ? createMemoryTier({ maxBytes: config.memory_bytes, now }) : undefined;
  const tiers: { tier: CacheTier; deadlineMs?: number }[] = [];
  const remote: RemoteFlights | undefined = undefined;
  if (memory !== undefined) tiers.push({ tier: memory });
  if (config.adapter !== "memory" && config.sqlite.enable) {
    const sqlite = createSqliteTier({
      path: deps.databasePath,
      maxRows: config.sqlite.max_rows,
      maxBytes: config.sqlite.max_bytes,
      flushMs: config.sqlite.flush,
      now,
      log,
      onForeignDrop: (prefix) => void chain.forgetLocal(prefix),
    });
    tiers.push({ tier: compressed(sqlite, config.compress_bytes) });
  }
  const breaker = { failures: config.breaker.failures, baseMs: config.breaker.base, maxMs: config.breaker.max };
  const chain = createChain({ tiers, breaker, now, random, log });
  const store = createStore({ config: deps.config, chain, memory, remote, now, random, log });
  return {
    ...store,
    chain,
    async close() {
      await store.settle();
      await chain.close();
    },
  };
}

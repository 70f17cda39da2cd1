import type { Logger } from "../ops/log.ts";
import { createBus } from "./bus.ts";
import { type Chain, createChain } from "./chain.ts";
import { compressed } from "./compress.ts";
import type { CacheConfig } from "./kinds.ts";
import { createMemoryTier } from "./memory.ts";
import { createRedisTier } from "./redis.ts";
import { createRedisClient } from "./redis-client.ts";
import { createRemoteFlights, type RemoteFlights } from "./remote.ts";
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
  const tiers: { tier: CacheTier; deadlineMs?: number }[] = memory === undefined ? [] : [{ tier: memory }];
  const redis = config.adapter === "redis" ? connectRedis(config, { log, now }) : undefined;
  if (redis !== undefined) {
    tiers.push({ tier: compressed(redis.tier, config.compress_bytes), deadlineMs: config.redis.deadline });
  }
  if (config.adapter !== "memory" && config.sqlite.enable) {
    const sqlite = createSqliteTier({
      path: deps.databasePath,
      maxRows: config.sqlite.max_rows,
      maxBytes: config.sqlite.max_bytes,
      flushMs: config.sqlite.flush,
      now,
      log,
      onForeignDrop: (drop) => void chain.forget(drop, ["memory"]),
    });
    tiers.push({ tier: compressed(sqlite, config.compress_bytes) });
  }
  const breaker = { failures: config.breaker.failures, baseMs: config.breaker.base, maxMs: config.breaker.max };
  const chain = createChain({ tiers, breaker, now, random, log });
  const remote = redis?.join(chain);
  const store = createStore({ config: deps.config, chain, memory, remote, now, random, log });
  return {
    ...store,
    chain,
    async close() {
      await store.settle();
      await remote?.settle();
      redis?.close();
      await chain.close();
    },
  };
}

/** Everything that hangs on one Redis: the tier, the messages between instances, and the flights they share. */
function connectRedis(config: CacheConfig, { log, now }: { log: Logger; now: () => number }) {
  const { key_prefix: prefix, deadline: deadlineMs } = config.redis;
  const client = createRedisClient(config.redis, log);
  let chain: Chain | undefined;
  let remote: RemoteFlights | undefined;
  const bus = createBus({
    client,
    subscriber: createRedisClient(config.redis, log),
    prefix,
    log,
    onDone: (key, failure) => remote?.ended(key, failure),
    onDrop: (drop) => void chain?.forget(drop, ["memory", "sqlite"]),
  });
  return {
    tier: createRedisTier({ client, prefix, now, announce: (drop) => bus.drop(drop) }),
    join(joined: Chain): RemoteFlights | undefined {
      chain = joined;
      const breaker = joined.link("redis")?.writes;
      if (breaker === undefined) return undefined;
      remote = createRemoteFlights({ client, prefix, bus, breaker, deadlineMs, lockMs: config.lock * 1000 });
      return remote;
    },
    close: () => bus.close(),
  };
}

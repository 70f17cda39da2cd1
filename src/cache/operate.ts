import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { within } from "./breaker.ts";
import { decodeEnvelope } from "./envelope.ts";
import type { Cache } from "./index.ts";
import type { CacheConfig } from "./kinds.ts";
import { originalEntries, originalRedisRows, originalRows } from "./original.ts";
import { createRedisClient, type RedisSettings } from "./redis-client.ts";
import type { CacheStats, TierStats } from "./stats.ts";
import type { Entry, TierName, TierSize } from "./tier.ts";
import { exportLines, fullest, noCounts, readLines, type TransferCounts, writeAll } from "./transfer.ts";
import type { Warmer } from "./warm.ts";

export interface CacheReport extends Omit<CacheStats, "tiers"> {
  /** `size` is absent while a tier cannot say. */
  tiers: (TierStats & { size?: TierSize })[];
}

export interface FoundEntry {
  key: string;
  tier: TierName;
  /** Unix ms; null = no end. */
  expiresAt: number | null;
  storedAt: number;
  /** Until when it is served as fresh. Unix ms; null = no end. */
  freshUntil: number | null;
  value?: unknown;
  failure?: { kind: string; message: string };
}

export interface TransferOptions {
  progress?: ((counts: TransferCounts) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** What operators do with the cache, from the command line and the management API alike. */
export interface CacheOperator {
  stats(): Promise<CacheReport>;
  /** The entry with this key, or with `*` at its end the first `limit` whose keys begin so. */
  find(pattern: string, limit: number): Promise<FoundEntry[]>;
  /** A key, or with `*` at its end all keys that begin so. @returns how many the fullest tier held. */
  delete(pattern: string): Promise<number>;
  /** Drops what is past its time or too much. */
  prune(): Promise<number>;
  export(prefix: string): AsyncIterable<string>;
  import(lines: AsyncIterable<string>, options?: TransferOptions): Promise<TransferCounts>;
  /** The original's `cache.db`. @throws AppError `invalid_request` when it is another file. */
  importOriginal(path: string, options?: TransferOptions): Promise<TransferCounts>;
  /** The original's keys on a Redis server, by default the configured one. */
  importOriginalRedis(changes: Partial<RedisSettings>, options?: TransferOptions): Promise<TransferCounts>;
  warm: Warmer;
}

export interface OperatorDeps {
  cache: Cache;
  config: () => CacheConfig;
  warm: Warmer;
  log: Logger;
  now?: () => number;
}

const SIZE_MS = 3_000;
const CONNECT_MS = 5_000;

export function createOperator({ cache, config, warm, log, now = Date.now }: OperatorDeps): CacheOperator {
  const { chain } = cache;
  const original = () => ({ config: config(), now });

  async function remove(pattern: string): Promise<number> {
    const exact = !pattern.endsWith("*");
    const key = exact ? pattern : pattern.slice(0, -1);
    if (exact) {
      const found = await chain.get(key);
      await cache.evict(key);
      return found === undefined ? 0 : 1;
    }
    let most = 0;
    for (const { tier } of chain.links) {
      most = Math.max(most, (await tier.deletePrefix?.(key)) ?? 0);
      await tier.announce?.({ key, exact });
    }
    return most;
  }

  return {
    warm,
    async stats() {
      const counters = cache.stats();
      const sizes = await Promise.all(
        chain.links.map(({ tier }) =>
          tier.size === undefined ? undefined : within(tier.size(), SIZE_MS).catch(() => undefined),
        ),
      );
      const tiers = counters.tiers.map((tier, index) => {
        const size = sizes[index];
        return size === undefined ? tier : { ...tier, size };
      });
      return { ...counters, tiers };
    },
    async find(pattern, limit) {
      if (!pattern.endsWith("*")) {
        const found = await chain.get(pattern);
        const form = found === undefined ? undefined : foundForm(pattern, found.entry, found.tier);
        return form === undefined ? [] : [form];
      }
      const forms: FoundEntry[] = [];
      const tier = fullest(chain);
      for await (const [key, entry] of tier?.entries?.(pattern.slice(0, -1)) ?? []) {
        const form = foundForm(key, entry, tier?.name ?? "memory");
        if (form !== undefined) forms.push(form);
        if (forms.length >= limit) break;
      }
      return forms;
    },
    delete: remove,
    async prune() {
      let dropped = 0;
      for (const { tier } of chain.links) dropped += (await tier.prune?.()) ?? 0;
      return dropped;
    },
    export: (prefix) => exportLines(chain, prefix),
    async import(lines, options = {}) {
      const counts = noCounts();
      await writeAll(chain, readLines(lines, counts), counts, { now, ...options });
      return counts;
    },
    async importOriginal(path, options = {}) {
      const counts = noCounts();
      await writeAll(chain, originalEntries(originalRows(path), counts, original()), counts, { now, ...options });
      return counts;
    },
    async importOriginalRedis(changes, options = {}) {
      const settings = { ...config().redis, ...changes };
      const client = createRedisClient(settings, log);
      try {
        await connected(client);
        const counts = noCounts();
        const rows = originalRedisRows(client, settings.key_prefix);
        await writeAll(chain, originalEntries(rows, counts, original()), counts, { now, ...options });
        return counts;
      } finally {
        client.disconnect();
      }
    },
  };
}

function foundForm(key: string, entry: Entry, tier: TierName): FoundEntry | undefined {
  const envelope = decodeEnvelope(entry.value);
  if (envelope === undefined) return undefined;
  const { content, storedAt, freshUntil } = envelope;
  const end = (time: number) => (Number.isFinite(time) ? time : null);
  return { key, tier, expiresAt: end(entry.expiresAt), storedAt, freshUntil: end(freshUntil), ...content };
}

async function connected(client: ReturnType<typeof createRedisClient>): Promise<void> {
  const ready = new Promise<void>((resolve) => {
    if (client.status === "ready") resolve();
    else client.once("ready", () => resolve());
  });
  try {
    await within(ready, CONNECT_MS);
  } catch (error) {
    throw new AppError("storage_failed", "连接不上 Redis", { cause: error });
  }
}

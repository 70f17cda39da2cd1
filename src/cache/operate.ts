import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { within } from "./breaker.ts";
import type { Link } from "./chain.ts";
import { decodeEnvelope } from "./envelope.ts";
import type { Cache } from "./index.ts";
import type { CacheConfig } from "./kinds.ts";
import { originalEntries, originalRedisRows, originalRows } from "./original.ts";
import { connected, createRedisClient, type RedisClient, type RedisSettings, troubleOf } from "./redis-client.ts";
import type { CacheStats, TierStats } from "./stats.ts";
import type { CacheTier, Entry, TierName, TierSize } from "./tier.ts";
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
/** For deletions to be on disk. */
const WRITE_MS = 3_000;

export function createOperator({ cache, config, warm, log, now = Date.now }: OperatorDeps): CacheOperator {
  const { chain } = cache;
  const original = () => ({ config: config(), now });

  /** Tiers that cannot be asked, and why. A connection in the making is waited for: a command has only just begun. */
  async function unreachable(): Promise<ReadonlyMap<CacheTier, unknown>> {
    const out = new Map<CacheTier, unknown>();
    const looks = chain.links.map(async ({ tier, reads }) => {
      try {
        await within(tier.ready?.() ?? Promise.resolve(), reads.isOpen() ? 0 : CONNECT_MS);
      } catch (error) {
        out.set(tier, error);
      }
    });
    await Promise.all(looks);
    return out;
  }

  async function remove(pattern: string): Promise<number> {
    const exact = !pattern.endsWith("*");
    const key = exact ? pattern : pattern.slice(0, -1);
    const lost = await unreachable();
    const found = exact ? await chain.get(key) : undefined;
    if (exact) await cache.evict(key);
    let most = found === undefined ? 0 : 1;
    const failures = await inEach(chain.links, async ({ tier, missed }) => {
      if (lost.has(tier)) throw lost.get(tier);
      if (exact) {
        // What waits to be written would be lost with a command that ends here.
        await within(tier.drain?.() ?? Promise.resolve(), WRITE_MS);
        if (missed.has(key)) throw new Error("takes no writes");
        return;
      }
      most = Math.max(most, (await tier.deletePrefix?.(key)) ?? 0);
      await tier.announce?.({ key, exact });
    });
    if (failures.length > 0) throw incomplete(failures, "那里没有删除");
    return most;
  }

  return {
    async warm(request, options) {
      await unreachable();
      return warm(request, options);
    },
    async stats() {
      const lost = await unreachable();
      const counters = cache.stats();
      const sizes = await Promise.all(
        chain.links.map(({ tier }) =>
          tier.size === undefined || lost.has(tier) ? undefined : within(tier.size(), SIZE_MS).catch(() => undefined),
        ),
      );
      const tiers = counters.tiers.map((tier, index) => {
        const size = sizes[index];
        if (chain.links.some((link) => link.tier.name === tier.name && lost.has(link.tier))) {
          return { ...tier, state: "down" as const };
        }
        return size === undefined ? tier : { ...tier, size };
      });
      return { ...counters, tiers };
    },
    async find(pattern, limit) {
      const lost = await unreachable();
      if (!pattern.endsWith("*")) {
        const found = await chain.get(pattern);
        const form = found === undefined ? undefined : foundForm(pattern, found.entry, found.tier);
        return form === undefined ? [] : [form];
      }
      const forms: FoundEntry[] = [];
      const tier = fullest(chain, lost);
      for await (const [key, entry] of tier?.entries?.(pattern.slice(0, -1)) ?? []) {
        const form = foundForm(key, entry, tier?.name ?? "memory");
        if (form !== undefined) forms.push(form);
        if (forms.length >= limit) break;
      }
      return forms;
    },
    delete: remove,
    async prune() {
      const lost = await unreachable();
      let dropped = 0;
      const reached = chain.links.filter(({ tier }) => !lost.has(tier));
      const failures = await inEach(reached, async ({ tier }) => {
        dropped += (await tier.prune?.()) ?? 0;
      });
      if (failures.length > 0) throw incomplete(failures, "那里没有清理");
      return dropped;
    },
    async *export(prefix) {
      yield* exportLines(chain, prefix, await unreachable());
    },
    async import(lines, options = {}) {
      await unreachable();
      const counts = noCounts();
      await writeAll(chain, readLines(lines, counts), counts, { now, ...options });
      return counts;
    },
    async importOriginal(path, options = {}) {
      await unreachable();
      const counts = noCounts();
      await writeAll(chain, originalEntries(originalRows(path), counts, original()), counts, { now, ...options });
      return counts;
    },
    async importOriginalRedis(changes, options = {}) {
      await unreachable();
      const settings = { ...config().redis, ...changes };
      const client = createRedisClient(settings, log);
      try {
        await connectedInTime(client);
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

interface TierFailure {
  tier: TierName;
  error: unknown;
}

/** Does it in one tier after the other; one that fails is told, and keeps nobody from the next. */
async function inEach(links: readonly Link[], work: (link: Link) => Promise<void>): Promise<TierFailure[]> {
  const failures: TierFailure[] = [];
  for (const link of links) {
    try {
      await work(link);
    } catch (error) {
      failures.push({ tier: link.tier.name, error });
    }
  }
  return failures;
}

function incomplete(failures: TierFailure[], what: string): AppError {
  const names = failures.map(({ tier }) => tier).join(", ");
  return new AppError("storage_failed", `${names}: 无法访问，${what}`, {
    cause: failures[0]?.error,
    detail: failures.map(({ tier, error }) => `${tier}: ${error}`),
  });
}

async function connectedInTime(client: RedisClient): Promise<void> {
  try {
    await within(connected(client), CONNECT_MS);
  } catch (error) {
    const reason = troubleOf(client)?.message;
    throw new AppError("storage_failed", `连接不上 Redis${reason === undefined ? "" : `: ${reason}`}`, {
      cause: error,
    });
  }
}

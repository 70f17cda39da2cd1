import type { Chain } from "./chain.ts";
import { CACHE_KINDS, type CacheKind } from "./kinds.ts";
import type { TierName } from "./tier.ts";

export interface KindCounts {
  hits: number;
  misses: number;
  /** Served past its time, because the platform failed or while it is renewed. */
  stale: number;
  bypass: number;
  /** Hits on a kept refusal. */
  negative: number;
  /** Times that the platform (or another instance) was really asked. */
  loads: number;
  failures: number;
}

export interface TierStats {
  name: TierName;
  state: "up" | "reads_down" | "writes_down" | "down";
  hits: number;
  misses: number;
  errors: number;
  writes: number;
  /** hits / (hits + misses); 0 before the first question. */
  hitRatio: number;
  /** Writes that wait until the tier takes them again. */
  missedWrites: number;
}

/** Counters since the start; cheap to read at every scrape. */
export interface CacheStats {
  tiers: TierStats[];
  kinds: Record<CacheKind, KindCounts & { hitRatio: number }>;
  flights: { running: number; shared: number; remoteWaits: number };
  heal: { renewals: number; held: number };
}

export function createKindCounts(): Record<CacheKind, KindCounts> {
  const zero = (): KindCounts => ({ hits: 0, misses: 0, stale: 0, bypass: 0, negative: 0, loads: 0, failures: 0 });
  const rows = CACHE_KINDS.map((kind) => [kind, zero()] as const);
  // Every kind has its row.
  return Object.fromEntries(rows) as Record<CacheKind, KindCounts>;
}

export function tierStats(chain: Chain): TierStats[] {
  return chain.links.map((link) => {
    const [reads, writes] = [link.reads.isOpen(), link.writes.isOpen()];
    return {
      name: link.tier.name,
      state: reads && writes ? "down" : reads ? "reads_down" : writes ? "writes_down" : "up",
      ...link.counts,
      hitRatio: ratio(link.counts.hits, link.counts.misses),
      missedWrites: link.missed.size,
    };
  });
}

export function kindStats(counts: Record<CacheKind, KindCounts>): CacheStats["kinds"] {
  const rows = CACHE_KINDS.map((kind) => {
    const row = counts[kind];
    return [kind, { ...row, hitRatio: ratio(row.hits + row.stale + row.negative, row.misses) }] as const;
  });
  return Object.fromEntries(rows) as CacheStats["kinds"];
}

function ratio(hits: number, misses: number): number {
  return hits + misses === 0 ? 0 : hits / (hits + misses);
}

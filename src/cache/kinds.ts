import type { Static } from "@sinclair/typebox";
import type { cacheSection } from "../config/sections/cache.ts";
import type { ErrorKind } from "../core/errors.ts";

export type CacheConfig = Static<typeof cacheSection>;

export const CACHE_KINDS = [
  "url",
  "lyric",
  "info",
  "pic",
  "search",
  "suggest",
  "hot",
  "playlist",
  "album",
  "board",
  "comment",
  "mv",
] as const;
export type CacheKind = (typeof CACHE_KINDS)[number];

export function isCacheKind(word: string | undefined): word is CacheKind {
  return (CACHE_KINDS as readonly (string | undefined)[]).includes(word);
}

/** How answers of one kind are kept. Times are milliseconds. */
export interface KindRule {
  /** `platform`: a share of what the platform says; else a fixed time. */
  life: "platform" | number;
  /** After its time the old answer is given at once and renewed in the background, this long. */
  staleWhileRevalidate: number;
  /** After its time the old answer stands in for a failing platform, this long. */
  staleIfError: number;
  /** A hit in the second half of its life prolongs it. */
  sliding: boolean;
  jitter: boolean;
  /** Asking again within seconds means that the answer was bad. */
  heals: boolean;
}

/** The whole table: which kinds may be stale, slide and heal. An address may be none but healed: a dead one is no use. */
const RULES: Record<CacheKind, { revalidate?: true; mayBeStale?: true; heals?: true }> = {
  url: { heals: true },
  lyric: { revalidate: true, mayBeStale: true },
  info: { revalidate: true, mayBeStale: true },
  pic: { mayBeStale: true },
  search: { mayBeStale: true },
  suggest: { mayBeStale: true },
  hot: { mayBeStale: true },
  playlist: { mayBeStale: true },
  album: { mayBeStale: true },
  board: { mayBeStale: true },
  comment: { mayBeStale: true },
  mv: {},
};

export function kindRules(config: CacheConfig): Record<CacheKind, KindRule> {
  const rule = (kind: CacheKind): KindRule => {
    const row = RULES[kind];
    return {
      life: kind === "url" ? "platform" : config.lifetimes[kind] * 1000,
      staleWhileRevalidate: row.revalidate ? config.stale.while_revalidate * 1000 : 0,
      staleIfError: row.mayBeStale ? config.stale.if_error * 1000 : 0,
      sliding: config.sliding.includes(kind),
      jitter: kind !== "url",
      heals: row.heals === true && config.heal.enable,
    };
  };
  return {
    url: rule("url"),
    lyric: rule("lyric"),
    info: rule("info"),
    pic: rule("pic"),
    search: rule("search"),
    suggest: rule("suggest"),
    hot: rule("hot"),
    playlist: rule("playlist"),
    album: rule("album"),
    board: rule("board"),
    comment: rule("comment"),
    mv: rule("mv"),
  };
}

/** The table of kinds, made anew when the config was replaced. */
export function createRules(config: () => CacheConfig): (kind: CacheKind) => KindRule {
  let made = config();
  let table = kindRules(made);
  return (kind) => {
    const current = config();
    if (current !== made) {
      made = current;
      table = kindRules(made);
    }
    return table[kind];
  };
}

type Negative = keyof CacheConfig["negative"];

/** Which setting says how long a failure is kept; kinds that are missing here are never kept. */
const NEGATIVE: Partial<Record<ErrorKind, Negative>> = {
  upstream_no_copyright: "no_copyright",
  upstream_not_found: "not_found",
  upstream_needs_purchase: "needs_purchase",
  upstream_needs_login: "needs_login",
  upstream_quality: "quality",
  upstream_refused: "refused",
  upstream_verify: "verify",
  upstream_unreachable: "fault",
  upstream_changed: "fault",
};

/** Milliseconds for which this failure stands in for the platform; 0 = ask again next time. */
export function negativeLifetime(config: CacheConfig, kind: ErrorKind): number {
  const row = NEGATIVE[kind];
  return row === undefined ? 0 : config.negative[row] * 1000;
}

/** Failures that say nothing about the song: an old answer is better than them. */
const FAULTS: ReadonlySet<ErrorKind> = new Set([
  "upstream_unreachable",
  "upstream_changed",
  "upstream_verify",
  "upstream_refused",
  "rate_limited",
  "busy",
  "storage_failed",
  "internal",
]);

export function isFault(kind: ErrorKind): boolean {
  return FAULTS.has(kind);
}

/** When an answer stops being fresh, when its entry may go, and the platform's own end. Unix ms. */
export interface Deadlines {
  freshUntil: number;
  expiresAt: number;
  realExpiresAt?: number;
}

/**
 * @param lifetimeSeconds the platform's own life of an address; undefined = it states none.
 * @returns undefined when there is nothing to keep.
 */
export function deadlinesOf(
  config: CacheConfig,
  rule: KindRule,
  lifetimeSeconds: number | undefined,
  now: number,
  random: () => number,
): Deadlines | undefined {
  const { url_share: share, url_unlimited: unlimited } = config.lifetimes;
  let life: number;
  if (rule.life !== "platform") life = rule.life;
  else life = (lifetimeSeconds === undefined ? unlimited : lifetimeSeconds * share) * 1000;
  if (rule.jitter) life *= 1 - config.jitter * random();
  if (!(life >= 1)) return undefined;
  const freshUntil = Math.floor(now + life);
  const deadlines: Deadlines = {
    freshUntil,
    expiresAt: freshUntil + Math.max(rule.staleWhileRevalidate, rule.staleIfError),
  };
  if (rule.life === "platform" && lifetimeSeconds !== undefined) {
    deadlines.realExpiresAt = Math.floor(now + lifetimeSeconds * 1000);
  }
  return deadlines;
}

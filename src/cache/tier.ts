/** One stored value. Tiers store text; what it means is the caller's business. */
export interface Entry {
  value: string;
  /** Unix time in milliseconds; Infinity = until evicted. */
  expiresAt: number;
}

export const TIER_NAMES = ["memory", "redis", "sqlite"] as const;
export type TierName = (typeof TIER_NAMES)[number];

/** What has gone: one key, or every key that begins with it. */
export interface Drop {
  key: string;
  exact: boolean;
}

export interface TierSize {
  entries: number;
  /** Bytes as this tier counts them; undefined = it cannot say. */
  bytes?: number;
}

/**
 * A place to keep entries. It only stores: order, copying back and what to do when it fails live in `chain.ts`.
 * @see test/cache/conformance.ts, the suite that every tier passes.
 */
export interface CacheTier {
  readonly name: TierName;
  /** Undefined when absent or past `expiresAt`. Throws only when the tier itself is down. */
  get(key: string): Promise<Entry | undefined>;
  set(key: string, entry: Entry): Promise<void>;
  delete(key: string): Promise<void>;
  close(): Promise<void>;
  /** Resolves once it can be asked, after a connection in the making. Absent: it always can. */
  ready?(): Promise<void>;
  /** For operators; may take a moment. */
  size?(): Promise<TierSize>;
  /** Live entries whose key begins with `prefix`, in no order. Entries that change meanwhile may be missed. */
  entries?(prefix: string): AsyncIterable<[key: string, entry: Entry]>;
  /** Drops what is past its deadline. @returns how many entries went. */
  prune?(): Promise<number>;
  /** Drops every key that begins with `prefix`. @returns how many entries went. */
  deletePrefix?(prefix: string): Promise<number>;
  /** Waits until what was accepted is stored; for bulk writes. Throws when it will not be. */
  drain?(): Promise<void>;
  /** Tells the other processes that share this tier to drop what they have of it in their own tiers. */
  announce?(drop: Drop): Promise<void>;
}

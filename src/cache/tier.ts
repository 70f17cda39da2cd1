/** One stored value. Tiers store text; what it means is the caller's business. */
export interface Entry {
  value: string;
  /** Unix time in milliseconds; Infinity = until evicted. */
  expiresAt: number;
}

/**
 * A place to keep entries. It only stores: order, copying back and what to do when it fails live in `chain.ts`.
 * @see test/cache/conformance.ts, the suite that every tier passes.
 */
export interface CacheTier {
  readonly name: "memory" | "redis" | "sqlite";
  /** Undefined when absent or past `expiresAt`. Throws only when the tier itself is down. */
  get(key: string): Promise<Entry | undefined>;
  set(key: string, entry: Entry): Promise<void>;
  delete(key: string): Promise<void>;
  close(): Promise<void>;
}

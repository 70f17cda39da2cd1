import { decodeEnvelope, type StoredFailure } from "./envelope.ts";
import type { MemoryEntry } from "./memory.ts";
import type { Entry, TierName } from "./tier.ts";

export type CacheStatus = "hit" | "miss" | "stale" | "bypass";

/**
 * What a caller gets. `value` is frozen and shared by all callers. For a hit in memory the answer itself is the same
 * object every time, so that a caller may keep what it made of it in a WeakMap.
 */
export interface CacheAnswer<T> {
  value: T;
  status: CacheStatus;
  /** Where it was found. */
  tier?: TierName;
  /** Unix ms. */
  storedAt: number;
  /** Until when it is served (75 % of the platform's life for an address). Unix ms; Infinity = no end. */
  expiresAt: number;
  /** The platform's own end of an address. Unix ms; absent = it states none. */
  realExpiresAt?: number;
}

/** How values of one kind come back from their stored form, and what else is to be known of them. */
export interface Codec<T> {
  /** Undefined = this is not a value of ours (or of an older form): it is asked for anew. */
  decode(value: unknown): T | undefined;
  /** Addresses: the platform's own life; undefined = it states none. */
  lifetimeSeconds?(value: T): number | undefined;
  /** Addresses: who gave it, to be avoided when it turns out bad. */
  route?(value: T): string | undefined;
}

/** An entry with its text made into an answer. */
export type Parsed<T> =
  | { failure: StoredFailure; freshUntil: number }
  | { failure: undefined; freshUntil: number; answer: CacheAnswer<T> };

/** Undefined = damaged, or no value of this kind. */
export function parseEntry<T>(entry: Entry, codec: Codec<T>, tier: TierName): Parsed<T> | undefined {
  const envelope = decodeEnvelope(entry.value);
  if (envelope === undefined) return undefined;
  const { content, freshUntil, storedAt, realExpiresAt } = envelope;
  if ("failure" in content) return { failure: content.failure, freshUntil };
  const value = codec.decode(content.value);
  if (value === undefined) return undefined;
  const answer: CacheAnswer<T> = {
    value: deepFreeze(value),
    status: "hit",
    tier,
    storedAt,
    expiresAt: freshUntil,
    ...(realExpiresAt === undefined ? {} : { realExpiresAt }),
  };
  return { failure: undefined, freshUntil, answer: Object.freeze(answer) };
}

/** As `parseEntry`, once per entry in memory. A key is always read with the same codec. */
export function parseMemory<T>(entry: MemoryEntry, codec: Codec<T>): Parsed<T> | undefined {
  if (entry.parsed === undefined) entry.parsed = parseEntry(entry, codec, "memory");
  return entry.parsed as Parsed<T> | undefined;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const item of Object.values(value)) deepFreeze(item);
  }
  return value;
}

import { LRUCache } from "lru-cache";
import type { CacheTier, Entry } from "./tier.ts";

/** An entry in memory; what was made of its text is kept with it, so that a hit parses nothing. */
export interface MemoryEntry extends Entry {
  /** Owned by `store.ts`. */
  parsed?: unknown;
}

export interface MemoryOptions {
  /** Bound of all entries together (bytes, estimated). */
  maxBytes: number;
  /** Unix ms. */
  now: () => number;
}

/** The nearest tier. The `…Sync` forms are the hot path: no promise, no copy. */
export interface MemoryTier extends CacheTier {
  /** @param time Unix ms, when the caller has looked at the clock already */
  getSync(key: string, time?: number): MemoryEntry | undefined;
  setSync(key: string, entry: Entry): void;
  deleteSync(key: string): void;
  deletePrefixSync(prefix: string): number;
}

/** Objects, list nodes and the index of one entry. */
const OVERHEAD_BYTES = 400;

/** Two bytes a character at worst; the value twice, because its parsed form is kept as well. */
function sizeOf(entry: Entry, key: string): number {
  return key.length * 2 + entry.value.length * 4 + OVERHEAD_BYTES;
}

/** Least recently used entries go first. One entry may take an eighth of the room at most. */
export function createMemoryTier(options: MemoryOptions): MemoryTier {
  const { now } = options;
  const maxBytes = Math.max(options.maxBytes, 64 << 10);
  const entries = new LRUCache<string, MemoryEntry>({
    maxSize: maxBytes,
    maxEntrySize: Math.floor(maxBytes / 8),
    sizeCalculation: sizeOf,
  });

  function getSync(key: string, time = now()): MemoryEntry | undefined {
    const entry = entries.get(key);
    if (entry === undefined || entry.expiresAt > time) return entry;
    entries.delete(key);
    return undefined;
  }

  function setSync(key: string, entry: Entry): void {
    entries.set(key, { value: entry.value, expiresAt: entry.expiresAt });
  }

  function deleteWhere(test: (key: string, entry: Entry) => boolean): number {
    let dropped = 0;
    for (const [key, entry] of [...entries.entries()]) {
      if (test(key, entry) && entries.delete(key)) dropped += 1;
    }
    return dropped;
  }

  return {
    name: "memory",
    getSync,
    setSync,
    deleteSync: (key) => void entries.delete(key),
    deletePrefixSync: (prefix) => deleteWhere((key) => key.startsWith(prefix)),
    async get(key) {
      const entry = getSync(key);
      return entry === undefined ? undefined : { value: entry.value, expiresAt: entry.expiresAt };
    },
    async set(key, entry) {
      setSync(key, entry);
    },
    async delete(key) {
      entries.delete(key);
    },
    async close() {
      entries.clear();
    },
    size: async () => ({ entries: entries.size, bytes: entries.calculatedSize }),
    async *entries(prefix) {
      const live = now();
      for (const [key, { value, expiresAt }] of [...entries.entries()]) {
        if (key.startsWith(prefix) && expiresAt > live) yield [key, { value, expiresAt }];
      }
    },
    prune: async () => deleteWhere((_key, entry) => entry.expiresAt <= now()),
    deletePrefix: async (prefix) => deleteWhere((key) => key.startsWith(prefix)),
  };
}

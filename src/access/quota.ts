/**
 * How often one request key may ask in a sliding window. The window is cut into parts; the parts that a window of
 * exactly this length can touch never hold more than the bound together, so that no window does.
 */
export interface QuotaWindow {
  /** Ms of the whole window. */
  windowMs: number;
  parts: number;
}

export const MINUTE: QuotaWindow = { windowMs: 60_000, parts: 60 };
export const DAY: QuotaWindow = { windowMs: 86_400_000, parts: 96 };

export interface Quota {
  /** Counts one request when the bound allows it. @returns ms to wait; 0 = counted. */
  take(id: number, bound: number, now: number): number;
  forget(id: number): void;
  /** `[part number, count]` of the parts in force, to outlive a restart. */
  save(id: number, now: number): [number, number][];
  restore(id: number, counts: readonly [number, number][], now: number): void;
}

interface Ring {
  counts: Uint32Array;
  /** Number of the newest part seen. */
  newest: number;
  sum: number;
}

/** @remarks Memory is bounded by the number of keys: the caller forgets the ids that it drops. */
export function createQuota(window: QuotaWindow): Quota {
  const partMs = window.windowMs / window.parts;
  const size = window.parts + 1;
  const rings = new Map<number, Ring>();

  function ring(id: number, part: number): Ring {
    let found = rings.get(id);
    if (found === undefined) {
      found = { counts: new Uint32Array(size), newest: part, sum: 0 };
      rings.set(id, found);
    }
    // A clock that went back keeps counting in the newest part.
    const steps = Math.min(size, part - found.newest);
    for (let step = 1; step <= steps; step++) {
      const index = (found.newest + step) % size;
      found.sum -= found.counts[index] ?? 0;
      found.counts[index] = 0;
    }
    found.newest = Math.max(found.newest, part);
    return found;
  }

  return {
    take(id, bound, now) {
      const { counts, newest, sum } = ring(id, Math.floor(now / partMs));
      if (sum < bound) {
        const found = rings.get(id);
        counts[newest % size] = (counts[newest % size] ?? 0) + 1;
        if (found !== undefined) found.sum++;
        return 0;
      }
      let oldest = newest - window.parts;
      while (oldest < newest && counts[oldest % size] === 0) oldest++;
      return Math.max(1, Math.ceil((oldest + size) * partMs - now));
    },
    forget: (id) => void rings.delete(id),
    save(id, now) {
      if (!rings.has(id)) return [];
      const { counts, newest } = ring(id, Math.floor(now / partMs));
      const saved: [number, number][] = [];
      for (let part = newest - window.parts; part <= newest; part++) {
        const count = counts[part % size] ?? 0;
        if (count > 0) saved.push([part, count]);
      }
      return saved;
    },
    restore(id, saved, now) {
      const found = ring(id, Math.floor(now / partMs));
      for (const [part, count] of saved) {
        if (part > found.newest || part <= found.newest - size) continue;
        found.counts[part % size] = (found.counts[part % size] ?? 0) + count;
        found.sum += count;
      }
    },
  };
}

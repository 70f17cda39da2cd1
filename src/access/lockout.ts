import { LRUCache } from "lru-cache";

/** Answers to guessing: each miss waits longer, and after some the door stays shut for a while. */
export interface Lockout {
  /** Seconds until this name may be tried from this address; 0 = now. */
  locked(name: string, client: string): number;
  /** @returns ms to wait before the refusal is told */
  failed(name: string, client: string): number;
  succeeded(name: string, client: string): void;
}

export interface LockoutSettings {
  /** Misses before the lock. */
  attempts: number;
  /** Length of the lock, and time after which misses are forgotten, in seconds. */
  seconds: number;
}

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 4000;

/**
 * Counted for name and address together, so that a stranger who guesses cannot lock the admin out; and for the address
 * alone, at four times the bound, so that changing names does not help.
 */
export function createLockout(settings: () => LockoutSettings, now: () => number = Date.now): Lockout {
  const misses = new LRUCache<string, { count: number; until: number }>({ max: 20_000 });
  const pair = (name: string, client: string) => `${client} ${name.toLowerCase()}`;

  function count(id: string, bound: number): number {
    const { seconds } = settings();
    const before = misses.get(id);
    const fresh = before === undefined || before.until + seconds * 1000 < now();
    const total = (fresh ? 0 : before.count) + 1;
    misses.set(id, { count: total, until: total >= bound ? now() + seconds * 1000 : now() });
    return total;
  }

  function wait(id: string, bound: number): number {
    const found = misses.get(id);
    if (found === undefined || found.count < bound) return 0;
    return Math.max(0, Math.ceil((found.until - now()) / 1000));
  }

  return {
    locked: (name, client) =>
      Math.max(wait(pair(name, client), settings().attempts), wait(client, settings().attempts * 4)),
    failed(name, client) {
      count(client, settings().attempts * 4);
      const total = count(pair(name, client), settings().attempts);
      return Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(10, total - 1));
    },
    succeeded(name, client) {
      misses.delete(pair(name, client));
    },
  };
}

export interface Timers {
  /** @throws RangeError when there are too many, TypeError when the arguments are no timer. */
  start(id: unknown, delayMs: unknown): void;
  stop(id: unknown): void;
  clear(): void;
  readonly size: number;
}

const MAX_DELAY_MS = 2_147_483_647;

/** A script's timers, by the numbers that the sandbox gives them. */
export function createTimers(most: number, fire: (id: number) => void, limited: (name: string) => void): Timers {
  const running = new Map<number, Timer>();
  return {
    start(id, delayMs) {
      if (typeof id !== "number" || typeof delayMs !== "number") throw new TypeError("Invalid timer");
      if (running.size >= most) {
        limited("timers");
        throw new RangeError("Too many timers");
      }
      const delay = Math.min(MAX_DELAY_MS, Math.max(1, delayMs || 0));
      const timer = setTimeout(() => {
        running.delete(id);
        fire(id);
      }, delay);
      clearTimeout(running.get(id));
      running.set(id, timer);
    },
    stop(id) {
      if (typeof id !== "number") return;
      clearTimeout(running.get(id));
      running.delete(id);
    },
    clear() {
      for (const timer of running.values()) clearTimeout(timer);
      running.clear();
    },
    get size() {
      return running.size;
    },
  };
}

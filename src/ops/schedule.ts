import type { Logger } from "./log.ts";

export interface Schedule {
  /** Runs `work` every `intervalMs`, the first time after `firstMs`; each pause varies by ±`jitter` (0..1) of itself. */
  every(
    name: string,
    options: { intervalMs: () => number; firstMs?: number; jitter?: number },
    work: () => Promise<void>,
  ): void;
  /** Stops all timers and waits for what runs. */
  stop(): Promise<void>;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Repeating work that never overlaps with itself and whose failures are logged, not thrown. */
export function createSchedule(log: Logger, random: () => number = Math.random): Schedule {
  const timers = new Set<Timer>();
  const running = new Set<Promise<void>>();
  let stopped = false;

  function plan(delayMs: number, jitter: number, next: () => void): void {
    if (stopped) return;
    const varied = delayMs * (1 + jitter * (2 * random() - 1));
    const timer = setTimeout(
      () => {
        timers.delete(timer);
        next();
      },
      Math.max(0, Math.min(varied, MAX_TIMER_MS)),
    );
    timer.unref();
    timers.add(timer);
  }

  return {
    every(name, { intervalMs, firstMs, jitter = 0.1 }, work) {
      const round = () => {
        const run = Promise.try(work)
          .catch((error: unknown) => log.warn("scheduled work failed", { name, error }))
          .finally(() => {
            running.delete(run);
            plan(intervalMs(), jitter, round);
          });
        running.add(run);
      };
      plan(firstMs ?? intervalMs(), jitter, round);
    },
    async stop() {
      stopped = true;
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      await Promise.allSettled(running);
    },
  };
}

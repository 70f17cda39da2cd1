import type { Logger } from "./log.ts";

/** Waits for `work`, at most `deadlineMs`. @returns whether it ended in time. */
export async function within(deadlineMs: number, work: Promise<unknown>): Promise<boolean> {
  let timer: Timer | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), deadlineMs);
  });
  try {
    return await Promise.race([work.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Calls `stop` once on SIGTERM or SIGINT and exits: 0 after an orderly stop. A second signal does not wait.
 */
export function stopOnSignals(stop: () => Promise<void>, log: Logger): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (stopping) {
        log.warn("second signal, stopping at once", { signal });
        resolve(1);
        return;
      }
      stopping = true;
      log.info("stopping", { signal });
      stop().then(
        () => resolve(0),
        (error: unknown) => {
          log.error("stop failed", { error });
          resolve(1);
        },
      );
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}

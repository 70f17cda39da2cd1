import type { Logger } from "./log.ts";

/** Waits for `work`, at most `deadlineMs`. @returns whether it ended in time. @throws what `work` throws in time. */
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

export interface StopOptions {
  stop: () => Promise<void>;
  /** What SIGHUP means for a service: its config is to be read again. Absent = it stops, because its terminal is gone. */
  reload?: (() => void) | undefined;
  /** Milliseconds after which a stop that hangs is given up. */
  deadlineMs: () => number;
  log: Logger;
  /** Ends the process at once; `process.exit` unless a test gives its own. */
  exit?: (code: number) => void;
}

/**
 * Calls `stop` once on SIGTERM or SIGINT. A second signal, or a stop that hangs, ends the process with 1.
 * @returns the exit code: 0 after an orderly stop, 1 when it failed.
 */
export function stopOnSignals({ stop, reload, deadlineMs, log, exit = process.exit }: StopOptions): Promise<number> {
  return new Promise((resolve) => {
    let stopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (stopping) {
        log.warn("second signal, stopping at once", { signal });
        exit(1);
        return;
      }
      stopping = true;
      log.info("stopping", { signal });
      orderly(stop, deadlineMs(), log).then((code) => (code === undefined ? exit(1) : resolve(code)));
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
    process.on("SIGHUP", reload ?? onSignal);
  });
}

/** @returns undefined when it hung. */
async function orderly(stop: () => Promise<void>, deadlineMs: number, log: Logger): Promise<number | undefined> {
  try {
    if (await within(deadlineMs, stop())) return 0;
    log.error("stop takes too long, given up", { deadlineMs });
    return undefined;
  } catch (error) {
    log.error("stop failed", { error });
    return 1;
  }
}

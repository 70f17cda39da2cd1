export interface BreakerOptions {
  /** Failures in a row that open it. */
  failures: number;
  /** Pause before the first new try, doubled at each further one (ms). */
  baseMs: number;
  maxMs: number;
  /** Unix ms. */
  now: () => number;
  random: () => number;
  onOpen?: (error: unknown) => void;
  onClose?: () => void;
}

/** Keeps callers away from something that fails: open = not asked at all; a probe in the background closes it again. */
export interface Breaker {
  isOpen(): boolean;
  /** Open, and its pause is over: claims the one probe of this pause. */
  claimProbe(): boolean;
  succeeded(): void;
  failed(error: unknown): void;
}

export function createBreaker(options: BreakerOptions): Breaker {
  let failuresInRow = 0;
  let openings = 0;
  let retryAt = 0;
  let open = false;

  function pause(): void {
    const ms = Math.min(options.baseMs * 2 ** Math.min(openings, 20), options.maxMs);
    openings += 1;
    // Up to a quarter later, so that instances do not come back in step.
    retryAt = options.now() + ms * (1 + options.random() / 4);
  }

  return {
    isOpen: () => open,
    claimProbe() {
      if (!open || options.now() < retryAt) return false;
      pause();
      return true;
    },
    succeeded() {
      failuresInRow = 0;
      if (!open) return;
      open = false;
      openings = 0;
      options.onClose?.();
    },
    failed(error) {
      failuresInRow += 1;
      if (open || failuresInRow < options.failures) return;
      open = true;
      pause();
      options.onOpen?.(error);
    },
  };
}

/** A timer that fires this much too late shows that this process was busy, not the other side slow (ms). */
const OWN_LAG_MS = 10;
const MAX_EXTENSIONS = 3;

/**
 * The result of `work`, or a rejection after `ms`; what comes later is dropped. Time in which this process itself did
 * not run does not count: the answer may be waiting to be read.
 * @throws Error "no answer in … ms"
 */
export async function within<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const wait = (extensions: number) => {
      const due = performance.now() + ms;
      timer = setTimeout(() => {
        if (extensions > 0 && performance.now() - due > OWN_LAG_MS) wait(extensions - 1);
        else timer = setTimeout(() => reject(new Error(`no answer in ${ms} ms`)), 0);
      }, ms);
    };
    wait(MAX_EXTENSIONS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

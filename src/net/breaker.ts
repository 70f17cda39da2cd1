export interface BreakerOptions {
  /** Failures in a row that open it. */
  threshold: number;
  /** Milliseconds that it stays open the first time; doubled with every further failure, up to `maxOpenMs`. */
  openMs: number;
  maxOpenMs: number;
  /** Unix ms. */
  now: () => number;
}

export interface Breaker {
  /** Whether a call may be made now. After the rest one caller is let through; the others wait for its outcome. */
  allow(): boolean;
  success(): void;
  /** @param weight how many failures this one counts for; a missed deadline may count for all */
  failure(weight?: number): void;
  /** A call that was let through ended without an outcome (given up, not failed). */
  release(): void;
  readonly state: "closed" | "open" | "half-open";
  /** Unix ms until which it is open; 0 when closed. */
  readonly openUntil: number;
}

/** Keeps callers away from what has just failed several times in a row. */
export function createBreaker(options: BreakerOptions): Breaker {
  let failures = 0;
  let openUntil = 0;
  let rounds = 0;
  let trialSince = 0;

  const state = () => (openUntil === 0 ? "closed" : options.now() < openUntil ? "open" : "half-open");
  return {
    allow() {
      const current = state();
      if (current !== "half-open") return current === "closed";
      // A trial that never reported back must not keep the breaker open for ever.
      if (trialSince !== 0 && options.now() - trialSince < options.maxOpenMs) return false;
      trialSince = options.now();
      return true;
    },
    success() {
      failures = 0;
      rounds = 0;
      openUntil = 0;
      trialSince = 0;
    },
    failure(weight = 1) {
      failures += weight;
      const trial = state() === "half-open";
      trialSince = 0;
      if (!trial && failures < options.threshold) return;
      openUntil = options.now() + Math.min(options.maxOpenMs, options.openMs * 2 ** rounds);
      rounds = Math.min(rounds + 1, 20);
      failures = 0;
    },
    release() {
      trialSince = 0;
    },
    get state() {
      return state();
    },
    get openUntil() {
      return openUntil;
    },
  };
}

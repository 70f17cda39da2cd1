export interface BreakerOptions {
  /** Faults in a row that open it. */
  faults: number;
  /** Milliseconds it stays open. */
  restMs: number;
  now?: () => number;
}

export interface Breaker {
  /** May a call be made? After the rest, one at a time tries whether things are well again. */
  allows(): boolean;
  success(): void;
  /** @param weight how many faults this one counts for; a missed deadline may count for all */
  fault(weight?: number): void;
  /** Milliseconds until the next try; 0 = now. */
  restsFor(): number;
}

/** Spares callers the deadline of a server that is known to be dead. */
export function createBreaker({ faults, restMs, now = Date.now }: BreakerOptions): Breaker {
  let count = 0;
  let openUntil = 0;
  let probing = false;

  return {
    allows() {
      if (openUntil === 0) return true;
      if (now() < openUntil || probing) return false;
      probing = true;
      return true;
    },
    success() {
      count = 0;
      openUntil = 0;
      probing = false;
    },
    fault(weight = 1) {
      count += weight;
      if (count >= faults || probing) openUntil = now() + restMs;
      probing = false;
    },
    restsFor: () => Math.max(0, openUntil - now()),
  };
}

/** Shares one bandwidth among all downloads. */
export interface Bandwidth {
  /** Resolves when these bytes may have come. */
  take(bytes: number, signal: AbortSignal): Promise<void>;
}

/**
 * @param bytesPerSecond 0 = no limit; read at every take, so that a changed setting counts at once.
 */
export function createBandwidth(
  bytesPerSecond: () => number,
  now: () => number = () => performance.now(),
  sleep: (ms: number) => Promise<void> = (ms) => Bun.sleep(ms),
): Bandwidth {
  /** When everything taken so far will have been paid for (ms). */
  let paidUntil = 0;
  return {
    async take(bytes, signal) {
      const rate = bytesPerSecond();
      if (rate <= 0) return;
      const until = Math.max(paidUntil, now()) + (bytes / rate) * 1000;
      paidUntil = until;
      // In slices, so that a cancelled download does not wait for its turn.
      for (let left = until - now(); left > 0 && !signal.aborted; left = until - now())
        await sleep(Math.min(left, 500));
    },
  };
}

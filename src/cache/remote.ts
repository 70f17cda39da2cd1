import type { Outcome } from "./keeper.ts";

/** One run of work per key among all instances that share a server. */
export interface RemoteFlights {
  /**
   * Runs `load` when no other instance does, and ends when its result is stored everywhere; else waits for the
   * other's result, read by `readBack`.
   */
  once<T>(
    key: string,
    work: {
      signal: AbortSignal;
      load: () => Promise<Outcome<T>>;
      /** Undefined = nothing is there. */
      readBack: () => Promise<Outcome<T> | undefined>;
    },
  ): Promise<Outcome<T>>;
  /** Times that another instance's result was waited for. */
  waits(): number;
  close(): Promise<void>;
}

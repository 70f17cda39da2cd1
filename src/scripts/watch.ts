/** First message to a worker: memory shared with the process's main thread. Int32: busy since, budget (both ms). */
export interface WatchMessage {
  type: "watch";
  shared: SharedArrayBuffer;
}

/** Milliseconds of the wall clock as far as 31 bits hold them; every thread reads the same. */
export const clock = () => Date.now() & 0x7fffffff;

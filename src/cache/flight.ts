import { AppError } from "../core/errors.ts";

export interface FlightOptions {
  /** How long one flight may take; then it is given up, and the next request starts a new one (ms). */
  flightMs: () => number;
  /** Flights at a time; a further key is told `busy`. */
  maxRunning?: number;
}

/** One run of work per key: who asks for a key that is under way waits for that run. */
export interface Flights {
  /**
   * @param work is given a signal that fires when the flight is given up, not when one of those who wait leaves.
   * @param signal lets this caller leave early.
   * @throws AppError `busy` when nothing came in time; otherwise what `work` throws.
   */
  run<T>(key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** A run for this key is under way. */
  has(key: string): boolean;
  running(): number;
  /** Callers that shared another's run, so far. */
  shared(): number;
}

const MAX_RUNNING = 10_000;

export function busy(detail: string, retryAfterSeconds = 1): AppError {
  return new AppError("busy", "服务器繁忙", { detail, retryAfterSeconds });
}

export function createFlights(options: FlightOptions): Flights {
  const maxRunning = options.maxRunning ?? MAX_RUNNING;
  const flights = new Map<string, Promise<unknown>>();
  let shared = 0;

  function start<T>(key: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (flights.size >= maxRunning) return Promise.reject(busy("too many flights"));
    const controller = new AbortController();
    const ms = options.flightMs();
    const flight = new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        const late = busy(`no result in ${ms} ms`);
        controller.abort(late);
        reject(late);
      }, ms);
      const end = () => {
        clearTimeout(timer);
        if (flights.get(key) === flight) flights.delete(key);
      };
      // Started in a microtask, so that `flight` is in the map before `work` can end.
      queueMicrotask(() => {
        work(controller.signal).then(resolve, reject);
        flight.then(end, end);
      });
    });
    flights.set(key, flight);
    return flight;
  }

  return {
    has: (key) => flights.has(key),
    running: () => flights.size,
    shared: () => shared,
    run<T>(key: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> {
      const running = flights.get(key);
      if (running !== undefined) shared += 1;
      // One key is always used with one kind of work, so that its flight has that type.
      const flight = running === undefined ? start(key, work) : (running as Promise<T>);
      return signal === undefined ? flight : leaving(flight, signal);
    },
  };
}

/** The flight's result, unless this caller leaves first. */
function leaving<T>(flight: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const leave = () => reject(busy("the caller left"));
    if (signal.aborted) {
      flight.catch(() => undefined);
      leave();
      return;
    }
    signal.addEventListener("abort", leave, { once: true });
    flight.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

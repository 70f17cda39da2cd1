import { type Breaker, within } from "./breaker.ts";
import type { Bus } from "./bus.ts";
import { errorOf, failureOf, type StoredFailure } from "./envelope.ts";
import { busy } from "./flight.ts";
import type { Outcome } from "./keeper.ts";
import { type RedisClient, troubleOf } from "./redis-client.ts";

export interface RemoteWork<T> {
  /** Fires when the flight is given up. */
  signal: AbortSignal;
  load: () => Promise<Outcome<T>>;
  /** The fresh result that another instance stored; undefined = nothing is there. */
  readBack: () => Promise<Outcome<T> | undefined>;
}

/** One run of work per key among all instances that share a Redis. */
export interface RemoteFlights {
  /**
   * Runs `load` when no other instance does; else waits for the other's result. Without Redis it simply runs `load`.
   * @throws AppError `busy` when the flight was given up while waiting.
   */
  once<T>(key: string, work: RemoteWork<T>): Promise<Outcome<T>>;
  /** A message came: another instance's flight for this key has ended. */
  ended(key: string, failure: StoredFailure | undefined): void;
  /** Times that another instance's result was waited for. */
  waits(): number;
  /** Waits until every lock that we hold is given back. */
  settle(): Promise<void>;
}

export interface RemoteOptions {
  client: RedisClient;
  prefix: string;
  bus: Bus;
  /** The breaker of writes of the Redis tier: while it is open nobody is asked. */
  breaker: Breaker;
  deadlineMs: number;
  lockMs: number;
}

/** The lock is ours (-3), or how long it is still another's (ms). Tokens keep an expired owner from freeing a new one. */
const ACQUIRE = `if redis.call('set', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return -3 end
return redis.call('pttl', KEYS[1])`;
const RENEW = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('pexpire', KEYS[1], ARGV[2]) end
return 0`;
const RELEASE = `if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end
return 0`;
const OURS = -3;
/** How often to look while no message can come (ms). */
const DEAF_MS = 150;

/** Why a wait ended: another's flight failed, or anything else (it may have succeeded, or died). */
interface Sign {
  failure?: StoredFailure | undefined;
}

export function createRemoteFlights(options: RemoteOptions): RemoteFlights {
  const { client, bus, breaker, deadlineMs, lockMs } = options;
  /** One flight per key waits in this process, so one waiter per key is enough. */
  const waiters = new Map<string, (sign: Sign) => void>();
  const background = new Set<Promise<void>>();
  let waits = 0;
  const lockKey = (key: string) => `${options.prefix}:lock:${key}`;

  async function evaluate(script: string, key: string, ...values: (string | number)[]): Promise<number> {
    try {
      const reply = await within(client.eval(script, 1, lockKey(key), ...values), deadlineMs);
      breaker.succeeded();
      return Number(reply);
    } catch (error) {
      breaker.failed(troubleOf(client) ?? error);
      throw error;
    }
  }

  /** Undefined = Redis is of no help now. */
  async function acquire(key: string, token: string): Promise<number | undefined> {
    if (breaker.isOpen()) return undefined;
    try {
      return await evaluate(ACQUIRE, key, token, lockMs);
    } catch {
      return undefined;
    }
  }

  /** Gives the lock back and wakes the others, once the result is where they can find it. */
  function release(key: string, token: string, outcome: Outcome<unknown> | undefined, renewal?: Timer): void {
    const failure = outcome !== undefined && "failure" in outcome ? failureOf(outcome.failure) : undefined;
    const task = (outcome?.stored ?? Promise.resolve())
      .then(async () => {
        clearInterval(renewal);
        if (breaker.isOpen()) return;
        await evaluate(RELEASE, key, token);
        await within(bus.done(key, failure), deadlineMs);
      })
      .catch(() => undefined)
      .finally(() => background.delete(task));
    background.add(task);
  }

  async function lead<T>(key: string, token: string, work: RemoteWork<T>): Promise<Outcome<T>> {
    const renewal = setInterval(() => {
      if (work.signal.aborted || breaker.isOpen()) return;
      evaluate(RENEW, key, token, lockMs).catch(() => undefined);
    }, lockMs / 3);
    renewal.unref();
    let outcome: Outcome<T> | undefined;
    try {
      // Stored between our look and our lock?
      outcome = await work.readBack();
      outcome ??= await work.load();
      return outcome;
    } finally {
      release(key, token, outcome, renewal);
    }
  }

  /** Hears of the end of another's flight from now on. */
  function listen(key: string) {
    const { promise, resolve } = Promise.withResolvers<Sign>();
    waiters.set(key, resolve);
    return {
      /** Ends at a message, or when the lock must have expired. @throws AppError `busy` when the flight is given up. */
      async wait(leftMs: number, signal: AbortSignal): Promise<Sign> {
        const patience = bus.listening() ? Math.max(leftMs, 1) + 5 : Math.min(Math.max(leftMs, 1), DEAF_MS);
        const timer = setTimeout(() => resolve({}), patience);
        const leave = () => resolve({});
        signal.addEventListener("abort", leave, { once: true });
        try {
          const sign = await promise;
          if (signal.aborted) throw busy("another instance did not finish");
          return sign;
        } finally {
          clearTimeout(timer);
          signal.removeEventListener("abort", leave);
        }
      },
      stop: () => {
        if (waiters.get(key) === resolve) waiters.delete(key);
      },
    };
  }

  /** Without the server's help, as if there were no other instance. */
  async function alone<T>(key: string, token: string, work: RemoteWork<T>): Promise<Outcome<T>> {
    const outcome = await work.load();
    // The question may have reached it and only the reply been late: then the lock is ours.
    if (!breaker.isOpen()) release(key, token, outcome);
    return outcome;
  }

  return {
    waits: () => waits,
    ended: (key, failure) => waiters.get(key)?.({ failure }),

    async once<T>(key: string, work: RemoteWork<T>): Promise<Outcome<T>> {
      const token = crypto.randomUUID();
      for (;;) {
        // Listening begins before the question, so that an end right after it is not missed.
        const listener = listen(key);
        try {
          const state = await acquire(key, token);
          if (state === undefined) return await alone(key, token, work);
          if (state === OURS) return await lead(key, token, work);
          waits += 1;
          const there = await work.readBack();
          if (there !== undefined) return there;
          const sign = await listener.wait(state, work.signal);
          const after = await work.readBack();
          if (after !== undefined) return after;
          if (sign.failure !== undefined) return { failure: errorOf(sign.failure), stored: Promise.resolve() };
        } finally {
          listener.stop();
        }
      }
    },

    async settle() {
      while (background.size > 0) await Promise.all(background);
    },
  };
}

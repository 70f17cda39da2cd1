import { toAppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import type { Chain } from "./chain.ts";
import { errorOf } from "./envelope.ts";
import { createFlights } from "./flight.ts";
import { type Asker, createHealer } from "./heal.ts";
import { createKeeper, type Outcome } from "./keeper.ts";
import { isNeverCached } from "./keys.ts";
import { type CacheConfig, type CacheKind, createRules, isFault } from "./kinds.ts";
import type { MemoryTier } from "./memory.ts";
import { type CacheAnswer, type CacheStatus, type Codec, type Parsed, parseEntry, parseMemory } from "./parsed.ts";
import type { RemoteFlights } from "./remote.ts";
import { type CacheStats, createKindCounts, kindStats, tierStats } from "./stats.ts";

export interface LoadHint {
  /** Routes whose answers for this key turned out bad. */
  avoid: ReadonlySet<string>;
  /** Fires when the flight is given up; not when one of several callers leaves. */
  signal: AbortSignal;
}

/** How a question was answered; `negative`: by a failure that was kept. */
export type CacheNote = CacheStatus | "negative";

export interface ThroughRequest<T> {
  kind: CacheKind;
  /** Made by `cacheKey`. */
  key: string;
  codec: Codec<T>;
  /** Asks the platform. An AppError is kept for as long as `negative` in the config says. */
  load(hint: LoadHint): Promise<T>;
  /** `Cache-Control: no-cache` of an authorised client: ask anew, and store. */
  bypass?: boolean | undefined;
  /** Who asks, for self-healing; undefined = nobody in particular. */
  client?: string | undefined;
  /** Lets this caller leave early; the flight goes on for the others. */
  signal?: AbortSignal | undefined;
  /** Told how it was answered, also before a kept failure is thrown. */
  note?: ((status: CacheNote) => void) | undefined;
}

export interface Store {
  /** A fresh answer in memory, at once and without a promise; undefined = ask `through`. */
  peek<T>(kind: CacheKind, key: string, codec: Codec<T>, asker?: Asker): CacheAnswer<T> | undefined;
  /**
   * The stored answer, else the platform's: asked once for all who wait, in this process and (with Redis) in all.
   * @throws AppError what `load` throws or threw, or `busy` when nothing came in time.
   */
  through<T>(request: ThroughRequest<T>): Promise<CacheAnswer<T>>;
  /** Drops one key everywhere, other instances included. */
  evict(key: string): Promise<void>;
  stats(): CacheStats;
  /** Waits for renewals and copies in the background. */
  settle(): Promise<void>;
}

export interface StoreDeps {
  /** Read at each use, so that a changed config counts at once. */
  config: () => CacheConfig;
  chain: Chain;
  /** The chain's first tier, for the synchronous path; undefined = switched off. */
  memory?: MemoryTier | undefined;
  remote?: RemoteFlights | undefined;
  now: () => number;
  random: () => number;
  log: Logger;
}

const MAX_RENEWALS = 1_000;

/** Which answers are served, when they are renewed, and who may ask the platform. */
export function createStore(deps: StoreDeps): Store {
  const { chain, memory, now, log } = deps;
  const flights = createFlights({ flightMs: () => deps.config().wait * 1000 });
  const healer = createHealer(() => deps.config().heal, now);
  const keeper = createKeeper(deps);
  const counts = createKindCounts();
  const memoryCounts = chain.link("memory")?.counts;
  const background = new Set<Promise<void>>();
  /** Keys whose next question must go to the platform: their answer was found bad by `peek`. */
  const renewals = new Set<string>();
  const rules = createRules(deps.config);
  let refreshing = 0;

  function later(work: Promise<unknown>): void {
    const task = work
      .then(
        () => undefined,
        (error) => log.error("cache background work failed", { error }),
      )
      .finally(() => background.delete(task));
    background.add(task);
  }

  function fromMemory<T>(key: string, codec: Codec<T>, time = now()): Parsed<T> | undefined {
    const entry = memory?.getSync(key, time);
    if (entry === undefined) return undefined;
    if (memoryCounts !== undefined) memoryCounts.hits += 1;
    return parseMemory(entry, codec);
  }

  /** One look per key at a time, however many ask: they share its end. */
  const looks = new Map<string, Promise<Parsed<unknown> | undefined>>();

  async function find<T>(key: string, codec: Codec<T>): Promise<Parsed<T> | undefined> {
    const near = fromMemory(key, codec);
    if (near !== undefined) return near;
    const running = looks.get(key);
    // A key is always read with the same codec.
    if (running !== undefined) return running as Promise<Parsed<T> | undefined>;
    const look = lookFarther(key, codec).finally(() => looks.delete(key));
    looks.set(key, look);
    return look;
  }

  async function lookFarther<T>(key: string, codec: Codec<T>): Promise<Parsed<T> | undefined> {
    const found = await chain.get(key);
    if (found === undefined) return undefined;
    const parsed = parseEntry(found.entry, codec, found.tier);
    // A damaged or foreign value; it goes, so that it is not read again and again.
    if (parsed === undefined) later(chain.delete(key));
    return parsed;
  }

  async function evict(key: string): Promise<void> {
    await chain.delete(key);
    for (const { tier, writes } of chain.links) {
      if (!writes.isOpen()) await tier.announce?.({ key, exact: true }).catch(() => undefined);
    }
  }

  /** The client came back at once: drops the answer, avoids its route. @returns whether a new one is to be had. */
  function heals<T>(key: string, codec: Codec<T>, answer: CacheAnswer<T>, asker: Asker, time: number): boolean {
    if (!healer.suspects(asker, key, time)) return false;
    const route = codec.route?.(answer.value);
    if (route !== undefined) healer.mark(key, route);
    log.info("address asked for again at once, renewed", { entry: key, route });
    later(evict(key));
    return true;
  }

  /** Asks the platform, in one flight per key. @param old an old answer is at hand, should the platform fail. */
  function obtain<T>(request: ThroughRequest<T>, forced: boolean, old: boolean): Promise<CacheAnswer<T>> {
    const { kind, key, codec } = request;
    const ask = async (signal: AbortSignal): Promise<Outcome<T>> => {
      counts[kind].loads += 1;
      const hint = { avoid: healer.avoid(key), signal };
      const outcome = await keeper.ask(key, rules(kind), codec, () => request.load(hint), old);
      if ("failure" in outcome) counts[kind].failures += 1;
      later(outcome.stored);
      return outcome;
    };
    const flight = async (signal: AbortSignal): Promise<CacheAnswer<T>> => {
      if (!forced) {
        // Another flight may have ended between this caller's look and this start.
        const there = memory === undefined ? await find(key, codec) : fromMemory(key, codec);
        const answer = freshAnswer(there, now());
        if (answer !== undefined) return { ...answer, status: "miss" };
      }
      const shared = forced ? undefined : deps.remote;
      const outcome =
        shared === undefined ? await ask(signal) : await shared.once(key, remoteWork(key, codec, ask, signal));
      if ("failure" in outcome) throw outcome.failure;
      return outcome.answer;
    };
    // Who finds nothing while an answer is renewed waits for that one.
    const renewal = `!${key}`;
    return flights.run(forced || flights.has(renewal) ? renewal : key, flight, request.signal);
  }

  function remoteWork<T>(
    key: string,
    codec: Codec<T>,
    ask: (signal: AbortSignal) => Promise<Outcome<T>>,
    signal: AbortSignal,
  ) {
    return {
      signal,
      load: () => ask(signal),
      async readBack(): Promise<Outcome<T> | undefined> {
        const entry = await chain.getFrom("redis", key);
        const parsed = entry === undefined ? undefined : parseEntry(entry, codec, "redis");
        if (entry === undefined || parsed === undefined || parsed.freshUntil <= now()) return undefined;
        const stored = Promise.resolve();
        if (parsed.failure !== undefined) return { failure: errorOf(parsed.failure), stored };
        memory?.setSync(key, entry);
        return { answer: { ...parsed.answer, status: "miss" }, stored };
      },
    };
  }

  /** Renews a stale answer in the background; once per key at a time, and few altogether. */
  function refresh<T>(request: ThroughRequest<T>): void {
    if (refreshing >= deps.config().refreshes || keeper.rests(request.key)) return;
    refreshing += 1;
    const done = obtain({ ...request, signal: undefined }, false, true).then(
      () => undefined,
      () => undefined,
    );
    later(
      done.finally(() => {
        refreshing -= 1;
      }),
    );
  }

  function hit<T>(request: ThroughRequest<T>, answer: CacheAnswer<T>): CacheAnswer<T> {
    counts[request.kind].hits += 1;
    request.note?.("hit");
    const rule = rules(request.kind);
    if (rule.sliding) later(keeper.slide(request.key, rule, answer));
    return answer;
  }

  function stale<T>(request: ThroughRequest<T>, old: CacheAnswer<T>): CacheAnswer<T> {
    counts[request.kind].stale += 1;
    request.note?.("stale");
    return { ...old, status: "stale" };
  }

  /** What is stored of it: an answer to serve, or what is left to do. @throws AppError a kept failure. */
  async function look<T>(
    request: ThroughRequest<T>,
  ): Promise<{ serve: CacheAnswer<T> } | { old?: CacheAnswer<T>; forced: boolean; keeps?: boolean }> {
    const { kind, key, codec, client } = request;
    const rule = rules(kind);
    if (renewals.delete(key)) return { forced: true };
    const found = await find(key, codec);
    // Who goes past the cache is told of a fault; the others keep what is stored.
    if (request.bypass === true) return { forced: true, keeps: found !== undefined && found.failure === undefined };
    if (found === undefined) return { forced: false };
    const time = now();
    const fresh = found.freshUntil > time;
    if (found.failure !== undefined) {
      if (!fresh) return { forced: false };
      counts[kind].negative += 1;
      request.note?.("negative");
      throw errorOf(found.failure);
    }
    const { answer } = found;
    if (rule.heals && client !== undefined && heals(key, codec, answer, { peer: { address: client } }, time))
      return { forced: true };
    if (fresh) return { serve: hit(request, answer) };
    if (time < answer.expiresAt + rule.staleWhileRevalidate) {
      refresh(request);
      return { serve: stale(request, answer) };
    }
    if (time >= answer.expiresAt + rule.staleIfError) return { forced: false };
    return keeper.rests(key) ? { serve: stale(request, answer) } : { old: answer, forced: false };
  }

  async function through<T>(request: ThroughRequest<T>): Promise<CacheAnswer<T>> {
    const { kind, key, client } = request;
    const count = counts[kind];
    if (isNeverCached(deps.config().never, key)) return uncached(request);
    const found = await look(request);
    if ("serve" in found) return found.serve;
    try {
      const answer = await obtain(request, found.forced, found.old !== undefined || found.keeps === true);
      if (rules(kind).heals && client !== undefined) healer.served(client, key);
      if (request.bypass === true) {
        count.bypass += 1;
        request.note?.("bypass");
        return { ...answer, status: "bypass" };
      }
      count.misses += 1;
      request.note?.("miss");
      return answer;
    } catch (error) {
      if (found.old !== undefined && isFault(toAppError(error).kind)) return stale(request, found.old);
      count.misses += 1;
      request.note?.(request.bypass === true ? "bypass" : "miss");
      throw error;
    }
  }

  async function uncached<T>(request: ThroughRequest<T>): Promise<CacheAnswer<T>> {
    counts[request.kind].bypass += 1;
    counts[request.kind].loads += 1;
    request.note?.("bypass");
    const signal = request.signal ?? AbortSignal.timeout(deps.config().wait * 1000);
    const value = await request.load({ avoid: healer.avoid(request.key), signal });
    return { value, status: "bypass", storedAt: now(), expiresAt: now() };
  }

  return {
    through,
    evict,
    peek(kind, key, codec, asker) {
      const rule = rules(kind);
      if (rule.sliding || isNeverCached(deps.config().never, key)) return undefined;
      const time = now();
      const answer = freshAnswer(fromMemory(key, codec, time), time);
      if (answer === undefined) return undefined;
      if (rule.heals && asker !== undefined && heals(key, codec, answer, asker, time)) {
        if (renewals.size < MAX_RENEWALS) renewals.add(key);
        return undefined;
      }
      counts[kind].hits += 1;
      return answer;
    },
    stats: () => ({
      tiers: tierStats(chain),
      kinds: kindStats(counts),
      flights: { running: flights.running(), shared: flights.shared(), remoteWaits: deps.remote?.waits() ?? 0 },
      heal: healer.counts(),
    }),
    async settle() {
      while (background.size > 0) await Promise.all(background);
      await chain.settle();
    },
  };
}

function freshAnswer<T>(found: Parsed<T> | undefined, time: number): CacheAnswer<T> | undefined {
  return found === undefined || found.failure !== undefined || found.freshUntil <= time ? undefined : found.answer;
}

import { LRUCache } from "lru-cache";
import { type AppError, toAppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import type { Chain } from "./chain.ts";
import { encodeEnvelope, failureOf } from "./envelope.ts";
import { type CacheConfig, deadlinesOf, isFault, type KindRule, negativeLifetime } from "./kinds.ts";
import type { MemoryTier } from "./memory.ts";
import { type CacheAnswer, type Codec, parseEntry } from "./parsed.ts";
import type { Entry } from "./tier.ts";

/** What came of asking the platform; `stored` ends when every tier has been given it. */
export type Outcome<T> = { stored: Promise<void> } & ({ answer: CacheAnswer<T> } | { failure: AppError });

export interface KeeperDeps {
  config: () => CacheConfig;
  chain: Chain;
  memory?: MemoryTier | undefined;
  now: () => number;
  random: () => number;
  log: Logger;
}

/** Writes answers and failures into the tiers with the deadlines of their kind. */
export interface Keeper {
  /** Runs `ask` and stores what it says. Memory has it when this resolves. Never rejects. */
  ask<T>(key: string, rule: KindRule, codec: Codec<T>, ask: () => Promise<T>, old: boolean): Promise<Outcome<T>>;
  /** Prolongs the life of an answer of a sliding kind. */
  slide<T>(key: string, rule: KindRule, answer: CacheAnswer<T>): Promise<void>;
  /** The platform failed just now while an old answer was at hand: it is not to be asked yet. */
  rests(key: string): boolean;
}

const MAX_RESTING = 5_000;
/** A sliding kind is prolonged until this many lifetimes after it was asked for. */
const SLIDING_LIVES = 10;
const NOTHING: Promise<void> = Promise.resolve();

export function createKeeper(deps: KeeperDeps): Keeper {
  const { chain, memory, now, random, log } = deps;
  const resting = new LRUCache<string, number>({ max: MAX_RESTING });

  function keep<T>(key: string, rule: KindRule, codec: Codec<T>, value: T): Outcome<T> {
    const time = now();
    const deadlines = deadlinesOf(deps.config(), rule, codec.lifetimeSeconds?.(value), time, random);
    const miss: CacheAnswer<T> = { value, status: "miss", storedAt: time, expiresAt: deadlines?.freshUntil ?? time };
    if (deadlines?.realExpiresAt !== undefined) miss.realExpiresAt = deadlines.realExpiresAt;
    if (deadlines === undefined || value === undefined) return { answer: miss, stored: NOTHING };
    const text = encodeEnvelope({ storedAt: time, ...deadlines, content: { value } });
    const entry: Entry = { value: text, expiresAt: deadlines.expiresAt };
    const parsed = parseEntry(entry, codec, "memory");
    if (parsed === undefined || parsed.failure !== undefined) {
      log.warn("answer does not survive storing", { entry: key });
      return { answer: miss, stored: NOTHING };
    }
    resting.delete(key);
    const stored = chain.set(key, entry);
    const near = memory?.getSync(key);
    if (near?.value === text) near.parsed = parsed;
    return { answer: { ...miss, value: parsed.answer.value }, stored };
  }

  function keepFailure(key: string, error: AppError, old: boolean): Promise<void> {
    const life = negativeLifetime(deps.config(), error.kind);
    if (life === 0) return NOTHING;
    const time = now();
    if (old && isFault(error.kind)) {
      // The old answer is worth more than the knowledge that the platform fails.
      resting.set(key, time + life);
      return NOTHING;
    }
    const freshUntil = time + life;
    const value = encodeEnvelope({ storedAt: time, freshUntil, content: { failure: failureOf(error) } });
    return chain.set(key, { value, expiresAt: freshUntil });
  }

  return {
    rests: (key) => (resting.get(key) ?? 0) > now(),

    async ask(key, rule, codec, ask, old) {
      try {
        return keep(key, rule, codec, await ask());
      } catch (error) {
        const failure = toAppError(error);
        if (failure !== error) log.error("loading failed", { entry: key, error });
        return { failure, stored: keepFailure(key, failure, old) };
      }
    },

    async slide(key, rule, answer) {
      const { life } = rule;
      if (!rule.sliding || life === "platform") return;
      const time = now();
      if (answer.expiresAt - time > life / 2 || time - answer.storedAt > life * SLIDING_LIVES) return;
      const deadlines = deadlinesOf(deps.config(), rule, undefined, time, random);
      if (deadlines === undefined) return;
      const value = encodeEnvelope({ storedAt: answer.storedAt, ...deadlines, content: { value: answer.value } });
      await chain.set(key, { value, expiresAt: deadlines.expiresAt });
    },
  };
}

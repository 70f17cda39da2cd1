import type { Redis } from "ioredis";
import type { Logger } from "../ops/log.ts";
import { clientNetwork } from "./address.ts";
import {
  ADMITTED,
  admission,
  applies,
  createMemoryLimiter,
  type Limiter,
  type LimitOptions,
  type LimitSubject,
  type Rule,
  readRules,
  refusal,
  type Verdict,
} from "./limits.ts";
import { createScript } from "./redis-script.ts";

/** Every key is asked first, and charged only when all admit. Time is Redis's own, so that instances agree on it. */
const SCRIPT = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local tats, out, refused = {}, {}, false
for i = 1, #KEYS do
  local interval, span = tonumber(ARGV[i * 2 - 1]), tonumber(ARGV[i * 2])
  local tat = math.max(tonumber(redis.call('GET', KEYS[i]) or '0'), now)
  tats[i] = tat
  local wait = math.max(0, tat + interval - span - now)
  if wait > 0 then refused = true end
  out[i * 2 - 1] = wait
end
for i = 1, #KEYS do
  local interval, span = tonumber(ARGV[i * 2 - 1]), tonumber(ARGV[i * 2])
  local tat = tats[i]
  if not refused then
    tat = tat + interval
    redis.call('SET', KEYS[i], string.format('%.0f', tat), 'PX', math.max(1, tat - now))
  end
  out[i * 2] = math.max(0, math.floor((span - (tat - now)) / interval))
end
return out
`;

export interface RedisLimiterDeps {
  options: LimitOptions;
  redis: Redis;
  /** Prefix of every key, without a colon at its end. */
  prefix: string;
  log: Logger;
  /** Ms after which this instance counts alone. */
  deadlineMs?: number;
}

/** Limits shared by all instances. When Redis does not answer in time, each instance counts for itself for a while. */
export function createRedisLimiter({ options, redis, prefix, log, deadlineMs = 200 }: RedisLimiterDeps): Limiter {
  const rules = readRules(options);
  const clientRules = rules.filter((rule) => rule.scope !== "key");
  const keyRules = rules.filter((rule) => rule.scope === "key");
  const alone = createMemoryLimiter(options);
  const script = createScript({ redis, source: SCRIPT, deadlineMs, log, name: "rate limit" });

  /** The braces keep all keys of a request in one slot of a cluster. */
  function keyOf(rule: Rule, subject: LimitSubject): string {
    const who = { global: "all", ip: clientNetwork(subject.address).text, key: String(subject.keyId) }[rule.scope];
    return `${prefix}:{limit}:${rule.name}:${who}`;
  }

  async function admit(list: readonly Rule[], subject: LimitSubject): Promise<Verdict | undefined> {
    const due = list.filter((rule) => applies(rule, subject));
    if (due.length === 0) return ADMITTED;
    const keys = due.map((rule) => keyOf(rule, subject));
    const numbers = due.flatMap((rule) => {
      const interval = Math.ceil(rule.intervalMs);
      return [interval, interval * rule.burst];
    });
    const reply = await script.run(keys, numbers);
    if (reply === undefined) return undefined;
    let nearest: Rule | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [position, rule] of due.entries()) {
      const waitMs = Number(reply[position * 2] ?? 0);
      if (waitMs > 0) return refusal(rule, waitMs);
      const left = Number(reply[position * 2 + 1] ?? 0);
      if (left < least) [nearest, least] = [rule, left];
    }
    return nearest === undefined ? ADMITTED : admission(nearest, least);
  }

  return {
    idle: clientRules.length === 0,
    admitClient(subject) {
      if (clientRules.length === 0) return ADMITTED;
      return admit(clientRules, subject).then((verdict) => verdict ?? alone.admitClient(subject));
    },
    admitKey(subject) {
      if (keyRules.length === 0) return ADMITTED;
      return admit(keyRules, subject).then((verdict) => verdict ?? alone.admitKey(subject));
    },
    close: async () => {},
  };
}

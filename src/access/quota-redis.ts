import type { Redis } from "ioredis";
import type { Logger } from "../ops/log.ts";
import type { QuotaWindow } from "./quota.ts";
import { createScript } from "./redis-script.ts";

const SCRIPT = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local partMs, parts, bound = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local part = math.floor(now / partMs)
local all = redis.call('HGETALL', KEYS[1])
local sum, oldest = 0, part
for i = 1, #all, 2 do
  local number = tonumber(all[i])
  if number < part - parts then
    redis.call('HDEL', KEYS[1], all[i])
  else
    sum = sum + tonumber(all[i + 1])
    oldest = math.min(oldest, number)
  end
end
if sum >= bound then return math.max(1, (oldest + parts + 1) * partMs - now) end
redis.call('HINCRBY', KEYS[1], string.format('%.0f', part), 1)
redis.call('PEXPIRE', KEYS[1], (parts + 1) * partMs)
return 0
`;

export interface SharedQuota {
  /** @returns ms to wait, 0 = counted; undefined when Redis cannot be asked. */
  take(id: number, window: QuotaWindow, bound: number): Promise<number | undefined>;
}

/** The same windows as `quota.ts`, counted in Redis for all instances together. */
export function createSharedQuota(redis: Redis, prefix: string, log: Logger, deadlineMs = 200): SharedQuota {
  const script = createScript({ redis, source: SCRIPT, deadlineMs, log, name: "key quota" });
  return {
    async take(id, window, bound) {
      const key = `${prefix}:{quota}:${window.windowMs}:${id}`;
      const reply = await script.run([key], [window.windowMs / window.parts, window.parts, bound]);
      return reply === undefined ? undefined : Number(reply[0] ?? 0);
    },
  };
}

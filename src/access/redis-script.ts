import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import type { Logger } from "../ops/log.ts";

export interface ScriptOptions {
  redis: Redis;
  source: string;
  deadlineMs: number;
  log: Logger;
  /** For the log. */
  name: string;
}

export interface Script {
  /** The script's list of numbers; undefined when Redis did not answer in time, or failed a moment ago. */
  run(keys: readonly string[], args: readonly (string | number)[]): Promise<unknown[] | undefined>;
}

/** How long Redis is left alone after a failure: every request would wait for the deadline otherwise. */
const REST_MS = 3000;

/** A Lua script that runs atomically, sent by its hash, in full only when the server does not know it yet. */
export function createScript({ redis, source, deadlineMs, log, name }: ScriptOptions): Script {
  const sha = createHash("sha1").update(source).digest("hex");
  let restUntil = 0;

  async function call(keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await redis.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return redis.eval(source, keys.length, ...keys, ...args);
    }
  }

  return {
    async run(keys, args) {
      if (performance.now() < restUntil) return undefined;
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error("no answer in time")), deadlineMs);
      });
      try {
        const reply = await Promise.race([call(keys, args), late]);
        return Array.isArray(reply) ? reply : [reply];
      } catch (error) {
        restUntil = performance.now() + REST_MS;
        log.warn("redis failed, this instance counts alone for a while", { script: name, error });
        return undefined;
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

import { connected, mastersOf, type RedisClient, troubleOf } from "./redis-client.ts";
import type { CacheTier, Drop, Entry } from "./tier.ts";

export interface RedisTierOptions {
  client: RedisClient;
  /** Prefix of every key that we use there. */
  prefix: string;
  /** Unix ms. */
  now: () => number;
  /** Tells the other instances; see `bus.ts`. */
  announce: (drop: Drop) => Promise<void>;
}

/** The last millisecond that a date can name; later than this is no end. */
const MAX_DEADLINE = 8_640_000_000_000_000;
/** Keys asked for or dropped in one go. */
const SLICE = 500;

/**
 * Entries as strings `<deadline>|<value>` under `<prefix>:cache:<key>`. Redis drops them by itself; the deadline is
 * kept with the value as well, so that a copy in a nearer tier has the same.
 */
export function createRedisTier({ client, prefix, now, announce }: RedisTierOptions): CacheTier {
  const root = `${prefix}:cache:`;
  const decode = (text: string | null): Entry | undefined => {
    if (text === null) return undefined;
    const bar = text.indexOf("|");
    const head = text.slice(0, bar);
    const expiresAt = head === "-" ? Number.POSITIVE_INFINITY : Number(head);
    // Not a number compares as false: a foreign value counts as absent.
    return bar > 0 && expiresAt > now() ? { value: text.slice(bar + 1), expiresAt } : undefined;
  };

  /** Our keys on every master, slice by slice, as they are called there. */
  async function* slices(keyPrefix: string): AsyncGenerator<string[]> {
    for (const master of mastersOf(client)) {
      let cursor = "0";
      do {
        const [next, keys] = await master.scan(cursor, "MATCH", `${escapeGlob(root + keyPrefix)}*`, "COUNT", SLICE);
        cursor = next;
        if (keys.length > 0) yield keys;
      } while (cursor !== "0");
    }
  }

  /** The same, but what fails for want of a connection says why there is none. */
  async function told<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw troubleOf(client) ?? error;
    }
  }

  return {
    name: "redis",
    async get(key) {
      return decode(await told(client.get(root + key)));
    },
    async set(key, { value, expiresAt }) {
      // Redis refuses what it cannot count, and a refused write is tried again and again.
      if (expiresAt > MAX_DEADLINE) {
        await told(client.set(root + key, `-|${value}`));
        return;
      }
      const life = Math.ceil(expiresAt - now());
      if (life <= 0) await told(client.del(root + key));
      else await told(client.set(root + key, `${Math.floor(expiresAt)}|${value}`, "PX", life));
    },
    async delete(key) {
      await told(client.del(root + key));
    },
    async close() {
      client.disconnect();
    },
    ready: () => connected(client),
    async size() {
      let entries = 0;
      for await (const keys of slices("")) entries += keys.length;
      return { entries };
    },
    async *entries(keyPrefix) {
      for await (const keys of slices(keyPrefix)) {
        const texts = await Promise.all(keys.map((key) => client.get(key)));
        for (const [index, text] of texts.entries()) {
          const entry = decode(text);
          const key = keys[index];
          if (entry !== undefined && key !== undefined) yield [key.slice(root.length), entry];
        }
      }
    },
    async prune() {
      // By the real clock Redis has done it already.
      let dropped = 0;
      for await (const keys of slices("")) {
        const texts = await Promise.all(keys.map((key) => client.get(key)));
        const late = keys.filter((_key, index) => decode(texts[index] ?? null) === undefined);
        for (const key of late) dropped += await client.del(key);
      }
      return dropped;
    },
    async deletePrefix(keyPrefix) {
      let dropped = 0;
      for await (const keys of slices(keyPrefix)) {
        const gone = await Promise.all(keys.map((key) => client.del(key)));
        dropped += gone.reduce((sum, count) => sum + count, 0);
      }
      return dropped;
    },
    announce,
  };
}

export function escapeGlob(text: string): string {
  return text.replace(/[\\*?[\]]/g, "\\$&");
}

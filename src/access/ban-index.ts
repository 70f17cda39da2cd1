import { type Address, type Network, networkOf } from "./address.ts";

export const BAN_REASONS = ["key", "lxm", "host", "probe", "login", "manual", "import"] as const;
export type BanReason = (typeof BAN_REASONS)[number];

export interface Ban {
  /** Address or network in its one spelling. */
  target: string;
  reason: BanReason;
  /** What the operator wrote; empty for automatic ones. */
  note: string;
  /** Unix ms. */
  createdAt: number;
  /** Unix ms; Infinity = until it is lifted. */
  expiresAt: number;
  /** How often this target has been banned, this time included. */
  times: number;
}

/**
 * Who is kept out, and until when; nothing else, and no object for each ban: those that a flood leaves behind would lie
 * scattered over the heap and hold it open. What is known besides stands in the database.
 */
export interface BanIndex {
  readonly size: number;
  /** Is this address covered by a ban that has not ended? Under 0.1 µs while there are only single IPv4 bans. */
  covers(address: Address, now: number): boolean;
  has(network: Network): boolean;
  /** @param expiresAt Unix ms, Infinity = until it is lifted */
  set(network: Network, expiresAt: number): void;
  delete(network: Network): boolean;
  /** Drops what has ended. */
  sweep(now: number): void;
  clear(): void;
}

/** One map for each prefix length in use, so that a look-up costs one probe a length and not one a ban. */
export function createBanIndex(): BanIndex {
  const v4 = new Map<number, Map<number, number>>();
  const v6 = new Map<number, Map<string, number>>();
  let size = 0;

  function put<K>(lengths: Map<number, Map<K, number>>, bits: number, key: K, expiresAt: number): void {
    let bans = lengths.get(bits);
    if (bans === undefined) {
      bans = new Map();
      lengths.set(bits, bans);
    }
    if (!bans.has(key)) size++;
    bans.set(key, expiresAt);
  }

  function drop<K>(lengths: Map<number, Map<K, number>>, bits: number, key: K): boolean {
    const bans = lengths.get(bits);
    if (bans?.delete(key) !== true) return false;
    size--;
    if (bans.size === 0) lengths.delete(bits);
    return true;
  }

  function dropEnded<K>(lengths: Map<number, Map<K, number>>, now: number): void {
    for (const [bits, bans] of lengths) {
      for (const [key, expiresAt] of bans) if (expiresAt <= now) drop(lengths, bits, key);
    }
  }

  return {
    get size() {
      return size;
    },
    covers(address, now) {
      if (size === 0) return false;
      if (address.family === 4) {
        for (const [bits, bans] of v4) {
          const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
          const expiresAt = bans.get((address.words[3] & mask) >>> 0);
          if (expiresAt !== undefined && expiresAt > now) return true;
        }
        return false;
      }
      for (const [bits, bans] of v6) {
        const expiresAt = bans.get(networkOf(address, bits).text);
        if (expiresAt !== undefined && expiresAt > now) return true;
      }
      return false;
    },
    has: (network) =>
      (network.family === 4 ? v4.get(network.bits)?.has(network.words[3]) : v6.get(network.bits)?.has(network.text)) ===
      true,
    set(network, expiresAt) {
      if (network.family === 4) put(v4, network.bits, network.words[3], expiresAt);
      else put(v6, network.bits, network.text, expiresAt);
    },
    delete: (network) =>
      network.family === 4 ? drop(v4, network.bits, network.words[3]) : drop(v6, network.bits, network.text),
    sweep(now) {
      dropEnded(v4, now);
      dropEnded(v6, now);
    },
    clear() {
      v4.clear();
      v6.clear();
      size = 0;
    },
  };
}

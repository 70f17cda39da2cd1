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

export interface BanIndex {
  readonly size: number;
  /** The ban that covers this address, expired ones excluded. Under 0.1 µs while there are only single IPv4 bans. */
  find(address: Address, now: number): Ban | undefined;
  get(network: Network): Ban | undefined;
  set(network: Network, ban: Ban): void;
  delete(network: Network): boolean;
  clear(): void;
  values(): Iterable<Ban>;
}

/** One map for each prefix length in use, so that a look-up costs one probe a length and not one a ban. */
export function createBanIndex(): BanIndex {
  const v4 = new Map<number, Map<number, Ban>>();
  const v6 = new Map<number, Map<string, Ban>>();
  let size = 0;

  function put<K>(lengths: Map<number, Map<K, Ban>>, bits: number, key: K, ban: Ban): void {
    let bans = lengths.get(bits);
    if (bans === undefined) {
      bans = new Map();
      lengths.set(bits, bans);
    }
    if (!bans.has(key)) size++;
    bans.set(key, ban);
  }

  function drop<K>(lengths: Map<number, Map<K, Ban>>, bits: number, key: K): boolean {
    const bans = lengths.get(bits);
    if (bans?.delete(key) !== true) return false;
    size--;
    if (bans.size === 0) lengths.delete(bits);
    return true;
  }

  return {
    get size() {
      return size;
    },
    find(address, now) {
      if (size === 0) return undefined;
      if (address.family === 4) {
        for (const [bits, bans] of v4) {
          const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
          const ban = bans.get((address.words[3] & mask) >>> 0);
          if (ban !== undefined && ban.expiresAt > now) return ban;
        }
        return undefined;
      }
      for (const [bits, bans] of v6) {
        const ban = bans.get(networkOf(address, bits).text);
        if (ban !== undefined && ban.expiresAt > now) return ban;
      }
      return undefined;
    },
    get: (network) =>
      network.family === 4 ? v4.get(network.bits)?.get(network.words[3]) : v6.get(network.bits)?.get(network.text),
    set(network, ban) {
      if (network.family === 4) put(v4, network.bits, network.words[3], ban);
      else put(v6, network.bits, network.text, ban);
    },
    delete: (network) =>
      network.family === 4 ? drop(v4, network.bits, network.words[3]) : drop(v6, network.bits, network.text),
    clear() {
      v4.clear();
      v6.clear();
      size = 0;
    },
    *values() {
      for (const bans of v4.values()) yield* bans.values();
      for (const bans of v6.values()) yield* bans.values();
    },
  };
}

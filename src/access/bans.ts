import type { Database } from "bun:sqlite";
import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { type Address, clientNetwork, type Network, parseAddress, parseNetwork } from "./address.ts";
import { type Ban, type BanReason, createBanIndex } from "./ban-index.ts";
import { type BanSharing, noSharing } from "./ban-sharing.ts";
import { createBanStore } from "./ban-store.ts";
import { isLoopback, networkSet } from "./networks.ts";
import { createRateTable } from "./rate-table.ts";

/** What leads to a ban by itself. */
export const OFFENCES = ["key", "lxm", "host", "probe", "login"] as const;
export type Offence = (typeof OFFENCES)[number];

export interface OffencePolicy {
  /** So many within `windowSeconds` lead to a ban; 1 = the first one; 0 = never. */
  count: number;
  /** First ban, in seconds. */
  seconds: number;
}

export interface BanPolicy {
  /** Off: nobody is kept out, nothing is counted; what is stored stays. */
  enable: boolean;
  /** Off: bans last until they are lifted. */
  expire: boolean;
  windowSeconds: number;
  /** Each further ban lasts so many times as long as the one before, … */
  growth: number;
  /** … up to so many seconds. */
  maxSeconds: number;
  /** Addresses and networks that are never banned; loopback never is. */
  allow: readonly string[];
  /** Strikes are remembered for half as many clients at the same time; 12 bytes each. */
  addresses: number;
  offences: Record<Offence, OffencePolicy>;
}

export interface BansDeps {
  db: Database;
  policy: BanPolicy;
  log: Logger;
  sharing?: BanSharing | undefined;
  /** Unix ms. */
  now?: () => number;
}

export interface ManualBan {
  /** Address, or network as CIDR. */
  target: string;
  note?: string;
  /** Undefined = until it is lifted. */
  seconds?: number | undefined;
}

export interface Bans {
  /** Nobody is kept out, whoever asks. */
  readonly idle: boolean;
  /** Is this address kept out? */
  isBanned(address: Address): boolean;
  /** Counts an offence. @returns the ban when this was one too many. */
  strike(address: Address, offence: Offence): Ban | undefined;
  /** @throws AppError `invalid_request` when the target is none, or may never be banned. */
  add(ban: ManualBan): Ban;
  /** Takes over bans of another program. @returns how many were new. */
  take(bans: readonly Omit<Ban, "times">[]): number;
  /** False when there is no such ban. @throws AppError `invalid_request` when the target is none. */
  remove(target: string): boolean;
  /** Those in force, newest first. */
  list(): Ban[];
  configure(policy: BanPolicy): void;
  reload(): void;
  flush(): void;
  close(): Promise<void>;
}

/** Bans kept in memory. When a flood brings more, those of the flood that end first give way. */
const MAX_ACTIVE = 50_000;
const FLUSH_MS = 1000;
const SWEEP_MS = 60_000;

export function createBans({ db, policy: first, log, sharing = noSharing, now = Date.now }: BansDeps): Bans {
  // Strikes are counted by a clock that nobody sets back.
  const clock = now === Date.now ? () => performance.now() : now;
  const index = createBanIndex();
  const store = createBanStore(db, now);
  let policy = first;
  let allow = networkSet(policy.allow);
  let strikes = strikeTable(policy, clock);
  /** Written together, off the request path; a ban in force does not wait for it. */
  const unwritten = new Map<string, Ban>();

  const immune = (address: Address) => isLoopback(address) || allow.has(address);

  function load(): void {
    flush();
    index.clear();
    for (const ban of store.active(MAX_ACTIVE)) enter(ban.target, ban.expiresAt);
  }

  function enter(target: string, expiresAt: number): void {
    const network = parseNetwork(target);
    if (network === undefined) return;
    if (index.size >= MAX_ACTIVE && !index.has(network)) makeRoom();
    index.set(network, expiresAt);
  }

  function makeRoom(): void {
    index.sweep(now());
    if (index.size < MAX_ACTIVE) return;
    flush();
    // A tenth at once: a search for every newcomer of a flood would be its work done for it.
    for (const target of store.firstToEnd(MAX_ACTIVE / 10)) {
      lift(target);
      store.remove(target);
    }
    log.warn("too many bans, those that end first were dropped", { kept: index.size });
  }

  function lift(target: string): boolean {
    const network = parseNetwork(target);
    return network !== undefined && index.delete(network);
  }

  function flush(): void {
    if (unwritten.size === 0) return;
    const bans = [...unwritten.values()];
    unwritten.clear();
    try {
      store.write(bans);
    } catch (error) {
      log.error("bans could not be written", { count: bans.length, error });
    }
  }

  function impose(network: Network, reason: BanReason, note: string, seconds: number | undefined, fixed: boolean): Ban {
    const time = now();
    const times = (unwritten.get(network.text)?.times ?? store.times(network.text)) + 1;
    const grown = fixed || seconds === undefined ? seconds : grow(seconds, times, policy);
    const expiresAt = grown === undefined ? Number.POSITIVE_INFINITY : time + grown * 1000;
    const ban: Ban = { target: network.text, reason, note, createdAt: time, expiresAt, times };
    enter(ban.target, ban.expiresAt);
    unwritten.set(ban.target, ban);
    sharing.publish({ op: "add", ban });
    return ban;
  }

  function protectedTarget(network: Network): boolean {
    const address = parseAddress(network.text.split("/")[0] ?? "");
    return address !== undefined && network.bits >= (network.family === 4 ? 8 : 48) && immune(address);
  }

  const timers = [setInterval(flush, FLUSH_MS), setInterval(() => index.sweep(now()), SWEEP_MS)];
  for (const timer of timers) timer.unref();
  load();
  sharing.subscribe((message) => {
    if (message.op === "remove") {
      lift(message.target);
      unwritten.delete(message.target);
      store.remove(message.target);
    } else if (message.ban.expiresAt > now()) {
      enter(message.ban.target, message.ban.expiresAt);
      unwritten.set(message.ban.target, message.ban);
    }
  });

  return {
    get idle() {
      return index.size === 0 || !policy.enable;
    },
    isBanned: (address) => policy.enable && index.covers(address, now()) && !immune(address),
    strike(address, offence) {
      const rule = policy.offences[offence];
      if (!policy.enable || rule.count === 0 || immune(address)) return undefined;
      if (rule.count > 1 && !strikes.isOneTooMany(address, offence)) return undefined;
      const ban = impose(clientNetwork(address), offence, "", policy.expire ? rule.seconds : undefined, false);
      log.warn("address banned", { address: ban.target, reason: offence, times: ban.times, until: until(ban) });
      return ban;
    },
    add({ target, note = "", seconds }) {
      const network = parseNetwork(target);
      if (network === undefined) throw new AppError("invalid_request", `${target} 不是 IP 地址或网段`);
      if (protectedTarget(network)) throw new AppError("invalid_request", `${target} 是本机或在允许列表中，不能封禁`);
      const ban = impose(network, "manual", note, seconds, true);
      flush();
      return ban;
    },
    take(bans) {
      let count = 0;
      for (const ban of bans) {
        const network = parseNetwork(ban.target);
        if (network === undefined || protectedTarget(network) || index.has(network)) continue;
        const taken: Ban = { ...ban, target: network.text, times: store.times(network.text) + 1 };
        enter(taken.target, taken.expiresAt);
        unwritten.set(taken.target, taken);
        sharing.publish({ op: "add", ban: taken });
        count++;
      }
      flush();
      return count;
    },
    remove(target) {
      const network = parseNetwork(target);
      if (network === undefined) throw new AppError("invalid_request", `${target} 不是 IP 地址或网段`);
      flush();
      const lifted = lift(network.text);
      const stored = store.remove(network.text);
      if (lifted || stored) sharing.publish({ op: "remove", target: network.text });
      return lifted || stored;
    },
    list() {
      flush();
      return store.active(MAX_ACTIVE);
    },
    configure(next) {
      policy = next;
      allow = networkSet(policy.allow);
      strikes = strikeTable(policy, clock);
    },
    reload: load,
    flush,
    async close() {
      for (const timer of timers) clearInterval(timer);
      flush();
      await sharing.close();
    },
  };
}

function grow(seconds: number, times: number, policy: BanPolicy): number {
  return Math.min(seconds * Math.max(1, policy.growth) ** (times - 1), Math.max(policy.maxSeconds, seconds));
}

function until(ban: Ban): string {
  return Number.isFinite(ban.expiresAt) ? new Date(ban.expiresAt).toISOString() : "lifted";
}

/** Strikes fade evenly over the window; an offence that finds no token left is one too many. */
function strikeTable(policy: BanPolicy, clock: () => number) {
  const counted = OFFENCES.filter((offence) => policy.offences[offence].count > 1);
  const table = createRateTable(counted.length === 0 ? 8 : policy.addresses / 2, clock(), "forget");
  const rates = new Map<Offence, number>();
  for (const offence of counted) {
    const burst = policy.offences[offence].count - 1;
    rates.set(offence, table.add({ intervalMs: (policy.windowSeconds * 1000) / burst, burst }));
  }
  return {
    isOneTooMany(address: Address, offence: Offence): boolean {
      const rate = rates.get(offence);
      if (rate === undefined) return false;
      const [hi, lo] = address.family === 4 ? [0xfffffffe, address.words[3]] : [address.words[0], address.words[1]];
      const time = clock();
      const full = table.wait(rate, hi, lo, time) > 0;
      if (!full) table.take(rate, hi, lo, time);
      return full;
    },
  };
}

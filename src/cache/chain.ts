import { LRUCache } from "lru-cache";
import type { Logger } from "../ops/log.ts";
import { type Breaker, createBreaker, within } from "./breaker.ts";
import type { CacheTier, Drop, Entry, TierName } from "./tier.ts";

export interface ChainOptions {
  /** Nearest first. */
  tiers: { tier: CacheTier; deadlineMs?: number | undefined }[];
  breaker: { failures: number; baseMs: number; maxMs: number };
  now: () => number;
  random: () => number;
  log: Logger;
}

export interface TierCounts {
  hits: number;
  misses: number;
  errors: number;
  writes: number;
}

/** A write that a tier has not taken; without entry it was a deletion. */
export interface Missed {
  entry: Entry | undefined;
}

/** One tier with its failure policy. Reading and writing fail apart: a read-only or full server still answers. */
export interface Link {
  readonly tier: CacheTier;
  readonly counts: TierCounts;
  readonly reads: Breaker;
  readonly writes: Breaker;
  /** Writes that the tier has not taken, the oldest first to be forgotten. */
  readonly missed: LRUCache<string, Missed>;
  /** Writes under way: key -> number of the newest one. */
  readonly writing: Map<string, number>;
}

export interface Chain {
  readonly links: readonly Link[];
  /** The nearest tier that has it; the tiers before it get a copy with the same deadline. Never throws. */
  get(key: string): Promise<{ entry: Entry; tier: TierName } | undefined>;
  /** Only this tier, with its deadline and breaker. */
  getFrom(name: TierName, key: string): Promise<Entry | undefined>;
  /** Into every tier; a tier that fails gets it when it is back. Never throws. */
  set(key: string, entry: Entry): Promise<void>;
  /** Bulk writes: memory only forgets the key, unless it is all there is. */
  setBehind(key: string, entry: Entry): Promise<void>;
  delete(key: string): Promise<void>;
  /** Another process has dropped this from a tier that it shares with us: so do these tiers of ours. */
  forget(drop: Drop, names: readonly TierName[]): Promise<void>;
  link(name: TierName): Link | undefined;
  /** Waits for what runs in the background: copies, probes, catching up. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** Missed writes kept for one tier. Beyond it the oldest is forgotten: the tier may then serve an older, unexpired value. */
const MAX_MISSED = 20_000;
const PROBE_KEY = "probe";
const REPLAY_BATCH = 32;

/** Tiers in order, each behind breakers: a broken tier is noted once, left out, and probed in the background. */
export function createChain(options: ChainOptions): Chain {
  const links = options.tiers.map((slot) => createLink(slot.tier, options));
  const deadlines = new Map(options.tiers.map((slot) => [slot.tier, slot.deadlineMs]));
  const background = new Set<Promise<void>>();
  /** Reads under way; one whose key is written meanwhile must not be copied back. */
  const reading = new Map<string, { readers: number; overtaken: boolean }>();
  let writes = 0;

  const timed = <T>(tier: CacheTier, work: Promise<T>): Promise<T> => {
    const ms = deadlines.get(tier);
    return ms === undefined ? work : within(work, ms);
  };

  function later(work: Promise<void>): void {
    const task = work.finally(() => background.delete(task));
    background.add(task);
  }

  async function read(link: Link, key: string): Promise<Entry | undefined> {
    if (link.reads.isOpen()) {
      if (link.reads.claimProbe()) later(probeReads(link));
      return undefined;
    }
    // What it holds of this key is older than what was written last.
    if (link.missed.has(key)) return undefined;
    try {
      const entry = await timed(link.tier, link.tier.get(key));
      link.reads.succeeded();
      if (link.missed.has(key)) return undefined;
      if (entry === undefined) link.counts.misses += 1;
      else link.counts.hits += 1;
      return entry;
    } catch (error) {
      link.counts.errors += 1;
      link.reads.failed(error);
      return undefined;
    }
  }

  async function write(link: Link, key: string, change: Entry | undefined): Promise<void> {
    if (link.writes.isOpen()) {
      link.writing.delete(key);
      link.missed.set(key, { entry: change });
      catchUp(link);
      return;
    }
    writes += 1;
    const turn = writes;
    link.writing.set(key, turn);
    link.missed.delete(key);
    try {
      await timed(link.tier, change === undefined ? link.tier.delete(key) : link.tier.set(key, change));
      link.writes.succeeded();
      link.counts.writes += 1;
    } catch (error) {
      // Overtaken by a later write of the same key: that one counts.
      if (link.writing.get(key) === turn) link.missed.set(key, { entry: change });
      link.counts.errors += 1;
      link.writes.failed(error);
    } finally {
      if (link.writing.get(key) === turn) link.writing.delete(key);
    }
  }

  function overtake(key: string): void {
    const mark = reading.get(key);
    if (mark !== undefined) mark.overtaken = true;
  }

  /** Starts what brings a tier up to date, when there is something and its pause is over. */
  function catchUp(link: Link): void {
    if (link.missed.size === 0 && !link.writes.isOpen()) return;
    if (!link.writes.isOpen() || link.writes.claimProbe()) later(replay(link));
  }

  async function probeReads(link: Link): Promise<void> {
    try {
      await timed(link.tier, link.tier.get(PROBE_KEY));
      link.reads.succeeded();
    } catch (error) {
      link.reads.failed(error);
    }
  }

  const replaying = new Set<Link>();

  /** Writes what the tier has missed; the first success shows that it takes writes again. */
  async function replay(link: Link): Promise<void> {
    if (replaying.has(link)) return;
    replaying.add(link);
    try {
      if (link.missed.size === 0) await timed(link.tier, link.tier.delete(PROBE_KEY));
      const [first, ...rest] = [...link.missed.rkeys()];
      if (first !== undefined) await rewrite(link, first);
      // One success is enough: what is still missed is not read from this tier until it is written.
      link.writes.succeeded();
      for (let at = 0; at < rest.length; at += REPLAY_BATCH) {
        await Promise.all(rest.slice(at, at + REPLAY_BATCH).map((key) => rewrite(link, key)));
      }
    } catch (error) {
      link.writes.failed(error);
    } finally {
      replaying.delete(link);
    }
  }

  async function rewrite(link: Link, key: string): Promise<void> {
    const missed = link.missed.peek(key);
    if (missed === undefined) return;
    const { entry } = missed;
    const live = entry !== undefined && entry.expiresAt > options.now();
    await timed(link.tier, live ? link.tier.set(key, entry) : link.tier.delete(key));
    // Unless it was written anew while this was under way.
    if (link.missed.peek(key) === missed) link.missed.delete(key);
  }

  return {
    links,
    link: (name) => links.find((link) => link.tier.name === name),

    async get(key) {
      // Also the tiers that a nearer hit leaves unasked: what they missed would be lost with this process.
      for (const link of links) catchUp(link);
      const mark = reading.get(key) ?? { readers: 0, overtaken: false };
      mark.readers += 1;
      reading.set(key, mark);
      try {
        for (const [index, link] of links.entries()) {
          const entry = await read(link, key);
          if (entry === undefined) continue;
          if (!mark.overtaken) for (const nearer of links.slice(0, index)) later(write(nearer, key, entry));
          return { entry, tier: link.tier.name };
        }
        return undefined;
      } finally {
        mark.readers -= 1;
        if (mark.readers === 0 && reading.get(key) === mark) reading.delete(key);
      }
    },

    async getFrom(name, key) {
      const link = links.find((candidate) => candidate.tier.name === name);
      return link === undefined ? undefined : read(link, key);
    },

    async set(key, entry) {
      overtake(key);
      await Promise.all(links.map((link) => write(link, key, entry)));
    },

    async setBehind(key, entry) {
      overtake(key);
      const nearest = (link: Link) => link.tier.name === "memory" && links.length > 1;
      await Promise.all(links.map((link) => write(link, key, nearest(link) ? undefined : entry)));
    },

    async delete(key) {
      overtake(key);
      await Promise.all(links.map((link) => write(link, key, undefined)));
    },

    async forget({ key, exact }, names) {
      for (const [candidate, mark] of reading) {
        if (exact ? candidate === key : candidate.startsWith(key)) mark.overtaken = true;
      }
      for (const link of links.filter((candidate) => names.includes(candidate.tier.name))) {
        if (exact) await write(link, key, undefined);
        else await link.tier.deletePrefix?.(key);
      }
    },

    async settle() {
      while (background.size > 0) await Promise.all(background);
    },

    async close() {
      while (background.size > 0) await Promise.all(background);
      await Promise.all(
        links.map((link) =>
          link.tier
            .close()
            .catch((error) => options.log.warn("cache tier did not close", { tier: link.tier.name, error })),
        ),
      );
    },
  };
}

function createLink(tier: CacheTier, options: ChainOptions): Link {
  const { log } = options;
  const breaker = (what: "reads" | "writes") =>
    createBreaker({
      ...options.breaker,
      now: options.now,
      random: options.random,
      onOpen: (error) => log.warn("cache tier fails, served without it", { tier: tier.name, what, error }),
      onClose: () => log.info("cache tier is back", { tier: tier.name, what }),
    });
  return {
    tier,
    counts: { hits: 0, misses: 0, errors: 0, writes: 0 },
    reads: breaker("reads"),
    writes: breaker("writes"),
    missed: new LRUCache({ max: MAX_MISSED }),
    writing: new Map(),
  };
}

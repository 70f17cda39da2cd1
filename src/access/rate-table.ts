/**
 * The counting behind limits and strikes: a token bucket for each (rule, client) in one number, its "theoretical
 * arrival time" (GCRA). An entry whose time has passed equals no entry, so its place may be given away without
 * forgetting anything. In any window of T ms a client is admitted at most `burst + T / intervalMs` times.
 *
 * Memory is fixed: 12 bytes a place, allocated once and touched by the operating system only as it fills.
 */
export interface Rate {
  /** Time in which one token comes back, in ms; 0 = no limit. */
  intervalMs: number;
  /** Tokens of a full bucket; 1 = a mere least gap. */
  burst: number;
}

export interface RateTable {
  /** Number under which a rate is asked for. At most 256 rates in all. */
  add(rate: Rate): number;
  /** Ms until this client may come again; 0 = now. Changes nothing. */
  wait(rate: number, hi: number, lo: number, now: number): number;
  /** Takes a token without asking. */
  take(rate: number, hi: number, lo: number, now: number): void;
  /** Tokens left, after what was taken. */
  left(rate: number, hi: number, lo: number, now: number): number;
  /** Entries still in force; for metrics and tests. */
  size(now: number): number;
}

const WAYS = 8;
const STRIDE = 3;
/** Clients whose places are all taken share one of these for each rate: stricter for them, never looser. */
const SHARED = 1024;
const MAX_RATES = 256;
/** Times are unsigned 32-bit ms since `base`; when half the range is used, the base moves on. */
const REBASE_AT = 2 ** 31;
const MAX_SPAN = 2 ** 30;

interface Known {
  interval: number;
  span: number;
  saltHi: number;
  saltLo: number;
}

/** @param places rounded up to a power of two. @param start the first `now`, in ms of a clock that never goes back. */
export function createRateTable(places: number, start: number): RateTable {
  const buckets = 2 ** Math.ceil(Math.log2(Math.max(1, places / WAYS)));
  const table = new Uint32Array(buckets * WAYS * STRIDE);
  const shared: Uint32Array[] = [];
  const rates: Known[] = [];
  // Unknown to clients, so that nobody can aim at one bucket.
  const salts = crypto.getRandomValues(new Uint32Array(MAX_RATES * 2 + 2));
  let base = Math.floor(start) - 1;

  /** Relative time, at least 1: 0 marks an empty place. */
  function clock(now: number): number {
    const time = Math.max(1, Math.floor(now) - base);
    if (time < REBASE_AT) return time;
    const shift = time - 1;
    for (let i = 2; i < table.length; i += STRIDE) table[i] = Math.max(0, (table[i] ?? 0) - shift);
    for (const cells of shared) for (let i = 0; i < SHARED; i++) cells[i] = Math.max(0, (cells[i] ?? 0) - shift);
    base += shift;
    return 1;
  }

  function hash(hi: number, lo: number): number {
    let h = Math.imul(hi ^ (hi >>> 16) ^ (salts[MAX_RATES * 2] ?? 0), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13) ^ lo, 0xc2b2ae35);
    h = Math.imul(h ^ (h >>> 16) ^ (salts[MAX_RATES * 2 + 1] ?? 0), 0x27d4eb2f);
    return (h ^ (h >>> 15)) >>> 0;
  }

  /** First word of the eight places of this entry. */
  const bucket = (keyHi: number, keyLo: number) => (hash(keyHi, keyLo) & (buckets - 1)) * WAYS * STRIDE;

  /** Index of the time of this entry; -1 when it has none. */
  function find(keyHi: number, keyLo: number): number {
    const first = bucket(keyHi, keyLo);
    for (let i = first; i < first + WAYS * STRIDE; i += STRIDE) {
      if (table[i] === keyHi && table[i + 1] === keyLo && table[i + 2] !== 0) return i + 2;
    }
    return -1;
  }

  /** A place for a new entry: an empty or a passed one; -1 when all are in force. */
  function claim(keyHi: number, keyLo: number, time: number): number {
    const first = bucket(keyHi, keyLo);
    for (let i = first; i < first + WAYS * STRIDE; i += STRIDE) {
      if ((table[i + 2] ?? 0) > time) continue;
      table[i] = keyHi;
      table[i + 1] = keyLo;
      return i + 2;
    }
    return -1;
  }

  const sharedIndex = (keyHi: number, keyLo: number) => hash(keyLo, keyHi) & (SHARED - 1);

  /** Arrival time of the entry. One without a place uses its shared cell until that has passed, then a place of its own. */
  function arrival(rate: number, keyHi: number, keyLo: number): number {
    const found = find(keyHi, keyLo);
    return (found === -1 ? shared[rate]?.[sharedIndex(keyHi, keyLo)] : table[found]) ?? 0;
  }

  return {
    add(rate) {
      if (rates.length >= MAX_RATES) throw new RangeError("too many rates");
      const index = rates.length;
      const interval = Math.min(MAX_SPAN, Math.ceil(rate.intervalMs));
      const span = Math.min(MAX_SPAN, interval * Math.max(1, rate.burst));
      rates.push({ interval, span, saltHi: salts[index * 2] ?? 0, saltLo: salts[index * 2 + 1] ?? 0 });
      shared.push(new Uint32Array(SHARED));
      return index;
    },
    wait(rate, hi, lo, now) {
      const known = rates[rate];
      if (known === undefined || known.interval === 0) return 0;
      const time = clock(now);
      const next = Math.max(arrival(rate, (hi ^ known.saltHi) >>> 0, (lo ^ known.saltLo) >>> 0), time);
      return Math.max(0, next + known.interval - known.span - time);
    },
    take(rate, hi, lo, now) {
      const known = rates[rate];
      const cells = shared[rate];
      if (known === undefined || cells === undefined || known.interval === 0) return;
      const time = clock(now);
      const keyHi = (hi ^ known.saltHi) >>> 0;
      const keyLo = (lo ^ known.saltLo) >>> 0;
      const cell = sharedIndex(keyHi, keyLo);
      let place = find(keyHi, keyLo);
      if (place === -1 && (cells[cell] ?? 0) <= time) place = claim(keyHi, keyLo, time);
      const before = (place === -1 ? cells[cell] : table[place]) ?? 0;
      const after = Math.min(Math.max(before, time) + known.interval, time + MAX_SPAN);
      if (place === -1) cells[cell] = after;
      else table[place] = after;
    },
    left(rate, hi, lo, now) {
      const known = rates[rate];
      if (known === undefined || known.interval === 0) return Number.POSITIVE_INFINITY;
      const time = clock(now);
      const used = Math.max(0, arrival(rate, (hi ^ known.saltHi) >>> 0, (lo ^ known.saltLo) >>> 0) - time);
      return Math.max(0, Math.floor((known.span - used) / known.interval));
    },
    size(now) {
      const time = clock(now);
      let count = 0;
      for (let i = 2; i < table.length; i += STRIDE) if ((table[i] ?? 0) > time) count++;
      return count;
    },
  };
}

/**
 * The counting behind limits and strikes: a token bucket for each (rule, client) in one number, its "theoretical
 * arrival time" (GCRA). An entry whose time has passed equals no entry, so its place may be given away without
 * forgetting anything. In any window of T ms a client is admitted at most `burst + T / intervalMs` times.
 *
 * Memory is fixed: 12 bytes a place and half a byte for each rate, allocated once and touched by the operating system only as it fills.
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
  /** Takes a token without asking. @returns tokens left */
  take(rate: number, hi: number, lo: number, now: number): number;
  /** Entries still in force; for metrics and tests. */
  size(now: number): number;
}

const WAYS = 8;
const STRIDE = 3;
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

/**
 * @param places rounded up to a multiple of eight. @param start the first `now`, in ms of a clock that never goes back.
 * @param overflow what becomes of a client that finds no place: `share` a cell with others in its case (for limits: never
 *   too many), or `forget` (for strikes: nobody is banned for what others did).
 */
export function createRateTable(places: number, start: number, overflow: "share" | "forget" = "share"): RateTable {
  const buckets = Math.max(1, Math.ceil(places / WAYS));
  const table = new Uint32Array(buckets * WAYS * STRIDE);
  /** One cell a bucket for each rate, none with `forget`. */
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
    for (const cells of shared) for (let i = 0; i < cells.length; i++) cells[i] = Math.max(0, (cells[i] ?? 0) - shift);
    base += shift;
    return 1;
  }

  /** Number of the bucket of this entry. */
  function bucketOf(hi: number, lo: number): number {
    let h = Math.imul(hi ^ (hi >>> 16) ^ (salts[MAX_RATES * 2] ?? 0), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13) ^ lo, 0xc2b2ae35);
    h = Math.imul(h ^ (h >>> 16) ^ (salts[MAX_RATES * 2 + 1] ?? 0), 0x27d4eb2f);
    // The upper part of hash times buckets is spread as evenly as a remainder, and costs no division.
    return Math.floor((((h ^ (h >>> 15)) >>> 0) / 2 ** 32) * buckets);
  }

  /** Index of the time of this entry; -1 when it has none. */
  function find(keyHi: number, keyLo: number): number {
    const first = bucketOf(keyHi, keyLo) * WAYS * STRIDE;
    for (let i = first; i < first + WAYS * STRIDE; i += STRIDE) {
      if (table[i] === keyHi && table[i + 1] === keyLo && table[i + 2] !== 0) return i + 2;
    }
    return -1;
  }

  /** A place for a new entry: an empty or a passed one; -1 when all are in force. */
  function claim(keyHi: number, keyLo: number, time: number): number {
    const first = bucketOf(keyHi, keyLo) * WAYS * STRIDE;
    for (let i = first; i < first + WAYS * STRIDE; i += STRIDE) {
      if ((table[i + 2] ?? 0) > time) continue;
      table[i] = keyHi;
      table[i + 1] = keyLo;
      return i + 2;
    }
    return -1;
  }

  /** Arrival time of the entry. One without a place uses its shared cell until that has passed, then a place of its own. */
  function arrival(rate: number, keyHi: number, keyLo: number): number {
    const found = find(keyHi, keyLo);
    return (found === -1 ? shared[rate]?.[bucketOf(keyHi, keyLo)] : table[found]) ?? 0;
  }

  return {
    add(rate) {
      if (rates.length >= MAX_RATES) throw new RangeError("too many rates");
      const index = rates.length;
      const interval = Math.min(MAX_SPAN, Math.ceil(rate.intervalMs));
      const span = Math.min(MAX_SPAN, interval * Math.max(1, rate.burst));
      rates.push({ interval, span, saltHi: salts[index * 2] ?? 0, saltLo: salts[index * 2 + 1] ?? 0 });
      shared.push(new Uint32Array(overflow === "share" ? buckets : 0));
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
      if (known === undefined || cells === undefined || known.interval === 0) return Number.POSITIVE_INFINITY;
      const time = clock(now);
      const keyHi = (hi ^ known.saltHi) >>> 0;
      const keyLo = (lo ^ known.saltLo) >>> 0;
      const cell = bucketOf(keyHi, keyLo);
      let place = find(keyHi, keyLo);
      if (place === -1 && (cells[cell] ?? 0) <= time) place = claim(keyHi, keyLo, time);
      const before = (place === -1 ? cells[cell] : table[place]) ?? 0;
      const after = Math.min(Math.max(before, time) + known.interval, time + MAX_SPAN);
      if (place === -1)
        cells[cell] = after; // without cells this writes nothing
      else table[place] = after;
      return Math.max(0, Math.floor((known.span - (after - time)) / known.interval));
    },
    size(now) {
      const time = clock(now);
      let count = 0;
      for (let i = 2; i < table.length; i += STRIDE) if ((table[i] ?? 0) > time) count++;
      return count;
    },
  };
}

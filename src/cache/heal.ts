import { LRUCache } from "lru-cache";

export interface HealRules {
  enable: boolean;
  /** Seconds. */
  min_gap: number;
  window: number;
  cool_down: number;
  mark: number;
  /** Renewals per minute. */
  per_client: number;
  total: number;
}

/** Who asks; its address is read only when it matters. */
export interface Asker {
  readonly peer: { readonly address: string };
}

export interface Healer {
  /**
   * Notes that this client asked for this key and gets a stored answer. Who it is, is asked only when it matters.
   * @param time Unix ms, when the caller has looked at the clock already
   * @returns true when the answer must have been bad, and may be renewed now.
   */
  suspects(asker: Asker, key: string, time?: number): boolean;
  /** Notes that this client was given a new answer. */
  served(client: string, key: string): void;
  mark(key: string, route: string): void;
  /** Routes whose answers for this key turned out bad of late. */
  avoid(key: string): ReadonlySet<string>;
  counts(): { renewals: number; held: number };
}

const MAX_ASKS = 20_000;
/**
 * Asks for one key that are looked at within a second. Of a song that more people want at once the others find out as
 * well that its address is bad, and looking at all of them would be most of the work of a hit.
 */
const ASKS_PER_SECOND = 32;
const MAX_MARKS = 5_000;
const NO_ROUTES: ReadonlySet<string> = new Set();

interface Asks {
  /** Unix ms of each client's last one. */
  clients: Map<string, number>;
  /** Unix seconds; how many were looked at in it. */
  second: number;
  seen: number;
}

/**
 * When each client last asked for each key. Every hit passes here: two generations of maps by key (whose texts are
 * hashed already) cost a tenth of one list in order of use, and forget the older half at once.
 */
function createAsks() {
  let recent = new Map<string, Asks>();
  let older = new Map<string, Asks>();
  let count = 0;

  return {
    /** @returns Unix ms of the ask before this one */
    note(asker: Asker, key: string, time: number): number | undefined {
      const second = Math.floor(time / 1000);
      let asks = recent.get(key);
      if (asks === undefined) {
        asks = { clients: new Map(), second, seen: 0 };
        recent.set(key, asks);
      }
      if (asks.second !== second) {
        asks.second = second;
        asks.seen = 0;
      }
      asks.seen += 1;
      if (asks.seen > ASKS_PER_SECOND) {
        // Whoever asks again in the next second may have asked in between: what is known of them says nothing.
        if (asks.seen === ASKS_PER_SECOND + 1) {
          asks.clients.clear();
          older.delete(key);
        }
        return undefined;
      }
      const who = asker.peer.address;
      const known = asks.clients.get(who);
      asks.clients.set(who, time);
      if (known !== undefined) return known;
      const before = older.get(key)?.clients.get(who);
      count += 1;
      if (count >= MAX_ASKS / 2) {
        older = recent;
        recent = new Map();
        count = 0;
      }
      return before;
    },
  };
}

/**
 * A player that was given a dead address asks again a moment later. Sooner than `min_gap` is a mere double request,
 * later than `window` a replay. Renewals are bounded per song, per client and altogether, so that nobody can use this
 * to hammer a platform.
 */
export function createHealer(rules: () => HealRules, now: () => number): Healer {
  const asks = createAsks();
  const renewedAt = new LRUCache<string, number>({ max: MAX_MARKS });
  const marks = new LRUCache<string, Map<string, number>>({ max: MAX_MARKS });
  let minute = 0;
  let perClient = new Map<string, number>();
  let total = 0;
  let renewals = 0;
  let held = 0;

  function allowed(client: string, key: string): boolean {
    const { cool_down, per_client, total: most } = rules();
    const time = now();
    const current = Math.floor(time / 60_000);
    if (current !== minute) {
      minute = current;
      perClient = new Map();
      total = 0;
    }
    const mine = perClient.get(client) ?? 0;
    const cooling = time - (renewedAt.get(key) ?? Number.NEGATIVE_INFINITY) < cool_down * 1000;
    if (cooling || mine >= per_client || total >= most) {
      held += 1;
      return false;
    }
    perClient.set(client, mine + 1);
    total += 1;
    renewedAt.set(key, time);
    renewals += 1;
    return true;
  }

  return {
    suspects(asker, key, time = now()) {
      const before = asks.note(asker, key, time);
      if (before === undefined) return false;
      const { enable, min_gap, window } = rules();
      const gap = time - before;
      return enable && gap >= min_gap * 1000 && gap <= window * 1000 && allowed(asker.peer.address, key);
    },
    served: (client, key) => void asks.note({ peer: { address: client } }, key, now()),
    mark(key, route) {
      const routes = marks.get(key) ?? new Map<string, number>();
      routes.set(route, now() + rules().mark * 1000);
      marks.set(key, routes);
    },
    avoid(key) {
      const routes = marks.get(key);
      if (routes === undefined) return NO_ROUTES;
      for (const [route, until] of routes) if (until <= now()) routes.delete(route);
      if (routes.size === 0) marks.delete(key);
      return new Set(routes.keys());
    },
    counts: () => ({ renewals, held }),
  };
}

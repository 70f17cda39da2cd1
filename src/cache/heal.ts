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

export interface Healer {
  /**
   * Notes that this client asked for this key and gets a stored answer.
   * @returns true when the answer must have been bad, and may be renewed now.
   */
  suspects(client: string, key: string): boolean;
  /** Notes that this client was given a new answer. */
  served(client: string, key: string): void;
  mark(key: string, route: string): void;
  /** Routes whose answers for this key turned out bad of late. */
  avoid(key: string): ReadonlySet<string>;
  counts(): { renewals: number; held: number };
}

const MAX_ASKS = 20_000;
const MAX_MARKS = 5_000;
const NO_ROUTES: ReadonlySet<string> = new Set();

/**
 * A player that was given a dead address asks again a moment later. Sooner than `min_gap` is a mere double request,
 * later than `window` a replay. Renewals are bounded per song, per client and altogether, so that nobody can use this
 * to hammer a platform.
 */
export function createHealer(rules: () => HealRules, now: () => number): Healer {
  const asks = new LRUCache<string, number>({ max: MAX_ASKS });
  const renewedAt = new LRUCache<string, number>({ max: MAX_MARKS });
  const marks = new LRUCache<string, Map<string, number>>({ max: MAX_MARKS });
  let minute = 0;
  let perClient = new Map<string, number>();
  let total = 0;
  let renewals = 0;
  let held = 0;

  function note(client: string, key: string): number | undefined {
    const ask = `${client}\n${key}`;
    const before = asks.get(ask);
    asks.set(ask, now());
    return before;
  }

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
    suspects(client, key) {
      const before = note(client, key);
      if (before === undefined) return false;
      const { enable, min_gap, window } = rules();
      const gap = now() - before;
      return enable && gap >= min_gap * 1000 && gap <= window * 1000 && allowed(client, key);
    },
    served: (client, key) => void note(client, key),
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

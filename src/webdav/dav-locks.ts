export interface DavLock {
  token: string;
  path: string;
  infinite: boolean;
  exclusive: boolean;
  /** XML of the owner element's content, as the client gave it. */
  owner: string;
  user: string;
  seconds: number;
  /** Unix ms. */
  expiresAt: number;
}

export interface DavLocks {
  /** @returns the lock, or those that stand against it */
  take(wanted: Omit<DavLock, "token" | "expiresAt">): { lock: DavLock } | { conflicts: DavLock[] } | undefined;
  refresh(token: string, seconds: number): DavLock | undefined;
  release(token: string): boolean;
  get(token: string): DavLock | undefined;
  /** Locks that hold this path: its own, and those of infinite depth above it. */
  covering(path: string): DavLock[];
  /** Locks on the path itself, whatever their depth. */
  on(path: string): DavLock[];
  below(path: string): DavLock[];
  /** Drops the locks of a path and of everything below it. */
  drop(path: string): void;
}

const MAX_LOCKS = 10_000;

/** Write locks in memory: clients take them anew after a restart. `take` gives undefined when there are too many. */
export function createDavLocks(now: () => number = Date.now): DavLocks {
  const byToken = new Map<string, DavLock>();
  const byPath = new Map<string, Set<DavLock>>();

  function remove(lock: DavLock): void {
    byToken.delete(lock.token);
    const set = byPath.get(lock.path);
    set?.delete(lock);
    if (set?.size === 0) byPath.delete(lock.path);
  }

  function alive(lock: DavLock): boolean {
    if (lock.expiresAt > now()) return true;
    remove(lock);
    return false;
  }

  const on = (path: string) => [...(byPath.get(path) ?? [])].filter(alive);

  function covering(path: string): DavLock[] {
    const found = on(path);
    for (let at = path; at !== "/"; ) {
      at = at.slice(0, at.lastIndexOf("/")) || "/";
      found.push(...on(at).filter((lock) => lock.infinite));
    }
    return found;
  }

  const below = (path: string) => {
    const prefix = path === "/" ? "/" : `${path}/`;
    return [...byToken.values()].filter((lock) => lock.path.startsWith(prefix) && lock.path !== path && alive(lock));
  };

  return {
    covering,
    on,
    below,
    take(wanted) {
      const against = [...covering(wanted.path), ...(wanted.infinite ? below(wanted.path) : [])];
      const conflicts = against.filter((lock) => wanted.exclusive || lock.exclusive);
      if (conflicts.length > 0) return { conflicts };
      if (byToken.size >= MAX_LOCKS) for (const lock of [...byToken.values()]) alive(lock);
      if (byToken.size >= MAX_LOCKS) return undefined;
      const lock: DavLock = {
        ...wanted,
        token: `opaquelocktoken:${crypto.randomUUID()}`,
        expiresAt: now() + wanted.seconds * 1000,
      };
      byToken.set(lock.token, lock);
      const set = byPath.get(lock.path) ?? new Set();
      byPath.set(lock.path, set.add(lock));
      return { lock };
    },
    refresh(token, seconds) {
      const lock = byToken.get(token);
      if (lock === undefined || !alive(lock)) return undefined;
      lock.seconds = seconds;
      lock.expiresAt = now() + seconds * 1000;
      return lock;
    },
    release(token) {
      const lock = byToken.get(token);
      if (lock === undefined) return false;
      remove(lock);
      return true;
    },
    get(token) {
      const lock = byToken.get(token);
      return lock !== undefined && alive(lock) ? lock : undefined;
    },
    drop(path) {
      for (const lock of [...on(path), ...below(path)]) remove(lock);
    },
  };
}

/** Seconds of a `Timeout` header, within the allowed. @see https://www.rfc-editor.org/rfc/rfc4918#section-10.7 */
export function lockSeconds(header: string | null, most: number): number {
  for (const item of (header ?? "").split(",")) {
    const seconds = /^second-(\d{1,10})$/i.exec(item.trim())?.[1];
    if (seconds !== undefined) return Math.max(1, Math.min(Number(seconds), most));
  }
  return most;
}

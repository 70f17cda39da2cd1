export interface QueueOptions {
  /** Jobs at once. */
  parallel: number;
  /** Jobs at once per host. */
  perHost: number;
  /** Least milliseconds between two starts of one host. */
  hostGapMs: number;
  /** Most waiting jobs. */
  most: number;
}

interface Job {
  host: string;
  run: () => Promise<void>;
}

interface Host {
  active: number;
  /** `now()` at which the next may start. */
  next: number;
}

/** Runs jobs in order of arrival, as far as their hosts may be asked now. */
export interface JobQueue {
  /** False = full; the job will not run. `run` must not throw. */
  add(host: string, run: () => Promise<void>): boolean;
  readonly waiting: number;
  readonly active: number;
  /** Forgets what waits; what runs goes on. */
  clear(): void;
  /** Resolves when nothing runs or waits. */
  idle(): Promise<void>;
}

/** @param options read at every start, so that changed settings count at once. */
export function createQueue(options: () => QueueOptions, now: () => number = () => performance.now()): JobQueue {
  let jobs: Job[] = [];
  const hosts = new Map<string, Host>();
  let active = 0;
  let timer: Timer | undefined;
  let idlers: (() => void)[] = [];

  function pump(): void {
    clearTimeout(timer);
    const { parallel, perHost, hostGapMs } = options();
    const rest: Job[] = [];
    let wake = Number.POSITIVE_INFINITY;
    for (const job of jobs) {
      const host = hosts.get(job.host) ?? { active: 0, next: 0 };
      const wait = host.next - now();
      if (active >= parallel || host.active >= perHost || wait > 0) {
        rest.push(job);
        if (wait > 0) wake = Math.min(wake, wait);
        continue;
      }
      active++;
      hosts.set(job.host, { active: host.active + 1, next: now() + hostGapMs });
      void start(job);
    }
    jobs = rest;
    if (jobs.length > 0 && active < parallel && Number.isFinite(wake)) timer = setTimeout(pump, wake);
    if (jobs.length === 0 && active === 0) settle();
  }

  async function start(job: Job): Promise<void> {
    try {
      await job.run();
    } finally {
      active--;
      const host = hosts.get(job.host);
      if (host !== undefined) host.active--;
      forgetIdleHosts();
      pump();
    }
  }

  /** Keeps the map as small as what is going on. */
  function forgetIdleHosts(): void {
    for (const [name, host] of hosts) if (host.active === 0 && host.next <= now()) hosts.delete(name);
  }

  function settle(): void {
    for (const resolve of idlers) resolve();
    idlers = [];
  }

  return {
    add(host, run) {
      if (jobs.length >= options().most) return false;
      jobs.push({ host, run });
      pump();
      return true;
    },
    get waiting() {
      return jobs.length;
    },
    get active() {
      return active;
    },
    clear() {
      jobs = [];
      pump();
    },
    idle() {
      if (jobs.length === 0 && active === 0) return Promise.resolve();
      const { promise, resolve } = Promise.withResolvers<void>();
      idlers.push(resolve);
      return promise;
    },
  };
}

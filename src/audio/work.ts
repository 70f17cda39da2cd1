import type { Measured } from "./measure.ts";
import type { TagFormat } from "./tag-format.ts";
import type { TagOptions } from "./tags.ts";
import type { TrackTags } from "./track-tags.ts";

/** What takes tens of milliseconds of a processor, and so does not belong on the thread that answers requests. */
export interface AudioWork {
  measure(path: string): Promise<Measured>;
  /** Writes into the file itself. */
  tag(path: string, format: TagFormat, tags: TrackTags, options: TagOptions): Promise<void>;
  close(): Promise<void>;
}

export type WorkRequest =
  | { id: number; kind: "measure"; path: string }
  | { id: number; kind: "tag"; path: string; format: TagFormat; tags: TrackTags; options: TagOptions };
export type WorkReply = { id: number } & ({ ok: true; measured?: Measured } | { ok: false; error: string });

const JOB_DEADLINE_MS = 120_000;
const IDLE_MS = 60_000;

/** For the command line, where nobody else waits for the thread. */
export const inlineWork: AudioWork = {
  measure: async (path) => (await import("./measure.ts")).measure(path),
  tag: async (path, format, tags, options) => (await import("./tags.ts")).writeTags(path, format, tags, options),
  close: async () => {},
};

/** One worker, started when there is something to do and ended when there has been nothing for a minute. */
export function workerWork(url: string): AudioWork {
  const waiting = new Map<number, { done: (reply: WorkReply) => void; timer: Timer }>();
  let worker: Worker | undefined;
  let idle: Timer | undefined;
  let next = 0;

  function start(): Worker {
    const started = new Worker(url);
    started.onmessage = (event: MessageEvent<WorkReply>) => settle(event.data);
    started.onerror = (event) => stop(event.message);
    return started;
  }

  function settle(reply: WorkReply): void {
    const job = waiting.get(reply.id);
    if (job === undefined) return;
    clearTimeout(job.timer);
    waiting.delete(reply.id);
    job.done(reply);
    if (waiting.size > 0) return;
    clearTimeout(idle);
    idle = setTimeout(() => stop("idle"), IDLE_MS);
    idle.unref();
  }

  /** A worker that hangs takes its whole queue with it; the next job gets a new one. */
  function stop(error: string): void {
    worker?.terminate();
    worker = undefined;
    clearTimeout(idle);
    for (const id of [...waiting.keys()]) settle({ id, ok: false, error });
    clearTimeout(idle);
  }

  type Job = WorkRequest extends infer R ? (R extends WorkRequest ? Omit<R, "id"> : never) : never;
  function ask(job: Job): Promise<WorkReply & { ok: true }> {
    const { promise, resolve, reject } = Promise.withResolvers<WorkReply & { ok: true }>();
    const id = next++;
    const timer = setTimeout(() => stop("deadline"), JOB_DEADLINE_MS);
    waiting.set(id, { timer, done: (reply) => (reply.ok ? resolve(reply) : reject(new Error(reply.error))) });
    clearTimeout(idle);
    worker ??= start();
    worker.postMessage({ ...job, id });
    return promise;
  }

  return {
    async measure(path) {
      return (await ask({ kind: "measure", path })).measured ?? { kind: "broken" };
    },
    async tag(path, format, tags, options) {
      await ask({ kind: "tag", path, format, tags, options });
    },
    close: async () => stop("closed"),
  };
}

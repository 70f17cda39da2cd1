import type { Logger } from "../ops/log.ts";
import type { Catalogue } from "./catalogue.ts";
import type { FromWorker, ScanOrder, ToWorker } from "./scan-protocol.ts";
import type { FileState, Track } from "./track.ts";

export interface ScanSummary {
  files: number;
  added: number;
  changed: number;
  unchanged: number;
  removed: number;
  bad: number;
  milliseconds: number;
  /** There were more files than the index may hold. */
  truncated: boolean;
  /** What was refused or could not be read; at most 100. */
  problems: { root: string; path: string; reason: string }[];
}

export interface ScanProgress {
  files: number;
  read: number;
  bad: number;
}

export interface ScanDeps {
  catalogue: Catalogue;
  /** File of the index; empty = in memory. */
  database: string;
  log: Logger;
  startWorker: () => Worker;
  /** Absolute folders, and the names under which the index keeps them. */
  roots: readonly { absolute: string; name: string }[];
  extensions: readonly string[];
  followOutside: boolean;
  maxFiles: number;
  coverMaxBytes: number;
  /** Milliseconds of silence after which the worker is taken for dead. */
  silenceMs: number;
  /** Ends the scan; what has been read stays. */
  signal?: AbortSignal;
  onTrack(track: Track): void;
  /** False = this process has not been told of the track: another one has scanned it. */
  isKnown(id: number): boolean;
  onRemoved(id: number): void;
  onProgress?(progress: ScanProgress): void;
}

const BATCH = 64;
const MAX_PROBLEMS = 100;
/** Files that may kill their reader before the scan gives up. */
const MAX_DEATHS = 20;

/**
 * Brings the index up to date. Only files whose size, time or companions changed are read. A file of which the reader
 * dies is found by reading one at a time, listed as bad, and the scan goes on.
 * @throws Error when the worker cannot run at all
 */
export async function scanLibrary(deps: ScanDeps): Promise<ScanSummary> {
  const started = performance.now();
  let batch = BATCH;
  for (let deaths = 0; ; deaths++) {
    const run = createRun(deps, started);
    const outcome = await runWorker(deps, run, batch);
    if (outcome.done) return await run.finish(outcome.done);
    if (deps.signal?.aborted) throw new Error(outcome.reason);
    deps.log.warn("library scan worker died", { reason: outcome.reason, batch, deaths });
    if (deaths >= MAX_DEATHS || (outcome.reading.length === 0 && deaths > 0)) throw new Error(outcome.reason);
    // Alone in its batch: this file is the cause. Otherwise look for it.
    if (batch === 1) for (const file of outcome.reading) run.markBad(file, "读取时解析器崩溃");
    batch = 1;
  }
}

type Done = Extract<FromWorker, { type: "done" }>;
type Outcome = { done: Done } | { done: undefined; reason: string; reading: FileState[] };

function runWorker(deps: ScanDeps, run: Run, batch: number): Promise<Outcome> {
  const worker = deps.startWorker();
  const order: ScanOrder = {
    type: "scan",
    roots: deps.roots.map((root) => root.absolute),
    extensions: [...deps.extensions],
    followOutside: deps.followOutside,
    maxFiles: deps.maxFiles,
    coverMaxBytes: deps.coverMaxBytes,
    batch,
    database: deps.database,
  };
  const send = (message: ToWorker) => worker.postMessage(message);
  let files: FileState[] = [];
  let reading: FileState[] = [];
  return new Promise<Outcome>((resolve) => {
    let timer = setTimeout(silent, deps.silenceMs);
    function silent() {
      finish({ done: undefined, reason: "读取进程没有响应", reading });
    }
    function aborted() {
      finish({ done: undefined, reason: "扫描已取消", reading: [] });
    }
    deps.signal?.addEventListener("abort", aborted);
    if (deps.signal?.aborted) aborted();
    function finish(outcome: Outcome) {
      clearTimeout(timer);
      deps.signal?.removeEventListener("abort", aborted);
      worker.terminate();
      resolve(outcome);
    }
    worker.onerror = (event) => {
      event.preventDefault();
      finish({ done: undefined, reason: event.message || "读取进程崩溃", reading });
    };
    worker.onmessage = (event: MessageEvent<FromWorker>) => {
      clearTimeout(timer);
      timer = setTimeout(silent, deps.silenceMs);
      const message = event.data;
      try {
        if (message.type === "offer") {
          files = message.files;
          const wanted = run.offered(files);
          reading = wanted.flatMap((at) => files[at] ?? []);
          send({ type: "read", batch: message.batch, wanted });
        } else if (message.type === "read") {
          run.received(files, message);
          const told = new Set([...message.tracks, ...message.bad].map((one) => files[one.at]));
          reading = message.last ? [] : reading.filter((file) => !told.has(file));
        } else if (message.type === "problem") run.problem(message.root, message.path, message.reason);
        else if (message.type === "done") finish({ done: message });
        else finish({ done: undefined, reason: message.reason, reading: [] });
      } catch (error) {
        finish({ done: undefined, reason: String(error), reading: [] });
      }
    };
    send(order);
  });
}

interface Run {
  /** @returns the places of what must be read */
  offered(files: FileState[]): number[];
  received(files: FileState[], message: Extract<FromWorker, { type: "read" }>): void;
  problem(root: number, path: string, reason: string): void;
  markBad(file: FileState, reason: string): void;
  finish(done: Done): Promise<ScanSummary>;
}

function createRun(deps: ScanDeps, started: number): Run {
  const { catalogue } = deps;
  const seen = { ids: new Set<number>(), bad: new Set<string>() };
  const problems: ScanSummary["problems"] = [];
  const counts = { added: 0, changed: 0, unchanged: 0, removed: 0, bad: 0 };
  const nameOf = (root: number) => deps.roots[root]?.name ?? "";
  const keyOf = (root: string, path: string) => `${root}\0${path}`;
  const isSame = (a: { size: number; mtime: number }, b: FileState) => a.size === b.size && a.mtime === b.mtime;
  const tell = (id: number) => {
    const track = catalogue.get(id);
    if (track !== undefined) deps.onTrack(track);
  };
  const progress = () => {
    const { added, changed, unchanged, bad } = counts;
    deps.onProgress?.({ files: added + changed + unchanged + bad, read: added + changed, bad });
  };

  const run: Run = {
    offered(files) {
      const wanted: number[] = [];
      for (const [at, file] of files.entries()) {
        const root = nameOf(file.root);
        const known = catalogue.at(root, file.path);
        if (known !== undefined) seen.ids.add(known.id);
        const bad = known === undefined ? catalogue.badAt(root, file.path) : undefined;
        if (known !== undefined && isSame(known, file) && known.side === file.side) {
          counts.unchanged++;
          if (!deps.isKnown(known.id)) tell(known.id);
        } else if (bad !== undefined && isSame(bad, file)) {
          seen.bad.add(keyOf(root, file.path));
          counts.bad++;
        } else wanted.push(at);
      }
      if (wanted.length === 0) progress();
      return wanted;
    },
    received(files, message) {
      const stored: number[] = [];
      catalogue.transaction(() => {
        for (const { at, data } of message.tracks) {
          const file = files[at];
          if (file === undefined) continue;
          const root = nameOf(file.root);
          if (catalogue.at(root, file.path) === undefined) counts.added++;
          else counts.changed++;
          catalogue.removeBad(root, file.path);
          const id = catalogue.put({ ...file, root, data });
          seen.ids.add(id);
          stored.push(id);
        }
        for (const { at, reason } of message.bad) {
          const file = files[at];
          if (file !== undefined) run.markBad(file, reason);
        }
      });
      for (const id of stored) tell(id);
      progress();
    },
    problem(root, path, reason) {
      if (problems.length < MAX_PROBLEMS) problems.push({ root: nameOf(root), path, reason });
    },
    markBad(file, reason) {
      const root = nameOf(file.root);
      const known = catalogue.at(root, file.path);
      if (known !== undefined) {
        catalogue.remove([known.id]);
        deps.onRemoved(known.id);
      }
      seen.bad.add(keyOf(root, file.path));
      catalogue.putBad({ root, path: file.path, size: file.size, mtime: file.mtime, reason });
      counts.bad++;
    },
    async finish(done) {
      if (!done.truncated) counts.removed = await sweep(deps, seen, keyOf, new Set(done.unreadableRoots));
      const { truncated, files } = done;
      return { files, ...counts, truncated, problems, milliseconds: Math.round(performance.now() - started) };
    },
  };
  return run;
}

const SLICE = 250;

/** Drops what the walk did not see; a root that could not be listed keeps its rows (an unplugged disk comes back). */
async function sweep(
  deps: ScanDeps,
  seen: { ids: ReadonlySet<number>; bad: ReadonlySet<string> },
  keyOf: (root: string, path: string) => string,
  unreadable: Set<number>,
): Promise<number> {
  const { catalogue } = deps;
  let removed = 0;
  for (const [at, { name }] of deps.roots.entries()) {
    if (unreadable.has(at)) continue;
    for (let after = 0; ; ) {
      const rows = catalogue.paths(name, after, SLICE);
      const gone = rows.filter((row) => !seen.ids.has(row.id)).map((row) => row.id);
      catalogue.transaction(() => catalogue.remove(gone));
      for (const id of gone) deps.onRemoved(id);
      removed += gone.length;
      const last = rows.at(-1);
      if (last === undefined) break;
      after = last.id;
      // Requests wait for their turn meanwhile.
      await Bun.sleep(0);
    }
    for (const path of catalogue.badPaths(name)) {
      if (!seen.bad.has(keyOf(name, path))) catalogue.removeBad(name, path);
    }
  }
  return removed;
}

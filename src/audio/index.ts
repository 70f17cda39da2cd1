import type { Database } from "bun:sqlite";
import { lstat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { AppError } from "../core/errors.ts";
import type { Quality, SourceId } from "../core/types.ts";
import type { Logger } from "../ops/log.ts";
import { createBandwidth } from "./bandwidth.ts";
import type { AudioConfig } from "./config.ts";
import { type Covers, createCovers } from "./covers.ts";
import { createKeeper, type FetchJob, hostOf, type Outcome } from "./keep.ts";
import { removeLeftovers } from "./leftovers.ts";
import { isMedia, isPlainName, keyText } from "./names.ts";
import { createPlacer } from "./place.ts";
import type { Fault } from "./proof.ts";
import { createQueue } from "./queue.ts";
import { createRefusals, type Refusal } from "./refusals.ts";
import { type AudioStore, createStore, type StoredFile } from "./store.ts";
import type { TrackTags } from "./track-tags.ts";
import type { FetchStream } from "./transfer.ts";
import { adoptTree } from "./tree-scan.ts";
import { createVerifier, type Verified } from "./verify.ts";
import type { AudioWork } from "./work.ts";

export type { AudioConfig } from "./config.ts";
export type { FetchJob, Outcome } from "./keep.ts";
export type { StoredFile } from "./store.ts";
export type { Verified } from "./verify.ts";

export interface AudioDeps {
  /** Relative paths of the config start here. */
  dataDir: string;
  config: () => AudioConfig;
  db: Database;
  log: Logger;
  now: () => number;
  fetchStream: FetchStream;
  work: AudioWork;
  /** A file has been stored: a mirror may copy it. */
  onStored?: (file: StoredFile) => void;
  /** An address has turned out to give a fake: it should not be handed out again. */
  onRefused?: (job: FetchJob, fault: Fault) => void;
}

export interface AudioStats {
  files: number;
  bytes: number;
  quota: number;
  pinned: number;
  downloading: number;
  waiting: number;
}

/** The files that have been played, on our own disk. */
export interface AudioCache {
  /** Where files lie flat. */
  readonly folder: string;
  /** In memory only. Its address is `/cache/` + `name`. */
  find(source: SourceId, songId: string, quality: Quality): StoredFile | undefined;
  findCover(source: SourceId, songId: string): StoredFile | undefined;
  /**
   * What stands behind `/cache/{name}`: an indexed file, or another sound or picture in the folder.
   * @returns undefined for every name that is not a plain one of such a file.
   */
  lookup(name: string): { path: string; name: string; file?: StoredFile } | undefined;
  /** Notes a play: what has not been played for longest goes first. */
  played(file: StoredFile): void;
  /** The file behind an entry has gone. */
  missing(file: StoredFile): void;
  /** Downloads in the background, once per song and quality however often it is called. Never throws. */
  fetch(job: FetchJob): Promise<Outcome>;
  /** Keeps a cover under the song's name. Undefined = not a picture, or not to be had. */
  keepCover(source: SourceId, songId: string, from: string | Uint8Array): Promise<StoredFile | undefined>;
  /** Adds tags that came later. False = no such file, or its format takes none. */
  retag(source: SourceId, songId: string, quality: Quality, tags: TrackTags): Promise<boolean>;
  /** Routes that gave a fake for this, and are not to be tried yet. */
  refused(source: SourceId, songId: string, quality: Quality): Refusal[];
  list(): StoredFile[];
  stats(): AudioStats;
  pin(name: string, pinned: boolean): StoredFile;
  delete(name: string): Promise<void>;
  prune(): Promise<{ removed: StoredFile[]; bytes: number }>;
  verify(options?: {
    remove?: boolean;
    onResult?: (result: Verified, done: number, total: number) => void;
  }): Promise<Verified[]>;
  /** Writes these tags into the file with this name. @throws AppError `not_found`, `unsupported`. */
  tag(name: string, tags: TrackTags): Promise<StoredFile>;
  /** Reads the folder; for commands that run beside a server. */
  open(): Promise<void>;
  /** `open`, and what a server does: removes half-written files, looks at the folder now and then, checks what it finds. */
  start(): Promise<void>;
  /** Ends downloads, waits for them, and writes the times of play. */
  close(): Promise<void>;
}

const DISK_FULL_PAUSE_MS = 60_000;
const FLUSH_MS = 10_000;

export function createAudioCache(deps: AudioDeps): AudioCache {
  const { config, db, log, now, work } = deps;
  const folder = resolve(deps.dataDir, config().path);
  const tree = { mode: config().tree.mode, root: resolve(deps.dataDir, config().tree.path) };
  const store: AudioStore = createStore({ folder, db, log, now, onRemoved: (file) => placer.forget(file) });
  const placer = createPlacer({ store, work, log, tree, id3Version: () => config().id3_version });
  const refusals = createRefusals(db, () => config().refusal_memory, now);
  const bandwidth = createBandwidth(() => config().bandwidth);
  const keep = createKeeper({ ...deps, store, placer, refusals, bandwidth });
  const covers: Covers = createCovers({ ...deps, store, placer });
  const verifier = createVerifier({ store, work, log, config });
  const queue = createQueue(() => {
    const { parallel, per_host, host_gap, queue: most } = config();
    return { parallel, perHost: per_host, hostGapMs: host_gap, most };
  });
  const flights = new Map<string, Promise<Outcome>>();
  const retags = new Map<string, Promise<unknown>>();
  const stopping = new AbortController();
  const timers: Timer[] = [];
  let diskFullUntil = 0;

  function reasonToSkip(job: FetchJob): Outcome | undefined {
    if (stopping.signal.aborted) return { kind: "skipped", reason: "closed" };
    if (!config().enable) return { kind: "skipped", reason: "off" };
    const file = store.find(job.source, job.songId, job.quality);
    if (file !== undefined) return { kind: "present", file };
    if (now() < diskFullUntil) return { kind: "skipped", reason: "disk_full" };
    const before = refusals.of(job).some((item) => item.route === job.route);
    return before ? { kind: "skipped", reason: "refused_before" } : undefined;
  }

  function fetch(job: FetchJob): Promise<Outcome> {
    const key = keyText(job);
    const flying = flights.get(key);
    if (flying !== undefined) return flying;
    const skip = reasonToSkip(job);
    if (skip !== undefined) return Promise.resolve(skip);
    const { promise, resolve: done } = Promise.withResolvers<Outcome>();
    const run = async () => {
      const outcome = stopping.signal.aborted
        ? ({ kind: "skipped", reason: "closed" } as const)
        : await keep(job, stopping.signal);
      if (outcome.kind === "failed" && outcome.diskFull) diskFullUntil = now() + DISK_FULL_PAUSE_MS;
      flights.delete(key);
      done(outcome);
      if (outcome.kind === "stored") deps.onStored?.(outcome.file);
    };
    flights.set(key, promise);
    if (!queue.add(hostOf(job.url), run)) {
      flights.delete(key);
      log.debug("audio not cached: too many downloads wait", { waiting: queue.waiting });
      return Promise.resolve({ kind: "skipped", reason: "queue_full" });
    }
    return promise;
  }

  /** One at a time per file: the second would work on a file that the first replaces. */
  async function retagFile(name: string, tags: TrackTags): Promise<StoredFile | undefined> {
    const before = retags.get(name);
    const run = async () => {
      await before?.catch(() => {});
      const file = store.byName(name);
      return file === undefined || file.quality === "cover" ? undefined : placer.retag(file, tags);
    };
    const mine = run();
    retags.set(name, mine);
    try {
      return await mine;
    } finally {
      if (retags.get(name) === mine) retags.delete(name);
    }
  }

  function existing(name: string): StoredFile {
    const file = store.byName(name);
    if (file === undefined) throw new AppError("not_found", "没有这个缓存文件", { detail: { name } });
    return file;
  }

  async function pruneNow() {
    const { quota, max_age } = config();
    const removed = await store.prune({ quota, maxAge: max_age });
    const bytes = removed.reduce((sum, file) => sum + file.size, 0);
    if (removed.length > 0) log.info("audio cache pruned", { files: removed.length, bytes });
    return { removed, bytes };
  }

  async function open(): Promise<void> {
    await store.reconcile();
  }

  /** What must not stop the server is only told. */
  const quietly = (what: string, job: () => Promise<unknown>) => async () => {
    try {
      await job();
    } catch (error) {
      log.error("audio cache upkeep failed", { what, error });
    }
  };

  let upkeepRuns = false;
  async function upkeep(): Promise<void> {
    // Checking many found files takes longer than the interval.
    if (upkeepRuns) return;
    upkeepRuns = true;
    try {
      await store.reconcile();
      await pruneNow();
      if (config().verify_found) await verifier.checkFound(stopping.signal);
    } finally {
      upkeepRuns = false;
    }
  }

  return {
    folder,
    fetch,
    open,
    find: (source, songId, quality) => store.find(source, songId, quality),
    findCover: (source, songId) => store.find(source, songId, "cover"),
    lookup(name) {
      if (!isPlainName(name)) return undefined;
      const file = store.byName(name);
      if (file !== undefined) return file.state === "bad" ? undefined : { path: file.path, name, file };
      return isMedia(name) ? { path: join(folder, name), name } : undefined;
    },
    played: (file) => store.played(file),
    missing: (file) =>
      void lstat(file.path).catch((error: unknown) => {
        if (isGone(error)) return store.remove(file);
      }),
    keepCover: (source, songId, from) =>
      config().covers ? covers.keep(source, songId, from, stopping.signal) : Promise.resolve(undefined),
    async retag(source, songId, quality, tags) {
      const file = store.find(source, songId, quality);
      return file !== undefined && (await retagFile(file.name, tags)) !== undefined;
    },
    refused: (source, songId, quality) => refusals.of({ source, songId, quality }),
    list: () => store.all(),
    stats() {
      const files = store.all();
      return {
        files: files.length,
        bytes: store.bytes(),
        quota: config().quota,
        pinned: files.filter((file) => file.pinned).length,
        downloading: queue.active,
        waiting: queue.waiting,
      };
    },
    pin(name, pinned) {
      const file = existing(name);
      file.pinned = pinned;
      store.put(file);
      return file;
    },
    delete: async (name) => store.remove(existing(name)),
    prune: pruneNow,
    verify: (options = {}) => verifier.verifyAll(options),
    async tag(name, tags) {
      existing(name);
      const file = await retagFile(name, tags);
      if (file === undefined) throw new AppError("unsupported", "无法写入此文件的标签", { detail: { name } });
      return file;
    },
    async start() {
      await store.reconcile();
      await removeLeftovers(folder);
      const timer = (ms: number, what: string, job: () => Promise<unknown>) => {
        const interval = setInterval(quietly(what, job), ms);
        interval.unref();
        timers.push(interval);
      };
      timer(FLUSH_MS, "plays", async () => store.flush());
      timer(config().rescan * 1000, "rescan", upkeep);
      if (tree.mode !== "off") await quietly("tree", () => adoptTree({ store, tree, log, signal: stopping.signal }))();
      void quietly("first look", upkeep)();
    },
    async close() {
      for (const timer of timers) clearInterval(timer);
      stopping.abort(new Error("closed"));
      await queue.idle();
      await Promise.allSettled([...retags.values()]);
      store.flush();
      await work.close();
    },
  };
}

function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

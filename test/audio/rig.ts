import { Database } from "bun:sqlite";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import type { AudioConfig } from "../../src/audio/config.ts";
import { type AudioCache, createAudioCache, type FetchJob, type StoredFile } from "../../src/audio/index.ts";
import type { TrackTags } from "../../src/audio/track-tags.ts";
import { type AudioWork, inlineWork } from "../../src/audio/work.ts";
import { audioSection } from "../../src/config/sections/audio.ts";
import type { Fields, Logger } from "../../src/ops/log.ts";
import { type Origin, startOrigin } from "./origin.ts";

export interface Rig {
  cache: AudioCache;
  origin: Origin;
  /** Where the data lies. */
  dir: string;
  folder: string;
  config: AudioConfig;
  lines: { level: string; message: string; fields: Fields }[];
  stored: StoredFile[];
  /** Unix ms that the cache sees. */
  clock: { now: number };
  /** A second cache over the same folder and database, as after a restart. */
  reopen(options?: { keepDatabase?: boolean }): Promise<AudioCache>;
  close(): Promise<void>;
}

export const audioConfig = (changes: object = {}): AudioConfig =>
  Value.Parse(["Clone", "Default", "Assert"], audioSection, { tree: {}, ...changes }) as AudioConfig;

export async function startRig(changes: object = {}, options: { dir?: string; work?: AudioWork } = {}): Promise<Rig> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "lx-audio-")));
  await mkdir(dir, { recursive: true });
  const config = audioConfig({ min_free: 0, host_gap: 0, retries: 1, ...changes });
  const origin = startOrigin();
  const lines: Rig["lines"] = [];
  const stored: StoredFile[] = [];
  const clock = { now: Date.now() };
  const note =
    (level: string) =>
    (message: string, fields: Fields = {}) =>
      void lines.push({ level, message, fields });
  const log: Logger = {
    debug: note("debug"),
    info: note("info"),
    warn: note("warn"),
    error: note("error"),
    child: () => log,
  };
  const open: { cache: AudioCache; db: Database }[] = [];

  async function make(path: string): Promise<AudioCache> {
    const db = new Database(path, { create: true, strict: true });
    const cache = createAudioCache({
      dataDir: dir,
      config: () => config,
      db,
      log,
      now: () => clock.now,
      fetchStream: origin.fetchStream,
      work: options.work ?? inlineWork,
      onStored: (file) => void stored.push(file),
    });
    open.push({ cache, db });
    await cache.start();
    return cache;
  }

  async function shut(): Promise<void> {
    for (const { cache, db } of open.splice(0)) {
      await cache.close();
      db.close();
    }
  }

  const path = join(dir, "test.db");
  return {
    cache: await make(path),
    origin,
    dir,
    folder: join(dir, "cache_audio"),
    config,
    lines,
    stored,
    clock,
    async reopen({ keepDatabase = true } = {}) {
      await shut();
      if (!keepDatabase) for (const suffix of ["", "-wal", "-shm"]) await rm(path + suffix, { force: true });
      return make(path);
    },
    async close() {
      await shut();
      await origin.stop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export function job(url: string, changes: Partial<FetchJob> = {}): FetchJob {
  return { source: "tx", songId: "0039MnYb0qxYhV", quality: "128k", url, route: "tx", durationSeconds: 4, ...changes };
}

export const TAGS: TrackTags = {
  title: "晴天 🌞",
  artists: ["周杰伦", "AC/DC"],
  album: "叶惠美",
  track: 3,
  year: 2003,
  lyric: "[00:01.00]故事的小黄花",
};

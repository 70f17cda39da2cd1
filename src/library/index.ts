import type { Database } from "bun:sqlite";
import { mkdir, stat } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Static } from "@sinclair/typebox";
import type { librarySection } from "../config/sections/library.ts";
import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { createArtwork, type Picture } from "./artwork.ts";
import { type Catalogue, createCatalogue, type TrackQuery } from "./catalogue.ts";
import { locate, type Root, readCover, readLyric, rootsOf } from "./files.ts";
import { createMatcher, type Match, type MatchQuery } from "./match.ts";
import { readTrack } from "./read.ts";
import { createScans, startBackground } from "./rounds.ts";
import { type ScanProgress, type ScanSummary, scanLibrary } from "./scan.ts";
import type { BadFile, Track } from "./track.ts";
import { storeUpload } from "./upload.ts";
import { isInside } from "./walk.ts";

export type LibraryConfig = Static<typeof librarySection>;

export interface LibraryDeps {
  db: Database;
  log: Logger;
  config: LibraryConfig;
  dataDir: string;
  /** Starts `scan-worker.ts`; its address is known to the entry file alone. */
  startWorker: () => Worker;
  /** Milliseconds of a silent scan worker before it is taken for dead. */
  silenceMs?: number;
}

export interface FoundTrack extends Match {
  track: Track;
}

export interface LibraryStatus {
  tracks: number;
  bad: number;
  bytes: number;
  seconds: number;
  roots: string[];
  scanning: ScanProgress | undefined;
  lastScan: (ScanSummary & { at: number }) | undefined;
  lastError: string | undefined;
}

export interface Library {
  /** Resolves when the index on disk is loaded for matching; before that, matches may be missing. */
  readonly ready: Promise<void>;
  /** Scan at start, watch and periodic scans, as configured. */
  start(): void;
  /** One scan at a time; a call during a scan waits for one more after it. */
  scan(onProgress?: (progress: ScanProgress) => void): Promise<ScanSummary>;
  match(query: MatchQuery): FoundTrack | undefined;
  get(id: number): Track | undefined;
  list(query: TrackQuery): { total: number; tracks: Track[] };
  badFiles(page: number, pageSize: number): { total: number; files: BadFile[] };
  status(): LibraryStatus;
  /** Absolute path of the audio, checked to lie where links may lead; undefined = gone. */
  file(track: Track): Promise<string | undefined>;
  lyric(track: Track): Promise<string | undefined>;
  cover(track: Track, edge?: number): Promise<Picture | undefined>;
  /** Path and query under which `/local` serves the file. */
  address(track: Track): string;
  /** @throws AppError `forbidden`, `invalid_request`, `too_large`, `storage_failed` */
  upload(name: string, body: ReadableStream<Uint8Array>): Promise<Track>;
  /** Absolute music folder that the track lies in. */
  folderOf(track: Track): string | undefined;
  /** Absolute, in configured order. */
  readonly folders: readonly string[];
  /** Absolute folder that uploads go to. */
  readonly uploadFolder: string;
  /** For those who write into it by themselves (WebDAV). Does nothing while the disk that it lies on is away. */
  makeUploadFolder(): Promise<void>;
  close(): Promise<void>;
}

/** Rows read at once; what is made of them takes less than a millisecond. */
const LOAD_SLICE = 16;
const SILENCE_MS = 60_000;

export function createLibrary(deps: LibraryDeps): Library {
  const { config, log } = deps;
  const roots = rootsOf(config.audio_path, deps.dataDir);
  const extensions = new Set(config.extensions);
  const catalogue = createCatalogue(deps.db);
  const matcher = createMatcher({ threshold: config.match_threshold, extensions });
  const artwork = createArtwork({ log, maxBytes: config.cover_max_bytes, ffmpeg: config.ffmpeg });
  const closing = new AbortController();
  const ready = load(catalogue, roots, (track) => matcher.put(track), closing.signal);
  // A waiter that comes later sees the failure; without one it is still no unhandled rejection.
  ready.catch((error: unknown) => log.error("library index could not be loaded", { error }));
  const state: Pick<LibraryStatus, "scanning" | "lastScan" | "lastError"> = {
    scanning: undefined,
    lastScan: undefined,
    lastError: undefined,
  };
  const scans = createScans(
    async (onProgress) => {
      await ready;
      return scanLibrary({
        catalogue,
        database: deps.db.filename === ":memory:" ? "" : deps.db.filename,
        log,
        startWorker: deps.startWorker,
        roots,
        extensions: config.extensions,
        followOutside: config.follow_outside,
        maxFiles: config.max_files,
        coverMaxBytes: config.cover_max_bytes,
        silenceMs: deps.silenceMs ?? SILENCE_MS,
        signal: closing.signal,
        onTrack: (track) => matcher.put(track),
        isKnown: (id) => matcher.has(id),
        onRemoved: (id) => matcher.remove(id),
        onProgress,
      });
    },
    state,
    log,
  );
  const uploadFolder = join(roots[0]?.absolute ?? resolve(deps.dataDir, "audio"), safeFolder(config.upload.folder));
  const file = (track: Track) => locate(track, roots, config.follow_outside);
  let stopBackground = () => {};

  return {
    ready,
    folders: roots.map((root) => root.absolute),
    folderOf: (track) => roots.find((root) => root.name === track.root)?.absolute,
    uploadFolder,
    async makeUploadFolder() {
      const [root] = roots;
      const there = root === undefined || (await stat(root.absolute).catch(() => undefined)) !== undefined;
      if (there || !hadSongs(catalogue, root)) await mkdir(uploadFolder, { recursive: true });
    },
    start() {
      const folders = roots.map((root) => root.absolute);
      ready.then(
        () => {
          if (!closing.signal.aborted) stopBackground = startBackground(config, folders, scans.scan, log);
        },
        () => undefined,
      );
    },
    scan: scans.scan,
    match(query) {
      for (let match = matcher.find(query); match !== undefined; match = matcher.find(query)) {
        const track = catalogue.get(match.id);
        if (track !== undefined) return { ...match, track };
        // Another process (`library scan`) has dropped it.
        matcher.remove(match.id);
      }
      return undefined;
    },
    get: (id) => catalogue.get(id),
    list: (query) => catalogue.list(query),
    badFiles: (page, pageSize) => catalogue.badFiles(page, pageSize),
    status: () => ({ ...catalogue.counts(), roots: roots.map((root) => root.name), ...state }),
    file,
    lyric: (track) => readLyric(track, catalogue.side(track.id), file),
    cover: (track, edge) => readCover(track, catalogue.side(track.id), file, artwork, edge),
    address: (track) => `/local/u?q=${Buffer.from(JSON.stringify({ p: track.path })).toString("base64url")}`,
    async upload(name, body) {
      if (!config.upload.enable) throw new AppError("forbidden", "未开启上传");
      const read = { coverMaxBytes: config.cover_max_bytes, deadlineMs: 15_000 };
      const path = await storeUpload(name, body, {
        folder: uploadFolder,
        maxBytes: config.upload.max_bytes,
        async verify(temporary) {
          await readTrack(temporary, "", read).catch((error: unknown) => {
            throw new AppError("invalid_request", "文件无法作为音频读取", { cause: error });
          });
        },
      });
      return addFile(path, roots, catalogue, await readTrack(path, "", read), (track) => matcher.put(track));
    },
    async close() {
      stopBackground();
      closing.abort();
      await scans.idle();
      await ready.catch(() => undefined);
    },
  };
}

/** Keeps a configured folder name below its root. */
function safeFolder(name: string): string {
  const parts = name.split(/[/\\]+/).filter((part) => part !== "" && part !== "." && part !== "..");
  return parts.length === 0 ? "upload" : join(...parts);
}

/** When such a folder is not there, its disk is away: made anew, it would say that the songs are gone. */
function hadSongs(catalogue: Catalogue, root: Root): boolean {
  return catalogue.paths(root.name, 0, 1).length > 0;
}

async function load(
  catalogue: Catalogue,
  roots: readonly Root[],
  put: (track: Track) => void,
  signal: AbortSignal,
): Promise<void> {
  catalogue.keepRoots(roots.map((root) => root.name));
  for (const root of roots) {
    if (!hadSongs(catalogue, root)) await mkdir(root.absolute, { recursive: true }).catch(() => undefined);
  }
  for (let after = 0; !signal.aborted; ) {
    const tracks = catalogue.slice(after, LOAD_SLICE);
    for (const track of tracks) put(track);
    const last = tracks.at(-1);
    if (last === undefined) return;
    after = last.id;
    // Names are folded here; requests get their turn in between.
    await setImmediate();
  }
}

async function addFile(
  path: string,
  roots: readonly Root[],
  catalogue: Catalogue,
  data: Awaited<ReturnType<typeof readTrack>>,
  put: (track: Track) => void,
): Promise<Track> {
  const root = roots.find((one) => isInside(one.absolute, path));
  const info = await stat(path);
  if (root === undefined)
    throw new AppError("internal", "内部服务器错误", { detail: "upload folder out of the roots" });
  const below = relative(root.absolute, path).split(sep).join("/");
  const id = catalogue.put({
    root: root.name,
    path: below,
    size: info.size,
    mtime: Math.trunc(info.mtimeMs),
    side: "",
    data,
  });
  const track = catalogue.get(id);
  if (track === undefined) throw new AppError("storage_failed", "保存文件失败", { detail: path });
  put(track);
  return track;
}

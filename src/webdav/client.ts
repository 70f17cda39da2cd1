import type { Database } from "bun:sqlite";
import type { Static } from "@sinclair/typebox";
import type { webdavSection } from "../config/sections/webdav.ts";
import { AppError, toAppError } from "../core/errors.ts";
import type { Quality } from "../core/types.ts";
import { createBreaker } from "../net/breaker.ts";
import type { Logger } from "../ops/log.ts";
import { createFileTable } from "./file-table.ts";
import { type RemoteFile, walkRemote } from "./listing.ts";
import { createRemote, type Remote } from "./remote.ts";
import { parseStoredName } from "./stored-name.ts";

export type WebdavConfig = Static<typeof webdavSection>;

/** Finds a file by the name that a client has for it; made from the library's matcher by the composition root. */
export interface NameMatcher {
  put(candidate: {
    id: number;
    path: string;
    title: string;
    artists: string[];
    album: string;
    durationSeconds: undefined;
    bitrate: undefined;
    lossless: boolean;
  }): void;
  remove(id: number): void;
  find(query: { path: string }): { id: number } | undefined;
}

export interface WebdavDeps {
  db: Database;
  log: Logger;
  config: WebdavConfig;
  createMatcher: () => NameMatcher;
  fetch?: typeof globalThis.fetch;
  now?: () => number;
}

export interface IndexSummary {
  files: number;
  folders: number;
  truncated: boolean;
  failed: { path: string; reason: string }[];
  milliseconds: number;
}

export interface WebdavStatus {
  enabled: boolean;
  files: number;
  indexing: boolean;
  lastIndex: (IndexSummary & { at: number }) | undefined;
  lastError: string | undefined;
}

export interface WebdavSource {
  readonly enabled: boolean;
  readonly remote: Remote;
  /** Index at start and on schedule, as configured. */
  start(): void;
  /** Lists the configured folders anew. One run at a time. @throws AppError of the first folder */
  refresh(): Promise<IndexSummary>;
  /** From memory, at once. `songId` as the client has it. */
  find(source: string, songId: string, quality: Quality): RemoteFile | undefined;
  findCover(source: string, songId: string): RemoteFile | undefined;
  /** A file of the "local" folder by the client's name for it. */
  findLocal(name: string): RemoteFile | undefined;
  /** Notes a file that was just stored there. */
  add(file: RemoteFile): void;
  /** Notes that a file is gone. */
  forget(path: string): void;
  /** What is handed to a client: a path of ours, or the direct address when the operator says so. */
  address(source: string, songId: string, quality: Quality, file: RemoteFile): string;
  status(): WebdavStatus;
  close(): Promise<void>;
}

/** Faults in a row after which the server rests; a missed deadline is enough alone. */
const FAULTS = 3;

/** A WebDAV server as a place where music lies: an index in memory, kept in `lx.db`, and the way to its bytes. */
export function createWebdavSource(deps: WebdavDeps): WebdavSource {
  const { config, log } = deps;
  const now = deps.now ?? Date.now;
  const remote = createRemote({
    url: config.url,
    username: config.username,
    password: config.password,
    auth: config.auth,
    sslVerify: config.ssl_verify,
    deadlineMs: config.timeout * 1000,
    idleMs: config.idle_timeout * 1000,
    breaker: createBreaker({
      threshold: FAULTS,
      openMs: config.rest * 1000,
      maxOpenMs: config.rest * 4000,
      now,
    }),
    ...(deps.fetch === undefined ? {} : { fetch: deps.fetch }),
  });
  const table = createFileTable(deps.db, `${config.url}\n${config.username}`);
  const index = createIndex(deps.createMatcher, config.paths.local);
  for (const file of table.all()) index.put(file);
  const closing = new AbortController();
  const state: Pick<WebdavStatus, "lastIndex" | "lastError"> = { lastIndex: undefined, lastError: undefined };
  let running: Promise<IndexSummary> | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;

  async function run(): Promise<IndexSummary> {
    const started = performance.now();
    const found = new Map<string, RemoteFile>();
    const summary: IndexSummary = { files: 0, folders: 0, truncated: false, failed: [], milliseconds: 0 };
    try {
      for (const start of startsOf(config.paths)) {
        const limits = {
          maxFiles: config.max_files - found.size,
          maxDepth: config.max_depth,
          signal: closing.signal,
        };
        try {
          const outcome = await walkRemote(remote, start, limits, (file) => found.set(file.path, file));
          summary.folders += outcome.folders;
          summary.truncated ||= outcome.truncated;
          summary.failed.push(...outcome.failed);
        } catch (error) {
          // The folder is made with the first upload.
          if (toAppError(error).kind !== "upstream_not_found") throw error;
        }
      }
      if (closing.signal.aborted) throw new AppError("upstream_unreachable", "索引已取消");
      await settle(found, summary);
      summary.files = found.size;
      summary.milliseconds = Math.round(performance.now() - started);
      state.lastIndex = { ...summary, at: now() };
      state.lastError = undefined;
      log.info("webdav indexed", { ...summary, failed: summary.failed.length });
      return summary;
    } catch (error) {
      state.lastError = toAppError(error).message;
      throw error;
    } finally {
      running = undefined;
    }
  }

  /** Takes over what was found; below folders that failed or were cut off, the old stays. */
  async function settle(found: Map<string, RemoteFile>, summary: IndexSummary): Promise<void> {
    const kept = (path: string) =>
      summary.truncated || summary.failed.some((folder) => path.startsWith(`${folder.path}/`));
    for (const file of index.all()) {
      if (found.has(file.path)) continue;
      if (kept(file.path)) found.set(file.path, file);
      else index.remove(file.path);
    }
    let slice = 0;
    for (const file of found.values()) {
      index.put(file);
      if (++slice % 200 === 0) await Bun.sleep(0);
    }
    await table.replace([...found.values()]);
  }

  function refresh(): Promise<IndexSummary> {
    if (!config.enable) return Promise.reject(new AppError("unsupported", "未启用 WebDAV"));
    running ??= run();
    return running;
  }

  const quietly = () => {
    refresh().catch((error: unknown) => log.warn("webdav index failed", { error: toAppError(error).message }));
  };

  return {
    enabled: config.enable,
    remote,
    start() {
      if (!config.enable) return;
      if (config.index_on_startup) quietly();
      if (config.index_refresh_interval > 0) {
        timer = setInterval(quietly, config.index_refresh_interval * 1000);
        timer.unref();
      }
    },
    refresh,
    find: (source, songId, quality) => (config.enable ? index.song(songKey(source, songId, quality)) : undefined),
    findCover: (source, songId) => (config.enable ? index.song(songKey(source, songId)) : undefined),
    findLocal: (name) => (config.enable ? index.local(name) : undefined),
    add(file) {
      index.put(file);
      table.put(file);
    },
    forget(path) {
      index.remove(path);
      table.remove(path);
    },
    address(source, songId, quality, file) {
      if (config.direct_url) return remote.addressOf(file.path, true);
      if (!config.proxy_auth) return remote.addressOf(file.path);
      return `/webdav/${source}/${encodeURIComponent(songId)}/${quality}`;
    },
    status: () => ({ enabled: config.enable, files: index.size, indexing: running !== undefined, ...state }),
    async close() {
      clearInterval(timer);
      closing.abort();
      await running?.catch(() => undefined);
    },
  };
}

/** The folders to list, without those that lie in another one. */
function startsOf(paths: { audio: string; local: string }): string[] {
  const clean = [...new Set([paths.audio, paths.local].map(cleanPath))];
  return clean.filter((path) => !clean.some((other) => other !== path && `${path}/`.startsWith(`${other}/`)));
}

export function cleanPath(path: string): string {
  return `/${path
    .split(/[/\\]+/)
    .filter((part) => part !== "" && part !== "." && part !== "..")
    .join("/")}`;
}

/** kg ids are hashes in either case; the other platforms' ids are case-sensitive. */
function songKey(source: string, songId: string, quality = ""): string {
  return `${source}_${source === "kg" ? songId.toLowerCase() : songId}_${quality}`;
}

interface Index {
  readonly size: number;
  put(file: RemoteFile): void;
  remove(path: string): void;
  song(key: string): RemoteFile | undefined;
  local(name: string): RemoteFile | undefined;
  all(): RemoteFile[];
}

function createIndex(createMatcher: () => NameMatcher, localFolder: string): Index {
  const files = new Map<string, RemoteFile & { id: number }>();
  const byId = new Map<number, string>();
  const songs = new Map<string, string>();
  const matcher = createMatcher();
  const local = cleanPath(localFolder);
  let lastId = 0;

  const keysOf = (path: string): string[] => {
    const stored = parseStoredName(path.slice(path.lastIndexOf("/") + 1));
    if (stored === undefined) return [];
    return [songKey(stored.source, stored.songId, stored.quality)];
  };

  return {
    get size() {
      return files.size;
    },
    put(file) {
      const known = files.get(file.path);
      const id = known?.id ?? ++lastId;
      files.set(file.path, { ...file, id });
      if (known !== undefined) return;
      byId.set(id, file.path);
      for (const key of keysOf(file.path)) songs.set(key, file.path);
      const below = local === "/" ? file.path : file.path.startsWith(`${local}/`) ? file.path : undefined;
      if (below === undefined || !/\.(?:mp3|flac|m4a|aac|ogg|opus|wav|ape|wma|aiff?|wv|dsf|dff|mka)$/i.test(below))
        return;
      matcher.put({
        id,
        path: below,
        title: "",
        artists: [],
        album: "",
        durationSeconds: undefined,
        bitrate: undefined,
        lossless: /\.(?:flac|wav|ape|aiff?|wv|dsf|dff)$/i.test(below),
      });
    },
    remove(path) {
      const known = files.get(path);
      if (known === undefined) return;
      files.delete(path);
      byId.delete(known.id);
      matcher.remove(known.id);
      for (const key of keysOf(path)) if (songs.get(key) === path) songs.delete(key);
    },
    song(key) {
      const path = songs.get(key);
      return path === undefined ? undefined : files.get(path);
    },
    local(name) {
      const found = matcher.find({ path: name });
      const path = found === undefined ? undefined : byId.get(found.id);
      return path === undefined ? undefined : files.get(path);
    },
    all: () => [...files.values()],
  };
}

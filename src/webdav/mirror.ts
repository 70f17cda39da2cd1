import type { Database } from "bun:sqlite";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { AppError, isAppError, toAppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { cleanPath, type WebdavConfig, type WebdavSource } from "./client.ts";
import type { Remote } from "./remote.ts";
import { createUploadQueue, type Upload } from "./upload-queue.ts";

export interface MirrorDeps {
  db: Database;
  log: Logger;
  config: WebdavConfig;
  webdav: Pick<WebdavSource, "remote" | "add" | "forget">;
  now?: () => number;
  random?: () => number;
}

export interface MirrorStatus {
  enabled: boolean;
  waiting: number;
  /** Given up after all retries; they stay listed until `retryFailed`. */
  failed: number;
  running: number;
  uploaded: number;
  lastError: string | undefined;
}

export interface Mirror {
  /** Begins with what the last run left. */
  start(): void;
  /** Puts a stored file into the queue; it goes to the audio folder under its own name. False = off or full. */
  add(file: string): boolean;
  /** Deletes the file there too, when the operator wants that. */
  removed(file: string): void;
  status(): MirrorStatus;
  retryFailed(): void;
  close(): Promise<void>;
}

const MAX_DELAY_MS = 3_600_000;
/** Bytes per second that an upload is given time for, on top of the deadline. */
const SLOWEST = 32 << 10;

/**
 * Copies stored files to the WebDAV server: each under a temporary name first, then moved to its own, so that nobody
 * ever sees half a file. The queue is kept in `lx.db`; a dead server costs no retries.
 */
export function createMirror(deps: MirrorDeps): Mirror {
  const { config, log, webdav } = deps;
  const { mirror } = config;
  const now = deps.now ?? Date.now;
  const random = deps.random ?? Math.random;
  const enabled = config.enable && mirror.enable;
  const queue = createUploadQueue(deps.db, mirror.queue);
  const folders = new Map<string, Promise<void>>();
  const running = new Map<number, Promise<void>>();
  const closing = new AbortController();
  const counts: { uploaded: number; lastError: string | undefined } = { uploaded: 0, lastError: undefined };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let started = false;

  function pump(): void {
    if (!started || closing.signal.aborted) return;
    clearTimeout(timer);
    while (running.size < mirror.parallel) {
      const next = queue.due(now(), [...running.keys()]);
      if (next === undefined) break;
      const work = handle(next).finally(() => {
        running.delete(next.id);
        pump();
      });
      running.set(next.id, work);
    }
    const at = queue.nextAt([...running.keys()]);
    if (at === undefined || running.size >= mirror.parallel) return;
    timer = setTimeout(pump, Math.min(Math.max(10, at - now()), MAX_DELAY_MS));
    timer.unref();
  }

  async function handle(upload: Upload): Promise<void> {
    try {
      if (upload.action === "delete") await erase(webdav.remote, upload.remote);
      else await send(upload);
      queue.finish(upload);
      counts.uploaded++;
    } catch (error) {
      if (closing.signal.aborted) return;
      fail(upload, toAppError(error));
    }
  }

  async function send(upload: Upload): Promise<void> {
    const info = await stat(upload.local).catch(() => undefined);
    // Evicted meanwhile: there is nothing to copy any more.
    if (!info?.isFile()) return;
    const temporary = `${cleanPath(config.paths.temp)}/lx-${Bun.hash.xxHash64(upload.remote).toString(16)}.part`;
    await ensureFolder(webdav.remote, parentOf(temporary), folders);
    await ensureFolder(webdav.remote, parentOf(upload.remote), folders);
    await put(webdav.remote, temporary, upload.local, info.size, config.timeout * 1000, closing.signal);
    await move(webdav.remote, temporary, upload.remote, closing.signal);
    webdav.add({ path: upload.remote, size: info.size, etag: undefined, modified: now() });
  }

  function fail(upload: Upload, error: AppError): void {
    counts.lastError = error.message;
    // A folder may have been deleted under our feet.
    folders.clear();
    const unreachable = error.kind === "upstream_unreachable";
    const tries = upload.tries + (unreachable ? 0 : 1);
    const delay = Math.min(MAX_DELAY_MS, mirror.retry_delay * 1000 * 2 ** Math.min(tries, 12)) * (0.75 + random() / 2);
    const failed = tries > mirror.retries;
    queue.postpone(upload, { tries, at: now() + delay, failed, error: error.message });
    log.warn("webdav upload failed", { file: basename(upload.remote), tries, failed, error: error.message });
  }

  const remoteOf = (file: string) => `${cleanPath(config.paths.audio)}/${basename(file)}`;

  return {
    start() {
      started = enabled;
      pump();
    },
    add(file) {
      if (!enabled) return false;
      const taken = queue.add({ local: file, remote: remoteOf(file), action: "put" }, now());
      if (!taken) log.warn("webdav upload queue is full", { file: basename(file) });
      pump();
      return taken;
    },
    removed(file) {
      if (!enabled) return;
      const remote = remoteOf(file);
      queue.cancel(remote);
      if (!mirror.delete) return;
      queue.add({ local: file, remote, action: "delete" }, now());
      webdav.forget(remote);
      pump();
    },
    status: () => ({ enabled, ...queue.counts(), running: running.size, ...counts }),
    retryFailed() {
      queue.retryFailed(now());
      pump();
    },
    async close() {
      closing.abort();
      clearTimeout(timer);
      await Promise.all(running.values());
    },
  };
}

const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/")) || "/";

function refused(what: string, response: Response): AppError {
  return new AppError("upstream_refused", `WebDAV ${what}失败（HTTP ${response.status}）`, {
    upstreamCode: response.status,
  });
}

async function call(remote: Remote, request: Parameters<Remote["send"]>[0]): Promise<Response> {
  const response = await remote.send(request);
  await response.body?.cancel();
  return response;
}

/** Makes a folder and those above it, each once: servers dislike two requests for one folder. */
function ensureFolder(remote: Remote, path: string, known: Map<string, Promise<void>>): Promise<void> {
  if (path === "/") return Promise.resolve();
  const made = known.get(path);
  if (made !== undefined) return made;
  const making = makeFolder(remote, path, known);
  known.set(path, making);
  making.catch(() => known.delete(path));
  return making;
}

async function makeFolder(remote: Remote, path: string, known: Map<string, Promise<void>>): Promise<void> {
  await ensureFolder(remote, parentOf(path), known);
  const response = await call(remote, { method: "MKCOL", path: `${path}/` });
  // 405: it is there already; some servers say 301 or 409 for that, and a PUT will tell.
  if (![200, 201, 204, 301, 405, 409].includes(response.status)) throw refused("创建目录", response);
}

async function put(
  remote: Remote,
  path: string,
  file: string,
  size: number,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<void> {
  const response = await call(remote, {
    method: "PUT",
    path,
    headers: { "content-type": "application/octet-stream" },
    body: () => Bun.file(file),
    deadlineMs: deadlineMs + (size / SLOWEST) * 1000,
    signal,
  });
  if (!response.ok) throw refused("上传", response);
  // A server that was cut off may keep half a file and say nothing.
  const head = await call(remote, { method: "HEAD", path, signal });
  const length = head.headers.get("content-length");
  if (!head.ok || (length !== null && Number(length) !== size)) throw refused("上传校验", head);
}

async function move(remote: Remote, from: string, to: string, signal: AbortSignal): Promise<void> {
  const headers = { destination: remote.addressOf(to), overwrite: "T" };
  const response = await call(remote, { method: "MOVE", path: from, headers, signal });
  if (!response.ok) throw refused("改名", response);
}

async function erase(remote: Remote, path: string): Promise<void> {
  try {
    const response = await call(remote, { method: "DELETE", path });
    if (!response.ok && response.status !== 404) throw refused("删除", response);
  } catch (error) {
    if (!isAppError(error) || error.kind !== "not_found") throw error;
  }
}

import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError, isAppError } from "../core/errors.ts";
import type { Bandwidth } from "./bandwidth.ts";
import { freeBytes, isDiskFull } from "./disk.ts";
import { sniff } from "./sniff.ts";

export interface StreamReply {
  status: number;
  headers: Headers;
  body: ReadableStream<Uint8Array> | null;
}

/**
 * One GET of an address that a platform or a script has named, so guarded against private ones. `offset` is where the
 * body shall start; the header for it is already in `headers`.
 */
export type FetchStream = (
  url: string,
  options: { headers: Record<string, string>; signal: AbortSignal; offset: number },
) => Promise<StreamReply>;

export interface TransferOptions {
  fetchStream: FetchStream;
  url: string;
  headers: Record<string, string>;
  /** File to write; made, and left in place whatever happens. */
  path: string;
  bandwidth: Bandwidth;
  /** Milliseconds without data after which the connection counts as broken. */
  stallMs: number;
  /** How often it goes on after a break. */
  retries: number;
  maxBytes: number;
  /** Bytes that stay free on the disk. */
  minFree: number;
  signal: AbortSignal;
  sleep?: (ms: number) => Promise<void>;
  random?: () => number;
  /** Opens the file; a test gives one that fails. */
  openFile?: (path: string) => Promise<Pick<FileHandle, "write" | "truncate" | "sync" | "close">>;
}

export interface Transferred {
  bytes: number;
  /** SHA-256, hexadecimal. */
  hash: string;
  /** How often it went on after a break. */
  resumed: number;
}

const BACKOFF_MS = 400;
const MAX_BACKOFF_MS = 15_000;
/** Free space is looked at again after so many bytes. */
const SPACE_STEP = 16 << 20;
const RETRY_STATUS = new Set([408, 425, 429, 500, 502, 503, 504]);

/** A break that the next try may mend. */
class Broken extends Error {}

interface Progress {
  file: Pick<FileHandle, "write" | "truncate">;
  offset: number;
  hash: Bun.CryptoHasher;
  /** Strong validator of the bytes we have. */
  validator?: string;
  total?: number;
}

/**
 * Streams an address into a file and brings it to the disk. After a break it goes on where it was (`Range`, with
 * `If-Range`), or from the start when the server cannot.
 *
 * @throws AppError `upstream_refused` (status, not audio, too large), `upstream_unreachable` (retries used up),
 *   `storage_failed` (disk full; `detail.full`), or the signal's reason.
 */
export async function transfer(options: TransferOptions): Promise<Transferred> {
  const file = await (options.openFile ?? ((path) => open(path, "w")))(options.path);
  const sleep = options.sleep ?? ((ms: number) => Bun.sleep(ms));
  const random = options.random ?? Math.random;
  const progress: Progress = { file, offset: 0, hash: new Bun.CryptoHasher("sha256") };
  try {
    for (let attempt = 0; ; attempt++) {
      try {
        await once(options, progress);
        await file.sync();
        return { bytes: progress.offset, hash: progress.hash.digest("hex"), resumed: attempt };
      } catch (error) {
        options.signal.throwIfAborted();
        if (!(error instanceof Broken)) throw error;
        if (attempt >= options.retries) {
          throw new AppError("upstream_unreachable", "音频下载中断", {
            detail: { reason: error.message, got: progress.offset, total: progress.total },
          });
        }
        await sleep(Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** attempt) * (0.5 + random()));
        options.signal.throwIfAborted();
      }
    }
  } catch (error) {
    if (isDiskFull(error)) throw diskFull(error);
    throw error;
  } finally {
    await file.close();
  }
}

export function diskFull(cause?: unknown, detail: object = {}): AppError {
  return new AppError("storage_failed", "磁盘空间不足", { cause, detail: { full: true, ...detail } });
}

/** Runs while we wait for the other side. */
interface Clock {
  start(): void;
  stop(): void;
}

/** One connection, from `progress.offset` to the end. */
async function once(options: TransferOptions, progress: Progress): Promise<void> {
  const stall = new AbortController();
  const signal = AbortSignal.any([options.signal, stall.signal]);
  let timer: Timer | undefined;
  const clock: Clock = {
    stop: () => clearTimeout(timer),
    start() {
      clearTimeout(timer);
      timer = setTimeout(() => stall.abort(new Broken("stalled")), options.stallMs);
    },
  };
  clock.start();
  try {
    const reply = await raced(signal, options.fetchStream(options.url, request(options, progress, signal))).catch(
      broken,
    );
    try {
      await begin(reply, progress, options);
      if (reply.body !== null) await copy(reply.body, progress, options, signal, clock);
    } finally {
      // Frees the connection of a reply that is not read to its end.
      await reply.body?.cancel().catch(() => {});
    }
  } finally {
    clock.stop();
  }
  if (progress.total !== undefined && progress.offset < progress.total) throw new Broken("ended early");
  if (progress.offset === 0) throw new AppError("upstream_refused", "返回的不是音频", { detail: { what: "empty" } });
}

function request({ headers }: TransferOptions, { offset, validator }: Progress, signal: AbortSignal) {
  return {
    signal,
    offset,
    headers: {
      ...headers,
      // A compressed body has no ranges that we could go on with.
      "accept-encoding": "identity",
      ...(offset === 0 ? {} : { range: `bytes=${offset}-` }),
      ...(offset === 0 || validator === undefined ? {} : { "if-range": validator }),
    },
  };
}

/** Reads the head of the reply: where its body starts and how long the whole is. */
async function begin(reply: StreamReply, progress: Progress, options: TransferOptions): Promise<void> {
  const { status, headers } = reply;
  if (RETRY_STATUS.has(status)) throw new Broken(`status ${status}`);
  const length = headers.get("content-length");
  if (status === 206 && progress.offset > 0) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get("content-range") ?? "");
    const total = range?.[2] === "*" ? undefined : Number(range?.[2]);
    if (Number(range?.[1]) === progress.offset && (total === progress.total || progress.total === undefined)) return;
    await restart(progress);
    throw new Broken("another range than was asked for");
  }
  if (status === 416 && progress.offset > 0) {
    await restart(progress);
    throw new Broken("range refused");
  }
  if (status !== 200 && !(status === 206 && progress.offset === 0)) {
    throw new AppError("upstream_refused", "音频地址已失效", { upstreamCode: status, detail: { status } });
  }
  if (progress.offset > 0) await restart(progress);
  if (length !== null && !headers.has("content-encoding")) progress.total = Number(length);
  const etag = headers.get("etag");
  const validator = etag !== null && !etag.startsWith("W/") ? etag : headers.get("last-modified");
  if (validator !== null) progress.validator = validator;
  if ((progress.total ?? 0) > options.maxBytes) throw tooLarge(options.maxBytes);
  await checkSpace(options, progress.total ?? 0);
}

async function restart(progress: Progress): Promise<void> {
  await progress.file.truncate(0);
  progress.offset = 0;
  progress.hash = new Bun.CryptoHasher("sha256");
  delete progress.total;
  delete progress.validator;
}

async function copy(
  body: ReadableStream<Uint8Array>,
  progress: Progress,
  options: TransferOptions,
  signal: AbortSignal,
  clock: Clock,
): Promise<void> {
  const reader = body.getReader();
  let nextCheck = progress.offset + SPACE_STEP;
  try {
    for (;;) {
      const part = await raced(signal, reader.read()).catch(broken);
      if (part.done) return;
      // Only the other side can stall, not our disk or our own limit.
      clock.stop();
      const chunk = part.value;
      if (progress.offset === 0) refuseText(chunk);
      if (progress.offset + chunk.length > options.maxBytes) throw tooLarge(options.maxBytes);
      await writeAll(progress, chunk);
      if (progress.offset >= nextCheck) {
        nextCheck += SPACE_STEP;
        await checkSpace(options, 0);
      }
      await options.bandwidth.take(chunk.length, options.signal);
      clock.start();
    }
  } finally {
    reader.releaseLock();
  }
}

async function writeAll(progress: Progress, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.length; ) {
    const { bytesWritten } = await progress.file.write(
      chunk,
      written,
      chunk.length - written,
      progress.offset + written,
    );
    if (bytesWritten === 0) throw diskFull();
    written += bytesWritten;
  }
  progress.hash.update(chunk);
  progress.offset += chunk.length;
}

/** An error page is not worth the rest of the download. */
function refuseText(chunk: Uint8Array): void {
  const found = chunk.length < 16 ? undefined : sniff(chunk);
  if (found?.kind === "not_audio" || found?.kind === "encrypted") {
    const message = found.kind === "encrypted" ? "返回的是加密文件" : "返回的不是音频";
    throw new AppError("upstream_refused", message, { detail: { fault: found.kind, what: found.what } });
  }
}

async function checkSpace({ path, minFree }: TransferOptions, needed: number): Promise<void> {
  const free = await freeBytes(dirname(path));
  if (free < minFree + needed) throw diskFull(undefined, { free, needed, minFree });
}

function tooLarge(maxBytes: number): AppError {
  return new AppError("upstream_refused", "音频文件过大", { detail: { maxBytes } });
}

/** A body that ignores its signal must not hold us. */
function raced<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(signal.reason);
  if (signal.aborted) stop();
  signal.addEventListener("abort", stop, { once: true });
  return Promise.race([work, promise]).finally(() => signal.removeEventListener("abort", stop));
}

function broken(error: unknown): never {
  // A refusal by the guard stays one; everything else may be a bad moment of the network.
  if (isAppError(error) && error.kind !== "upstream_unreachable") throw error;
  throw new Broken(error instanceof Error ? error.message : String(error));
}

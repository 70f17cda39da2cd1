import { link, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { AppError, isAppError } from "../core/errors.ts";
import { lastSegment } from "./normalise.ts";
import { audioExtension, SNIFF_BYTES } from "./sniff.ts";

export interface UploadOptions {
  /** Absolute. */
  folder: string;
  maxBytes: number;
  /** Milliseconds without a byte after which the client is given up. */
  idleMs?: number;
  /** Throws when the finished file is no audio that can be read. */
  verify(path: string): Promise<void>;
}

const MAX_NAME_BYTES = 180;
const MAX_COPIES = 100;
const IDLE_MS = 60_000;
const RESERVED = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i;

/**
 * Stores a streamed upload under a safe name whose extension follows the content. Written to a hidden name, flushed,
 * checked, then linked: a file of that name is never overwritten, a broken upload leaves nothing.
 * @returns absolute path
 * @throws AppError `invalid_request` (not audio, empty), `too_large`, `storage_failed`
 */
export async function storeUpload(
  name: string,
  body: ReadableStream<Uint8Array>,
  options: UploadOptions,
): Promise<string> {
  await mkdir(options.folder, { recursive: true });
  const temporary = join(options.folder, `.upload-${crypto.randomUUID()}.part`);
  try {
    const extension = await write(temporary, body, options);
    await options.verify(temporary);
    return await settle(temporary, options.folder, safeName(name, extension));
  } catch (error) {
    if (isAppError(error)) throw error;
    throw new AppError("storage_failed", "保存文件失败", { cause: error, detail: String(error) });
  } finally {
    await rm(temporary, { force: true });
  }
}

/** @returns the extension by content */
async function write(path: string, body: ReadableStream<Uint8Array>, options: UploadOptions): Promise<string> {
  const file = await open(path, "wx", 0o644);
  const reader = body.getReader();
  let written = 0;
  let head: Uint8Array = new Uint8Array();
  let extension: string | undefined;
  try {
    for (;;) {
      const { value, done } = await nextChunk(reader, options.idleMs ?? IDLE_MS);
      if (done) break;
      written += value.byteLength;
      if (written > options.maxBytes) throw new AppError("too_large", `文件超过上限（${options.maxBytes} 字节）`);
      if (extension === undefined) {
        head = new Uint8Array(Buffer.concat([head, value.subarray(0, SNIFF_BYTES)]));
        // The first bytes decide before gigabytes of something else arrive.
        if (head.length >= SNIFF_BYTES) extension = typeOf(head);
      }
      await file.writeFile(value);
    }
    extension ??= typeOf(head);
    await file.sync();
    return extension;
  } catch (error) {
    await reader.cancel().catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
}

function typeOf(head: Uint8Array): string {
  if (head.length === 0) throw new AppError("invalid_request", "文件为空");
  const extension = audioExtension(head);
  if (extension === undefined) throw new AppError("invalid_request", "不是可识别的音频文件");
  return extension;
}

async function nextChunk(reader: ReadableStreamDefaultReader<Uint8Array>, idleMs: number) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new AppError("invalid_request", "上传中断：长时间没有收到数据")), idleMs);
  });
  try {
    return await Promise.race([reader.read(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Gives the file its name, or the next free "name (2).ext". */
async function settle(temporary: string, folder: string, name: string): Promise<string> {
  const dot = name.lastIndexOf(".");
  for (let copy = 1; copy <= MAX_COPIES; copy++) {
    const path = join(folder, copy === 1 ? name : `${name.slice(0, dot)} (${copy})${name.slice(dot)}`);
    try {
      // link() refuses an existing name, where rename() would replace it.
      await link(temporary, path);
      return path;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
  }
  throw new AppError("conflict", "同名文件过多");
}

/** A file name that every system takes, without folders; the extension is the content's. */
export function safeName(name: string, extension: string): string {
  const base = lastSegment(name)
    .toWellFormed()
    .normalize("NFC")
    .replace(/[\u0000-\u001f\u007f<>:"|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "_")
    .replace(/\.[a-z0-9]{1,5}$/i, "")
    .replace(/^[. ]+|[. ]+$/g, "");
  let stem = base === "" || RESERVED.test(base) ? `audio_${base}` : base;
  while (Buffer.byteLength(stem) > MAX_NAME_BYTES) stem = [...stem].slice(0, -1).join("");
  return `${stem.trimEnd()}.${extension}`;
}

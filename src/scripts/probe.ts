import { AppError } from "../core/errors.ts";
import type { GuardedClient } from "../net/guard.ts";

export interface Probed {
  contentType: string;
  /** Bytes of the whole file, when the server says. */
  size: number | undefined;
}

const DEADLINE_MS = 6_000;
const SNIFFED_BYTES = 512;
const AGENT =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36";

/**
 * Reads the first bytes of an address that a script gave, through the guard, and makes sure that they are audio.
 * @throws AppError `upstream_changed` when they are not, `forbidden` or `upstream_unreachable` when it cannot be asked.
 */
export async function probeAudio(guard: GuardedClient, url: string, signal?: AbortSignal): Promise<Probed> {
  const response = await guard.stream({
    url,
    headers: { Range: `bytes=0-${SNIFFED_BYTES - 1}`, "User-Agent": AGENT, "Accept-Encoding": "identity" },
    deadlineMs: DEADLINE_MS,
    maxBytes: Number.POSITIVE_INFINITY,
    decompress: false,
    signal,
  });
  try {
    if (response.status !== 200 && response.status !== 206) throw noAudio(`HTTP ${response.status}`);
    const contentType = (response.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
    const start = await firstBytes(response.body);
    if (!isAudio(start, contentType)) throw noAudio(contentType || "unknown");
    return { contentType, size: wholeSize(response.headers, response.status) };
  } finally {
    response.cancel();
  }
}

async function firstBytes(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array> {
  const reader = body.getReader();
  const bytes = new Uint8Array(SNIFFED_BYTES);
  let length = 0;
  while (length < SNIFFED_BYTES) {
    const { value, done } = await reader.read();
    if (done) break;
    const part = value.subarray(0, SNIFFED_BYTES - length);
    bytes.set(part, length);
    length += part.length;
  }
  return bytes.subarray(0, length);
}

/** Leading bytes of audio files, at their offset. */
const SIGNATURES: [number, string][] = [
  [0, "ID3"],
  [0, "fLaC"],
  [0, "OggS"],
  [4, "ftyp"],
  [8, "WAVE"],
  [0, "MAC "],
  [0, "wvpk"],
  [0, "FORM"],
  [0, "DSD "],
  [0, "#!AMR"],
  [0, "\x1aE\xdf\xa3"],
  [0, "0&\xb2u"],
];

/** By the bytes; a declared audio type is believed when the bytes are at least no text. */
export function isAudio(start: Uint8Array, contentType: string): boolean {
  const text = Buffer.from(start).toString("latin1");
  if (SIGNATURES.some(([offset, mark]) => text.startsWith(mark, offset))) return true;
  // A frame of MPEG audio or AAC begins with eleven or twelve set bits.
  if (start[0] === 0xff && ((start[1] ?? 0) & 0xe0) === 0xe0) return true;
  const looksLikeText = start.length === 0 || !/[^\x20-\x7e\s]/.test(text.slice(0, 64));
  return contentType.startsWith("audio/") && !looksLikeText;
}

function wholeSize(headers: Headers, status: number): number | undefined {
  const total =
    status === 206 ? /\/(\d+)$/.exec(headers.get("content-range") ?? "")?.[1] : headers.get("content-length");
  return total === undefined || total === null || total === "" ? undefined : Number(total);
}

function noAudio(found: string): AppError {
  return new AppError("upstream_changed", "脚本给出的地址不是音频", { detail: { found } });
}

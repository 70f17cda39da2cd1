import type { FileHandle } from "node:fs/promises";
import { crc16 } from "./flac-bits.ts";
import { decodeFrame, type FlacFrame, flacFrame, type StreamInfo } from "./flac-decoder.ts";
import { readAt } from "./sniff.ts";

export interface FlacFacts {
  info: StreamInfo;
  /** Seconds that are really there. */
  seconds: number;
  declaredSeconds?: number;
  /** The last frame is broken off, or samples are missing. */
  truncated: boolean;
  /** Decoded from places all over the file, first channel, −1…1. Empty when nothing could be decoded. */
  windows: Float64Array[];
  /** All decoded samples have this many zero bits at the end. */
  unusedBits: number;
}

/** Where in the file to listen, as a share of its sound. */
const PLACES = [0.15, 0.3, 0.45, 0.6, 0.75, 0.9];
const WINDOW_SAMPLES = 32_768;
const TAIL_BYTES = 1 << 18;
/** Bytes read for one window: 24 bit, two channels, 32768 samples, badly compressed, and one frame more. */
const WINDOW_BYTES = 384 << 10;

/**
 * @param start where `fLaC` stands.
 * @see https://www.rfc-editor.org/rfc/rfc9639
 */
export async function readFlac(file: FileHandle, start: number, size: number): Promise<FlacFacts | undefined> {
  const head = await readHead(file, start, size);
  if (head === undefined) return undefined;
  const { info, firstFrame } = head;
  const last = await lastFrame(file, info, firstFrame, size);
  const samples = last === undefined ? 0 : last.frame.sample + last.frame.blockSize;
  const windows: Float64Array[] = [];
  let used = 0;
  for (const place of PLACES) {
    const window = await decodeWindow(file, info, Math.floor(firstFrame + (size - firstFrame) * place));
    if (window === undefined) continue;
    windows.push(window.samples);
    used |= window.usedBits;
  }
  return {
    info,
    seconds: samples / info.sampleRate,
    ...(info.totalSamples === 0 ? {} : { declaredSeconds: info.totalSamples / info.sampleRate }),
    truncated: last === undefined || !last.whole || samples < info.totalSamples,
    windows,
    unusedBits: used === 0 ? 0 : 31 - Math.clz32(used & -used),
  };
}

async function readHead(
  file: FileHandle,
  start: number,
  size: number,
): Promise<{ info: StreamInfo; firstFrame: number } | undefined> {
  const first = await readAt(file, start + 4, 38);
  if (first.length < 38 || ((first[0] ?? 0) & 0x7f) !== 0) return undefined;
  const view = new DataView(first.buffer, first.byteOffset + 4);
  const packed = view.getBigUint64(10);
  const info: StreamInfo = {
    maxBlock: view.getUint16(2),
    maxFrame: view.getUint32(6) & 0xffffff,
    sampleRate: Number(packed >> 44n),
    channels: Number((packed >> 41n) & 7n) + 1,
    bits: Number((packed >> 36n) & 31n) + 1,
    totalSamples: Number(packed & 0xfffffffffn),
  };
  if (info.sampleRate === 0 || info.maxBlock === 0) return undefined;
  let at = start + 4;
  for (let blocks = 0; blocks < 1000 && at < size; blocks++) {
    const [type = 0, a = 0, b = 0, c = 0] = await readAt(file, at, 4);
    at += 4 + ((a << 16) | (b << 8) | c);
    if ((type & 0x80) !== 0) return { info, firstFrame: at };
  }
  return undefined;
}

/** The last frame that starts in the file, and whether it is whole (its CRC-16 over everything up to the end). */
async function lastFrame(
  file: FileHandle,
  info: StreamInfo,
  firstFrame: number,
  size: number,
): Promise<{ frame: FlacFrame; whole: boolean } | undefined> {
  const length = Math.min(Math.max(TAIL_BYTES, info.maxFrame * 2), size - firstFrame);
  if (length <= 0) return undefined;
  const tail = await readAt(file, size - length, length);
  const end = withoutId3v1(tail);
  let broken: FlacFrame | undefined;
  for (let at = end - 6; at >= 0; at--) {
    if (tail[at] !== 0xff) continue;
    const frame = flacFrame(tail, at, info);
    if (frame === undefined || frame.blockSize > info.maxBlock || frame.sampleRate !== info.sampleRate) continue;
    if (crc16(tail, at, end) === 0) return { frame, whole: true };
    // A header can occur by chance inside a frame; only one whose whole frame is sound counts as "what is there".
    broken ??= decodeFrame(tail, at, frame) === undefined ? undefined : frame;
    if (broken !== undefined) return { frame: broken, whole: false };
  }
  return undefined;
}

function withoutId3v1(tail: Uint8Array): number {
  const at = tail.length - 128;
  return at >= 0 && tail[at] === 0x54 && tail[at + 1] === 0x41 && tail[at + 2] === 0x47 ? at : tail.length;
}

/** About a second of sound after this offset. */
async function decodeWindow(
  file: FileHandle,
  info: StreamInfo,
  offset: number,
): Promise<{ samples: Float64Array; usedBits: number } | undefined> {
  const bytes = await readAt(file, offset, Math.max(WINDOW_BYTES, info.maxFrame * 3));
  const samples = new Float64Array(WINDOW_SAMPLES);
  const scale = 2 ** (info.bits - 1);
  let [filled, usedBits] = [0, 0];
  for (let at = 0; at < bytes.length - 16 && filled < samples.length; ) {
    const frame = bytes[at] === 0xff ? flacFrame(bytes, at, info) : undefined;
    const decoded = frame === undefined ? undefined : decodeFrame(bytes, at, frame);
    if (decoded === undefined) {
      if (filled > 0) break;
      at++;
      continue;
    }
    for (const channel of decoded.channels) for (const sample of channel) usedBits |= sample;
    const [left] = decoded.channels;
    for (let index = 0; left !== undefined && index < left.length && filled < samples.length; index++) {
      samples[filled++] = (left[index] ?? 0) / scale;
    }
    at = decoded.end;
  }
  return filled === 0 ? undefined : { samples: samples.subarray(0, filled), usedBits };
}

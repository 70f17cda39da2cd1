import type { FileHandle } from "node:fs/promises";
import { readAt } from "./sniff.ts";

export interface Mp3Facts {
  /** Seconds that are really there. */
  seconds: number;
  /** Seconds that a Xing, Info or VBRI header promises. */
  declaredSeconds?: number;
  /** kbit/s, averaged over the frames. */
  bitrate: number;
  sampleRate: number;
  /** No frame holds coded sound. */
  silent: boolean;
}

export interface FrameHeader {
  length: number;
  samples: number;
  sampleRate: number;
  /** kbit/s */
  bitrate: number;
  mono: boolean;
  /** MPEG 1; otherwise 2 or 2.5. */
  mpeg1: boolean;
  crc: boolean;
  layer: 1 | 2 | 3;
}

const RATES_1 = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const RATES_2 = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
const SAMPLE_RATES = [44_100, 48_000, 32_000];
const CHUNK = 1 << 20;
/** Largest frame (320 kbit/s at 32 kHz, padded) and room for its neighbours' headers. */
const MARGIN = 4096;
/** Coded bits per granule and channel below which nothing can be heard. */
const SILENT_BITS = 30;

/**
 * Layer III; of layers I and II nothing is served by any platform.
 * @see ISO/IEC 11172-3, 2.4.1.3
 */
export function frameHeader(bytes: Uint8Array, at: number): FrameHeader | undefined {
  const [b1 = 0, b2 = 0, b3 = 0, b4 = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  if (b1 !== 0xff || (b2 & 0xe0) !== 0xe0) return undefined;
  const version = (b2 >> 3) & 3;
  const layer = (b2 >> 1) & 3;
  if (version === 1 || layer !== 1) return undefined;
  const mpeg1 = version === 3;
  const bitrate = (mpeg1 ? RATES_1 : RATES_2)[b3 >> 4] ?? 0;
  const base = SAMPLE_RATES[(b3 >> 2) & 3];
  if (bitrate === 0 || base === undefined) return undefined;
  const sampleRate = mpeg1 ? base : version === 2 ? base / 2 : base / 4;
  const samples = mpeg1 ? 1152 : 576;
  const length = Math.floor(((samples / 8) * bitrate * 1000) / sampleRate) + ((b3 >> 1) & 1);
  return { length, samples, sampleRate, bitrate, mono: b4 >> 6 === 3, mpeg1, crc: (b2 & 1) === 0, layer: 3 };
}

/** Walks every frame from `start`. Undefined when fewer than three follow each other: then it is no MP3. */
export async function readMp3(file: FileHandle, start: number, size: number): Promise<Mp3Facts | undefined> {
  let [frames, samples, bits, codedBits, granules, sampleRate] = [0, 0, 0, 0, 0, 0];
  let declared: number | undefined;
  let at = 0;
  for (let offset = start; offset < size; ) {
    const chunk = await readAt(file, offset, CHUNK + MARGIN);
    if (chunk.length < 4) break;
    const end = Math.min(chunk.length, CHUNK);
    while (at < end) {
      const frame = frameHeader(chunk, at);
      if (frame === undefined || !followed(chunk, at, frame)) {
        at++;
        continue;
      }
      if (offset + at + frame.length > size) return finish();
      const promise = frames === 0 && declared === undefined ? declaredFrames(chunk, at, frame) : undefined;
      if (promise !== undefined) {
        declared = (promise * frame.samples) / frame.sampleRate;
      } else {
        frames++;
        samples += frame.samples;
        bits += frame.length * 8;
        sampleRate = frame.sampleRate;
        const coded = codedLength(chunk, at, frame);
        codedBits += coded.bits;
        granules += coded.granules;
      }
      at += frame.length;
    }
    offset += end;
    at -= end;
  }
  return finish();

  function finish(): Mp3Facts | undefined {
    if (frames < 3 || sampleRate === 0) return undefined;
    const seconds = samples / sampleRate;
    return {
      seconds,
      ...(declared === undefined ? {} : { declaredSeconds: declared }),
      bitrate: bits / seconds / 1000,
      sampleRate,
      silent: codedBits / granules < SILENT_BITS,
    };
  }
}

/** Two bytes of sync occur by chance; a second frame of the same kind right behind does not. The last has none. */
function followed(bytes: Uint8Array, at: number, frame: FrameHeader): boolean {
  const next = at + frame.length;
  if (next + 4 > bytes.length) return true;
  const other = frameHeader(bytes, next);
  if (other !== undefined) return other.sampleRate === frame.sampleRate && other.mpeg1 === frame.mpeg1;
  const tail = String.fromCharCode(...bytes.subarray(next, next + 3));
  return tail === "TAG" || tail === "APE" || tail === "LYR" || tail === "ID3" || tail === "\0\0\0";
}

const sideInfo = (frame: FrameHeader) => (frame.mpeg1 ? (frame.mono ? 17 : 32) : frame.mono ? 9 : 17);

/** Number of frames that the first, soundless frame promises. */
function declaredFrames(bytes: Uint8Array, at: number, frame: FrameHeader): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const xing = at + 4 + sideInfo(frame);
  if (xing + 12 > bytes.length || at + 54 > bytes.length) return undefined;
  const name = String.fromCharCode(...bytes.subarray(xing, xing + 4));
  if (name === "Xing" || name === "Info") return (view.getUint32(xing + 4) & 1) === 1 ? view.getUint32(xing + 8) : 0;
  const vbri = String.fromCharCode(...bytes.subarray(at + 36, at + 40));
  return vbri === "VBRI" ? view.getUint32(at + 50) : undefined;
}

/** `part2_3_length` of every granule and channel: how many bits of sound the frame refers to. */
function codedLength(bytes: Uint8Array, at: number, frame: FrameHeader): { bits: number; granules: number } {
  const channels = frame.mono ? 1 : 2;
  let bit = (at + 4 + (frame.crc ? 2 : 0)) * 8;
  bit += frame.mpeg1 ? 9 + (frame.mono ? 5 : 3) + 4 * channels : 8 + channels;
  const granules = (frame.mpeg1 ? 2 : 1) * channels;
  const step = frame.mpeg1 ? 59 : 63;
  let bits = 0;
  for (let granule = 0; granule < granules; granule++, bit += step) {
    const byte = bit >> 3;
    const word = ((bytes[byte] ?? 0) << 16) | ((bytes[byte + 1] ?? 0) << 8) | (bytes[byte + 2] ?? 0);
    bits += (word >> (12 - (bit & 7))) & 0xfff;
  }
  return { bits, granules };
}

import { BitReader, crc8, crc16 } from "./flac-bits.ts";

export interface StreamInfo {
  sampleRate: number;
  channels: number;
  bits: number;
  /** 0 = not known. */
  totalSamples: number;
  maxBlock: number;
  /** Bytes; 0 = not known. */
  maxFrame: number;
}

export interface FlacFrame {
  /** Index of the first sample. */
  sample: number;
  blockSize: number;
  sampleRate: number;
  channels: number;
  /** How the channels were mixed: 8 left/side, 9 side/right, 10 mid/side; below: independent. */
  assignment: number;
  bits: number;
  /** Where the first subframe starts. */
  dataStart: number;
}

const BLOCK_SIZES = [0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768];
const RATES = [0, 88_200, 176_400, 192_000, 8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
const BITS = [0, 8, 12, 0, 16, 20, 24, 32];

/**
 * The frame header at this place; undefined when there is none (its CRC-8 is checked).
 * @see https://www.rfc-editor.org/rfc/rfc9639#name-frame-header
 */
export function flacFrame(bytes: Uint8Array, at: number, info: StreamInfo): FlacFrame | undefined {
  if (bytes[at] !== 0xff || ((bytes[at + 1] ?? 0) & 0xfe) !== 0xf8) return undefined;
  const reader = new BitReader(bytes, at + 2);
  const [sizeCode, rateCode, assignment, bitsCode, reserved] = [
    reader.read(4),
    reader.read(4),
    reader.read(4),
    reader.read(3),
    reader.read(1),
  ];
  if (sizeCode === 0 || rateCode === 15 || assignment > 10 || bitsCode === 3 || reserved !== 0) return undefined;
  const number = codedNumber(reader);
  if (number === undefined) return undefined;
  const blockSize =
    sizeCode === 6 ? reader.read(8) + 1 : sizeCode === 7 ? reader.read(16) + 1 : (BLOCK_SIZES[sizeCode] ?? 0);
  const sampleRate = [12, 13, 14].includes(rateCode)
    ? rateCode === 12
      ? reader.read(8) * 1000
      : reader.read(16) * (rateCode === 14 ? 10 : 1)
    : RATES[rateCode] || info.sampleRate;
  const end = reader.byteOffset;
  if (reader.overrun || crc8(bytes, at, end) !== bytes[end]) return undefined;
  const variable = ((bytes[at + 1] ?? 0) & 1) === 1;
  return {
    sample: variable ? number : number * info.maxBlock,
    blockSize,
    sampleRate,
    channels: assignment < 8 ? assignment + 1 : 2,
    assignment,
    bits: BITS[bitsCode] || info.bits,
    dataStart: end + 1,
  };
}

/** The number of the frame (or sample), coded like UTF-8 with up to seven bytes. */
function codedNumber(reader: BitReader): number | undefined {
  const first = reader.read(8);
  if (first < 0x80) return first;
  const length = Math.clz32(~(first << 24));
  if (length < 2 || length > 7) return undefined;
  let value = first & (0x7f >> length);
  for (let index = 1; index < length; index++) {
    const next = reader.read(8);
    if ((next & 0xc0) !== 0x80) return undefined;
    value = value * 64 + (next & 0x3f);
  }
  return value;
}

/**
 * The samples of one frame, per channel. Undefined when the frame is broken (CRC-16) or goes beyond the bytes.
 * `end` is where the next one starts.
 */
export function decodeFrame(
  bytes: Uint8Array,
  at: number,
  frame: FlacFrame,
): { channels: Float64Array[]; end: number } | undefined {
  const reader = new BitReader(bytes, frame.dataStart);
  const channels: Float64Array[] = [];
  for (let channel = 0; channel < frame.channels; channel++) {
    const side =
      (frame.assignment === 8 && channel === 1) ||
      (frame.assignment === 9 && channel === 0) ||
      (frame.assignment === 10 && channel === 1);
    const samples = subframe(reader, frame.blockSize, frame.bits + (side ? 1 : 0));
    if (samples === undefined || reader.overrun) return undefined;
    channels.push(samples);
  }
  const end = reader.byteOffset + 2;
  if (end > bytes.length || crc16(bytes, at, end) !== 0) return undefined;
  unmix(channels, frame.assignment);
  return { channels, end };
}

function unmix([first, second]: Float64Array[], assignment: number): void {
  if (first === undefined || second === undefined || assignment < 8) return;
  for (let index = 0; index < first.length; index++) {
    const [a, b] = [first[index] ?? 0, second[index] ?? 0];
    if (assignment === 8) second[index] = a - b;
    else if (assignment === 9) first[index] = a + b;
    else {
      const mid = a * 2 + (b & 1);
      first[index] = (mid + b) / 2;
      second[index] = (mid - b) / 2;
    }
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc9639#name-subframes */
function subframe(reader: BitReader, blockSize: number, depth: number): Float64Array | undefined {
  if (reader.read(1) !== 0) return undefined;
  const type = reader.read(6);
  const wasted = reader.read(1) === 1 ? reader.readUnary() + 1 : 0;
  const bits = depth - wasted;
  const samples = new Float64Array(blockSize);
  let sound = true;
  if (type === 0) samples.fill(reader.readSigned(bits));
  else if (type === 1) for (let index = 0; index < blockSize; index++) samples[index] = reader.readSigned(bits);
  else if (type >= 8 && type <= 12) sound = fixed(reader, samples, bits, type - 8);
  else if (type >= 32) sound = linear(reader, samples, bits, type - 31);
  else return undefined;
  if (!sound) return undefined;
  if (wasted > 0) for (let index = 0; index < blockSize; index++) samples[index] = (samples[index] ?? 0) * 2 ** wasted;
  return samples;
}

const FIXED = [[], [1], [2, -1], [3, -3, 1], [4, -6, 4, -1]];

function linear(reader: BitReader, samples: Float64Array, bits: number, order: number): boolean {
  for (let index = 0; index < order; index++) samples[index] = reader.readSigned(bits);
  const precision = reader.read(4) + 1;
  const shift = reader.readSigned(5);
  if (precision === 16 || shift < 0) return false;
  const coefficients = Array.from({ length: order }, () => reader.readSigned(precision));
  return residual(reader, samples, order) && restore(samples, order, coefficients, shift);
}

function fixed(reader: BitReader, samples: Float64Array, bits: number, order: number): boolean {
  for (let index = 0; index < order; index++) samples[index] = reader.readSigned(bits);
  return residual(reader, samples, order) && restore(samples, order, FIXED[order] ?? [], 0);
}

/** Doubles hold the sums exactly: 32 coefficients of 15 bits times samples of 33 bits stay below 2^53. */
function restore(samples: Float64Array, order: number, coefficients: number[], shift: number): boolean {
  const divisor = 2 ** shift;
  for (let index = order; index < samples.length; index++) {
    let sum = 0;
    for (let lag = 0; lag < order; lag++) sum += (coefficients[lag] ?? 0) * (samples[index - 1 - lag] ?? 0);
    samples[index] = (samples[index] ?? 0) + Math.floor(sum / divisor);
  }
  return true;
}

/** Rice-coded differences, into `samples` from `order` on. */
function residual(reader: BitReader, samples: Float64Array, order: number): boolean {
  const method = reader.read(2);
  if (method > 1) return false;
  const width = method === 0 ? 4 : 5;
  const partitions = 1 << reader.read(4);
  const length = samples.length / partitions;
  if (!Number.isInteger(length) || length < order) return false;
  let index = order;
  for (let partition = 0; partition < partitions; partition++) {
    const parameter = reader.read(width);
    const end = (partition + 1) * length;
    const escaped = parameter === 2 ** width - 1;
    const plain = escaped ? reader.read(5) : 0;
    for (; index < end; index++) {
      if (reader.overrun) return false;
      if (escaped) samples[index] = reader.readSigned(plain);
      else {
        const folded = reader.readUnary() * 2 ** parameter + reader.read(parameter);
        samples[index] = folded % 2 === 0 ? folded / 2 : -(folded + 1) / 2;
      }
    }
  }
  return true;
}

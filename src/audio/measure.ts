import { type FileHandle, open } from "node:fs/promises";
import { parseFile } from "music-metadata";
import { readFlac } from "./flac-file.ts";
import { readMp3 } from "./mp3-frames.ts";
import { readMp4Atoms } from "./mp4-atoms.ts";
import { readOggEnd } from "./ogg-pages.ts";
import { type Container, id3Length, readAt, type Sniffed, sniff } from "./sniff.ts";
import { analyseSpectrum } from "./spectrum.ts";

/** What a file really is, found by reading it. */
export interface Measurement {
  container: Container;
  /** The extension that this content should have, without the dot. */
  extension: string;
  codec: string;
  lossless: boolean;
  /** Seconds of sound that are really there. Absent = could not be found out. */
  seconds?: number;
  /** Seconds that the header promises, where it does. */
  declaredSeconds?: number;
  /** kbit/s over the whole file. */
  bitrate: number;
  /** Hz */
  sampleRate: number;
  channels: number;
  /** 0 for lossy codecs. */
  bits: number;
  /** The file ends before its sound does. */
  truncated: boolean;
  /** No mark of the end where the format has one: truncated, or a careless writer. */
  unended: boolean;
  silent: boolean;
  /** FLAC: Hz above which there is nothing at all. @see analyseSpectrum */
  wallHz?: number;
  /** FLAC: bits at the end of every sample that are never used. */
  unusedBits: number;
}

export type Measured =
  | { kind: "audio"; facts: Measurement }
  | Exclude<Sniffed, { kind: "audio" }>
  | { kind: "broken" }
  /** Ends before the place where its index would stand. */
  | { kind: "cut" };

/** Lossy coding of sound that can be heard takes more, whatever the codec (kbit/s). */
const SILENT_KBPS = 14;

/** Reads as little as it can: the whole file only for MP3, whose length stands nowhere. */
export async function measure(path: string): Promise<Measured> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const start = await id3Length(file);
    const found = sniff(await readAt(file, start, 64));
    // Some files have padding between the tag and the first frame.
    const sniffed = found.kind === "unknown" && start > 0 ? ({ kind: "audio", container: "mp3" } as const) : found;
    if (sniffed.kind !== "audio") return sniffed;
    const facts = await factsOf(file, path, sniffed.container, start, size);
    if (facts !== undefined) return { kind: "audio", facts };
    const cut = sniffed.container === "m4a" && (await readMp4Atoms(file, size)).truncated;
    return { kind: cut ? "cut" : "broken" };
  } finally {
    await file.close();
  }
}

async function factsOf(
  file: FileHandle,
  path: string,
  container: Container,
  start: number,
  size: number,
): Promise<Measurement | undefined> {
  if (container === "mp3") return mp3Facts(file, start, size);
  if (container === "flac") return flacFacts(file, start, size);
  const format = await parseFile(path, { duration: true, skipCovers: true, skipPostHeaders: true }).then(
    (parsed) => parsed.format,
    () => undefined,
  );
  if (format?.codec === undefined && format?.sampleRate === undefined) return undefined;
  const seconds = format.duration;
  const codec = format.codec ?? container;
  const base: Measurement = {
    container,
    extension: container === "ogg" && /opus/i.test(codec) ? "opus" : container === "ac3" ? "ac3" : container,
    codec,
    lossless: format.lossless === true || /alac|pcm|monkey/i.test(codec),
    ...(seconds === undefined || seconds <= 0 ? {} : { seconds }),
    bitrate: seconds ? (size - start) / 125 / seconds : (format.bitrate ?? 0) / 1000,
    sampleRate: format.sampleRate ?? 0,
    channels: format.numberOfChannels ?? 0,
    bits: format.bitsPerSample ?? 0,
    truncated: false,
    unended: false,
    silent: false,
    unusedBits: 0,
  };
  if (container === "m4a") return mp4Facts(file, size, base);
  // The rate that a Vorbis stream was made with; its average holds the cover as well.
  const nominal = /vorbis/i.test(codec) && format.bitrate ? format.bitrate / 1000 : Number.POSITIVE_INFINITY;
  if (container === "ogg") return oggFacts(file, size, base, nominal * 1.25);
  return base;
}

async function mp3Facts(file: FileHandle, start: number, size: number): Promise<Measurement | undefined> {
  const found = await readMp3(file, start, size);
  if (found === undefined) return undefined;
  const { declaredSeconds = 0, seconds } = found;
  return {
    container: "mp3",
    extension: "mp3",
    codec: "MP3",
    lossless: false,
    ...found,
    channels: 2,
    bits: 0,
    truncated: seconds < declaredSeconds * 0.99 - 0.5,
    unended: false,
    unusedBits: 0,
  };
}

async function flacFacts(file: FileHandle, start: number, size: number): Promise<Measurement | undefined> {
  const found = await readFlac(file, start, size);
  if (found === undefined) return undefined;
  const { silent, wallHz } = analyseSpectrum(found.windows, found.info.sampleRate);
  return {
    container: "flac",
    extension: "flac",
    codec: "FLAC",
    lossless: true,
    seconds: found.seconds,
    ...(found.declaredSeconds === undefined ? {} : { declaredSeconds: found.declaredSeconds }),
    bitrate: found.seconds > 0 ? (size - start) / 125 / found.seconds : 0,
    sampleRate: found.info.sampleRate,
    channels: found.info.channels,
    bits: found.info.bits,
    truncated: found.truncated,
    unended: false,
    silent,
    ...(wallHz === undefined ? {} : { wallHz }),
    unusedBits: found.unusedBits,
  };
}

async function mp4Facts(file: FileHandle, size: number, base: Measurement): Promise<Measurement> {
  const { truncated, soundBytes } = await readMp4Atoms(file, size);
  const bitrate = base.seconds ? soundBytes / 125 / base.seconds : base.bitrate;
  // MP4 writes 16 "bits per sample" for AAC, where it means nothing.
  return { ...base, bitrate, truncated, silent: bitrate < SILENT_KBPS, bits: base.lossless ? base.bits : 0 };
}

async function oggFacts(file: FileHandle, size: number, base: Measurement, most: number): Promise<Measurement> {
  const end = await readOggEnd(file, size);
  if (end === undefined) return { ...base, truncated: true };
  const seconds = base.sampleRate > 0 ? end.granule / base.sampleRate : base.seconds;
  const bitrate = Math.min(most, seconds ? size / 125 / seconds : base.bitrate);
  return {
    ...base,
    ...(seconds === undefined ? {} : { seconds }),
    bitrate,
    truncated: end.truncated,
    unended: !end.ended,
    silent: bitrate < SILENT_KBPS,
  };
}

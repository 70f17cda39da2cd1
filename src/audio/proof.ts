import type { Quality } from "../core/types.ts";
import type { Measured, Measurement } from "./measure.ts";

/** Why a file is not what it claims to be. `unproven`: nothing speaks against it, but its length cannot be found. */
export const FAULTS = [
  "not_audio",
  "encrypted",
  "broken",
  "codec",
  "bitrate",
  "truncated",
  "trial",
  "duration",
  "silence",
  "transcoded",
  "upsampled",
  "decoy",
  "unproven",
] as const;
export type Fault = (typeof FAULTS)[number];

export type Refused = { ok: false; fault: Fault; message: string; detail: Record<string, unknown> };
export type Verdict = { ok: true } | Refused;

/** What the file should be. */
export interface Claim {
  quality: Quality;
  /** The song's length as the platform says; undefined = not known. */
  durationSeconds?: number | undefined;
  /** Bytes, when the platform says. */
  size?: number | undefined;
}

export interface ProofOptions {
  /** Seconds by which a file may be longer or shorter than the song; 2 % when that is more. */
  toleranceSeconds: number;
  /** Refuse FLAC whose spectrum ends like that of a low-bitrate lossy file, and "hi-res" without anything in it. */
  spectrum: boolean;
}

const MESSAGES: Record<Fault, string> = {
  not_audio: "返回的不是音频",
  encrypted: "返回的是加密文件",
  broken: "音频文件已损坏",
  codec: "实际编码与所称音质不符",
  bitrate: "实际码率低于所称音质",
  truncated: "音频不完整",
  trial: "只返回了试听片段",
  duration: "音频时长与歌曲不符",
  silence: "音频没有声音",
  transcoded: "无损文件由有损音频转换而来",
  upsampled: "高解析文件由较低规格转换而来",
  decoy: "不同的歌曲返回了相同的音频",
  unproven: "无法确定音频时长",
};

/** Lengths of the clips that platforms give for a trial (seconds). */
const TRIAL_SECONDS = [30, 45, 60, 90];
const LONGEST_TRIAL = 95;
/**
 * Least kbit/s per claimed quality. MP3 is sold at fixed rates: a quarter below is already the next lower one. AAC,
 * Vorbis and Opus sound as good with less, and their rate follows the music.
 */
const LEAST_KBPS: Partial<Record<Quality, { mp3: number; other: number }>> = {
  "128k": { mp3: 90, other: 40 },
  "192k": { mp3: 144, other: 72 },
  "320k": { mp3: 240, other: 160 },
};
/** A cliff below this is that of a lossy file up to about 160 kbit/s; above it, mastering filters are found too. */
const LOSSY_WALL_HZ = 17_600;
/** Sound that was once sampled with 48 kHz or less has nothing above. */
const UPSAMPLED_WALL_HZ = 26_000;

export function refuse(fault: Fault, detail: Record<string, unknown> = {}): Refused {
  return { ok: false, fault, message: MESSAGES[fault], detail };
}

/**
 * Is the file what it claims to be? Each rule refuses only what it can show; what it cannot show (an MP3 coded again
 * from a worse one, a FLAC made of a 320k) passes.
 */
export function judge(measured: Measured, claim: Claim, options: ProofOptions): Verdict {
  if (measured.kind === "not_audio") return refuse("not_audio", { what: measured.what });
  if (measured.kind === "encrypted") return refuse("encrypted", { what: measured.what });
  if (measured.kind === "cut") return refuse("truncated");
  if (measured.kind !== "audio") return refuse("broken", { kind: measured.kind });
  const { facts } = measured;
  return (
    judgeCodec(facts, claim.quality) ??
    judgeLength(facts, claim, options) ??
    (facts.silent ? refuse("silence") : undefined) ??
    judgeBitrate(facts, claim.quality) ??
    (options.spectrum ? judgeSpectrum(facts, claim.quality) : undefined) ?? { ok: true }
  );
}

function judgeCodec(facts: Measurement, quality: Quality): Refused | undefined {
  const detail = { codec: facts.codec, container: facts.container, bits: facts.bits, sampleRate: facts.sampleRate };
  switch (quality) {
    case "flac":
      return facts.lossless && (facts.bits === 0 || facts.bits >= 16) ? undefined : refuse("codec", detail);
    case "flac24bit":
    case "hires":
    case "master":
      return facts.lossless && (facts.bits >= 24 || facts.sampleRate > 48_000) ? undefined : refuse("codec", detail);
    default:
      return undefined;
  }
}

function judgeLength(facts: Measurement, claim: Claim, options: ProofOptions): Refused | undefined {
  const { seconds } = facts;
  const expected = claim.durationSeconds;
  const detail = { seconds, expected, declared: facts.declaredSeconds };
  if (facts.truncated) return refuse("truncated", detail);
  if (seconds === undefined) return refuse("unproven", detail);
  if (expected === undefined || expected <= 0) {
    if (facts.unended) return refuse("truncated", detail);
    const clip = TRIAL_SECONDS.some((length) => Math.abs(seconds - length) < 0.7);
    return clip || seconds < 3 ? refuse("trial", detail) : undefined;
  }
  const tolerance = Math.max(options.toleranceSeconds, expected * 0.02);
  if (seconds < expected - tolerance) {
    if (facts.unended) return refuse("truncated", detail);
    return refuse(seconds < expected * 0.9 && seconds <= LONGEST_TRIAL ? "trial" : "duration", detail);
  }
  return seconds > expected + tolerance ? refuse("duration", detail) : undefined;
}

function judgeBitrate(facts: Measurement, quality: Quality): Refused | undefined {
  const least = LEAST_KBPS[quality];
  if (least === undefined || facts.lossless) return undefined;
  const wanted = facts.container === "mp3" ? least.mp3 : least.other;
  return facts.bitrate >= wanted ? undefined : refuse("bitrate", { bitrate: Math.round(facts.bitrate), wanted });
}

function judgeSpectrum(facts: Measurement, quality: Quality): Refused | undefined {
  const { wallHz, unusedBits, bits, sampleRate } = facts;
  const detail = { wallHz, unusedBits, bits, sampleRate };
  if (facts.container !== "flac") return undefined;
  if (wallHz !== undefined && wallHz < LOSSY_WALL_HZ) return refuse("transcoded", detail);
  const hires = quality === "flac24bit" || quality === "hires" || quality === "master";
  const padded = bits >= 24 && bits - unusedBits <= 16;
  const stretched = sampleRate > 48_000 && wallHz !== undefined && wallHz < UPSAMPLED_WALL_HZ;
  // 24 real bits, or more than 24 kHz of real sound: either makes it more than a CD.
  const more = (bits >= 24 && !padded) || (sampleRate > 48_000 && !stretched);
  return hires && (!more || stretched) ? refuse("upsampled", detail) : undefined;
}

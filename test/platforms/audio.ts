import { createHash } from "node:crypto";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";

export interface AudioFile {
  path: string;
  contentType: string;
  extension: string;
}

export interface AudioSpec {
  seconds: number;
  format: "mp3" | "flac" | "m4a" | "ogg" | "opus" | "wav";
  /** kbit/s for lossy formats. */
  bitrate?: number;
  /** 16 or 24, for FLAC. */
  bits?: 16 | 24;
  /** Hz of the tone: songs sound (and hash) different. */
  tone: number;
}

const TYPES: Record<AudioSpec["format"], string> = {
  mp3: "audio/mpeg",
  flac: "audio/flac",
  m4a: "audio/mp4",
  ogg: "audio/ogg",
  opus: "audio/ogg",
  wav: "audio/wav",
};

/** Real audio, made once by ffmpeg and kept in `.cache/audio` of the checkout. */
export async function makeAudio(spec: AudioSpec): Promise<AudioFile> {
  const folder = join(import.meta.dir, "../../.cache/audio");
  mkdirSync(folder, { recursive: true });
  const name = createHash("md5").update(JSON.stringify(spec)).digest("hex");
  const path = join(folder, `${name}.${spec.format}`);
  if (!existsSync(path)) {
    const temporary = join(folder, `${name}.${process.pid}.${Math.random().toString(36).slice(2)}.${spec.format}`);
    // Two voices and a little noise: no codec may shrink it to nothing, and lossy stays distinguishable from lossless.
    const graph = `sine=frequency=${spec.tone}:duration=${spec.seconds}:sample_rate=44100[a];anoisesrc=d=${spec.seconds}:c=pink:r=44100:a=0.2:seed=${spec.tone}[b];[a][b]amix=inputs=2:duration=first,aformat=channel_layouts=stereo`;
    const codec = codecArguments(spec);
    const process_ = Bun.spawn(
      ["ffmpeg", "-v", "error", "-y", "-filter_complex", graph, ...codec, "-map_metadata", "-1", temporary],
      { stdout: "ignore", stderr: "pipe" },
    );
    const [code, problem] = await Promise.all([process_.exited, new Response(process_.stderr).text()]);
    if (code !== 0) throw new Error(`ffmpeg: ${problem}`);
    renameSync(temporary, path);
  }
  return { path, contentType: TYPES[spec.format], extension: spec.format };
}

function codecArguments(spec: AudioSpec): string[] {
  switch (spec.format) {
    case "mp3":
      return ["-c:a", "libmp3lame", "-b:a", `${spec.bitrate ?? 128}k`];
    case "flac":
      return [
        "-c:a",
        "flac",
        "-sample_fmt",
        spec.bits === 24 ? "s32" : "s16",
        ...(spec.bits === 24 ? ["-bits_per_raw_sample", "24"] : []),
      ];
    case "m4a":
      return ["-c:a", "aac", "-b:a", `${spec.bitrate ?? 128}k`];
    case "ogg":
      return ["-c:a", "libvorbis", "-b:a", `${spec.bitrate ?? 192}k`];
    case "opus":
      return ["-c:a", "libopus", "-b:a", `${spec.bitrate ?? 128}k`];
    case "wav":
      return ["-c:a", "pcm_s16le"];
  }
}

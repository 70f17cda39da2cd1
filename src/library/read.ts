import { dirname, join } from "node:path";
import type { ICommonTagsResult } from "music-metadata";
import { lyricOfFile, lyricOfTag, MAX_LYRIC_BYTES } from "./lyrics.ts";
import type { TrackData } from "./track.ts";
import { sideFiles } from "./walk.ts";

const MAX_TEXT = 500;
const MAX_ARTISTS = 32;

export interface ReadOptions {
  coverMaxBytes: number;
  /** Milliseconds for one file. */
  deadlineMs: number;
}

/**
 * Reads one audio file's tags and what lies beside it.
 * @param side `FileState.side`
 * @throws Error with a reason for the list of bad files
 */
export async function readTrack(path: string, side: string, options: ReadOptions): Promise<TrackData> {
  const { parseFile } = await import("music-metadata");
  const { common, format } = await withDeadline(parseFile(path, { duration: false }), options.deadlineMs);
  if (format.codec === undefined && format.sampleRate === undefined) throw new Error("不是可识别的音频");
  const beside = sideFiles(side);
  return {
    title: clean(common.title),
    artists: artistsOf(common),
    album: clean(common.album),
    albumArtist: clean(common.albumartist),
    durationSeconds: finite(format.duration),
    bitrate: format.bitrate === undefined ? undefined : Math.round(format.bitrate / 1000),
    codec: clean(format.codec ?? format.container),
    lossless: format.lossless === true,
    sampleRate: finite(format.sampleRate),
    bitsPerSample: finite(format.bitsPerSample),
    year: finite(common.year),
    track: finite(common.track.no ?? undefined),
    disc: finite(common.disk.no ?? undefined),
    genre: clean(common.genre?.join("; ")),
    cover: coverOf(common, beside.image, options),
    lyric: embeddedLyric(common) !== undefined ? "embedded" : await lyricBeside(path, beside.lyric),
  };
}

/** The lyric text in the tags: as LRC when it has times, else as it stands. */
export function embeddedLyric(common: ICommonTagsResult): string | undefined {
  for (const lyric of common.lyrics ?? []) {
    // The types promise syncText; unsynchronised lyrics come without it.
    const timed = (lyric.syncText ?? []).filter((line) => line.timestamp !== undefined);
    const text = lyric.text?.trim()
      ? lyric.text
      : timed.map((line) => `${stamp(line.timestamp)}${line.text}`).join("\n");
    const served = lyricOfTag(text);
    if (served !== undefined) return served;
  }
  return undefined;
}

function stamp(ms: number | undefined): string {
  const total = Math.max(0, Math.round((ms ?? 0) / 10));
  const two = (value: number) => String(value).padStart(2, "0");
  return `[${two(Math.floor(total / 6000))}:${two(Math.floor(total / 100) % 60)}.${two(total % 100)}]`;
}

function coverOf(common: ICommonTagsResult, image: { size: number } | undefined, options: ReadOptions) {
  const picture = common.picture?.some((one) => one.data.length > 0 && one.data.length <= options.coverMaxBytes);
  if (picture) return "embedded";
  return image !== undefined && image.size > 0 && image.size <= options.coverMaxBytes ? "file" : "none";
}

async function lyricBeside(path: string, file: { name: string; size: number } | undefined): Promise<"file" | "none"> {
  if (file === undefined || file.size > MAX_LYRIC_BYTES) return "none";
  const bytes = await Bun.file(join(dirname(path), file.name)).bytes();
  return lyricOfFile(bytes) === undefined ? "none" : "file";
}

function artistsOf(common: ICommonTagsResult): string[] {
  const names = common.artists?.length ? common.artists : [common.artist ?? ""];
  return [...new Set(names.map(clean).filter((name) => name !== ""))].slice(0, MAX_ARTISTS);
}

function clean(text: string | undefined): string {
  // Tags end in zero bytes and may hold line breaks; one line is what lists show.
  return (text ?? "")
    .replace(/[\u0000-\u001f\u007f]+/g, " ")
    .trim()
    .slice(0, MAX_TEXT);
}

function finite(value: number | undefined): number | undefined {
  return value !== undefined && Number.isFinite(value) ? value : undefined;
}

async function withDeadline<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error("读取超时")), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

import { type MusicInfo, QUALITIES, type Quality } from "../core/types.ts";
import type { Library } from "./index.ts";
import type { Track } from "./track.ts";

export interface NearbyRequest {
  source: string;
  songId: string;
  quality: Quality;
  /** What the client says of the song; without it only files stored under the song's id are found. */
  info?: Pick<MusicInfo, "name" | "singer" | "albumName" | "interval"> | undefined;
}

/** The quality word for what a file holds. */
export function qualityOfTrack(track: Pick<Track, "lossless" | "bitrate" | "sampleRate" | "bitsPerSample">): Quality {
  if (track.lossless) {
    const deep = (track.bitsPerSample ?? 16) > 16;
    if (!deep) return "flac";
    return (track.sampleRate ?? 0) > 48_000 ? "hires" : "flac24bit";
  }
  const rate = track.bitrate ?? 0;
  if (rate >= 256) return "320k";
  return rate >= 176 ? "192k" : "128k";
}

/**
 * The library's file for a song that a client asks of a platform, as a path of ours. A file below the asked quality is
 * none, unless lower ones are allowed. Synchronous and from memory.
 */
export function findNearby(
  library: Library,
  request: NearbyRequest,
  allowDowngrade: boolean,
): { address: string; quality: Quality; track: Track } | undefined {
  const { info } = request;
  const seconds = info === undefined ? undefined : secondsOf(info.interval);
  const found = library.match({
    songmid: `${request.source}_${request.songId}`,
    ...(info === undefined ? {} : { name: info.name, artist: info.singer, album: info.albumName }),
    ...(seconds === undefined ? {} : { durationSeconds: seconds }),
  });
  if (found === undefined) return undefined;
  const quality = qualityOfTrack(found.track);
  if (!allowDowngrade && QUALITIES.indexOf(quality) < QUALITIES.indexOf(request.quality)) return undefined;
  return { address: library.address(found.track), quality, track: found.track };
}

/** "03:25" or "1:02:03". */
function secondsOf(interval: string | null | undefined): number | undefined {
  const parts = /^(?:(\d{1,2}):)?(\d{1,3}):(\d{2})$/.exec(interval ?? "");
  if (parts === null) return undefined;
  const seconds = Number(parts[1] ?? 0) * 3600 + Number(parts[2]) * 60 + Number(parts[3]);
  return seconds > 0 ? seconds : undefined;
}

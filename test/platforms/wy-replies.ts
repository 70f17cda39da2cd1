import type { Quality } from "../../src/core/types.ts";
import type { CatalogSong } from "./world.ts";
import type { WyAsk } from "./wy.ts";

/** Bytes of a file by its length and bit rate. */
export function sizeOf(song: CatalogSong, quality: Quality): number {
  const kbits = quality.endsWith("k") ? Number.parseInt(quality, 10) : quality === "flac" ? 900 : 2400;
  return Math.round((song.durationSeconds * kbits * 1000) / 8);
}

export const ROUTES: Record<string, (asked: WyAsk, part: string) => Response> = {};

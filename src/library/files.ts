import { realpath, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import type { Artwork, Picture } from "./artwork.ts";
import { lyricOfFile, MAX_LYRIC_BYTES } from "./lyrics.ts";
import { embeddedLyric } from "./read.ts";
import type { Track } from "./track.ts";
import { isInside, sideFiles } from "./walk.ts";

export interface Root {
  /** As configured: the index keeps this, so that the data folder may move. */
  name: string;
  absolute: string;
}

export function rootsOf(audioPath: string | string[], dataDir: string): Root[] {
  const names = typeof audioPath === "string" ? [audioPath] : audioPath;
  return [...new Set(names.filter((name) => name.trim() !== ""))].map((name) => ({
    name,
    absolute: isAbsolute(name) ? resolve(name) : resolve(dataDir, name),
  }));
}

/** The index may be older than the disk: a link that now leads elsewhere is not followed. */
export async function locate(
  track: Track,
  roots: readonly Root[],
  followOutside: boolean,
): Promise<string | undefined> {
  const root = roots.find((one) => one.name === track.root);
  if (root === undefined) return undefined;
  const path = join(root.absolute, track.path);
  const [real, ...realRoots] = await Promise.all(
    [path, ...roots.map((one) => one.absolute)].map((one) => realpath(one).catch(() => undefined)),
  );
  if (real === undefined) return undefined;
  const inside = realRoots.some((one) => one !== undefined && isInside(one, real));
  return inside || followOutside ? real : undefined;
}

export type Locate = (track: Track) => Promise<string | undefined>;

export async function readLyric(track: Track, side: string, file: Locate): Promise<string | undefined> {
  if (track.lyric === "none") return undefined;
  const path = await file(track);
  if (path === undefined) return undefined;
  if (track.lyric === "embedded") {
    const { parseFile } = await import("music-metadata");
    const { common } = await parseFile(path, { duration: false, skipCovers: true });
    return embeddedLyric(common);
  }
  const name = sideFiles(side).lyric?.name;
  if (name === undefined) return undefined;
  // Beside the name that the index knows, which may be a link to the audio.
  const beside = await file({ ...track, path: join(dirname(track.path), name) });
  if (beside === undefined || (await stat(beside)).size > MAX_LYRIC_BYTES) return undefined;
  return lyricOfFile(await Bun.file(beside).bytes());
}

export async function readCover(
  track: Track,
  side: string,
  file: Locate,
  artwork: Artwork,
  edge: number | undefined,
): Promise<Picture | undefined> {
  if (track.cover === "none") return undefined;
  const path = await file(track);
  if (path === undefined) return undefined;
  const name = sideFiles(side).image?.name;
  const image = name === undefined ? undefined : await file({ ...track, path: join(dirname(track.path), name) });
  return await artwork.of(track, path, image, edge);
}

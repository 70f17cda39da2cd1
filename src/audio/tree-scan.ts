import { lstat, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isQuality, isSourceId } from "../core/types.ts";
import type { Logger } from "../ops/log.ts";
import type { TreeMode } from "./place.ts";
import type { AudioStore } from "./store.ts";
import { tagFormat } from "./tag-format.ts";
import { QUALITY_FIELD, SONG_ID_FIELD, SOURCE_FIELD, type TrackTags } from "./track-tags.ts";

export interface AdoptOptions {
  store: AudioStore;
  tree: { mode: TreeMode; root: string };
  log: Logger;
  signal: AbortSignal;
}

/**
 * Finds files of the tree that the index does not know (the database was lost) by the ids in their tags, and removes
 * half-written ones. Files without our ids belong to somebody else and stay as they are.
 */
export async function adoptTree({ store, tree, log, signal }: AdoptOptions): Promise<number> {
  const known = new Set(store.all().flatMap((file) => [file.path, file.tree ?? ""]));
  let adopted = 0;
  const entries = await readdir(tree.root, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (signal.aborted) break;
    const path = join(entry.parentPath, entry.name);
    if (!entry.isFile() || known.has(path)) continue;
    if (/^\.[0-9a-f-]{36}\.tmp$/.test(entry.name)) await rm(path, { force: true });
    else if (await adopt(path)) adopted++;
    // Reading tags blocks; requests go first.
    await Bun.sleep(0);
  }
  if (adopted > 0) log.info("files of the music tree taken into the index", { adopted });
  return adopted;

  async function adopt(path: string): Promise<boolean> {
    const tags = await tagsOf(path);
    const source = tags?.ids?.[SOURCE_FIELD] ?? "";
    const songId = tags?.ids?.[SONG_ID_FIELD] ?? "";
    const quality = tags?.ids?.[QUALITY_FIELD] ?? "";
    if (!isSourceId(source) || !isQuality(quality) || songId === "") return false;
    const present = store.find(source, songId, quality);
    if (present !== undefined) {
      if (tree.mode !== "beside" || present.tree !== undefined) return false;
      store.put({ ...present, tree: path });
      return true;
    }
    const extension = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
    const name = store.nameFor({ source, songId, quality }, extension);
    const stat = await lstat(path).catch(() => undefined);
    if (tree.mode !== "instead" || name === undefined || !stat?.isFile()) return false;
    store.put({
      source,
      songId,
      quality,
      name,
      path,
      extension,
      size: stat.size,
      mtime: stat.mtimeMs,
      addedAt: stat.mtimeMs,
      playedAt: stat.mtimeMs,
      plays: 0,
      pinned: false,
      tagged: true,
      state: "found",
      lengthProven: false,
      ...(tags?.title === undefined ? {} : { title: tags.title }),
    });
    return true;
  }
}

async function tagsOf(path: string): Promise<TrackTags | undefined> {
  const format = tagFormat(path);
  if (format === undefined) return undefined;
  try {
    const { readTags } = await import("./tags.ts");
    return readTags(path, format).tags;
  } catch {
    return undefined;
  }
}

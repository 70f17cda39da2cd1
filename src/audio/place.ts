import { constants, copyFile, mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Logger } from "../ops/log.ts";
import { syncFile, syncFolderOf } from "./disk.ts";
import { coverForTag } from "./picture.ts";
import type { AudioStore, StoredFile } from "./store.ts";
import { tagFormat } from "./tag-format.ts";
import type { Id3Version } from "./tags-id3.ts";
import { QUALITY_FIELD, SONG_ID_FIELD, SOURCE_FIELD, type TrackTags } from "./track-tags.ts";
import { linkIntoTree, removeFromTree, treePath } from "./tree.ts";
import type { AudioWork } from "./work.ts";

export type TreeMode = "off" | "beside" | "instead";

export interface PlacerDeps {
  store: AudioStore;
  work: AudioWork;
  log: Logger;
  tree: { mode: TreeMode; root: string };
  id3Version: () => Id3Version;
}

/** A new entry but for what placing finds out. */
export type NewFile = Omit<StoredFile, "path" | "size" | "mtime" | "tagged" | "tree">;

/** Brings finished files to their place; whatever is in place is whole. */
export interface Placer {
  /** Tags (a copy), syncs and renames `temporary`, which is gone afterwards, and puts it into the index. */
  place(temporary: string, file: NewFile, tags: TrackTags | undefined): Promise<StoredFile>;
  /** Writes these tags into a file that is in place. @returns undefined when its format or state forbids it. */
  retag(file: StoredFile, tags: TrackTags): Promise<StoredFile | undefined>;
  /** For files that have left the store. */
  forget(file: StoredFile): Promise<void>;
  /** A name for a half-written file: never served, and removed at the next start. */
  temporary(name: string): string;
}

export function createPlacer({ store, work, log, tree, id3Version }: PlacerDeps): Placer {
  const temporary = (name: string) =>
    join(store.folder, `${name.slice(0, 140)}.${process.pid}-${crypto.randomUUID().slice(0, 8)}.tmp`);

  /** The tagged copy; undefined = it could not be tagged. The original is left as it is. */
  async function taggedCopy(path: string, file: NewFile, tags: TrackTags): Promise<string | undefined> {
    const format = tagFormat(file.name);
    if (format === undefined) return undefined;
    const copy = temporary(file.name);
    try {
      const { cover, ...rest } = tags;
      const picture = cover === undefined ? undefined : await coverForTag(cover);
      const own = { [SOURCE_FIELD]: file.source, [SONG_ID_FIELD]: file.songId, [QUALITY_FIELD]: file.quality };
      const full = { ...rest, ids: { ...tags.ids, ...own }, ...(picture === undefined ? {} : { cover: picture }) };
      // Shares the blocks where the file system can.
      await copyFile(path, copy, constants.COPYFILE_FICLONE);
      await work.tag(copy, format, full, { id3Version: id3Version() });
      await syncFile(copy);
      return copy;
    } catch (error) {
      await rm(copy, { force: true });
      log.warn("audio not tagged", { name: file.name, error });
      return undefined;
    }
  }

  /** The place in the tree that no other file has, even where case does not count. */
  function freeTreePath(file: NewFile, tags: TrackTags): string {
    const others = new Set(
      store
        .all()
        .filter((item) => item.name !== file.name)
        .flatMap((item) => [item.path.toLowerCase(), ...(item.tree === undefined ? [] : [item.tree.toLowerCase()])]),
    );
    const wishes = ["", file.quality, `${file.source} ${file.songId}`, `${file.source} ${file.songId} ${file.quality}`];
    const paths = wishes.map((wish) => join(tree.root, treePath(tags, file.extension, wish)));
    return paths.find((path) => !others.has(path.toLowerCase())) ?? join(store.folder, file.name);
  }

  async function settle(ready: string, file: NewFile, tags: TrackTags | undefined, tagged: boolean) {
    const named = tags?.title !== undefined && tree.mode !== "off" ? freeTreePath(file, tags) : undefined;
    const path = named !== undefined && tree.mode === "instead" ? named : join(store.folder, file.name);
    await moveInto(ready, path);
    const { size, mtimeMs } = await stat(path);
    const beside = named !== undefined && tree.mode === "beside" ? named : undefined;
    if (beside !== undefined) await linkIntoTree(path, beside);
    const stored: StoredFile = { ...file, path, size, mtime: mtimeMs, tagged, ...(beside ? { tree: beside } : {}) };
    store.put(stored);
    return stored;
  }

  async function leaveTree(path: string | undefined): Promise<void> {
    if (path !== undefined && tree.mode !== "off") await removeFromTree(tree.root, path);
  }

  return {
    temporary,
    async place(temporaryPath, file, tags) {
      const copy = tags === undefined ? undefined : await taggedCopy(temporaryPath, file, tags);
      try {
        return await settle(copy ?? temporaryPath, file, tags, copy !== undefined);
      } finally {
        await rm(temporaryPath, { force: true });
        if (copy !== undefined) await rm(copy, { force: true });
      }
    },
    async retag(file, tags) {
      const copy = await taggedCopy(file.path, file, tags);
      if (copy === undefined) return undefined;
      const { tree: oldTree, path: oldPath, size: _size, mtime: _mtime, tagged: _tagged, ...rest } = file;
      try {
        // It may have been evicted while the copy was being tagged: then it stays gone.
        if (store.byName(file.name) !== file) return undefined;
        const title = tags.title ?? file.title;
        const artist = tags.artists?.join("/") ?? file.artist;
        const next = { ...rest, ...(title ? { title } : {}), ...(artist ? { artist } : {}) };
        const stored = await settle(copy, next, tags, true);
        if (stored.path !== oldPath) await removeFromTree(tree.root, oldPath);
        if (stored.tree !== oldTree) await leaveTree(oldTree);
        return stored;
      } finally {
        await rm(copy, { force: true });
      }
    },
    async forget(file) {
      await leaveTree(file.tree);
      if (tree.mode === "instead") await leaveTree(file.path);
    },
  };
}

/** A rename, also onto another file system: there the bytes are first brought beside their place. */
async function moveInto(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  try {
    await rename(from, to);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EXDEV")) throw error;
    const near = join(dirname(to), `.${crypto.randomUUID()}.tmp`);
    try {
      await copyFile(from, near);
      await syncFile(near);
      await rename(near, to);
    } finally {
      await rm(near, { force: true });
    }
    await rm(from, { force: true });
  }
  await syncFolderOf(to);
}

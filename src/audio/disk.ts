import { open, statfs } from "node:fs/promises";
import { dirname } from "node:path";

/** Free bytes for us on the file system of this folder; Infinity where it cannot be told. */
export async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/** The disk, the quota of the user or the largest file size is reached. */
export function isDiskFull(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG";
}

/** Brings a file's bytes to the disk. */
export async function syncFile(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Brings a rename in this file's folder to the disk; does nothing where folders cannot be synced. */
export async function syncFolderOf(path: string): Promise<void> {
  const folder = await open(dirname(path), "r").catch(() => undefined);
  try {
    await folder?.sync();
  } catch {
    // Windows and some network file systems: the rename is as safe as they make it.
  } finally {
    await folder?.close();
  }
}

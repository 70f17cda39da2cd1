import { statSync } from "node:fs";
import { dirname } from "node:path";

const REASONS: Record<string, string> = {
  EACCES: "permission denied",
  EPERM: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  ENOENT: "it does not exist",
  ENOTDIR: "a part of the path is a file, not a folder",
  EISDIR: "it is a folder, not a file",
  EMFILE: "too many open files",
  EIO: "the disk reports an error",
  SQLITE_CANTOPEN: "the file or its folder cannot be written",
  SQLITE_READONLY: "the file or its folder cannot be written",
  SQLITE_FULL: "the disk is full",
  SQLITE_IOERR: "the disk is full or reports an error",
  SQLITE_BUSY: "another program holds it",
};

/**
 * Why a file operation failed, for the person at the console: the reason in words, and for a missing right who owns
 * the path and who asked. "permission denied (/srv/lx belongs to root, mode 755; we run as uid 65534)"
 */
export function fileFault(error: unknown, path: string): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known = Object.keys(REASONS).find((name) => code === name || code.startsWith(`${name}_`));
  if (known === undefined) return error instanceof Error ? error.message : String(error);
  const rights = known === "EACCES" || known === "EPERM" || known === "SQLITE_CANTOPEN" || known === "SQLITE_READONLY";
  return `${REASONS[known]}${rights ? owner(path) : ""}`;
}

/** Of the path, or of the nearest folder above it that can be seen. */
function owner(path: string): string {
  const uid = process.getuid?.();
  if (uid === undefined) return "";
  for (let at = path; ; at = dirname(at)) {
    try {
      const { uid: ownerId, mode } = statSync(at);
      return ` (${at} belongs to uid ${ownerId}, mode ${(mode & 0o7777).toString(8)}; this runs as uid ${uid})`;
    } catch {
      if (at === dirname(at)) return "";
    }
  }
}

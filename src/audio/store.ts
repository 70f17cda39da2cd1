import type { Database } from "bun:sqlite";
import { lstat, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Quality, SourceId } from "../core/types.ts";
import type { Logger } from "../ops/log.ts";
import { type FileKey, fileName, keyText, parseName } from "./names.ts";
import { createRows, type Row } from "./store-rows.ts";

/** One file that can be served. */
export interface StoredFile extends FileKey {
  /** Under `/cache/`; also its name in the folder, unless a tree takes the folder's place. */
  readonly name: string;
  /** Where it lies, absolute. */
  path: string;
  extension: string;
  /** Bytes. Changed only by putting a new entry in the old one's place. */
  readonly size: number;
  /** Unix ms, with the fraction that the file system keeps. */
  readonly mtime: number;
  /** Unix ms. */
  addedAt: number;
  playedAt: number;
  plays: number;
  pinned: boolean;
  tagged: boolean;
  /** `found`: was in the folder and has not been looked into yet. A `bad` one is not served. */
  state: "good" | "found" | "bad";
  /** SHA-256 of what was downloaded, before tagging. */
  readonly hash?: string;
  /** The length agreed with what the platform said. */
  lengthProven: boolean;
  seconds?: number;
  /** kbit/s */
  bitrate?: number;
  title?: string;
  artist?: string;
  /** Its second place, in the tree. Absolute. */
  tree?: string;
}

export interface StoreOptions {
  folder: string;
  db: Database;
  log: Logger;
  now: () => number;
  /** Called after a file has gone, with its entry. */
  onRemoved?: (file: StoredFile) => Promise<void>;
}

export interface Limits {
  /** Bytes, 0 = none. */
  quota: number;
  /** Seconds since the last play, 0 = none. */
  maxAge: number;
}

export interface AudioStore {
  readonly folder: string;
  /** Reads the folder and makes the index agree with it. Safe to call again at any time. */
  reconcile(): Promise<{ found: number; gone: number }>;
  /** In memory; never touches the disk. A file known to be bad is not found. */
  find(source: SourceId, songId: string, quality: Quality | "cover"): StoredFile | undefined;
  byName(name: string): StoredFile | undefined;
  /** The other song that has these bytes. */
  byHash(hash: string, not: FileKey): StoredFile | undefined;
  all(): StoredFile[];
  bytes(): number;
  /** A name for this file that no other key has, even where case does not count. */
  nameFor(key: FileKey, extension: string): string | undefined;
  put(file: StoredFile): void;
  played(file: StoredFile): void;
  /** Removes the file from the disk and the index. */
  remove(file: StoredFile): Promise<void>;
  /** Removes what is too old and, oldest play first, what is beyond the quota with `incoming` bytes more. */
  prune(limits: Limits, incoming?: number): Promise<StoredFile[]>;
  /** Writes the times of play, which are held back to spare the disk. */
  flush(): void;
}

/** Evicting goes a little below the quota, so that not every new file evicts one. */
const LOW_WATER = 0.95;

export function createStore(options: StoreOptions): AudioStore {
  const { folder, log, now } = options;
  const rows = createRows(options.db);
  /** Best first: two files of one song and quality (mp3 and m4a) are rare. */
  const byKey = new Map<string, StoredFile[]>();
  const names = new Map<string, StoredFile>();
  const hashes = new Map<string, Set<StoredFile>>();
  const unsaved = new Set<StoredFile>();
  let total = 0;

  function index(file: StoredFile): void {
    unindex(names.get(file.name));
    names.set(file.name, file);
    total += file.size;
    if (file.hash !== undefined) hashes.set(file.hash, (hashes.get(file.hash) ?? new Set()).add(file));
    const key = keyText(file);
    byKey.set(
      key,
      [...(byKey.get(key) ?? []), file].toSorted((a, b) => rank(b) - rank(a)),
    );
  }

  function unindex(file: StoredFile | undefined): void {
    if (file === undefined || names.get(file.name) !== file) return;
    names.delete(file.name);
    total -= file.size;
    unsaved.delete(file);
    const same = hashes.get(file.hash ?? "");
    same?.delete(file);
    if (same?.size === 0) hashes.delete(file.hash ?? "");
    const key = keyText(file);
    const rest = (byKey.get(key) ?? []).filter((item) => item !== file);
    if (rest.length === 0) byKey.delete(key);
    else byKey.set(key, rest);
  }

  async function statOf(path: string): Promise<{ size: number; mtime: number } | undefined> {
    const found = await lstat(path).catch(() => undefined);
    return found?.isFile() && found.size > 0 ? { size: found.size, mtime: found.mtimeMs } : undefined;
  }

  /** A file whose bytes are not those that the database speaks of is a stranger with a known name. */
  function entryOf(name: string, path: string, stat: { size: number; mtime: number }, row: Row | undefined) {
    const key = row ?? parseName(name);
    if (key === undefined) return undefined;
    const { size, mtime } = stat;
    if (row !== undefined && row.size === size && row.mtime === mtime) return { ...row, path };
    const file: StoredFile = {
      source: key.source,
      songId: key.songId,
      quality: key.quality,
      extension: key.extension,
      name,
      path,
      size,
      mtime,
      addedAt: row?.addedAt ?? mtime,
      playedAt: row?.playedAt ?? mtime,
      plays: row?.plays ?? 0,
      pinned: row?.pinned ?? false,
      tagged: false,
      state: "found",
      lengthProven: false,
      ...(row?.tree === undefined ? {} : { tree: row.tree }),
    };
    return file;
  }

  async function reconcile(): Promise<{ found: number; gone: number }> {
    await mkdir(folder, { recursive: true });
    const known = new Map(rows.all().map((row) => [row.name, row]));
    const before = new Set(names.keys());
    const seen = new Set<string>();
    const places = new Map<string, string>();
    for (const item of await readdir(folder, { withFileTypes: true })) {
      if (item.isFile() && parseName(item.name) !== undefined) places.set(item.name, join(folder, item.name));
    }
    for (const row of known.values()) if (!places.has(row.name) && row.path !== "") places.set(row.name, row.path);
    let found = 0;
    for (const [name, path] of places) {
      const stat = await statOf(path);
      const current = names.get(name);
      if (stat === undefined) continue;
      seen.add(name);
      if (current !== undefined && current.size === stat.size && current.mtime === stat.mtime) continue;
      const file = entryOf(name, path, stat, known.get(name));
      if (file === undefined) continue;
      index(file);
      if (file.state === "found") rows.save(file);
      found++;
    }
    let gone = 0;
    for (const name of new Set([...before, ...known.keys()])) {
      if (seen.has(name)) continue;
      // It may have been put there while the folder was being read.
      const file = names.get(name);
      if (file !== undefined && (await statOf(file.path)) !== undefined) continue;
      const left = file ?? known.get(name);
      unindex(file);
      rows.remove(name);
      if (left !== undefined) await options.onRemoved?.(left);
      gone++;
    }
    if (found > 0 || gone > 0) log.debug("audio folder read", { found, gone, files: names.size, bytes: total });
    return { found, gone };
  }

  async function remove(file: StoredFile): Promise<void> {
    unindex(file);
    rows.remove(file.name);
    await rm(file.path, { force: true });
    await options.onRemoved?.(file);
  }

  return {
    folder,
    reconcile,
    remove,
    find(source, songId, quality) {
      const file = byKey.get(keyText({ source, songId, quality }))?.[0];
      return file?.state === "bad" ? undefined : file;
    },
    byName: (name) => names.get(name),
    byHash: (hash, not) =>
      [...(hashes.get(hash) ?? [])].find((file) => file.source !== not.source || file.songId !== not.songId),
    all: () => [...names.values()],
    bytes: () => total,
    nameFor(key, extension) {
      const plain = fileName(key, extension);
      if (plain === undefined) return undefined;
      const folded = plain.toLowerCase();
      const taken = [...names.values()].some(
        (file) => file.name !== plain && file.name.length === plain.length && file.name.toLowerCase() === folded,
      );
      return taken ? fileName(key, extension, true) : plain;
    },
    put(file) {
      index(file);
      rows.save(file);
    },
    played(file) {
      file.playedAt = now();
      file.plays++;
      unsaved.add(file);
    },
    async prune({ quota, maxAge }, incoming = 0) {
      const removed: StoredFile[] = [];
      const free = [...names.values()].filter((file) => !file.pinned);
      const oldest = maxAge === 0 ? Number.NEGATIVE_INFINITY : now() - maxAge * 1000;
      const over = quota > 0 && total + incoming > quota;
      for (const file of free.toSorted((a, b) => a.playedAt - b.playedAt)) {
        const tooOld = file.playedAt < oldest;
        const tooMuch = over && total + incoming > quota * LOW_WATER;
        if (!tooOld && !tooMuch) break;
        await remove(file);
        removed.push(file);
      }
      return removed;
    },
    flush() {
      rows.savePlays([...unsaved]);
      unsaved.clear();
    },
  };
}

/** The proven one, then the newer one. */
const rank = (file: StoredFile): number =>
  (file.state === "bad" ? -1 : file.state === "good" ? 1 : 0) * 1e15 + file.mtime;

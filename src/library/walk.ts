import { type Dirent, lstatSync, realpathSync, statSync } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import type { FileState } from "./track.ts";

export interface WalkOptions {
  /** Absolute folders. */
  roots: readonly string[];
  extensions: ReadonlySet<string>;
  followOutside: boolean;
  maxFiles: number;
  /** Called for what could not be read or was refused. */
  onProblem(root: number, path: string, reason: string): void;
}

export interface WalkSummary {
  files: number;
  /** There were more than `maxFiles`. */
  truncated: boolean;
  /** Roots that could not be listed at all: nothing may be concluded from their silence. */
  unreadableRoots: number[];
}

/** Folders that systems keep beside music. */
const SKIPPED = new Set(["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"]);
const IMAGE = /\.(?:jpe?g|png|webp)$/i;
const FOLDER_IMAGE = /^(?:cover|folder|front|album|albumart|封面)\.(?:jpe?g|png|webp)$/i;
const MAX_DEPTH = 32;

interface Folder {
  root: number;
  /** Absolute. */
  path: string;
  depth: number;
}

/**
 * Yields every audio file below the roots, folder by folder. Symbolic links are taken last and once: what has been
 * seen under its own name is not seen again, and what lies outside of all roots only with `followOutside`.
 * Runs in a worker; single `stat` calls are synchronous there because a thousand awaits cost more than the calls.
 */
export async function* walk(options: WalkOptions): AsyncGenerator<FileState, WalkSummary> {
  const seen = new Set<string>();
  /** Files that a link led to: their own folder may follow, when a link leads there too. */
  const linked = new Set<string>();
  const links: Folder[] = [];
  const summary: WalkSummary = { files: 0, truncated: false, unreadableRoots: [] };
  const real = await realRoots(options.roots);
  const queue: Folder[] = [];
  for (const [root, path] of options.roots.entries()) {
    const own = real[root];
    if (own === undefined) summary.unreadableRoots.push(root);
    else queue.push({ root, path, depth: 0 });
  }
  while (queue.length > 0 || links.length > 0) {
    const folder = queue.pop();
    if (folder === undefined) {
      const link = links.pop();
      if (link !== undefined) yield* followLink(link);
      continue;
    }
    yield* listFolder(folder);
    if (summary.truncated) break;
  }
  return summary;

  async function* listFolder(folder: Folder): AsyncGenerator<FileState> {
    const entries = await list(folder);
    if (entries === undefined) return;
    const names = new Set(entries.map((entry) => entry.name));
    const sides = createSides(folder.path, names, mayLead);
    for (const entry of entries) {
      if (entry.name.startsWith(".") || SKIPPED.has(entry.name)) continue;
      const path = join(folder.path, entry.name);
      if (entry.isSymbolicLink()) links.push({ root: folder.root, path, depth: folder.depth + 1 });
      else if (entry.isDirectory()) {
        if (folder.depth < MAX_DEPTH) queue.push({ root: folder.root, path, depth: folder.depth + 1 });
        else options.onProblem(folder.root, relative(options.roots[folder.root] ?? "", path), "目录层级过深");
      } else if (entry.isFile() && isAudio(entry.name)) yield* file(folder.root, path, sides);
      if (summary.truncated) return;
    }
  }

  async function list(folder: Folder): Promise<Dirent[] | undefined> {
    try {
      const info = statSync(folder.path);
      const key = `${info.dev}:${info.ino}`;
      if (seen.has(key)) return undefined;
      seen.add(key);
      const entries = await readdir(folder.path, { withFileTypes: true });
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch (error) {
      if (folder.depth === 0) summary.unreadableRoots.push(folder.root);
      problem(folder.root, folder.path, error);
      return undefined;
    }
  }

  async function* followLink(link: Folder): AsyncGenerator<FileState> {
    try {
      const target = await realpath(link.path);
      if (!mayLead(target)) {
        options.onProblem(link.root, below(link.root, link.path), "符号链接指向音乐目录之外");
        return;
      }
      const info = statSync(target);
      if (info.isDirectory()) {
        if (link.depth <= MAX_DEPTH) queue.push(link);
      } else if (info.isFile() && isAudio(link.path) && !seen.has(`${info.dev}:${info.ino}`)) {
        linked.add(`${info.dev}:${info.ino}`);
        yield* file(link.root, link.path, createSides(dirname(link.path), undefined, mayLead), true);
      }
    } catch (error) {
      problem(link.root, link.path, error);
    }
  }

  /** @param target real path */
  function mayLead(target: string): boolean {
    return options.followOutside || real.some((root) => root !== undefined && isInside(root, target));
  }

  async function* file(root: number, path: string, sides: Sides, isLink = false): AsyncGenerator<FileState> {
    try {
      const info = statSync(path);
      if (!isLink && linked.has(`${info.dev}:${info.ino}`)) return;
      // Hard links are files of their own; only what a symbolic link leads to must not come twice.
      seen.add(`${info.dev}:${info.ino}`);
      if (summary.files >= options.maxFiles) {
        summary.truncated = true;
        return;
      }
      summary.files++;
      yield {
        root,
        path: below(root, path),
        size: info.size,
        mtime: Math.trunc(info.mtimeMs),
        side: await sides(path),
      };
    } catch (error) {
      problem(root, path, error);
    }
  }

  function below(root: number, path: string): string {
    return relative(options.roots[root] ?? "", path)
      .split(sep)
      .join("/");
  }

  function problem(root: number, path: string, error: unknown): void {
    options.onProblem(root, below(root, path), codeOf(error));
  }

  function isAudio(name: string): boolean {
    const dot = name.lastIndexOf(".");
    return dot > 0 && options.extensions.has(name.slice(dot + 1).toLowerCase());
  }
}

export function codeOf(error: unknown): string {
  if (error instanceof Error) return "code" in error ? String(error.code) : error.message;
  return String(error);
}

/** True when `path` is `root` or below it; both real paths. */
export function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

function realRoots(roots: readonly string[]): Promise<(string | undefined)[]> {
  return Promise.all(roots.map((root) => realpath(root).catch(() => undefined)));
}

type Sides = (audioPath: string) => Promise<string>;

/** Tells the lyric file and picture that belong to an audio file; what belongs to the folder is looked at once. */
function createSides(folder: string, names: Set<string> | undefined, mayLead: (target: string) => boolean): Sides {
  let all = names;
  let byLower: Map<string, string> | undefined;
  let folderImage: string | undefined;
  return async (audioPath) => {
    all ??= new Set(await readdir(folder).catch(() => []));
    byLower ??= new Map([...all].filter(isSide).map((name) => [name.toLowerCase(), name]));
    const base = audioPath.slice(folder.length + 1);
    const stem = base.slice(0, base.lastIndexOf(".")).toLowerCase();
    const lyric = byLower.get(`${stem}.lrc`);
    const image = ["jpg", "jpeg", "png", "webp"].map((kind) => byLower?.get(`${stem}.${kind}`)).find(Boolean);
    folderImage ??= mark(folder, mayLead, [...byLower.values()].filter((name) => FOLDER_IMAGE.test(name)).sort()[0]);
    const parts = [mark(folder, mayLead, lyric), image === undefined ? folderImage : mark(folder, mayLead, image)];
    return parts.filter((part) => part !== "").join("\n");
  };
}

const isSide = (name: string) => /\.lrc$/i.test(name) || IMAGE.test(name);

/** "name|size|mtime", by which a change shows; empty for what is not a plain file of the folders. */
function mark(folder: string, mayLead: (target: string) => boolean, name: string | undefined): string {
  if (name === undefined) return "";
  try {
    const path = join(folder, name);
    const own = lstatSync(path);
    if (own.isSymbolicLink() && !mayLead(realpathSync(path))) return "";
    const info = own.isSymbolicLink() ? statSync(path) : own;
    return info.isFile() ? `${name}|${info.size}|${Math.trunc(info.mtimeMs)}` : "";
  } catch {
    // Gone since the folder was listed.
    return "";
  }
}

export interface SideFiles {
  lyric?: { name: string; size: number };
  image?: { name: string; size: number };
}

/** Reads `FileState.side` back. */
export function sideFiles(side: string): SideFiles {
  const found: SideFiles = {};
  for (const line of side.split("\n")) {
    const [, name, size] = /^(.*)\|(\d+)\|-?\d+$/.exec(line) ?? [];
    if (name === undefined) continue;
    const file = { name, size: Number(size) };
    if (/\.lrc$/i.test(name)) found.lyric = file;
    else found.image = file;
  }
  return found;
}

import { AppError, isAppError, toAppError } from "../core/errors.ts";
import { type DavEntry, PROPFIND_BODY, readMultistatus } from "./multistatus.ts";
import { decodeSegment, type Remote } from "./remote.ts";

export interface RemoteFile {
  /** Decoded, below the configured folder. */
  path: string;
  size: number | undefined;
  etag: string | undefined;
  modified: number | undefined;
}

export interface WalkLimits {
  maxFiles: number;
  maxDepth: number;
  /** Folders listed at once. */
  parallel?: number;
  signal?: AbortSignal | undefined;
}

export interface WalkOutcome {
  folders: number;
  truncated: boolean;
  /** Folders that could not be listed: nothing may be concluded from their silence. */
  failed: { path: string; reason: string }[];
}

const MAX_FOLDERS = 50_000;
const MAX_FAILED = 1000;
const PARALLEL = 4;

/**
 * The children of one folder by `PROPFIND` with Depth 1, which every server grants.
 * Only the last part of each href counts: servers behind proxies write prefixes of their own, and a server must not be
 * able to lead us out of the folder.
 * @throws AppError `upstream_not_found`, `upstream_refused`, and what `Remote.send` throws
 */
export async function listFolder(
  remote: Remote,
  path: string,
  signal?: AbortSignal,
): Promise<{ folders: string[]; files: RemoteFile[] }> {
  const folder = path.endsWith("/") ? path : `${path}/`;
  const response = await remote.send({
    method: "PROPFIND",
    path: folder,
    headers: { depth: "1", "content-type": 'application/xml; charset="utf-8"' },
    body: () => PROPFIND_BODY,
    signal,
  });
  if (response.status !== 207 || response.body === null) {
    await response.body?.cancel();
    const kind = response.status === 404 ? "upstream_not_found" : "upstream_refused";
    const message = response.status === 404 ? "WebDAV 上没有这个目录" : `WebDAV 列目录失败（HTTP ${response.status}）`;
    throw new AppError(kind, message, { detail: { path, status: response.status }, upstreamCode: response.status });
  }
  const folders = new Set<string>();
  const files = new Map<string, RemoteFile>();
  const entries: { entry: DavEntry; names: string[] }[] = [];
  await readMultistatus(response.body, (entry) => {
    const names = namesOf(entry.href);
    if (names !== undefined) entries.push({ entry, names });
  });
  const own = folder.split("/").filter((name) => name !== "");
  const self = selfOf(entries, own);
  for (const { entry, names } of entries) {
    const name = names.at(-1);
    if (names.length <= self || name === undefined || name === "." || name === ".." || /[/\\\0]/.test(name)) continue;
    const child = `${folder}${name}`;
    if (entry.isFolder) folders.add(child);
    else files.set(child, { path: child, size: entry.size, etag: entry.etag, modified: entry.modified });
  }
  return { folders: [...folders], files: [...files.values()] };
}

function namesOf(href: string): string[] | undefined {
  const path = href
    .replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]*/i, "")
    .replace(/^\/\/[^/]*/, "")
    .replace(/[?#].*$/, "");
  const names = path.split("/").filter((name) => name !== "");
  // Servers that do not encode send "100%.mp3" as it is.
  return names.map((name) => decodeSegment(name) ?? name);
}

/** Number of names in the folder's own href. Children have one more. */
function selfOf(entries: { entry: DavEntry; names: string[] }[], own: string[]): number {
  const shortest = Math.min(...entries.map(({ names }) => names.length));
  const first = entries.filter(({ names }) => names.length === shortest);
  const tail = own.join("/").normalize("NFC");
  const endsAlike = first.some(({ names }) => tail !== "" && names.join("/").normalize("NFC").endsWith(tail));
  // A server that leaves the folder itself out lists children only: several of one length, or a file.
  const omitted = !endsAlike && (first.length > 1 || first.some(({ entry }) => !entry.isFolder));
  return omitted ? shortest - 1 : shortest;
}

/** Walks a folder breadth first and tells every file. A folder that fails is noted, not fatal; the first one is. */
export async function walkRemote(
  remote: Remote,
  start: string,
  limits: WalkLimits,
  onFile: (file: RemoteFile) => void,
): Promise<WalkOutcome> {
  const outcome: WalkOutcome = { folders: 0, truncated: false, failed: [] };
  const seen = new Set<string>([start]);
  let files = 0;
  let queue: { path: string; depth: number }[] = [{ path: start, depth: 0 }];

  async function visit({ path, depth }: { path: string; depth: number }) {
    if (outcome.truncated || limits.signal?.aborted) return [];
    try {
      const listing = await listFolder(remote, path, limits.signal);
      outcome.folders++;
      for (const file of listing.files) {
        if (files >= limits.maxFiles) {
          outcome.truncated = true;
          return [];
        }
        files++;
        onFile(file);
      }
      if (depth + 1 > limits.maxDepth && listing.folders.length > 0) outcome.truncated = true;
      return depth + 1 > limits.maxDepth ? [] : listing.folders.map((child) => ({ path: child, depth: depth + 1 }));
    } catch (error) {
      // A dead or locked server fails every further folder alike.
      if (depth === 0 || (isAppError(error) && error.kind === "upstream_needs_login")) throw error;
      if (outcome.failed.length < MAX_FAILED) outcome.failed.push({ path, reason: toAppError(error).message });
      return [];
    }
  }

  while (queue.length > 0 && !outcome.truncated) {
    const batch = queue.splice(0, limits.parallel ?? PARALLEL);
    const found = (await Promise.all(batch.map(visit))).flat();
    for (const folder of found) {
      if (seen.has(folder.path)) continue;
      if (seen.size >= MAX_FOLDERS) outcome.truncated = true;
      else {
        seen.add(folder.path);
        queue.push(folder);
      }
    }
    if (limits.signal?.aborted) queue = [];
  }
  return outcome;
}

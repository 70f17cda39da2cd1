import type { BigIntStats } from "node:fs";
import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, sep } from "node:path";

/** A folder of the disk as it shows below `/dav/`. */
export interface DavMount {
  name: string;
  /** Absolute. */
  path: string;
  /** Admins may write here. */
  writable: boolean;
}

/** A file or folder of a view that is no folder of the disk ("Artists/…"). */
export interface DavViewItem {
  name: string;
  /** Absolute path of a file; absent = a folder. */
  file?: string;
}

export interface DavView {
  name: string;
  /** Items of a folder of the view; undefined = there is no such folder. */
  list(segments: readonly string[]): DavViewItem[] | undefined | Promise<DavViewItem[] | undefined>;
}

export interface DavNode {
  /** Decoded, without the mount point; "/" = the root. */
  path: string;
  kind: "folder" | "file" | "missing";
  /** Where it lies, links resolved; absent for the root and for views. */
  file?: string;
  /** The entry itself, whose last part may be a link: what is deleted, replaced or moved. Within mounts only. */
  place?: string;
  /** The folder that it lies in, or would lie in, exists. */
  hasParent: boolean;
  /** Lies on a writable mount, and is not the mount itself. */
  writable: boolean;
  size: number;
  /** Unix ms. */
  modified: number;
  created: number;
  /** Quoted; files only. */
  etag?: string;
}

export interface DavTree {
  resolve(path: string): Promise<DavNode>;
  /** Children by name; hidden ones left out. */
  children(node: DavNode): AsyncGenerator<DavNode>;
}

const PART = /^\.upload-.*\.part$/;
/** The name of a file that is still being written. */
export const partName = () => `.upload-${crypto.randomUUID()}.part`;

/**
 * The folders behind `/dav/`. A path leads only to what lies within its mount when every link is resolved; anything
 * else is missing.
 */
export function createDavTree(
  mounts: readonly DavMount[],
  views: readonly DavView[],
  hide: readonly string[],
): DavTree {
  const hidden = hide.map(wildcard);
  const isHidden = (name: string) => PART.test(name) || hidden.some((pattern) => pattern.test(name));

  async function resolve(path: string): Promise<DavNode> {
    const segments = path.split("/").filter((segment) => segment !== "");
    const clean = `/${segments.join("/")}`;
    const [first, ...rest] = segments;
    if (first === undefined) return folderNode("/", false);
    const mount = mounts.find((one) => one.name === first);
    if (mount !== undefined) return await onDisk(mount, clean, rest);
    const view = views.find((one) => one.name === first);
    if (view !== undefined) return await inView(view, clean, rest);
    return missing(clean, false, rest.length === 0);
  }

  async function onDisk(mount: DavMount, path: string, rest: string[]): Promise<DavNode> {
    const root = await realpath(mount.path).catch(() => undefined);
    const writable = mount.writable && rest.length > 0;
    if (root === undefined) return missing(path, false, false);
    const wanted = join(root, ...rest);
    const real = await realpath(wanted).catch(() => undefined);
    if (real !== undefined) {
      if (!isInside(root, real)) return missing(path, false, false);
      const info = await stat(real, { bigint: true }).catch(() => undefined);
      if (info === undefined) return missing(path, writable, true);
      const folder = rest.length === 0 ? undefined : await realpath(dirname(wanted));
      const node = diskNode(path, real, info, writable);
      return folder === undefined ? node : { ...node, place: join(folder, basename(wanted)) };
    }
    const parent = await realpath(dirname(wanted)).catch(() => undefined);
    const good = parent !== undefined && isInside(root, parent);
    const isFolder = good && (await stat(parent)).isDirectory();
    // A link that leads nowhere is not written through.
    const dangling = await lstat(wanted).catch(() => undefined);
    const may = writable && dangling === undefined;
    return { ...missing(path, may, isFolder), ...(isFolder ? { place: join(parent, basename(wanted)) } : {}) };
  }

  async function inView(view: DavView, path: string, rest: string[]): Promise<DavNode> {
    if ((await view.list(rest)) !== undefined) return folderNode(path, false);
    const items = rest.length === 0 ? undefined : await view.list(rest.slice(0, -1));
    const item = items?.find((one) => one.name === rest.at(-1));
    return item?.file === undefined ? missing(path, false, items !== undefined) : await viewFile(path, item.file);
  }

  async function viewFile(path: string, file: string): Promise<DavNode> {
    const info = await stat(file, { bigint: true }).catch(() => undefined);
    return info?.isFile() ? diskNode(path, file, info, false) : missing(path, false, true);
  }

  return {
    resolve,
    async *children(node) {
      if (node.kind !== "folder") return;
      const below = (name: string) => (node.path === "/" ? `/${name}` : `${node.path}/${name}`);
      if (node.path === "/") {
        for (const { name } of [...mounts, ...views]) yield await resolve(below(name));
        return;
      }
      const [first = "", ...rest] = node.path.slice(1).split("/");
      const view = views.find((one) => one.name === first);
      if (view !== undefined && node.file === undefined) {
        for (const item of (await view.list(rest)) ?? []) {
          const child =
            item.file === undefined ? folderNode(below(item.name), false) : await viewFile(below(item.name), item.file);
          if (child.kind !== "missing") yield child;
        }
        return;
      }
      const names = await readdir(node.file ?? "").catch(() => []);
      for (const name of names.sort()) {
        if (isHidden(name)) continue;
        const child = await resolve(below(name));
        if (child.kind !== "missing") yield child;
      }
    },
  };
}

function missing(path: string, writable: boolean, hasParent: boolean): DavNode {
  return { path, kind: "missing", hasParent, writable, size: 0, modified: 0, created: 0 };
}

function folderNode(path: string, writable: boolean): DavNode {
  return { path, kind: "folder", hasParent: true, writable, size: 0, modified: 0, created: 0 };
}

function diskNode(path: string, file: string, info: BigIntStats, writable: boolean): DavNode {
  const node: DavNode = {
    path,
    kind: info.isDirectory() ? "folder" : info.isFile() ? "file" : "missing",
    file,
    hasParent: true,
    writable,
    size: Number(info.size),
    modified: Number(info.mtimeMs),
    created: Number(info.birthtimeMs),
  };
  if (node.kind === "file") {
    node.etag = `"${[info.size, info.mtimeNs, info.ino].map((part) => part.toString(16)).join("-")}"`;
  }
  return node;
}

export function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

function wildcard(pattern: string): RegExp {
  return new RegExp(
    `^${pattern
      .split("*")
      .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
      .join(".*")}$`,
    "i",
  );
}

/** Longest name that file systems take, in bytes. */
const MAX_NAME = 255;

/**
 * The decoded path of a request below `prefix`; undefined = none that we serve.
 * @param pathname as `URL` gives it: dots resolved, still encoded
 */
export function davPath(pathname: string, prefix: string): string | undefined {
  if (pathname !== prefix && !pathname.startsWith(`${prefix}/`)) return undefined;
  const segments: string[] = [];
  for (const raw of pathname.slice(prefix.length).split("/")) {
    if (raw === "") continue;
    let segment: string;
    try {
      segment = decodeURIComponent(raw);
    } catch {
      return undefined;
    }
    if (segment === "." || segment === ".." || /[/\\\u0000-\u001f\u007f]/.test(segment)) return undefined;
    if (Buffer.byteLength(segment) > MAX_NAME || PART.test(segment)) return undefined;
    segments.push(segment);
  }
  return `/${segments.join("/")}`;
}

import { constants } from "node:fs";
import { copyFile, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DavRefusal } from "./dav-answers.ts";
import { type DavNode, type DavTree, partName } from "./dav-tree.ts";

const IDLE_MS = 60_000;

/**
 * Streams a body into a file: hidden name, flushed, renamed. A broken upload leaves what was there before.
 * @throws DavRefusal 413, 400 (the body broke off)
 */
export async function writeBody(
  place: string,
  body: ReadableStream<Uint8Array> | null,
  maxBytes: number,
): Promise<void> {
  const temporary = join(dirname(place), partName());
  const file = await open(temporary, "wx", 0o644);
  const reader = body?.getReader();
  let written = 0;
  try {
    try {
      while (reader !== undefined) {
        const { value, done } = await nextChunk(reader);
        if (done) break;
        written += value.byteLength;
        if (written > maxBytes) throw new DavRefusal(413);
        await file.writeFile(value);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, place);
  } catch (error) {
    await reader?.cancel().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}

async function nextChunk(reader: ReadableStreamDefaultReader<Uint8Array>) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DavRefusal(408)), IDLE_MS);
  });
  try {
    return await Promise.race([reader.read(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Copies a file or a folder (with all that is in it when `deep`) to a place where nothing is. */
export async function copyNode(
  tree: DavTree,
  node: DavNode,
  place: string,
  deep: boolean,
  bounds: { entries: number; bytes: number },
): Promise<void> {
  if (bounds.entries-- <= 0) throw new DavRefusal(507);
  if (node.kind === "file") {
    bounds.bytes -= node.size;
    if (bounds.bytes < 0) throw new DavRefusal(507);
    const temporary = join(dirname(place), partName());
    try {
      await copyFile(node.file ?? "", temporary, constants.COPYFILE_FICLONE);
      await rename(temporary, place);
    } finally {
      await rm(temporary, { force: true });
    }
    return;
  }
  await mkdir(place);
  if (!deep) return;
  for await (const child of tree.children(node)) {
    await copyNode(tree, child, join(place, child.path.slice(child.path.lastIndexOf("/") + 1)), true, bounds);
  }
}

/** Moves by renaming; across file systems by copying. */
export async function moveNode(
  tree: DavTree,
  node: DavNode,
  place: string,
  bounds: { entries: number; bytes: number },
): Promise<void> {
  const from = node.place ?? "";
  try {
    await rename(from, place);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EXDEV")) throw error;
    await copyNode(tree, node, place, true, bounds);
    await rm(from, { recursive: true, force: true });
  }
}

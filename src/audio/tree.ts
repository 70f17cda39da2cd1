import { copyFile, link, mkdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import type { TrackTags } from "./track-tags.ts";

/** Bytes of one name; encrypting file systems take 143. */
const MAX_SEGMENT = 140;
/** What the strictest file system (NTFS, FAT, SMB) refuses, with characters that look alike. */
const LOOK_ALIKE: Record<string, string> = {
  "/": "／",
  "\\": "＼",
  ":": "：",
  "*": "＊",
  "?": "？",
  '"': "＂",
  "<": "＜",
  ">": "＞",
  "|": "｜",
};

/** One name that every file system takes and that never leads out of its folder. */
export function safeSegment(text: string, fallback: string, room = MAX_SEGMENT): string {
  const clean = text
    .toWellFormed()
    .normalize("NFC")
    .replace(/[\0-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, "")
    .replace(/[/\\:*?"<>|]/g, (letter) => LOOK_ALIKE[letter] ?? "_")
    .trim();
  const cut = cutBytes(clean, room)
    .replace(/[. ]+$/, "")
    .replace(/^\.+/, "");
  if (cut === "") return fallback;
  return /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i.test(cut) ? `_${cut}` : cut;
}

function cutBytes(text: string, most: number): string {
  let [kept, bytes] = ["", 0];
  for (const { segment } of new Intl.Segmenter("zh", { granularity: "grapheme" }).segment(text)) {
    bytes += Buffer.byteLength(segment);
    if (bytes > most) break;
    kept += segment;
  }
  return kept;
}

/**
 * `Artist/Album/NN - Title.ext`. The album artist comes first, so that an album with guests stays in one folder.
 * @param distinction put behind the title when another file has the plain path.
 */
export function treePath(tags: TrackTags, extension: string, distinction = ""): string {
  const artist = tags.albumArtists?.[0] ?? tags.artists?.[0] ?? "";
  const number = tags.track === undefined ? "" : `${String(tags.track).padStart(2, "0")} - `;
  const disc = tags.disc !== undefined && tags.disc > 1 && tags.track !== undefined ? `${tags.disc}-` : "";
  const end = `${distinction === "" ? "" : ` [${safeSegment(distinction, "_", 60)}]`}.${extension}`;
  const room = MAX_SEGMENT - Buffer.byteLength(end);
  return [
    safeSegment(artist, "未知歌手"),
    safeSegment(tags.album ?? "", "未知专辑"),
    safeSegment(`${disc}${number}${tags.title ?? ""}`, "未知歌曲", room) + end,
  ].join("/");
}

/** Makes `target` the same file as `path` (a hard link; a copy where there are none), in one step. */
export async function linkIntoTree(path: string, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  const temporary = join(dirname(target), `.${crypto.randomUUID()}.tmp`);
  try {
    await link(path, temporary).catch(() => copyFile(path, temporary));
    // rename() of two names of one file does nothing, and leaves both.
    await rm(target, { force: true });
    await rename(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Removes the file and the folders that it leaves empty, up to the root. */
export async function removeFromTree(root: string, target: string): Promise<void> {
  await rm(target, { force: true });
  for (
    let folder = dirname(target);
    !relative(root, folder).startsWith("..") && folder !== root;
    folder = dirname(folder)
  ) {
    const removed = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!removed) return;
  }
}

import { isQuality, isSourceId, QUALITIES, type Quality, type SourceId } from "../core/types.ts";

/** What one file in the cache folder is. */
export interface FileKey {
  source: SourceId;
  songId: string;
  quality: Quality | "cover";
}

export interface ParsedName extends FileKey {
  /** Lower case, without the dot. */
  extension: string;
}

const AUDIO_EXTENSIONS = new Set("mp3 flac m4a mp4 ogg oga opus wav ape aac wma aiff ac3 mka".split(" "));
const PICTURE_EXTENSIONS = new Set("jpg jpeg png webp gif bmp avif".split(" "));
/** Bytes that every file system takes; encrypting ones take 143. */
const MAX_NAME = 140;

export const keyText = (key: FileKey): string => `${key.source}\0${key.songId}\0${key.quality}`;

/**
 * `<source>_<songId>_<quality>.<ext>`, as the original names its files. Characters that some file system refuses are
 * written `~XX` (UTF-8, hexadecimal).
 *
 * @param strict also writes capitals so: two ids that differ only by case stay apart where case does not count.
 * @returns undefined when the id is too long for a file name.
 */
export function fileName(key: FileKey, extension: string, strict = false): string | undefined {
  const name = `${key.source}_${escapeId(key.songId, strict)}_${key.quality}.${extension}`;
  return name.length > MAX_NAME || key.songId === "" ? undefined : name;
}

function escapeId(id: string, strict: boolean): string {
  const plain = strict ? /[a-z0-9_-]/ : /[A-Za-z0-9_-]/;
  return [...new TextEncoder().encode(id)]
    .map((byte) => {
      const letter = String.fromCharCode(byte);
      return byte < 0x80 && plain.test(letter) ? letter : `~${byte.toString(16).padStart(2, "0")}`;
    })
    .join("");
}

/** Undefined = not a name of ours or of the original's. */
export function parseName(name: string): ParsedName | undefined {
  const match = /^([a-z]{2})_([A-Za-z0-9_~-]+)_([a-z0-9_]+)\.([A-Za-z0-9]+)$/s.exec(name);
  if (match === null) return undefined;
  const [, source = "", , , suffix = ""] = match;
  const extension = suffix.toLowerCase();
  const middle = name.slice(source.length + 1, name.length - suffix.length - 1);
  if (!isSourceId(source)) return undefined;
  // "atmos_plus" has the separator in it, so the quality is found from the end and not by splitting.
  const quality = ["cover", ...QUALITIES].find((item) => middle.endsWith(`_${item}`));
  if (quality === undefined) return undefined;
  const songId = unescapeId(middle.slice(0, -quality.length - 1));
  if (songId === undefined || songId === "") return undefined;
  if (quality === "cover") {
    return PICTURE_EXTENSIONS.has(extension) ? { source, songId, quality: "cover", extension } : undefined;
  }
  return isQuality(quality) && AUDIO_EXTENSIONS.has(extension) ? { source, songId, quality, extension } : undefined;
}

function unescapeId(text: string): string | undefined {
  if (/~(?![0-9a-f]{2})/.test(text)) return undefined;
  try {
    return decodeURIComponent(text.replaceAll("~", "%"));
  } catch {
    return undefined;
  }
}

/** A plain name inside a folder: no separators, no NUL, no dot-files, no device names, nothing half-written. */
export function isPlainName(name: string): boolean {
  if (name.length === 0 || name.length > 255 || /[\\/:\0-\x1f\x7f]/.test(name)) return false;
  if (name.startsWith(".") || /[. ]$/.test(name)) return false;
  return /\.[A-Za-z0-9]+$/.test(name) && !/\.(?:tmp|part|partial|download)$/i.test(name);
}

/** Is it sound or a picture, by its extension? */
export function isMedia(name: string): boolean {
  const extension = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return AUDIO_EXTENSIONS.has(extension) || PICTURE_EXTENSIONS.has(extension);
}

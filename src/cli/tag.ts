import { constants, copyFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { syncFile } from "../audio/disk.ts";
import { coverForTag, pictureType } from "../audio/picture.ts";
import { type TagFormat, tagFormat } from "../audio/tag-format.ts";
import type { TrackTags } from "../audio/track-tags.ts";
import { AppError } from "../core/errors.ts";
import type { Command, CommandContext } from "./command.ts";

const options = {
  title: { type: "string" },
  artist: { type: "string", multiple: true },
  album: { type: "string" },
  "album-artist": { type: "string", multiple: true },
  track: { type: "string" },
  disc: { type: "string" },
  year: { type: "string" },
  genre: { type: "string", multiple: true },
  lyrics: { type: "string" },
  translation: { type: "string" },
  cover: { type: "string" },
  "id3-version": { type: "string" },
} as const;

/** Of `tag write` and `audio tag`. */
export const TAG_HELP = [
  "--title TEXT           title",
  "--artist NAME          artist; may be given several times",
  "--album TEXT           album",
  "--album-artist NAME    artist of the album; several times",
  "--track N              number of the track",
  "--disc N               number of the disc",
  "--year N               year",
  "--genre TEXT           genre; several times",
  "--lyrics FILE          lyrics, LRC or plain text",
  "--translation FILE     translated lyrics",
  "--cover FILE           cover picture",
  "--id3-version 2.4      form of an MP3's tag: 2.4 or 2.3",
].join("\n");

/** Tags of any file, in the cache or not. They need no server and no configuration. */
export const tagCommands: Command[] = [
  {
    name: "tag show",
    summary: "show the tags of a file",
    usage: "FILE",
    arity: [1, 1],
    async run(context) {
      const { path, format } = await target(context);
      const { tags, sound } = await readOrFail(path, format);
      const { cover, lyric, translation, ...rest } = tags;
      const picture = cover && { type: pictureType(cover) ?? "unknown", bytes: cover.length };
      const value = { file: path, format, sound, tags: { ...rest, lyric, translation, cover: picture } };
      context.result(value, describe(value.tags, sound));
      return 0;
    },
  },
  {
    name: "tag write",
    summary: "write tags into a file; its audio stays bit for bit the same",
    usage: "FILE",
    options,
    help: TAG_HELP,
    arity: [1, 1],
    async run(context) {
      const { path, format } = await target(context);
      const tags = await tagsFrom(context);
      if (Object.keys(tags).length === 0) throw new AppError("invalid_request", "no tags given, see --help");
      const version = text(context, "id3-version") ?? "2.4";
      if (version !== "2.3" && version !== "2.4") {
        throw new AppError("invalid_request", `--id3-version is 2.3 or 2.4, got "${version}"`);
      }
      await writeInPlace(path, format, tags, version);
      context.result({ file: path, written: Object.keys(tags) }, `wrote to ${path}: ${Object.keys(tags).join(", ")}`);
      return 0;
    },
  },
];

async function target(context: CommandContext): Promise<{ path: string; format: TagFormat }> {
  const path = resolve(context.positionals[0] ?? "");
  const format = tagFormat(path);
  if (format === undefined)
    throw new AppError("invalid_request", `${path} is not of a known kind: mp3, flac, m4a, ogg, opus`);
  if (!(await Bun.file(path).exists())) throw new AppError("not_found", `${path} does not exist`);
  return { path, format };
}

async function readOrFail(path: string, format: TagFormat) {
  const { readTags } = await import("../audio/tags.ts");
  try {
    return readTags(path, format);
  } catch (error) {
    throw new AppError("unsupported", `${path} cannot be read as audio; it may be damaged`, { cause: error });
  }
}

/** The tags in the options. Shared with `audio tag`. */
export async function tagsFrom(context: CommandContext): Promise<TrackTags> {
  const tags: TrackTags = {};
  const set = <K extends keyof TrackTags>(name: K, value: TrackTags[K] | undefined) => {
    if (value !== undefined) tags[name] = value;
  };
  set("title", text(context, "title"));
  set("artists", texts(context, "artist"));
  set("album", text(context, "album"));
  set("albumArtists", texts(context, "album-artist"));
  set("track", number(context, "track"));
  set("disc", number(context, "disc"));
  set("year", number(context, "year"));
  set("genres", texts(context, "genre"));
  set("lyric", await textFile(context, "lyrics"));
  set("translation", await textFile(context, "translation"));
  set("cover", await coverFile(context));
  return tags;
}

export const tagOptions = options;

/** On a copy beside the file, so that a power cut in the middle leaves the old one. */
async function writeInPlace(path: string, format: TagFormat, tags: TrackTags, id3Version: "2.3" | "2.4") {
  const copy = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    await copyFile(path, copy, constants.COPYFILE_FICLONE);
    const { writeTags } = await import("../audio/tags.ts");
    writeTags(copy, format, tags, { id3Version });
    await syncFile(copy);
    await rename(copy, path);
  } catch (error) {
    throw new AppError("storage_failed", `tags cannot be written to ${path}; the file is as it was`, { cause: error });
  } finally {
    await rm(copy, { force: true });
  }
}

function text(context: CommandContext, name: string): string | undefined {
  const value = context.values[name];
  return typeof value === "string" ? value : undefined;
}

function texts(context: CommandContext, name: string): string[] | undefined {
  const value = context.values[name];
  return Array.isArray(value) ? value.filter((item) => typeof item === "string") : undefined;
}

function number(context: CommandContext, name: string): number | undefined {
  const value = text(context, name);
  if (value === undefined) return undefined;
  if (!/^[1-9]\d{0,4}$/.test(value))
    throw new AppError("invalid_request", `--${name} must be a whole number from 1, got "${value}"`);
  return Number(value);
}

async function bytesOf(path: string, name: string): Promise<Uint8Array> {
  const file = Bun.file(path);
  if (!(await file.exists())) throw new AppError("not_found", `--${name}: ${path} does not exist`);
  return file.bytes();
}

async function textFile(context: CommandContext, name: string): Promise<string | undefined> {
  const path = text(context, name);
  return path === undefined ? undefined : new TextDecoder().decode(await bytesOf(path, name));
}

async function coverFile(context: CommandContext): Promise<Uint8Array | undefined> {
  const path = text(context, "cover");
  if (path === undefined) return undefined;
  const cover = await coverForTag(await bytesOf(path, "cover"));
  if (cover === undefined) throw new AppError("invalid_request", `--cover: ${path} is no picture of a known kind`);
  return cover;
}

function describe(
  tags: Record<string, unknown>,
  sound: { duration: number; codec: string; sampleRate: number },
): string {
  const lines = Object.entries(tags).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (name === "lyric" || name === "translation") {
      const lyric = String(value);
      return [`${name}: ${lyric.split("\n").length} lines, ${Buffer.byteLength(lyric)} bytes`];
    }
    if (Array.isArray(value)) return [`${name}: ${value.join(" / ")}`];
    return [`${name}: ${typeof value === "object" && value !== null ? JSON.stringify(value) : String(value)}`];
  });
  return [`${sound.codec}, ${sound.sampleRate} Hz, ${sound.duration.toFixed(1)} s`, ...lines].join("\n");
}

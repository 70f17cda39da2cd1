import { constants, copyFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { syncFile } from "../audio/disk.ts";
import { coverForTag, pictureType } from "../audio/picture.ts";
import { readTags, type TagFormat, tagFormat, writeTags } from "../audio/tags.ts";
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

/** Tags of any file, in the cache or not. They need no server and no configuration. */
export const tagCommands: Command[] = [
  {
    name: "tag show",
    summary: "显示文件的标签 / show the tags of a file",
    usage: "show FILE",
    arity: [1, 1],
    async run(context) {
      const { path, format } = await target(context);
      const { tags, sound } = readOrFail(path, format);
      const { cover, lyric, translation, ...rest } = tags;
      const picture = cover && { type: pictureType(cover) ?? "unknown", bytes: cover.length };
      const value = { file: path, format, sound, tags: { ...rest, lyric, translation, cover: picture } };
      context.result(value, describe(value.tags, sound));
      return 0;
    },
  },
  {
    name: "tag write",
    summary: "写入标签 / write tags",
    usage: "write FILE --title … --artist … --cover …",
    options,
    help: [
      "--artist、--album-artist、--genre 可重复 / may be repeated",
      "--lyrics、--translation、--cover: 文件路径 / a file",
      "--id3-version 2.3|2.4 (MP3)",
    ].join("\n"),
    arity: [1, 1],
    async run(context) {
      const { path, format } = await target(context);
      const tags = await tagsFrom(context);
      if (Object.keys(tags).length === 0) throw new AppError("invalid_request", "没有要写入的标签，见 --help");
      const version = text(context, "id3-version") ?? "2.4";
      if (version !== "2.3" && version !== "2.4") {
        throw new AppError("invalid_request", `--id3-version 只能是 2.3 或 2.4，不能是 ${version}`);
      }
      await writeInPlace(path, format, tags, version);
      context.result({ file: path, written: Object.keys(tags) }, `已写入 ${path}: ${Object.keys(tags).join(", ")}`);
      return 0;
    },
  },
];

async function target(context: CommandContext): Promise<{ path: string; format: TagFormat }> {
  const path = resolve(context.positionals[0] ?? "");
  const format = tagFormat(path);
  if (format === undefined) throw new AppError("invalid_request", `${path}: 支持 MP3、FLAC、M4A、OGG、Opus`);
  if (!(await Bun.file(path).exists())) throw new AppError("not_found", `没有这个文件: ${path}`);
  return { path, format };
}

function readOrFail(path: string, format: TagFormat) {
  try {
    return readTags(path, format);
  } catch (error) {
    throw new AppError("unsupported", `${path}: 无法读取，文件可能已损坏`, { cause: error });
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
    writeTags(copy, format, tags, { id3Version });
    await syncFile(copy);
    await rename(copy, path);
  } catch (error) {
    throw new AppError("storage_failed", `${path}: 无法写入标签，原文件未变`, { cause: error });
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
  if (!/^[1-9]\d{0,4}$/.test(value)) throw new AppError("invalid_request", `--${name} 应为正整数，不能是 ${value}`);
  return Number(value);
}

async function bytesOf(path: string, name: string): Promise<Uint8Array> {
  const file = Bun.file(path);
  if (!(await file.exists())) throw new AppError("not_found", `--${name}: 没有这个文件: ${path}`);
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
  if (cover === undefined) throw new AppError("invalid_request", `--cover: 不是能识别的图片: ${path}`);
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
      return [`${name}: ${lyric.split("\n").length} 行, ${Buffer.byteLength(lyric)} 字节`];
    }
    if (Array.isArray(value)) return [`${name}: ${value.join(" / ")}`];
    return [`${name}: ${typeof value === "object" && value !== null ? JSON.stringify(value) : String(value)}`];
  });
  return [`${sound.codec}, ${sound.sampleRate} Hz, ${sound.duration.toFixed(1)} s`, ...lines].join("\n");
}

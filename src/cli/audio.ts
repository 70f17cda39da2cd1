import type { AudioCache, StoredFile } from "../audio/index.ts";
import type { TrackTags } from "../audio/track-tags.ts";
import { AppError } from "../core/errors.ts";
import type { Command, CommandContext } from "./command.ts";
import { tagOptions, tagsFrom } from "./tag.ts";

/** What the platforms know of a cached song; undefined = nothing. */
export type Metadata = (file: StoredFile) => Promise<TrackTags | undefined>;

/**
 * @param feature the audio cache of the composed application, opened but not started.
 * @param metadata asks the platforms, for `audio tag` without a name.
 */
export function audioCommands(
  feature: (context: CommandContext) => Promise<AudioCache>,
  metadata: (context: CommandContext) => Promise<Metadata>,
): Command[] {
  return [
    {
      name: "audio list",
      summary: "列出缓存的音频 / list the cached audio",
      arity: [0, 0],
      async run(context) {
        const audio = await feature(context);
        const files = audio.list().toSorted((a, b) => b.playedAt - a.playedAt);
        for (const file of files) context.say(line(file));
        const { bytes, quota } = audio.stats();
        const total = `${files.length} 个文件, ${size(bytes)}${quota > 0 ? ` / ${size(quota)}` : ""}`;
        context.result({ files: files.map(item), bytes, quota }, total);
        return 0;
      },
    },
    {
      name: "audio verify",
      summary: "检查每个文件 / check every file",
      options: { remove: { type: "boolean" } },
      help: "--remove 删除不合格的文件 / delete what fails",
      arity: [0, 0],
      async run(context) {
        const audio = await feature(context);
        const progress = context.progress("检查 / checking");
        const results = await audio
          .verify({
            remove: context.values["remove"] === true,
            onResult: (result, done, total) => progress.update(done, total, result.name),
          })
          .finally(() => progress.end());
        const bad = results.filter((result) => !result.ok);
        for (const { name, message, removed } of bad) context.say(`${name}: ${message}${removed ? "（已删除）" : ""}`);
        context.result({ checked: results.length, bad }, `${results.length} 个文件, ${bad.length} 个不合格`);
        return bad.length === 0 ? 0 : 1;
      },
    },
    {
      name: "audio prune",
      summary: "按配额与时间清理 / apply quota and age",
      arity: [0, 0],
      async run(context) {
        const { removed, bytes } = await (await feature(context)).prune();
        for (const file of removed) context.say(line(file));
        context.result(
          { removed: removed.map((file) => file.name), bytes },
          `删除 ${removed.length} 个文件, ${size(bytes)}`,
        );
        return 0;
      },
    },
    {
      name: "audio tag",
      summary: "给缓存的文件写标签 / write tags into cached files",
      usage: "tag [NAME --title … --artist …]",
      options: tagOptions,
      help: [
        "不带 NAME：从平台获取信息，给所有无标签的文件写标签 / without NAME: all untagged files, from the platforms",
        "NAME 见 audio list，选项同 tag write / names as in audio list, options as in tag write",
      ].join("\n"),
      arity: [0, 1],
      async run(context) {
        const audio = await feature(context);
        const tags = await tagsFrom(context);
        const [name] = context.positionals;
        const given = Object.keys(tags).length > 0;
        if (name === undefined) {
          if (given) throw new AppError("invalid_request", "缺少文件名，见 audio list");
          return tagUntagged(context, audio, await metadata(context));
        }
        if (!given) throw new AppError("invalid_request", "没有要写入的标签，见 --help");
        const file = await audio.tag(name, tags);
        context.result(item(file), `已写入 ${file.name}`);
        return 0;
      },
    },
  ];
}

async function tagUntagged(context: CommandContext, audio: AudioCache, metadata: Metadata): Promise<number> {
  const files = audio.list().filter((file) => !file.tagged && file.quality !== "cover" && file.state !== "bad");
  const progress = context.progress("写标签 / tagging");
  const [tagged, failed]: [string[], { name: string; error: string }[]] = [[], []];
  try {
    for (const [index, file] of files.entries()) {
      progress.update(index, files.length, file.name);
      try {
        const tags = await metadata(file);
        if (tags === undefined) failed.push({ name: file.name, error: "没有信息" });
        else tagged.push((await audio.tag(file.name, tags)).name);
      } catch (error) {
        failed.push({ name: file.name, error: error instanceof Error ? error.message : String(error) });
      }
    }
  } finally {
    progress.end();
  }
  for (const { name, error } of failed) context.say(`${name}: ${error}`);
  context.result({ tagged, failed }, `已写入 ${tagged.length} 个文件, ${failed.length} 个失败`);
  return failed.length === 0 ? 0 : 1;
}

function item(file: StoredFile) {
  const { hash: _hash, ...rest } = file;
  return rest;
}

function line(file: StoredFile): string {
  const marks = [file.pinned ? "固定" : "", file.tagged ? "" : "无标签", file.state === "good" ? "" : file.state];
  const title = file.title === undefined ? "" : `${file.title}${file.artist === undefined ? "" : ` - ${file.artist}`}`;
  return [file.name, size(file.size), title, marks.filter((mark) => mark !== "").join(" ")].filter(Boolean).join("  ");
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

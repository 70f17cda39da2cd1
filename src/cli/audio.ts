import type { AudioCache, StoredFile } from "../audio/index.ts";
import type { TrackTags } from "../audio/track-tags.ts";
import { AppError } from "../core/errors.ts";
import type { Command, CommandContext } from "./command.ts";
import { TAG_HELP, tagOptions, tagsFrom } from "./tag.ts";

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
      summary: "list the cached audio",
      arity: [0, 0],
      async run(context) {
        const audio = await feature(context);
        const files = audio.list().toSorted((a, b) => b.playedAt - a.playedAt);
        for (const file of files) context.say(line(file));
        const { bytes, quota } = audio.stats();
        const total = `${files.length} files, ${size(bytes)}${quota > 0 ? ` / ${size(quota)}` : ""}`;
        context.result({ files: files.map(item), bytes, quota }, total);
        return 0;
      },
    },
    {
      name: "audio verify",
      summary: "check that every cached file is what it claims to be",
      options: { remove: { type: "boolean" } },
      help: "--remove    delete what fails",
      arity: [0, 0],
      async run(context) {
        const audio = await feature(context);
        const progress = context.progress("checking");
        const results = await audio
          .verify({
            remove: context.values["remove"] === true,
            onResult: (result, done, total) => progress.update(done, total, result.name),
          })
          .finally(() => progress.end());
        const bad = results.filter((result) => !result.ok);
        for (const { name, message, removed } of bad) context.say(`${name}: ${message}${removed ? " (deleted)" : ""}`);
        context.result({ checked: results.length, bad }, `${results.length} files, ${bad.length} bad`);
        return bad.length === 0 ? 0 : 1;
      },
    },
    {
      name: "audio prune",
      summary: "delete what is over the quota or too old",
      arity: [0, 0],
      async run(context) {
        const { removed, bytes } = await (await feature(context)).prune();
        for (const file of removed) context.say(line(file));
        context.result(
          { removed: removed.map((file) => file.name), bytes },
          `deleted ${removed.length} files, ${size(bytes)}`,
        );
        return 0;
      },
    },
    {
      name: "audio tag",
      summary: "write tags into cached files",
      usage: "[NAME]",
      options: tagOptions,
      help: [
        "NAME is one that audio list shows. Without it every untagged file gets what the platforms know of its song.",
        TAG_HELP,
      ].join("\n"),
      arity: [0, 1],
      async run(context) {
        const audio = await feature(context);
        const tags = await tagsFrom(context);
        const [name] = context.positionals;
        const given = Object.keys(tags).length > 0;
        if (name === undefined) {
          if (given) throw new AppError("invalid_request", "tags are for one file: which? See audio list");
          return tagUntagged(context, audio, await metadata(context));
        }
        if (!given) throw new AppError("invalid_request", "no tags given, see --help");
        const file = await audio.tag(name, tags);
        context.result(item(file), `wrote to ${file.name}`);
        return 0;
      },
    },
  ];
}

async function tagUntagged(context: CommandContext, audio: AudioCache, metadata: Metadata): Promise<number> {
  const files = audio.list().filter((file) => !file.tagged && file.quality !== "cover" && file.state !== "bad");
  const progress = context.progress("tagging");
  const [tagged, failed]: [string[], { name: string; error: string }[]] = [[], []];
  try {
    for (const [index, file] of files.entries()) {
      progress.update(index, files.length, file.name);
      try {
        const tags = await metadata(file);
        if (tags === undefined) failed.push({ name: file.name, error: "nothing known of it" });
        else tagged.push((await audio.tag(file.name, tags)).name);
      } catch (error) {
        failed.push({ name: file.name, error: error instanceof Error ? error.message : String(error) });
      }
    }
  } finally {
    progress.end();
  }
  for (const { name, error } of failed) context.say(`${name}: ${error}`);
  context.result({ tagged, failed }, `wrote to ${tagged.length} files, ${failed.length} failed`);
  return failed.length === 0 ? 0 : 1;
}

function item(file: StoredFile) {
  const { hash: _hash, ...rest } = file;
  return rest;
}

function line(file: StoredFile): string {
  const marks = [file.pinned ? "pinned" : "", file.tagged ? "" : "untagged", file.state === "good" ? "" : file.state];
  const title = file.title === undefined ? "" : `${file.title}${file.artist === undefined ? "" : ` - ${file.artist}`}`;
  return [file.name, size(file.size), title, marks.filter((mark) => mark !== "").join(" ")].filter(Boolean).join("  ");
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

import { AppError } from "../core/errors.ts";
import { SORTS, type TrackSort } from "../library/catalogue.ts";
import type { Library } from "../library/index.ts";
import type { Track } from "../library/track.ts";
import type { Command, CommandContext } from "./command.ts";

/** `library scan | list | match NAME` */
export function libraryCommands(feature: (context: CommandContext) => Promise<Library>): Command[] {
  return [scanCommand(feature), listCommand(feature), matchCommand(feature)];
}

type Feature = (context: CommandContext) => Promise<Library>;

function scanCommand(feature: Feature): Command {
  return {
    name: "library scan",
    summary: "read new and changed files of the music folders",
    arity: [0, 0],
    async run(context) {
      const library = await feature(context);
      const progress = context.progress("scan");
      const known = library.status().tracks;
      const summary = await library
        .scan(({ files, read, bad }) =>
          progress.update(files, known > files ? known : undefined, `${read} read, ${bad} bad`),
        )
        .finally(() => progress.end());
      for (const problem of summary.problems) context.say(shown(`${problem.root}/${problem.path}: ${problem.reason}`));
      const { files, added, changed, removed, bad, milliseconds, truncated } = summary;
      context.result(
        summary,
        `${files} files in ${(milliseconds / 1000).toFixed(1)} s: ${added} added, ${changed} changed, ${removed} removed, ` +
          `${bad} bad${truncated ? "; stopped at common.local_music.max_files" : ""}`,
      );
      return 0;
    },
  };
}

function listCommand(feature: Feature): Command {
  return {
    name: "library list",
    summary: "songs of the library",
    usage: "[WORDS…]",
    arity: [0, 20],
    options: {
      sort: { type: "string" },
      descending: { type: "boolean" },
      page: { type: "string" },
      size: { type: "string" },
      bad: { type: "boolean" },
    },
    help: [
      `--sort KEY       ${SORTS.join(", ")}`,
      "--descending     largest first",
      "--page N         from 1",
      "--size N         rows on a page, default 50",
      "--bad            the files that could not be read instead",
    ].join("\n"),
    async run(context) {
      const library = await feature(context);
      const page = wholeNumber(context, "page", 1);
      const pageSize = wholeNumber(context, "size", 50);
      if (context.values["bad"] === true) {
        const { total, files } = library.badFiles(page, pageSize);
        const lines = files.map((file) => shown(`${file.root}/${file.path}: ${file.reason}`));
        context.result({ total, files }, [...lines, `${total} bad files`].join("\n"));
        return 0;
      }
      const { total, tracks } = library.list({
        page,
        pageSize,
        sort: sortOf(context),
        descending: context.values["descending"] === true,
        search: context.positionals.join(" "),
      });
      context.result({ total, tracks }, [...tracks.map(line), `${tracks.length} of ${total}`].join("\n"));
      return 0;
    },
  };
}

function matchCommand(feature: Feature): Command {
  return {
    name: "library match",
    summary: "which song of the library a name means",
    usage: "NAME",
    arity: [1, 1],
    options: { artist: { type: "string" }, duration: { type: "string" } },
    help: [
      "NAME is a file name or path; with --artist it is a title.",
      "--artist NAME    the singer",
      "--duration S     length in seconds",
    ].join("\n"),
    async run(context) {
      const library = await feature(context);
      await library.ready;
      const name = context.positionals[0] ?? "";
      const { artist, duration } = context.values;
      const seconds = duration === undefined ? undefined : Number(duration);
      if (seconds !== undefined && !Number.isFinite(seconds)) {
        throw new AppError("invalid_request", "--duration must be a number of seconds");
      }
      const found = library.match({
        ...(typeof artist === "string" ? { name, artist } : { path: name }),
        ...(seconds === undefined ? {} : { durationSeconds: seconds }),
      });
      if (found === undefined) {
        context.result(null, "no match");
        return 1;
      }
      context.result(found, `${found.score.toFixed(2)} ${found.rule}  ${line(found.track)}`);
      return 0;
    },
  };
}

function line(track: Track): string {
  const length = track.durationSeconds === undefined ? "  ?  " : clock(track.durationSeconds);
  const title = track.title === "" ? track.path : `${track.artists.join("、") || "?"} - ${track.title}`;
  return shown(`${length}  ${title}  (${track.path})`);
}

/** A file's name may hold what a terminal obeys. */
const shown = (text: string) => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "\ufffd");

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${String(Math.floor(whole / 60)).padStart(2, "0")}:${String(whole % 60).padStart(2, "0")}`;
}

function wholeNumber(context: CommandContext, name: string, fallback: number): number {
  const value = context.values[name];
  if (value === undefined) return fallback;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1)
    throw new AppError("invalid_request", `--${name} must be a whole number from 1`);
  return number;
}

function sortOf(context: CommandContext): TrackSort {
  const value = context.values["sort"];
  if (value === undefined) return "path";
  const found = SORTS.find((sort) => sort === value);
  if (found === undefined) throw new AppError("invalid_request", `--sort is one of ${SORTS.join(", ")}`);
  return found;
}

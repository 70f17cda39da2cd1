import { open, rename, rm } from "node:fs/promises";
import type { CacheOperator, CacheReport, TransferOptions } from "../cache/operate.ts";
import { linesOf, type TransferCounts } from "../cache/transfer.ts";
import type { WarmRequest } from "../cache/warm.ts";
import { AppError } from "../core/errors.ts";
import { isQuality, isSourceId, QUALITIES, SOURCE_IDS } from "../core/types.ts";
import { textOption, wholeOption, wordsOption } from "./access-options.ts";
import type { Command, CommandContext } from "./command.ts";

type Feature = (context: CommandContext) => Promise<CacheOperator>;

const WARM_FROM = ["playlist", "board", "album", "song"] as const;
const ALSO = ["lyric", "info"] as const;
const MAX_FOUND = 100;

/** `cache stats | get | delete | prune | warm | export FILE | import FILE` */
export function cacheCommands(feature: Feature): Command[] {
  return [
    statsCommand(feature),
    getCommand(feature),
    deleteCommand(feature),
    pruneCommand(feature),
    warmCommand(feature),
    exportCommand(feature),
    importCommand(feature),
  ];
}

function statsCommand(feature: Feature): Command {
  return {
    name: "cache stats",
    summary: "entries and bytes of each tier",
    help: "Hits and misses are counted by the running server: see /api/v1/cache/stats and /metrics.",
    arity: [0, 0],
    async run(context) {
      const report = await (await feature(context)).stats();
      context.result(report, tierLines(report).join("\n"));
      return 0;
    },
  };
}

function tierLines(report: CacheReport): string[] {
  return report.tiers.map((tier) => {
    const entries = tier.size === undefined ? "unknown" : `${tier.size.entries} entries`;
    const bytes = tier.size?.bytes === undefined ? "" : `, ${(tier.size.bytes / 1048576).toFixed(1)} MiB`;
    return `${tier.name.padEnd(7)} ${tier.state.padEnd(11)} ${entries}${bytes}`;
  });
}

function getCommand(feature: Feature): Command {
  return {
    name: "cache get",
    summary: "show stored entries",
    usage: "KEY",
    help: "KEY is a whole key, or a prefix ending in *: 'v1:url:kg:320k:*'. At most 100 are shown.",
    arity: [1, 1],
    async run(context) {
      const [pattern = ""] = context.positionals;
      const found = await (await feature(context)).find(pattern, MAX_FOUND);
      if (found.length === 0) throw new AppError("not_found", `nothing is stored under ${pattern}`);
      context.result(found, found.map((entry) => JSON.stringify(entry, undefined, 2)).join("\n"));
      return 0;
    },
  };
}

function deleteCommand(feature: Feature): Command {
  return {
    name: "cache delete",
    summary: "delete stored entries, in a running server as well",
    usage: "KEY",
    help: "KEY is a whole key, or a prefix ending in *: 'v1:url:kg:*', or '*' for everything.",
    arity: [1, 1],
    async run(context) {
      const [pattern = ""] = context.positionals;
      const deleted = await (await feature(context)).delete(pattern);
      context.result({ deleted }, `${deleted} entries deleted`);
      return 0;
    },
  };
}

function pruneCommand(feature: Feature): Command {
  return {
    name: "cache prune",
    summary: "drop what is past its time or beyond the bounds",
    arity: [0, 0],
    async run(context) {
      const dropped = await (await feature(context)).prune();
      context.result({ dropped }, `${dropped} entries dropped`);
      return 0;
    },
  };
}

function warmCommand(feature: Feature): Command {
  return {
    name: "cache warm",
    summary: "have the songs of a playlist, board or album ready",
    usage: "SOURCE playlist|board|album|song ID",
    options: {
      quality: { type: "string" },
      also: { type: "string" },
      limit: { type: "string" },
      gap: { type: "string" },
    },
    help: [
      `SOURCE           ${SOURCE_IDS.join(", ")}`,
      "--quality A,B    qualities to ask for, default 128k",
      "--also A,B       lyric, info",
      "--limit N        songs at most, default 100",
      "--gap MS         least gap between requests, default common.cache.warm_gap",
    ].join("\n"),
    arity: [3, 3],
    async run(context) {
      const request = warmRequest(context);
      const operator = await feature(context);
      const progress = context.progress("warm");
      const kinds = request.qualities.length + (request.also?.length ?? 0);
      const counts = await operator
        .warm(request, {
          progress: ({ songs, fetched, cached, failed }) =>
            progress.update(fetched + cached + failed, request.limit * kinds, `${songs} songs, ${failed} failed`),
        })
        .finally(() => progress.end());
      const { songs, fetched, cached, failed } = counts;
      context.result(counts, `${songs} songs: ${fetched} fetched, ${cached} there already, ${failed} refused`);
      return songs > 0 && fetched + cached === 0 ? 1 : 0;
    },
  };
}

/** @throws AppError `invalid_request` */
function warmRequest(context: CommandContext): WarmRequest {
  const [source = "", word = "", id = ""] = context.positionals;
  const from = WARM_FROM.find((name) => name === word);
  if (!isSourceId(source))
    throw new AppError("invalid_request", `SOURCE is one of ${SOURCE_IDS.join(", ")}, got "${source}"`);
  if (from === undefined)
    throw new AppError("invalid_request", `expected one of ${WARM_FROM.join(", ")}, got "${word}"`);
  const isAlso = (name: string): name is (typeof ALSO)[number] => ALSO.some((one) => one === name);
  const also = wordsOption(context, "also", isAlso, ALSO);
  return {
    source,
    from,
    id,
    qualities: wordsOption(context, "quality", isQuality, QUALITIES) ?? ["128k"],
    ...(also === undefined ? {} : { also }),
    limit: wholeOption(context, "limit") ?? 100,
    gapMs: wholeOption(context, "gap"),
  };
}

function exportCommand(feature: Feature): Command {
  return {
    name: "cache export",
    summary: "write all entries as NDJSON",
    usage: "FILE",
    options: { prefix: { type: "string" } },
    help: "--prefix P       only keys that begin so: v1:lyric:",
    arity: [1, 1],
    async run(context) {
      const [file = ""] = context.positionals;
      const operator = await feature(context);
      const progress = context.progress("export");
      const entries = await writeLines(file, operator.export(textOption(context, "prefix") ?? ""), (count) =>
        progress.update(count),
      ).finally(() => progress.end());
      context.result({ file, entries }, `${entries} entries written to ${file}`);
      return 0;
    },
  };
}

const LINES_AT_ONCE = 1000;

/** To a temporary name first: a broken export is never taken for a whole one. Addresses are nobody else's business. */
async function writeLines(file: string, lines: AsyncIterable<string>, progress: (count: number) => void) {
  const temporary = `${file}.${process.pid}.tmp`;
  let count = 0;
  let gathered: string[] = [];
  const handle = await open(temporary, "w", 0o600).catch((error: unknown) => {
    throw new AppError("storage_failed", `cannot write ${file}`, { cause: error });
  });
  try {
    for await (const line of lines) {
      gathered.push(line);
      count += 1;
      if (gathered.length < LINES_AT_ONCE) continue;
      await handle.write(gathered.join(""));
      gathered = [];
      progress(count);
    }
    await handle.write(gathered.join(""));
    await handle.sync();
    await handle.close();
    await rename(temporary, file);
    return count;
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
}

function importCommand(feature: Feature): Command {
  return {
    name: "cache import",
    summary: "read an export, the original's cache.db, or its Redis keys",
    usage: "FILE",
    options: { prefix: { type: "string" } },
    help: [
      "FILE             an NDJSON export; a cache.db of the Python server; or",
      "                 redis://[user:password@]host:port[/db] with the Python server's keys",
      "--prefix P       the Python server's key_prefix, default common.cache.redis.key_prefix",
    ].join("\n"),
    arity: [1, 1],
    async run(context) {
      const [file = ""] = context.positionals;
      const operator = await feature(context);
      const progress = context.progress("import");
      const options: TransferOptions = {
        progress: ({ read, written }) => progress.update(read, undefined, `${written} written`),
      };
      const counts = await importFrom(operator, context, file, options).finally(() => progress.end());
      context.result(counts, summary(counts));
      return counts.read > 0 && counts.invalid === counts.read ? 1 : 0;
    },
  };
}

async function importFrom(
  operator: CacheOperator,
  context: CommandContext,
  file: string,
  options: TransferOptions,
): Promise<TransferCounts> {
  if (/^rediss?:\/\//.test(file))
    return operator.importOriginalRedis(redisOf(file, textOption(context, "prefix")), options);
  const bytes = Bun.file(file);
  if (!(await bytes.exists())) throw new AppError("invalid_request", `${file} does not exist`);
  const head = await bytes.slice(0, 15).text();
  if (head === "SQLite format 3") return operator.importOriginal(file, options);
  return operator.import(linesOf(bytes.stream()), options);
}

/** @throws AppError `invalid_request` */
function redisOf(address: string, prefix: string | undefined) {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const db = url?.pathname.slice(1) ?? "";
  if (url === undefined || url.hostname === "" || !/^\d{0,5}$/.test(db)) {
    throw new AppError("invalid_request", "expected redis://[user:password@]host:port[/db]");
  }
  return {
    mode: "standalone" as const,
    host: url.hostname,
    port: url.port === "" ? 6379 : Number(url.port),
    db: Number(db),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    tls: url.protocol === "rediss:",
    ...(prefix === undefined ? {} : { key_prefix: prefix }),
  };
}

function summary({ read, written, expired, skipped, invalid }: TransferCounts): string {
  return `${read} read: ${written} written, ${expired} past their time, ${skipped} of other kinds, ${invalid} damaged`;
}

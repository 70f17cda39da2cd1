import type { Access } from "../access/access.ts";
import type { KeyRights, RequestKey } from "../access/keys.ts";
import { AppError } from "../core/errors.ts";
import { isQuality, isSourceId, QUALITIES, SOURCE_IDS } from "../core/types.ts";
import { durationOption, table, textOption, timeText, wholeOption, wordsOption } from "./access-options.ts";
import type { Command, CommandContext } from "./command.ts";

/** `key list|add|remove`. A running server takes changes over within seconds. */
export function keyCommands(feature: (context: CommandContext) => Promise<Access>): Command[] {
  return [
    {
      name: "key list",
      summary: "list the request keys (never the keys themselves)",
      arity: [0, 0],
      async run(context) {
        const keys = (await feature(context)).keys.list();
        const head = ["NAME", "FROM", "PER MINUTE", "PER DAY", "SOURCES", "QUALITIES", "EXPIRES", "LAST USE", "NOTE"];
        context.result(keys.map(publicForm), table([head, ...keys.map(row)]));
        return 0;
      },
    },
    {
      name: "key add",
      summary: "make a request key and show it once",
      usage: "NAME",
      options: {
        note: { type: "string" },
        "per-minute": { type: "string" },
        "per-day": { type: "string" },
        sources: { type: "string" },
        qualities: { type: "string" },
        expires: { type: "string" },
      },
      help: [
        "--note TEXT         what the key is for",
        "--per-minute N      most requests in a minute",
        "--per-day N         most requests in a day",
        "--sources kg,tx     only these sources",
        "--qualities 320k    only these qualities",
        "--expires 30d       end of the key (s, m, h, d)",
      ].join("\n"),
      arity: [1, 1],
      async run(context) {
        const { keys, audit } = await feature(context);
        const { secret, key } = keys.add(context.positionals[0] ?? "", rightsOf(context));
        audit.record({ actor: "cli", address: "", action: "key.add", target: key.name });
        context.result({ ...publicForm(key), secret }, `${secret}\n(shown only now; send it as X-Request-Key)`);
        return 0;
      },
    },
    {
      name: "key remove",
      summary: "remove a request key",
      usage: "NAME",
      arity: [1, 1],
      async run(context) {
        const { keys, audit } = await feature(context);
        const name = context.positionals[0] ?? "";
        if (!keys.remove(name)) {
          throw new AppError(
            "not_found",
            `there is no stored key "${name}" (keys named config-N stand in security.key.values)`,
          );
        }
        audit.record({ actor: "cli", address: "", action: "key.remove", target: name });
        context.result({ removed: name }, `removed ${name}`);
        return 0;
      },
    },
  ];
}

function rightsOf(context: CommandContext): Partial<KeyRights> {
  const rights: Partial<KeyRights> = {};
  const note = textOption(context, "note");
  const perMinute = wholeOption(context, "per-minute");
  const perDay = wholeOption(context, "per-day");
  const sources = wordsOption(context, "sources", isSourceId, SOURCE_IDS);
  const qualities = wordsOption(context, "qualities", isQuality, QUALITIES);
  const seconds = durationOption(context, "expires");
  if (note !== undefined) rights.note = note;
  if (perMinute !== undefined) rights.perMinute = perMinute;
  if (perDay !== undefined) rights.perDay = perDay;
  if (sources !== undefined) rights.sources = sources;
  if (qualities !== undefined) rights.qualities = qualities;
  if (seconds !== undefined) rights.expiresAt = Date.now() + seconds * 1000;
  return rights;
}

function publicForm({ id: _, ...key }: RequestKey) {
  return key;
}

function row(key: RequestKey): string[] {
  const limit = (bound: number) => (bound === 0 ? "-" : String(bound));
  const words = (list: string[]) => (list.length === 0 ? "all" : list.join(","));
  return [
    key.name,
    key.origin,
    limit(key.perMinute),
    limit(key.perDay),
    words(key.sources),
    words(key.qualities),
    timeText(key.expiresAt),
    timeText(key.usedAt),
    key.note,
  ];
}

import type { App } from "../app.ts";
import { AppError } from "../core/errors.ts";
import { isSourceId, SOURCE_IDS } from "../core/types.ts";
import { type AbilityRow, testSource } from "../resolve/source-test.ts";
import type { Command, CommandContext } from "./command.ts";

type Feature = (context: CommandContext) => Promise<Pick<App, "config" | "sources" | "pool">>;

export function sourceCommands(feature: Feature): Command[] {
  return [
    {
      name: "source list",
      summary: "the platforms, whether they are on, and their qualities",
      arity: [0, 0],
      async run(context) {
        const { config, sources, pool } = await feature(context);
        const rows = [...sources.values()].map((source) => ({
          source: source.id,
          name: source.name,
          enabled: config().module[source.id].enable,
          accounts: pool.list(source.id).length,
          qualities: source.qualities,
        }));
        const lines = rows.map(
          (row) =>
            `${row.source}  ${row.enabled ? "on " : "off"}  ${row.accounts} accounts  ${row.qualities.join(" ")}  ${row.name}`,
        );
        context.result(rows, lines.join("\n"));
        return 0;
      },
    },
    {
      name: "source test",
      summary: "try every ability of a platform now, with time and reason",
      usage: "SOURCE [SONG]",
      help: "SOURCE: kg tx wy mg kw. SONG: an id of that platform; without it the first song of a search.",
      arity: [1, 2],
      async run(context) {
        const [name = "", songId] = context.positionals;
        if (!isSourceId(name))
          throw new AppError("invalid_request", `unknown source "${name}"; known: ${SOURCE_IDS.join(" ")}`);
        const { sources, pool } = await feature(context);
        const source = sources.get(name);
        if (source === undefined) throw new AppError("not_found", `source ${name} is not there`);
        const rows = await testSource(source, songId, pool.run, (row) => context.say(line(row)));
        context.result(rows);
        return rows.some((row) => row.ok) ? 0 : 1;
      },
    },
  ];
}

function line(row: AbilityRow): string {
  return `${row.ok ? "ok  " : "FAIL"}  ${row.ability.padEnd(16)}  ${String(row.milliseconds).padStart(6)} ms  ${row.outcome}`;
}

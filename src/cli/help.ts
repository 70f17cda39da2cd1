import type { Command, CommandOptions } from "./command.ts";

const PROGRAM = "lx-music-api-server";

/** Options that every command takes, with what `--help` says about them. */
export const GLOBAL_OPTIONS = {
  data: { type: "string" },
  config: { type: "string" },
  json: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const satisfies CommandOptions;

const GLOBAL_HELP: Row[] = [
  ["--data DIR", "the data folder (default: $LX_DATA_DIR, else ./data)"],
  ["--config FILE", "the config file (default: config/config.yml in the data folder)"],
  ["--json", "print the outcome as JSON"],
  ["-h, --help", "this text"],
];

type Row = [left: string, right: string];

/** "--for 12h   length of the ban": an option with an example of its value, and what it does. */
const OPTION_LINE = /^--([\w-]+)((?:[ =]\S+)?)(?::\s|\s{2,})\s*(.+)$/;

export function usageLine(command: Command): string {
  return `${PROGRAM} ${invocation(command)} [options]`;
}

/** `--help` of one command: what it does, how it is called, its options, notes. */
export function commandHelp(command: Command): string {
  const rows: Row[] = [];
  const notes: string[] = [];
  const told = new Set<string>();
  for (const line of (command.help ?? "").split("\n")) {
    const [, name, value = "", text] = OPTION_LINE.exec(line) ?? [];
    if (name === undefined || text === undefined) notes.push(line);
    else {
      told.add(name);
      rows.push([`--${name}${value}`, text]);
    }
  }
  for (const [name, option] of Object.entries(command.options ?? {})) {
    if (!told.has(name)) rows.push([`--${name}${option.type === "string" ? " VALUE" : ""}`, ""]);
  }
  const parts = [`${command.summary}`, `usage: ${usageLine(command)}`];
  const text = notes.join("\n").trim();
  if (text !== "") parts.push(text);
  parts.push(`options:\n${table([...rows, ...GLOBAL_HELP])}`);
  return `${parts.join("\n\n")}\n`;
}

/** The table of commands: all of them, or those of one group ("cache"). */
export function overview(commands: Command[], group?: string): string {
  const usage = `usage: ${PROGRAM} ${group ?? "[COMMAND]"}${group === undefined ? "" : " COMMAND"} [options]`;
  const list = table(commands.map((command): Row => [invocation(command), command.summary]));
  const end = group === undefined ? "Without a command it serves. " : "";
  const title = group === undefined ? `${PROGRAM}: playable music addresses for LX Music\n\n` : "";
  return `${title}${usage}\n\n${list}\n\n${end}Options of a command: ${PROGRAM} ${group ?? "COMMAND"}${group === undefined ? "" : " COMMAND"} --help\n`;
}

/** The name and what follows it. */
function invocation(command: Command): string {
  const { name, usage = "" } = command;
  return usage.startsWith(name) ? usage : `${name} ${usage}`.trimEnd();
}

const WIDEST = 44;

function table(rows: Row[]): string {
  const width = Math.min(WIDEST, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd()).join("\n");
}

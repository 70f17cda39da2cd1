import { parseArgs } from "node:util";
import type { App } from "../app.ts";
import { nearest } from "../config/decode.ts";
import { AppError, toAppError } from "../core/errors.ts";
import type { Command, CommandContext, CommandOptions, Progress } from "./command.ts";

/** What the dispatcher needs of the world; tests give their own. */
export interface CliEnvironment {
  argv: string[];
  env: Record<string, string | undefined>;
  stdout: (text: string) => void;
  stderr: (text: string) => void;
  /** Progress bars are drawn only on a terminal. */
  stderrIsTerminal: boolean;
  openApp(place: { dataDir: string; configFile: string | undefined; overrides: Record<string, string> }): Promise<App>;
}

const GLOBAL_OPTIONS = {
  help: { type: "boolean", short: "h" },
  json: { type: "boolean" },
  data: { type: "string" },
  config: { type: "string" },
} as const satisfies CommandOptions;

const DEFAULT_COMMAND = "serve";

/** Finds the command, checks its arguments, runs it. @returns the exit code: 0, 1 (failed) or 2 (bad usage). */
export async function runCli(commands: Command[], environment: CliEnvironment): Promise<number> {
  const { argv } = environment;
  const words = argv.filter((word) => !word.startsWith("-"));
  const wantsHelp = argv.includes("--help") || argv.includes("-h");
  if (argv[0] === "help" || (wantsHelp && commandFor(commands, argv, true) === undefined)) {
    environment.stdout(
      overview(
        commands,
        words.filter((word) => word !== "help"),
      ),
    );
    return 0;
  }
  if (argv[0] === "--version") return runCli(commands, { ...environment, argv: ["version"] });
  const found = commandFor(commands, argv, false);
  if (found === undefined) return badUsage(environment, unknownCommand(commands, argv));
  const { command, rest } = found;
  if (wantsHelp) {
    environment.stdout(commandHelp(command));
    return 0;
  }
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({
      args: rest,
      options: { ...command.options, ...GLOBAL_OPTIONS },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    return badUsage(environment, `${error instanceof Error ? error.message.split(". ")[0] : error}`, command);
  }
  const [least, most] = command.arity;
  if (parsed.positionals.length < least || parsed.positionals.length > most) {
    return badUsage(
      environment,
      `"${command.name}" takes ${describeArity(least, most)}, got ${parsed.positionals.length}`,
      command,
    );
  }
  return execute(command, parsed, environment);
}

async function execute(
  command: Command,
  parsed: ReturnType<typeof parseArgs>,
  environment: CliEnvironment,
): Promise<number> {
  const values = parsed.values;
  const json = values["json"] === true;
  const dataDir = String(values["data"] ?? environment.env["LX_DATA_DIR"] ?? "./data");
  const configFile = typeof values["config"] === "string" ? values["config"] : undefined;
  let app: App | undefined;
  const context: CommandContext = {
    positionals: parsed.positionals,
    values,
    json,
    dataDir,
    configFile,
    say: (line) => {
      if (!json) environment.stdout(`${line}\n`);
    },
    result: (value, text) => {
      if (json) environment.stdout(`${JSON.stringify(value, null, 2)}\n`);
      else if (text !== undefined) environment.stdout(`${text}\n`);
    },
    progress: (label) => progressBar(label, environment),
    app: async () => (app ??= await environment.openApp({ dataDir, configFile, overrides: overridesOf(values) })),
  };
  try {
    return (await command.run(context)) ?? 0;
  } catch (error) {
    return failed(error, json, environment);
  } finally {
    await app?.close();
  }
}

function failed(error: unknown, json: boolean, environment: CliEnvironment): number {
  const known = toAppError(error);
  const detail = known.kind === "internal" && known.cause instanceof Error ? `: ${known.cause.message}` : "";
  if (json) environment.stdout(`${JSON.stringify({ error: { kind: known.kind, message: known.message + detail } })}\n`);
  environment.stderr(`error: ${known.message}${detail}\n`);
  return known.kind === "invalid_request" ? 2 : 1;
}

/** `--host` and `--port` of serve, in the form of environment overrides. */
function overridesOf(values: CommandContext["values"]): Record<string, string> {
  const overrides: Record<string, string> = {};
  if (typeof values["host"] === "string") overrides["LX__COMMON__HOSTS"] = JSON.stringify([values["host"]]);
  if (typeof values["port"] === "string") {
    if (!/^\d{1,5}$/.test(values["port"]))
      throw new AppError("invalid_request", `--port must be a number, got "${values["port"]}"`);
    overrides["LX__COMMON__PORTS"] = `[${values["port"]}]`;
  }
  return overrides;
}

/** Names of one or two words; options may stand before or between them. No command word = the default command. */
function commandFor(
  commands: Command[],
  argv: string[],
  exact: boolean,
): { command: Command; rest: string[] } | undefined {
  const takesValue = new Set(["--data", "--config"]);
  const at: number[] = [];
  for (let index = 0; index < argv.length && at.length < 2; index++) {
    const word = argv[index] ?? "";
    if (takesValue.has(word)) index++;
    else if (!word.startsWith("-")) at.push(index);
    else if (at.length > 0) break;
  }
  for (let size = at.length; size > 0; size--) {
    const name = at
      .slice(0, size)
      .map((index) => argv[index])
      .join(" ");
    const command = commands.find((item) => item.name === name);
    if (command !== undefined) return { command, rest: argv.filter((_, index) => !at.slice(0, size).includes(index)) };
  }
  if (at.length > 0 || exact) return undefined;
  const command = commands.find((item) => item.name === DEFAULT_COMMAND);
  return command === undefined ? undefined : { command, rest: argv };
}

function unknownCommand(commands: Command[], argv: string[]): string {
  const words = argv.filter((word) => !word.startsWith("-"));
  const group = commands.filter((item) => item.name.startsWith(`${words[0]} `));
  if (group.length > 0) {
    const names = group.map((item) => item.name.slice((words[0] ?? "").length + 1));
    const hint = words[1] === undefined ? undefined : nearest(words[1], names);
    const asked = words[1] === undefined ? `"${words[0]}" needs a subcommand` : `"${words[0]}" has no "${words[1]}"`;
    return `${asked}: ${names.join(" | ")}${hint === undefined ? "" : ` (did you mean "${hint}"?)`}`;
  }
  const names = [...new Set(commands.map((item) => item.name.split(" ")[0] ?? ""))];
  const hint = nearest(words[0] ?? "", names);
  return `unknown command "${words[0]}"${hint === undefined ? "" : ` (did you mean "${hint}"?)`}; commands: ${names.join(", ")}`;
}

function badUsage(environment: CliEnvironment, message: string, command?: Command): number {
  environment.stderr(`error: ${message}\n`);
  if (command !== undefined) environment.stderr(`usage: ${usageLine(command)}\n`);
  environment.stderr(`help: lx-music-api-server ${command?.name ?? ""} --help\n`.replace("  ", " "));
  return 2;
}

function describeArity(least: number, most: number): string {
  if (most === 0) return "no arguments";
  if (least === most) return `${least} argument${least === 1 ? "" : "s"}`;
  return most === Number.POSITIVE_INFINITY ? `at least ${least} arguments` : `${least} to ${most} arguments`;
}

/** The name and what follows it. */
function invocation(command: Command): string {
  const { name, usage = "" } = command;
  return usage.startsWith(name) ? usage : `${name} ${usage}`.trimEnd();
}

function usageLine(command: Command): string {
  return `lx-music-api-server ${invocation(command)} [--data DIR] [--config FILE] [--json]`;
}

function commandHelp(command: Command): string {
  const options = Object.entries({ ...command.options, ...GLOBAL_OPTIONS });
  const rows = options.map(([name, option]) => `  --${name}${option.type === "string" ? " VALUE" : ""}`);
  const parts = [`${command.summary}\n`, `usage: ${usageLine(command)}\n`, `options:\n${rows.join("\n")}\n`];
  if (command.help !== undefined) parts.push(`${command.help}\n`);
  return parts.join("\n");
}

function overview(commands: Command[], words: string[]): string {
  const shown =
    words.length === 0
      ? commands
      : commands.filter((item) => item.name === words[0] || item.name.startsWith(`${words[0]} `));
  const list = shown.length === 0 ? commands : shown;
  const width = Math.min(44, Math.max(...list.map((command) => invocation(command).length)));
  const rows = list.map((command) => `  ${invocation(command).padEnd(width)}  ${command.summary}`);
  return `lx-music-api-server: playable music addresses for LX Music\n\nusage: lx-music-api-server [COMMAND] [--data DIR] [--config FILE] [--json]\n\n${rows.join("\n")}\n\nWithout a command it serves. Every command has --help.\n`;
}

const BAR_WIDTH = 30;

function progressBar(label: string, environment: CliEnvironment): Progress {
  if (!environment.stderrIsTerminal) return { update() {}, end() {} };
  let drawnAt = 0;
  return {
    update(done, total, text) {
      const now = performance.now();
      if (now - drawnAt < 80 && done !== total) return;
      drawnAt = now;
      const share = total ? Math.min(1, done / total) : 0;
      const filled = Math.round(share * BAR_WIDTH);
      const bar = total ? `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}] ${done}/${total}` : `${done}`;
      environment.stderr(`\r\u001b[K${label} ${bar} ${(text ?? "").slice(0, 40)}`);
    },
    end: () => environment.stderr("\r\u001b[K"),
  };
}

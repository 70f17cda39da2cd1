import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { App } from "../app.ts";
import { nearest } from "../config/decode.ts";
import { AppError, toAppError } from "../core/errors.ts";
import { fileFault } from "../core/file-fault.ts";
import type { Command, CommandContext, Progress } from "./command.ts";
import { commandHelp, GLOBAL_OPTIONS, overview, usageLine } from "./help.ts";

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

const DEFAULT_COMMAND = "serve";
const MAX_PORT = 65535;

/** Finds the command, checks its arguments, runs it. @returns the exit code: 0, 1 (failed) or 2 (bad usage). */
export async function runCli(commands: Command[], environment: CliEnvironment): Promise<number> {
  const { argv } = environment;
  if (argv[0] === "help" || argv.includes("--help") || argv.includes("-h")) return showHelp(commands, environment);
  if (argv[0] === "--version") return runCli(commands, { ...environment, argv: ["version"] });
  const found = commandFor(commands, argv);
  if (found === undefined) return noCommand(commands, environment);
  const { command, rest } = found;
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({
      args: rest,
      options: { ...command.options, ...GLOBAL_OPTIONS },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    return badUsage(environment, wrongOption(error, command), command);
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

/** `--help` anywhere, or `help` before the words: of one command, of a group, or of all. */
function showHelp(commands: Command[], environment: CliEnvironment): number {
  const argv = environment.argv.filter(
    (word, index) => word !== "--help" && word !== "-h" && (index > 0 || word !== "help"),
  );
  const words = commandWords(commands, argv).map((index) => argv[index] ?? "");
  const [group = ""] = words;
  const command = commandFor(commands, argv);
  const own = commands.filter((item) => item.name.startsWith(`${group} `));
  if (words.length === 0) environment.stdout(overview(commands));
  else if (command !== undefined) environment.stdout(commandHelp(command.command));
  else if (own.length > 0) environment.stdout(overview(own, group));
  else return noCommand(commands, environment);
  return 0;
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
  let app: Promise<App> | undefined;
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
    app: async () => {
      const isNew = command.name !== DEFAULT_COMMAND && !existsSync(dataDir);
      app ??= environment.openApp({ dataDir, configFile, overrides: overridesOf(values) });
      const opened = await app;
      // Started in another folder than the server, a command would work on an empty one without a word.
      if (isNew)
        environment.stderr(`note: made a new data folder, ${resolve(dataDir)}; the server's is given with --data\n`);
      return opened;
    },
  };
  const tell = (error: unknown) => failed(error, json, dataDir, environment);
  const code = await command.run(context).then((value) => value ?? 0, tell);
  // What was written may not be on disk when closing fails.
  const opened = await app?.catch(() => undefined);
  return opened === undefined ? code : opened.close().then(() => code, tell);
}

function failed(error: unknown, json: boolean, dataDir: string, environment: CliEnvironment): number {
  const known = toAppError(error);
  const unexpected = known.kind === "internal" && known.cause instanceof Error;
  const message = unexpected ? `unexpected failure: ${fileFault(known.cause, dataDir)}` : known.message;
  if (json) environment.stdout(`${JSON.stringify({ error: { kind: known.kind, message } })}\n`);
  environment.stderr(`error: ${message}\n`);
  return known.kind === "invalid_request" ? 2 : 1;
}

/** `--host` and `--port` of serve, in the form of environment overrides. */
function overridesOf(values: CommandContext["values"]): Record<string, string> {
  const overrides: Record<string, string> = {};
  const { host, port } = values;
  if (typeof host === "string") overrides["LX__COMMON__HOSTS"] = JSON.stringify([host]);
  if (typeof port === "string") {
    if (!/^\d{1,5}$/.test(port) || Number(port) > MAX_PORT)
      throw new AppError("invalid_request", `--port must be a number from 0 to ${MAX_PORT}, got "${port}"`);
    overrides["LX__COMMON__PORTS"] = `[${port}]`;
  }
  return overrides;
}

/** Names of one or two words; options may stand before or between them. No command word = the default command. */
function commandFor(commands: Command[], argv: string[]): { command: Command; rest: string[] } | undefined {
  const at = commandWords(commands, argv);
  for (let size = at.length; size > 0; size--) {
    const name = at
      .slice(0, size)
      .map((index) => argv[index])
      .join(" ");
    const command = commands.find((item) => item.name === name);
    if (command !== undefined) return { command, rest: argv.filter((_, index) => !at.slice(0, size).includes(index)) };
  }
  if (at.length > 0) return undefined;
  const command = commands.find((item) => item.name === DEFAULT_COMMAND);
  return command === undefined ? undefined : { command, rest: argv };
}

/** Where in `argv` the first two words stand that are no option and no option's value. */
function commandWords(commands: Command[], argv: string[]): number[] {
  const leading = { ...commands.find((item) => item.name === DEFAULT_COMMAND)?.options, ...GLOBAL_OPTIONS };
  const takesValue = new Set(
    Object.entries(leading).flatMap(([name, { type }]) => (type === "string" ? `--${name}` : [])),
  );
  const at: number[] = [];
  for (let index = 0; index < argv.length && at.length < 2; index++) {
    const word = argv[index] ?? "";
    if (takesValue.has(word)) index++;
    else if (!word.startsWith("-")) at.push(index);
    else if (at.length > 0) break;
  }
  return at;
}

/** The words name no command: a slip in a name, a group without its subcommand, or an option that there is not. */
function noCommand(commands: Command[], environment: CliEnvironment): number {
  const argv = environment.argv.filter((word, index) => index > 0 || word !== "help");
  const words = commandWords(commands, argv).map((index) => argv[index] ?? "");
  const serve = commands.find((item) => item.name === DEFAULT_COMMAND);
  const known = Object.keys({ ...serve?.options, ...GLOBAL_OPTIONS });
  const beforeWords = argv.slice(0, commandWords(commands, argv)[0]);
  const stray = beforeWords.find((word) => word.startsWith("-") && !known.includes(word.replace(/^--|=.*$/g, "")));
  if (serve !== undefined && stray !== undefined) return badUsage(environment, unknownOption(stray, serve), serve);
  const isGroup = commands.some((item) => item.name.startsWith(`${words[0]} `));
  return badUsage(environment, unknownCommand(commands, words), undefined, isGroup ? words[0] : "");
}

function unknownCommand(commands: Command[], words: string[]): string {
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

/** The parser's message in our form, with the option that was probably meant. */
function wrongOption(error: unknown, command: Command): string {
  const message = error instanceof Error ? error.message : String(error);
  const [, option] = /'(-[^' ]*)/.exec(message) ?? [];
  if (option === undefined) return message;
  if (message.startsWith("Unknown option")) return unknownOption(option, command);
  return message.includes("does not take") ? `${option} takes no value` : `${option} needs a value`;
}

function unknownOption(option: string, command: Command): string {
  const hint = nearest(option.replace(/^-+/, ""), Object.keys({ ...command.options, ...GLOBAL_OPTIONS }));
  return `unknown option ${option}${hint === undefined ? "" : ` (did you mean --${hint}?)`}`;
}

function badUsage(environment: CliEnvironment, message: string, command?: Command, group = ""): number {
  environment.stderr(`error: ${message}\n`);
  if (command !== undefined) environment.stderr(`usage: ${usageLine(command)}\n`);
  environment.stderr(`help: lx-music-api-server ${command?.name ?? group} --help\n`.replace("  ", " "));
  return 2;
}

function describeArity(least: number, most: number): string {
  if (most === 0) return "no arguments";
  if (least === most) return `${least} argument${least === 1 ? "" : "s"}`;
  return most === Number.POSITIVE_INFINITY ? `at least ${least} arguments` : `${least} to ${most} arguments`;
}

const BAR_WIDTH = 30;
const MAX_LABEL = 40;

/** A song's name may hold anything; a terminal obeys some of it. */
function onOneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").slice(0, MAX_LABEL);
}

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
      environment.stderr(`\r\u001b[K${label} ${bar} ${onOneLine(text ?? "")}`);
    },
    end: () => environment.stderr("\r\u001b[K"),
  };
}

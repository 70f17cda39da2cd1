import type { ParseArgsConfig } from "node:util";
import type { App } from "../app.ts";

export type CommandOptions = NonNullable<ParseArgsConfig["options"]>;

export interface Progress {
  /** Draws only when stderr is a terminal. */
  update(done: number, total?: number, label?: string): void;
  end(): void;
}

/** What a command is given to work with. */
export interface CommandContext {
  positionals: string[];
  values: Record<string, string | boolean | (string | boolean)[] | undefined>;
  /** `--json`: `result` prints the value, `say` prints nothing. */
  json: boolean;
  dataDir: string;
  configFile: string | undefined;
  /** A line for people, on stdout. */
  say(line: string): void;
  /** The command's outcome: JSON with `--json`, else `text` (or nothing when it was said line by line). */
  result(value: unknown, text?: string): void;
  progress(label: string): Progress;
  /** The composed application, not listening; closed by the dispatcher. */
  app(): Promise<App>;
}

/** One leaf of the command table: "cache stats". */
export interface Command {
  name: string;
  summary: string;
  /** What follows the name in the usage line: "get KEY". */
  usage?: string;
  options?: CommandOptions;
  /** Lines below the options in `--help`. */
  help?: string;
  /** Number of positionals: [least, most]. */
  arity: [number, number];
  /** @returns exit code; nothing = 0. An AppError becomes one line and exit code 1 (2 when `invalid_request`). */
  run(context: CommandContext): Promise<number | undefined>;
}

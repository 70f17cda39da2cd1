import { appendFile, mkdir, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { fileFault } from "../core/file-fault.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type Fields = Record<string, unknown>;

/** Constant message plus fields; secrets are masked by name here, and must not be put into messages. */
export interface Logger {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** A logger that adds these fields to every line. */
  child(fields: Fields): Logger;
}

/** Whole names, and the last word of longer ones: `refresh_key`, `refreshKey`, `x-request-key`. */
const SECRET_NAME =
  /^(?:pass(?:word|wd|phrase)?|secret|tokens?|authst|(?:set-)?cookies?|authorization|key|privkey|session(?:id)?|by|musickey|credentials?|MUSIC_[UA])$/i;
const SNAKE_END = /[_-](?:key|token|secret|password|passwd|cookie|session)$/i;
const CAMEL_END = /[a-z0-9](?:Key|Token|Secret|Password|Cookie)$/;
/** `key=…` inside an address or a header. */
const SECRET_PAIR = /\b((?:\w*[_-])?(?:key|token|secret|password|passwd|authst|musickey|MUSIC_[UA])=)[^&;\s"',]+/gi;

const MAX_DEPTH = 6;
const MAX_ITEMS = 50;
/** Values of one line altogether: a circle or a huge object must not become a huge line. */
const MAX_VALUES = 1000;

/**
 * Replaces the values of fields whose names say "secret", at any depth, and `key=…` pairs inside texts; cuts long
 * strings to `limit` characters. Never throws, whatever it is given.
 */
export function maskFields(value: unknown, limit: number): unknown {
  return maskValue(value, { limit, left: MAX_VALUES }, 0);
}

interface Budget {
  limit: number;
  left: number;
}

function maskValue(value: unknown, budget: Budget, depth: number): unknown {
  budget.left -= 1;
  switch (typeof value) {
    case "string":
      return maskText(value, budget.limit);
    case "bigint":
    case "symbol":
      return String(value);
    case "function":
      return "(function)";
    case "object":
      break;
    default:
      return value;
  }
  if (value === null || value instanceof Date) return value;
  if (depth > MAX_DEPTH || budget.left < 0) return "…";
  if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`;
  if (value instanceof Error) return maskError(value, budget, depth);
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => maskValue(item, budget, depth + 1));
  if (value instanceof Set) return maskValue([...value], budget, depth);
  return maskObject(value, budget, depth);
}

function maskObject(value: object, budget: Budget, depth: number): Record<string, unknown> {
  const masked: Record<string, unknown> = {};
  for (const [name, item] of entriesOf(value).slice(0, MAX_ITEMS)) {
    const empty = item === "" || item === undefined || item === null || typeof item === "boolean";
    masked[name] = !empty && isSecretName(name) ? "***" : maskValue(item, budget, depth + 1);
  }
  return masked;
}

function entriesOf(value: object): [string, unknown][] {
  try {
    if (value instanceof Map) return [...value].map(([name, item]) => [String(name), item]);
    if (value instanceof Headers || value instanceof URLSearchParams) return [...value.entries()];
    return Object.entries(value);
  } catch {
    // A getter or proxy that throws.
    return [];
  }
}

function maskError(error: Error, budget: Budget, depth: number): unknown {
  const code = "code" in error ? error.code : undefined;
  const { cause } = error;
  return maskObject(
    {
      error: error.message,
      ...(code === undefined ? {} : { code }),
      // A fault of our own: without the place nobody can mend it. Others are told by their message.
      ...(isFault(error) && error.stack ? { stack: error.stack } : {}),
      ...(cause === undefined ? {} : { cause }),
    },
    budget,
    depth,
  );
}

function isFault(error: Error): boolean {
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || SNAKE_END.test(name) || CAMEL_END.test(name);
}

function maskText(text: string, limit: number): string {
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text;
  return cut.includes("=") ? cut.replace(SECRET_PAIR, "$1***") : cut;
}

export interface LogOptions {
  level: LogLevel;
  /** `pretty` for people, `json` for machines. */
  format: "pretty" | "json";
  /** Characters kept of one value. */
  lengthLimit: number;
  /** Log file; past `fileBytes` it becomes `<file>.1`, and the one before that goes. */
  file?: string;
  /** Bytes; 16 MiB by default. */
  fileBytes?: number;
  /** Where lines go besides the file; stderr by default. */
  write?: (line: string) => void;
  now?: () => Date;
}

/** Root logger plus `flush`, which waits until the file holds every line. */
export interface RootLogger extends Logger {
  flush(): Promise<void>;
  setLevel(level: LogLevel): void;
}

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
const MAX_BUFFERED_LINES = 10_000;
const UNWRITTEN = "log file cannot be written, lines go to the console only";

export function createLogger(options: LogOptions): RootLogger {
  const write = options.write ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const now = options.now ?? (() => new Date());
  const file =
    options.file === undefined
      ? undefined
      : createLogFile(options.file, options.fileBytes ?? 16 << 20, (error) => {
          const fields = { file: options.file, reason: fileFault(error, options.file ?? "") };
          write(
            options.format === "json"
              ? JSON.stringify({ time: now().toISOString(), level: "warn", message: UNWRITTEN, ...fields })
              : pretty(now().toISOString(), "warn", UNWRITTEN, fields),
          );
        });
  let level = options.level;

  function emit(lineLevel: LogLevel, base: Fields, message: string, fields: Fields | undefined): void {
    if (RANK[lineLevel] < RANK[level]) return;
    const time = now().toISOString();
    const masked = maskFields({ ...base, ...fields }, options.lengthLimit) as Fields;
    const json = JSON.stringify({ time, level: lineLevel, message, ...masked });
    write(options.format === "json" ? json : pretty(time, lineLevel, message, masked));
    file?.append(json);
  }

  function make(base: Fields): Logger {
    return {
      debug: (message, fields) => emit("debug", base, message, fields),
      info: (message, fields) => emit("info", base, message, fields),
      warn: (message, fields) => emit("warn", base, message, fields),
      error: (message, fields) => emit("error", base, message, fields),
      child: (fields) => make({ ...base, ...fields }),
    };
  }

  return {
    ...make({}),
    flush: async () => file?.flush(),
    setLevel: (next) => {
      level = next;
    },
  };
}

/** For tests and for places where nothing may be said. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};

function pretty(time: string, level: LogLevel, message: string, fields: Fields): string {
  const parts = Object.entries(fields).map(([name, value]) => `${name}=${plain(value)}`);
  return [time.slice(11, 19), level.toUpperCase().padEnd(5), message, ...parts].join(" ");
}

function plain(value: unknown): string {
  if (typeof value === "string") return /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
  return JSON.stringify(value) ?? String(value);
}

interface LogFile {
  append(line: string): void;
  flush(): Promise<void>;
}

/** Lines are gathered and written in one append; a full or missing disk drops lines instead of growing the memory. */
function createLogFile(path: string, maxBytes: number, complain: (error: unknown) => void): LogFile {
  let pending: string[] = [];
  let dropped = 0;
  let complained = false;
  let writing: Promise<void> | undefined;

  async function drain(): Promise<void> {
    while (pending.length > 0) {
      const lines = pending;
      pending = [];
      if (dropped > 0) lines.push(JSON.stringify({ level: "warn", message: "log lines dropped", count: dropped }));
      dropped = 0;
      try {
        await rotate(path, maxBytes);
        await appendFile(path, `${lines.join("\n")}\n`, { mode: 0o600 });
        complained = false;
      } catch (error) {
        // The console has the lines; a log that cannot be written must not stop the server.
        dropped += lines.length;
        if (!complained) complain(error);
        complained = true;
      }
    }
    writing = undefined;
  }

  return {
    append(line) {
      if (pending.length >= MAX_BUFFERED_LINES) {
        dropped++;
        return;
      }
      pending.push(line);
      writing ??= Promise.resolve().then(drain);
    },
    async flush() {
      while (writing !== undefined) await writing;
    },
  };
}

async function rotate(path: string, maxBytes: number): Promise<void> {
  const size = (await stat(path).catch(() => undefined))?.size;
  if (size === undefined) await mkdir(dirname(path), { recursive: true });
  else if (size > maxBytes) await rename(path, `${path}.1`);
}

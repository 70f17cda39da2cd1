import { appendFile, mkdir, rename, stat } from "node:fs/promises";
import { dirname } from "node:path";

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

const SECRET_NAME =
  /^(?:pass(?:word|wd)?|secret|token|authst|cookie|authorization|key|.*_(?:key|token|secret|password)|privkey|session|by|qqmusic_key|refresh_key|musickey|MUSIC_[UA]|hmac_key|x-request-key)$/i;

/** Replaces the values of fields whose names say "secret", at any depth; cuts long strings to `limit` characters. */
export function maskFields(value: unknown, limit: number, depth = 0): unknown {
  if (typeof value === "string") return value.length > limit ? `${value.slice(0, limit)}…` : value;
  if (value instanceof Error) {
    const code = "code" in value ? value.code : undefined;
    return maskFields({ error: value.message, ...(code === undefined ? {} : { code }) }, limit, depth);
  }
  if (typeof value !== "object" || value === null) return typeof value === "bigint" ? String(value) : value;
  if (depth > 6) return "…";
  if (Array.isArray(value)) return value.slice(0, 50).map((item) => maskFields(item, limit, depth + 1));
  const masked: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value)) {
    const hidden = SECRET_NAME.test(name) && item !== "" && item !== undefined && item !== null;
    masked[name] = hidden ? "***" : maskFields(item, limit, depth + 1);
  }
  return masked;
}

export interface LogOptions {
  level: LogLevel;
  /** `pretty` for people, `json` for machines. */
  format: "pretty" | "json";
  /** Characters kept of one value. */
  lengthLimit: number;
  /** Log file; rotated once at `fileBytes` to `<file>.1`. */
  file?: string;
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

export function createLogger(options: LogOptions): RootLogger {
  const write = options.write ?? ((line: string) => void process.stderr.write(`${line}\n`));
  const now = options.now ?? (() => new Date());
  const file = options.file === undefined ? undefined : createLogFile(options.file, options.fileBytes ?? 16 << 20);
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
function createLogFile(path: string, maxBytes: number): LogFile {
  let pending: string[] = [];
  let writing: Promise<void> | undefined;

  async function drain(): Promise<void> {
    while (pending.length > 0) {
      const text = `${pending.join("\n")}\n`;
      pending = [];
      try {
        await mkdir(dirname(path), { recursive: true });
        const size = (await stat(path).catch(() => undefined))?.size ?? 0;
        if (size > maxBytes) await rename(path, `${path}.1`);
        await appendFile(path, text, { mode: 0o600 });
      } catch {
        // The console has the line; a log that cannot be written must not stop the server.
      }
    }
    writing = undefined;
  }

  return {
    append(line) {
      if (pending.length >= MAX_BUFFERED_LINES) return;
      pending.push(line);
      writing ??= Promise.resolve().then(drain);
    },
    async flush() {
      while (writing !== undefined) await writing;
    },
  };
}

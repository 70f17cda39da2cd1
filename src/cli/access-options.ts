import { AppError } from "../core/errors.ts";
import type { CommandContext } from "./command.ts";

/** The text of an option; undefined when it was not given. */
export function textOption(context: CommandContext, name: string): string | undefined {
  const value = context.values[name];
  return typeof value === "string" ? value : undefined;
}

/** @throws AppError `invalid_request` */
export function wholeOption(context: CommandContext, name: string): number | undefined {
  const text = textOption(context, name);
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text)) throw new AppError("invalid_request", `--${name} takes a whole number, got "${text}"`);
  return Number(text);
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** "90s", "15m", "12h", "30d" in seconds. @throws AppError `invalid_request` */
export function durationOption(context: CommandContext, name: string): number | undefined {
  const text = textOption(context, name);
  if (text === undefined) return undefined;
  const match = /^(\d{1,8})([smhd])$/.exec(text);
  const seconds = Number(match?.[1]) * (UNITS[match?.[2] ?? ""] ?? Number.NaN);
  if (!(seconds > 0))
    throw new AppError("invalid_request", `--${name} takes a length such as 90s, 15m, 12h or 30d, got "${text}"`);
  return seconds;
}

/** "a,b" against the words that are allowed. @throws AppError `invalid_request` */
export function wordsOption<T extends string>(
  context: CommandContext,
  name: string,
  is: (word: string) => word is T,
  allowed: readonly T[],
): T[] | undefined {
  const text = textOption(context, name);
  if (text === undefined) return undefined;
  return text.split(",").map((raw) => {
    const word = raw.trim();
    if (!is(word)) throw new AppError("invalid_request", `--${name}: "${word}" is none of ${allowed.join(", ")}`);
    return word;
  });
}

export const timeText = (time: number | undefined): string =>
  time === undefined || !Number.isFinite(time) ? "-" : new Date(time).toISOString().slice(0, 19).replace("T", " ");

/** Columns under each other; the last one is not padded. */
export function table(rows: string[][]): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, Bun.stringWidth(cell));
  const pad = (cell: string, i: number) => cell + " ".repeat((widths[i] ?? 0) - Bun.stringWidth(cell));
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}

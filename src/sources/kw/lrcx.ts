import type { Lyric } from "../../core/types.ts";
import { decodeEntities, formatLrc, formatWords, type LrcLine, type LrcWord, parseLrc, type WordLine } from "../lrc.ts";

/** Share of moved lines above which a plain text was torn apart wrongly, and from how many kept lines that counts. */
const MAX_MOVED_SHARE = 0.3;
const FEW_LINES = 6;
const WORD = /<(-?\d{1,9}),(-?\d{1,9})(?:,-?\d{1,9})?>/g;
const KEPT_TAGS = /^\[(?:ti|ar|al|by|offset):/i;

interface Line extends LrcLine {
  words: LrcWord[];
}

/** Divisors of the word times, from `[kuwo:N]` with N octal: tens and ones. */
interface Factors {
  start: number;
  duration: number;
}

/**
 * A Kuwo lyric to LX's four texts: `<a,b>word` with a and b mixed from start and duration, and translations between
 * the lines.
 *
 * @returns undefined for a plain text whose translations cannot be told from its lines
 */
export function parseContent(content: string): Lyric | undefined {
  const { tags, factors, lines } = readLines(content);
  const { kept, moved } = separate(lines);
  const hasWords = lines.some((line) => line.words.length > 0);
  const total = [...moved.values()].flat().length;
  if (!hasWords && total > kept.length * MAX_MOVED_SHARE && kept.length - total > FEW_LINES) return undefined;
  const { translated, romanised } = tellApart(kept, moved);
  const offsets = tags.filter((tag) => /^\[offset:/i.test(tag));
  return {
    lyric: formatLrc(kept, tags),
    tlyric: formatLrc(translated),
    rlyric: formatLrc(romanised),
    lxlyric: factors === undefined || !hasWords ? "" : formatWords(kept.map(worded), offsets),
  };
}

function readLines(content: string) {
  const parsed = parseLrcInOrder(content);
  const factors = factorsOf(parsed.tags);
  const lines = parsed.lines.map(({ timeMs, text }): Line => {
    const words = factors === undefined ? [] : wordsOf(text, factors);
    return { timeMs, text: decodeEntities(text.replace(WORD, "")), words };
  });
  return { tags: parsed.tags.filter((tag) => KEPT_TAGS.test(tag)), factors, lines };
}

/** The order of the file matters here (a translation follows its line), so each line is read by itself. */
function parseLrcInOrder(content: string): { tags: string[]; lines: LrcLine[] } {
  const found = content.split(/\r\n|\n|\r/).map(parseLrc);
  return { tags: found.flatMap((part) => part.tags), lines: found.flatMap((part) => part.lines) };
}

function factorsOf(tags: string[]): Factors | undefined {
  const octal = tags.map((tag) => /^\[kuwo:\s*([0-7]{1,6})\s*\]$/i.exec(tag)?.[1]).find((found) => found !== undefined);
  const value = Number.parseInt(octal ?? "0", 8);
  const factors = { start: Math.floor(value / 10), duration: value % 10 };
  return factors.start === 0 || factors.duration === 0 ? undefined : factors;
}

function wordsOf(text: string, factors: Factors): LrcWord[] {
  const found = [...text.matchAll(WORD)];
  const words = found.map((match, index): LrcWord => {
    const [a, b] = [Number(match[1]), Number(match[2])];
    return {
      offsetMs: Math.round(Math.abs(a + b) / (2 * factors.start)),
      durationMs: Math.round(Math.abs(a - b) / (2 * factors.duration)),
      text: decodeEntities(text.slice(match.index + match[0].length, found[index + 1]?.index ?? text.length)),
    };
  });
  for (const [index, word] of words.entries()) {
    const next = words[index + 1];
    // A word that starts before this one ends cuts it short.
    if (next !== undefined && next.offsetMs < word.offsetMs + word.durationMs) {
      word.durationMs = Math.max(0, next.offsetMs - word.offsetMs);
    }
  }
  return words;
}

/**
 * A translation stands behind its line, but carries the time of the next: so when a time comes a second time, the line
 * before was the translation of the one before that.
 */
function separate(lines: readonly Line[]): { kept: Line[]; moved: Map<Line, Line[]> } {
  const kept: Line[] = [];
  const moved = new Map<Line, Line[]>();
  const seen = new Set<number>();
  for (const line of lines) {
    if (!seen.has(line.timeMs)) {
      seen.add(line.timeMs);
      kept.push(line);
      continue;
    }
    const [original, other] = kept.slice(-2);
    if (original === undefined || other === undefined) {
      // Only one line before it: nothing that it could belong to.
      kept.push(line);
      continue;
    }
    kept.pop();
    moved.set(original, [...(moved.get(original) ?? []), other]);
    kept.push(line);
  }
  return { kept, moved };
}

/** Of two lines that belong to one, the one in Latin letters below a Chinese one is the romanised. */
function tellApart(kept: readonly Line[], moved: ReadonlyMap<Line, readonly Line[]>) {
  const translated: LrcLine[] = [];
  const romanised: LrcLine[] = [];
  for (const original of kept) {
    const others = (moved.get(original) ?? []).filter((line) => line.text.trim() !== "");
    const roman = others.length < 2 ? undefined : others.find((line) => !/\p{Script=Han}/u.test(line.text));
    const translation = others.find((line) => line !== roman);
    if (translation !== undefined) translated.push({ timeMs: original.timeMs, text: translation.text });
    if (roman !== undefined) romanised.push({ timeMs: original.timeMs, text: roman.text });
  }
  return { translated, romanised };
}

/** A line without word times is one word, so that the player's word mode shows it. */
function worded({ timeMs, text, words }: Line): WordLine {
  return { timeMs, words: words.length > 0 || text === "" ? words : [{ offsetMs: 0, durationMs: 0, text }] };
}

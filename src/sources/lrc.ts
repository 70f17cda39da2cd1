import type { Lyric } from "../core/types.ts";

/** One timed line. `text` has no line break and no time tag of its own. */
export interface LrcLine {
  timeMs: number;
  text: string;
}

/** A word of a line; `offsetMs` counts from the start of its line. */
export interface LrcWord {
  offsetMs: number;
  durationMs: number;
  text: string;
}

export interface WordLine {
  timeMs: number;
  words: LrcWord[];
}

export interface ParsedLrc {
  /** `[ti:…]`, `[offset:…]` and their like, as they stood. */
  tags: string[];
  /** By time; lines of the same time keep their order. */
  lines: LrcLine[];
}

/**
 * What an LX client accepts, in UTF-16 units: `lyric` longer fails the whole answer, the others are silently dropped
 * from their limit on.
 */
export const LYRIC_LIMITS = { lyric: 51_200, tlyric: 5_119, rlyric: 5_119, lxlyric: 8_191 } as const;

/** LX pairs a line with its translation when they lie less than this apart. */
export const PAIR_TOLERANCE_MS = 100;

const TIME_TAG = /^\[(\d{1,4}):(\d{1,2})(?:[.:](\d{1,6}))?\]/;
const META_TAG = /^\[[A-Za-z#][^\]:]{0,32}:.*\]$/;
const LX_WORD = /<(-?\d+),(-?\d+)>/g;

/** `[mm:ss.mmm]`, always with three digits of ms. Minutes grow beyond 99; a negative time is 0. */
export function formatTime(timeMs: number): string {
  const ms = Math.max(0, Math.round(timeMs));
  const pad = (value: number, width: number) => String(value).padStart(width, "0");
  return `[${pad(Math.floor(ms / 60_000), 2)}:${pad(Math.floor(ms / 1000) % 60, 2)}.${pad(ms % 1000, 3)}]`;
}

/** One word in LX's form. The client's pattern knows no minus sign, so that an early word starts at 0. */
export function lxWord(offsetMs: number, durationMs: number, text: string): string {
  return `<${Math.max(0, Math.round(offsetMs))},${Math.max(0, Math.round(durationMs))}>${text}`;
}

/** LRC text to lines. Several time tags before one text give several lines; untimed text is left out. */
export function parseLrc(lrc: string): ParsedLrc {
  const tags: string[] = [];
  const lines: LrcLine[] = [];
  for (const raw of lrc.split(/\r\n|\n|\r/)) {
    let rest = raw.trimStart();
    const times: number[] = [];
    for (let match = TIME_TAG.exec(rest); match !== null; match = TIME_TAG.exec(rest)) {
      times.push(timeOf(match));
      rest = rest.slice(match[0].length);
    }
    if (times.length > 0) for (const timeMs of times) lines.push({ timeMs, text: rest });
    else if (META_TAG.test(rest.trimEnd())) tags.push(rest.trimEnd());
  }
  // Array.prototype.sort is stable: a translation that follows its line with the same time stays behind it.
  return { tags, lines: lines.sort((a, b) => a.timeMs - b.timeMs) };
}

function timeOf(match: RegExpExecArray): number {
  const [, minutes = "0", seconds = "0", fraction = ""] = match;
  return Number(minutes) * 60_000 + Number(seconds) * 1000 + Math.round(Number(`0.${fraction || "0"}`) * 1000);
}

/** Lines to LRC text that `parseLrc` reads back to the same lines. */
export function formatLrc(lines: readonly LrcLine[], tags: readonly string[] = []): string {
  return [...tags, ...lines.map((line) => formatTime(line.timeMs) + plainText(line.text))].join("\n");
}

/** Lines with words to LX's word-by-word text. Lines without words are left out. */
export function formatWords(lines: readonly WordLine[], tags: readonly string[] = []): string {
  const timed = lines.filter((line) => line.words.length > 0);
  return [...tags, ...timed.map((line) => formatTime(line.timeMs) + line.words.map(word).join(""))].join("\n");
}

function word(item: LrcWord): string {
  return lxWord(item.offsetMs, item.durationMs, plainText(item.text));
}

/** LX's word-by-word text back to lines with words; text before a line's first tag is left out. */
export function parseWords(lxlyric: string): WordLine[] {
  return parseLrc(lxlyric).lines.map(({ timeMs, text }) => {
    const found = [...text.matchAll(LX_WORD)];
    const words = found.map((match, index) => ({
      offsetMs: Number(match[1]),
      durationMs: Number(match[2]),
      text: text.slice(match.index + match[0].length, found[index + 1]?.index ?? text.length),
    }));
    return { timeMs, words };
  });
}

/** A line break or something that reads as a tag inside a text would make another line or word of it. */
function plainText(text: string): string {
  return text
    .replace(/[\r\n]+/g, " ")
    .replace(/^(\s*)\[(?=\d{1,4}:\d{1,2}(?:[.:]\d{1,6})?\])/, "$1［")
    .replace(/<(?=-?\d+,-?\d+>)/g, "＜");
}

/**
 * Gives each translated (or romanised) line exactly the time of its original line, because LX pairs by time. Each
 * original takes the nearest line less than 100 ms away; a line without a partner would never be shown and is left out.
 */
export function pairLines(originals: readonly LrcLine[], others: readonly LrcLine[]): LrcLine[] {
  const byTime = (a: LrcLine, b: LrcLine) => a.timeMs - b.timeMs;
  const left = [...originals].sort(byTime);
  const right = [...others].sort(byTime);
  const paired: LrcLine[] = [];
  let next = 0;
  for (const other of right) {
    while (next < left.length && (left[next]?.timeMs ?? 0) <= other.timeMs - PAIR_TOLERANCE_MS) next++;
    let best = next;
    while (distance(left[best + 1], other) < distance(left[best], other)) best++;
    const original = left[best];
    if (original === undefined || distance(original, other) >= PAIR_TOLERANCE_MS) continue;
    paired.push({ timeMs: original.timeMs, text: other.text });
    next = best + 1;
  }
  return paired;
}

function distance(line: LrcLine | undefined, other: LrcLine): number {
  return line === undefined ? Number.POSITIVE_INFINITY : Math.abs(line.timeMs - other.timeMs);
}

/**
 * Keeps a lyric within what a client accepts; only whole lines go. A word-by-word text that is too long keeps its words
 * for as many lines as fit and goes on in plain lines (the player shows these as they are), so that the end of the
 * song is not lost.
 */
export function limitLyric(lyric: Lyric): Lyric {
  return {
    lyric: cutLines(lyric.lyric, LYRIC_LIMITS.lyric),
    tlyric: cutLines(lyric.tlyric, LYRIC_LIMITS.tlyric),
    rlyric: cutLines(lyric.rlyric, LYRIC_LIMITS.rlyric),
    lxlyric: cutLines(shortenWords(lyric.lxlyric, LYRIC_LIMITS.lxlyric), LYRIC_LIMITS.lxlyric),
  };
}

/** The longest start of `text` that ends with a whole line and has at most `limit` characters. */
export function cutLines(text: string, limit: number): string {
  if (text.length <= limit) return text;
  const end = text.lastIndexOf("\n", limit);
  return end <= 0 ? "" : text.slice(0, end);
}

function shortenWords(lxlyric: string, limit: number): string {
  const lines = lxlyric.split("\n");
  // The first timed line keeps its words: it decides whether the player goes into word mode at all.
  const first = lines.findIndex((line) => TIME_TAG.test(line));
  let length = lxlyric.length;
  for (let index = lines.length - 1; index > first && length > limit; index--) {
    const line = lines[index] ?? "";
    const plain = line.replace(LX_WORD, "");
    lines[index] = plain;
    length -= line.length - plain.length;
  }
  return lines.join("\n");
}

const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " };

/** Decodes the HTML entities that platforms leave in names and lyrics. An unknown one stays as it is. */
export function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([a-z]{2,6}));/g, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff) ? String.fromCodePoint(code) : whole;
  });
}

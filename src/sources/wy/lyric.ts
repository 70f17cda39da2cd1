import { Type } from "@sinclair/typebox";
import type { Lyric } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { formatLrc, formatWords, type LrcLine, limitLyric, pairLines, parseLrc, type WordLine } from "../lrc.ts";
import type { Call } from "../source.ts";
import { checkId, maybe, type WyClient } from "./client.ts";

const Text = maybe(Type.Object({ lyric: maybe(Type.String()) }));
const LyricReply = Type.Object({
  lrc: Text,
  tlyric: Text,
  romalrc: Text,
  yrc: Text,
  ytlrc: Text,
  yromalrc: Text,
});

/** The head lines ("作词: …") of both forms: `{"t":ms,"c":[{"tx":"…"}]}`. */
const Head = Type.Object({ t: Type.Number(), c: Type.Array(Type.Object({ tx: maybe(Type.String()) })) });

const PAYLOAD = { cp: false, tv: 0, lv: 0, rv: 0, kv: 0, yv: 0, ytv: 0, yrv: 0 };

/** The words' own text may hold brackets of any kind: only three numbers are a time. */
const YRC_WORD = /\((\d+),(\d+),-?\d+\)/g;
const YRC_LINE = /^\[(\d+),(\d+)\]/;

export function createLyric(client: WyClient) {
  return async function lyric(songId: string, call: Call): Promise<Lyric> {
    const payload = { id: checkId(songId), ...PAYLOAD };
    const options = { base: "https://interface3.music.163.com" };
    const { body } = await client.eapi("/api/song/lyric/v1", payload, call, options);
    return toLyric(decode(LyricReply, body, "wy"));
  };
}

interface Texts {
  lrc?: { lyric?: string | null } | null;
  tlyric?: { lyric?: string | null } | null;
  romalrc?: { lyric?: string | null } | null;
  yrc?: { lyric?: string | null } | null;
  ytlrc?: { lyric?: string | null } | null;
  yromalrc?: { lyric?: string | null } | null;
}

/**
 * The word-by-word text and its translation keep one clock, the plain text and its translation another: they are not
 * mixed, unless the word-by-word one has no translation of its own.
 */
export function toLyric(texts: Texts): Lyric {
  const words = parseYrc(texts.yrc?.lyric ?? "");
  const byWord = words.some((line) => line.words.length > 0);
  const plain = linesOf(texts.lrc?.lyric ?? "");
  const lines = byWord ? words : plain.lines;
  const partner = (own: string, other: string) => formatLrc(pairLines(lines, linesOf(own || other).lines));
  return limitLyric({
    // `offset` of the plain text says nothing about the other clock.
    lyric: formatLrc(lines, byWord ? plain.tags.filter((tag) => !/^\[offset:/i.test(tag)) : plain.tags),
    tlyric: partner((byWord ? texts.ytlrc?.lyric : "") ?? "", texts.tlyric?.lyric ?? ""),
    rlyric: partner((byWord ? texts.yromalrc?.lyric : "") ?? "", texts.romalrc?.lyric ?? ""),
    lxlyric: byWord ? formatWords(words) : "",
  });
}

export type YrcLine = WordLine & LrcLine;

/** `[startMs,durMs](absMs,durMs,0)word…` and JSON head lines, by time. A head line is one word for LX's sake. */
export function parseYrc(text: string): YrcLine[] {
  const lines: YrcLine[] = [];
  for (const raw of text.split(/\r?\n/)) {
    const head = headLine(raw);
    if (head !== undefined) lines.push({ ...head, words: [] });
    const match = YRC_LINE.exec(raw);
    if (match === null) continue;
    const timeMs = Number(match[1]);
    const words = wordsOf(raw.slice(match[0].length), timeMs);
    if (words.length > 0) lines.push({ timeMs, words, text: words.map((word) => word.text).join("") });
  }
  lines.sort((a, b) => a.timeMs - b.timeMs);
  return lines.map((line, index) =>
    line.words.length > 0 ? line : { ...line, words: wholeLine(line, lines[index + 1]) },
  );
}

/** LX enters word mode only when the first line has words: a head line is shown as one. */
function wholeLine(line: LrcLine, next: LrcLine | undefined) {
  const durationMs = Math.max(0, Math.min(next === undefined ? 5000 : next.timeMs - line.timeMs, 60_000));
  return [{ offsetMs: 0, durationMs, text: line.text }];
}

function wordsOf(text: string, lineMs: number) {
  const found = [...text.matchAll(YRC_WORD)];
  return found.map((match, index) => ({
    offsetMs: Math.max(0, Number(match[1]) - lineMs),
    durationMs: Number(match[2]),
    text: text.slice(match.index + match[0].length, found[index + 1]?.index ?? text.length),
  }));
}

function headLine(raw: string): LrcLine | undefined {
  if (!raw.startsWith("{")) return undefined;
  try {
    const head = decode(Head, JSON.parse(raw), "wy");
    const text = head.c.map((part) => part.tx ?? "").join("");
    return { timeMs: Math.max(0, head.t), text };
  } catch {
    // A line that only looks like JSON is no line of the song.
    return undefined;
  }
}

function linesOf(text: string): { tags: string[]; lines: LrcLine[] } {
  const heads = text.split(/\r?\n/).flatMap((raw) => headLine(raw) ?? []);
  const { tags, lines } = parseLrc(text);
  return { tags, lines: [...heads, ...lines].sort((a, b) => a.timeMs - b.timeMs) };
}

import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../core/errors.ts";
import type { Lyric, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities, formatLrc, formatTime, formatWords, type LrcWord } from "../lrc.ts";
import type { Call } from "../source.ts";
import { BROWSER, type KgClient, queryText, refusal } from "./client.ts";
import { decryptKrc, isKrc } from "./crypto.ts";
import { Loose, numberOf, textOf } from "./fields.ts";

const SearchReply = Type.Object({
  status: Loose,
  candidates: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.Array(Type.Object({ id: Loose, accesskey: Loose, krctype: Loose, contenttype: Loose })),
    ]),
  ),
});

const DownloadReply = Type.Object({
  status: Loose,
  error_code: Loose,
  fmt: Loose,
  contenttype: Loose,
  content: Type.Optional(Type.Union([Type.String(), Type.Null()])),
});

interface Candidate {
  id: string;
  accesskey: string;
  words: boolean;
}

const NO_LYRIC = "歌词获取失败: 当前歌曲无歌词";

/** @throws AppError `upstream_not_found` when the song has none */
export async function fetchLyric(client: KgClient, song: Song, call: Call): Promise<Lyric> {
  const candidate = await findCandidate(client, song, call);
  const text = await download(client, candidate, call);
  return typeof text === "string" ? { lyric: text, tlyric: "", rlyric: "", lxlyric: "" } : text;
}

async function findCandidate(client: KgClient, song: Song, call: Call): Promise<Candidate> {
  const params = [
    ["ver", 1],
    ["man", "yes"],
    ["client", "pc"],
    ["keyword", song.name],
    ["hash", song.ids["hash"] ?? song.songId],
    ["timelength", Math.floor(song.durationSeconds ?? 0)],
  ] as const;
  const url = `https://lyrics.kugou.com/search?${queryText(params)}`;
  const reply = decode(SearchReply, await client.json({ url, headers: { "User-Agent": BROWSER } }, call), "kg");
  if (numberOf(reply.status) !== 200) throw refusal(reply.status, "歌词获取失败");
  const [first] = reply.candidates ?? [];
  if (first === undefined) throw new AppError("upstream_not_found", NO_LYRIC);
  const id = textOf(first.id);
  const accesskey = textOf(first.accesskey);
  if (id === "" || accesskey === "") throw new AppError("upstream_changed", "歌词获取失败", { detail: first });
  return { id, accesskey, words: numberOf(first.krctype) === 1 && numberOf(first.contenttype) !== 1 };
}

/**
 * The original names no `fmt`, and is answered in the platform's default. Where that is no word-by-word lyric though
 * there is one, or is refused, the newer request names the format.
 */
async function download(client: KgClient, candidate: Candidate, call: Call): Promise<Lyric | string> {
  const base = `https://lyrics.kugou.com/download?${queryText([
    ["ver", 1],
    ["client", "pc"],
    ["id", candidate.id],
    ["accesskey", candidate.accesskey],
  ])}`;
  const newer = `${base}&fmt=${candidate.words ? "krc" : "lrc"}&charset=utf8`;
  let first: Lyric | string;
  try {
    first = await downloadOne(client, base, call);
  } catch (error) {
    if (!isAppError(error) || error.kind === "upstream_unreachable") throw error;
    call.step?.("kg newer request", { because: error.kind });
    return downloadOne(client, newer, call);
  }
  if (typeof first !== "string" || !candidate.words) return first;
  // A plain lyric in the hand is better than a fault on the way to a finer one.
  return downloadOne(client, newer, call).catch(() => first);
}

async function downloadOne(client: KgClient, url: string, call: Call): Promise<Lyric | string> {
  const reply = decode(DownloadReply, await client.json({ url, headers: { "User-Agent": BROWSER } }, call), "kg");
  const code = numberOf(reply.error_code) ?? 0;
  if (numberOf(reply.status) !== 200 || code !== 0) throw refusal([reply.error_code, reply.status], "歌词获取失败");
  if (!reply.content) throw new AppError("upstream_not_found", NO_LYRIC);
  return readLyric(Buffer.from(reply.content, "base64"));
}

/** KRC becomes all four texts; LRC stays as it is. */
export function readLyric(bytes: Uint8Array): Lyric | string {
  if (isKrc(bytes)) return parseKrc(decryptKrc(bytes));
  const text = new TextDecoder().decode(bytes).replace(/\r\n?/g, "\n").trim();
  if (!/\[\d+:\d+/.test(text)) throw new AppError("upstream_changed", "歌词获取失败: 无法识别的歌词格式");
  return decodeEntities(text);
}

const LINE = /^\[(\d{1,9}),(\d{1,9})\](.*)$/;
const WORD = /<(-?\d{1,9}),(-?\d{1,9})(?:,-?\d{1,9})?>/g;

/**
 * Lines `[startMs,durationMs]<offset,duration,0>word…`; translation and romanisation lie in `[language:base64]`, one
 * entry per line in order.
 * @see compat/vectors.json kugou_krc (the original forgets to pad the milliseconds)
 */
export function parseKrc(krc: string): Lyric {
  const lyric: string[] = [];
  const lxlyric: string[] = [];
  const times: number[] = [];
  let languages: Languages = { translated: [], romanised: [] };
  for (const raw of krc.replace(/^\uFEFF/, "").split(/\r\n|\r|\n/)) {
    const language = /^\[language:([\w+/=-]*)\]/.exec(raw);
    if (language !== null) {
      languages = readLanguages(language[1] ?? "");
      continue;
    }
    const timed = LINE.exec(raw);
    if (timed === null) {
      // Any other header stays; the file's own number is nobody's business.
      if (raw.trim() === "" || /^\[id:\$/.test(raw)) continue;
      lyric.push(decodeEntities(raw));
      lxlyric.push(decodeEntities(raw));
      continue;
    }
    const [, start, duration, rest = ""] = timed;
    const timeMs = Number(start);
    const words = readWords(rest, Number(duration));
    times.push(timeMs);
    lyric.push(formatLrc([{ timeMs, text: words.map((word) => word.text).join("") }]));
    lxlyric.push(words.length === 0 ? formatTime(timeMs) : formatWords([{ timeMs, words }]));
  }
  const timedLines = (lines: string[]) =>
    formatLrc(times.flatMap((timeMs, index) => (lines[index]?.trim() ? [{ timeMs, text: lines[index] }] : [])));
  return {
    lyric: lyric.join("\n"),
    tlyric: timedLines(languages.translated),
    rlyric: timedLines(languages.romanised),
    lxlyric: lxlyric.join("\n"),
  };
}

/** The player wants a tag before every word. */
function readWords(text: string, lineDurationMs: number): LrcWord[] {
  const tags = [...text.matchAll(WORD)];
  const [first] = tags;
  if (first === undefined) {
    return text === "" ? [] : [{ offsetMs: 0, durationMs: lineDurationMs, text: decodeEntities(text) }];
  }
  const words: LrcWord[] = [];
  if (first.index > 0) {
    words.push({ offsetMs: 0, durationMs: Number(first[1]), text: decodeEntities(text.slice(0, first.index)) });
  }
  tags.forEach((tag, index) => {
    const end = tags[index + 1]?.index ?? text.length;
    words.push({
      offsetMs: Number(tag[1]),
      durationMs: Number(tag[2]),
      text: decodeEntities(text.slice(tag.index + tag[0].length, end)),
    });
  });
  return words;
}

interface Languages {
  translated: string[];
  romanised: string[];
}

const LanguageFile = Type.Object({
  content: Type.Array(Type.Object({ type: Loose, lyricContent: Type.Array(Type.Array(Type.String())) })),
});

/** A translation that cannot be read is left out: the song's own words are worth more. */
function readLanguages(base64: string): Languages {
  const found: Languages = { translated: [], romanised: [] };
  try {
    const file = decode(LanguageFile, JSON.parse(Buffer.from(base64, "base64").toString("utf8")), "kg");
    for (const { type, lyricContent } of file.content) {
      if (numberOf(type) === 0) found.romanised = lyricContent.map(joinSyllables);
      if (numberOf(type) === 1) found.translated = lyricContent.map((pieces) => decodeEntities(pieces.join("")));
    }
  } catch {
    return found;
  }
  return found;
}

/** Syllables mostly carry their own spaces; where none does, they are parted by one. */
function joinSyllables(pieces: string[]): string {
  const joined = pieces.join("");
  return (joined.includes(" ") ? joined : pieces.map((piece) => piece.trim()).join(" ")).replace(/ {2,}/g, " ");
}

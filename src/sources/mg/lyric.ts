import type { Lyric, Song } from "../../core/types.ts";
import { formatLrc, formatWords, type LrcLine, limitLyric, pairLines, parseLrc, type WordLine } from "../lrc.ts";
import type { Call } from "../source.ts";
import { APP_HEADERS, type MgClient } from "./client.ts";
import { decryptMrc } from "./crypto.ts";
import type { MgSongs } from "./song.ts";

const LINE = /^\[(\d+),(\d+)\]/;
/** The time stands behind its word; the word itself may hold brackets. */
const WORD_TIME = /\((\d+),(\d+)\)/g;

/** Word by word where there is an MRC file, else line by line. Migu has translations, but no romanised form. */
export function createLyric(client: MgClient, songs: MgSongs) {
  return async function lyric(songId: string, call: Call, known?: Song): Promise<Lyric> {
    const ids = hasAddress(known) ? known.ids : (await songs.find(songId, call)).song.ids;
    const { mrcUrl = "", lrcUrl = "", trcUrl = "" } = ids;
    const words = await wordsAt(mrcUrl, call);
    const plain = words.length > 0 ? { tags: [], lines: words } : parseLrc(await textAt(lrcUrl, call));
    const translation = parseLrc(plain.lines.length > 0 ? await spare(trcUrl, call) : "").lines;
    return limitLyric({
      lyric: formatLrc(plain.lines, plain.tags),
      tlyric: formatLrc(pairLines(plain.lines, translation)),
      rlyric: "",
      lxlyric: formatWords(words),
    });
  };

  /** No lines when there is no such file, or when it cannot be read: the plain one is tried then. */
  async function wordsAt(address: string, call: Call): Promise<MrcLine[]> {
    try {
      return parseMrc(decryptMrc(await textAt(address, call)));
    } catch (error) {
      call.step?.("mg mrc failed", { error: String(error) });
      return [];
    }
  }

  async function spare(address: string, call: Call): Promise<string> {
    return textAt(address, call).catch((error) => {
      call.step?.("mg trc failed", { error: String(error) });
      return "";
    });
  }

  async function textAt(address: string, call: Call): Promise<string> {
    if (!isOurs(address)) return "";
    const reply = await client.raw({ url: address, headers: APP_HEADERS, redirect: "error" }, call);
    return reply.status === 200 ? reply.text() : "";
  }
}

/** Addresses may come from a client: only files of Migu are fetched. */
const isOurs = (address: string) => /^https?:\/\/[a-z0-9.-]{1,60}\.migu\.cn\//i.test(address);

function hasAddress(song: Song | undefined): song is Song {
  return [song?.ids["mrcUrl"], song?.ids["lrcUrl"]].some((address) => isOurs(address ?? ""));
}

export type MrcLine = WordLine & LrcLine;

/** `[startMs,durMs]word(absMs,durMs)…`, by time. */
export function parseMrc(text: string): MrcLine[] {
  const lines: MrcLine[] = [];
  for (const raw of text.split(/\r?\n/)) {
    const match = LINE.exec(raw);
    if (match === null) continue;
    const timeMs = Number(match[1]);
    const words = wordsOf(raw.slice(match[0].length), timeMs);
    if (words.length > 0) lines.push({ timeMs, words, text: words.map((word) => word.text).join("") });
  }
  return lines.sort((a, b) => a.timeMs - b.timeMs);
}

function wordsOf(text: string, lineMs: number) {
  let from = 0;
  return [...text.matchAll(WORD_TIME)].map((match) => {
    const word = text.slice(from, match.index);
    from = match.index + match[0].length;
    return { offsetMs: Math.max(0, Number(match[1]) - lineMs), durationMs: Number(match[2]), text: word };
  });
}

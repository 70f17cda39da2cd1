import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../core/errors.ts";
import type { Lyric, Song } from "../../core/types.ts";
import {
  decodeEntities,
  formatLrc,
  formatWords,
  type LrcLine,
  type LrcWord,
  limitLyric,
  pairLines,
  parseLrc,
  type WordLine,
} from "../lrc.ts";
import type { Call } from "../source.ts";
import { GUEST_COMM, numericId, type TxClient } from "./client.ts";
import { decryptLyric } from "./crypto.ts";
import { fetchDetail } from "./song.ts";

const LyricData = Type.Object({
  lyric: Type.String(),
  trans: Type.Optional(Type.String()),
  roma: Type.Optional(Type.String()),
});

const NO_SONG = "歌曲信息获取失败";

/**
 * Lyrics by mid or by number.
 *
 * @returns empty texts for a song that has none
 */
export async function fetchLyric(client: TxClient, songId: string, call: Call, song?: Song): Promise<Lyric> {
  const songID = await numberFor(client, songId, call, song, NO_SONG);
  const param = {
    format: "json",
    crypt: 1,
    ct: 19,
    cv: 1873,
    interval: 0,
    lrc_t: 0,
    qrc: 1,
    qrc_t: 0,
    roma: 1,
    roma_t: 0,
    songID,
    trans: 1,
    trans_t: 0,
    type: -1,
  };
  const data = await client.ask(
    { comm: GUEST_COMM, req: { method: "GetPlayLyricInfo", module: "music.musichallSong.PlayLyricInfo", param } },
    "req",
    LyricData,
    call,
  );
  const [lyric, trans, roma] = [data.lyric, data.trans ?? "", data.roma ?? ""].map(decryptLyric);
  return limitLyric(parseLyric(lyric ?? "", trans ?? "", roma ?? ""));
}

/**
 * The song's number, which some services want: from the id itself, from what is known, or by asking.
 *
 * @throws AppError `upstream_not_found` with `message` when there is no such song
 */
export async function numberFor(
  client: TxClient,
  songId: string,
  call: Call,
  song: Song | undefined,
  message: string,
): Promise<bigint> {
  const known = numericId(songId) ?? numericId(song?.ids["id"] ?? "");
  if (known !== undefined) return known;
  const found = await fetchDetail(client, songId, call).catch((error: unknown) => {
    if (!isAppError(error) || error.kind !== "upstream_not_found") throw error;
    throw new AppError("upstream_not_found", message, { cause: error });
  });
  const id = numericId(found.song.ids["id"] ?? "");
  if (id === undefined) throw new AppError("upstream_not_found", message);
  return id;
}

interface QrcLine {
  timeMs: number;
  text: string;
  words: LrcWord[];
}

interface Qrc {
  offset: string[];
  lines: QrcLine[];
}

/**
 * QQ's three texts to LX's four. `lyric` and `roma` are QRC (words with times behind them) or plain LRC, `trans` is LRC.
 * @see vectors `qq_lyric_parse`
 */
export function parseLyric(lyric: string, trans: string, roma: string): Lyric {
  const content = qrcContent(lyric);
  if (content === undefined) {
    const lines = parseLrc(lyric).lines;
    return { lyric, ...companions(lines, trans, roma), lxlyric: "" };
  }
  const { offset, lines } = parseQrc(content);
  return {
    lyric: formatLrc(lines, offset),
    ...companions(lines, trans, roma),
    lxlyric: lines.some((line) => line.words.length > 0) ? formatWords(lines.map(worded), offset) : "",
  };
}

function companions(lines: LrcLine[], trans: string, roma: string): Pick<Lyric, "tlyric" | "rlyric"> {
  const content = qrcContent(roma);
  const romanised = content === undefined ? parseLrc(roma).lines : parseQrc(content).lines;
  const shown = (others: LrcLine[]) =>
    formatLrc(
      pairLines(
        lines,
        others.filter((line) => line.text.trim() !== ""),
      ),
    );
  const translated = parseLrc(trans).lines.map((line) => ({ ...line, text: decodeEntities(line.text).trim() }));
  return { tlyric: shown(translated), rlyric: shown(romanised) };
}

/** A line without word times is one word as long as the line, so that the player's word mode shows it. */
function worded({ timeMs, text, words }: QrcLine): WordLine {
  return { timeMs, words: words.length > 0 || text === "" ? words : [{ offsetMs: 0, durationMs: 0, text }] };
}

/** The text inside the XML, which is not clean enough for a parser: quotes stand in it as they are. */
function qrcContent(text: string): string | undefined {
  const head = 'LyricContent="';
  const start = text.indexOf(head);
  if (start === -1) return undefined;
  const end = text.lastIndexOf('"/>');
  return decodeEntities(text.slice(start + head.length, end === -1 || end < start ? undefined : end));
}

const QRC_LINE = /^\[(\d{1,9}),(\d{1,9})\]/;
const QRC_WORD = /\((\d{1,9}),(\d{1,9})\)/g;

function parseQrc(content: string): Qrc {
  const offset: string[] = [];
  const lines: QrcLine[] = [];
  for (const raw of content.split(/\r\n|\n|\r/)) {
    const line = raw.trim();
    const head = QRC_LINE.exec(line);
    if (head !== null) lines.push(readLine(line.slice(head[0].length), Number(head[1])));
    else if (/^\[offset:.*\]$/.test(line)) offset.push(line);
    else lines.push(...parseLrc(line).lines.map((plain) => ({ ...plain, words: [] })));
  }
  return { offset, lines };
}

/** `word(absoluteMs,durationMs)…`: the time stands behind its word. */
function readLine(text: string, timeMs: number): QrcLine {
  const words: LrcWord[] = [];
  let from = 0;
  for (const match of text.matchAll(QRC_WORD)) {
    const offsetMs = Math.max(0, Number(match[1]) - timeMs);
    words.push({ offsetMs, durationMs: Number(match[2]), text: text.slice(from, match.index) });
    from = match.index + match[0].length;
  }
  const rest = text.slice(from);
  const last = words.at(-1);
  if (last !== undefined) last.text += rest;
  return { timeMs, text: words.length === 0 ? rest : words.map((word) => word.text).join(""), words };
}

import { inflateSync } from "node:zlib";
import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../core/errors.ts";
import type { Lyric } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities, formatLrc, type LrcLine, limitLyric } from "../lrc.ts";
import { numberOf, recordOf, textOf } from "../read.ts";
import type { Call } from "../source.ts";
import { DALVIK_USER_AGENT, type KwClient, MOBILE_USER_AGENT, numericRid } from "./client.ts";
import { maskLyric } from "./crypto.ts";
import { parseContent } from "./lrcx.ts";

const HEAD = "tp=content";
const MAX_LYRIC_BYTES = 2_000_000;
export const NO_LYRIC: Lyric = { lyric: "", tlyric: "", rlyric: "", lxlyric: "" };

/**
 * Lyrics, word by word where there are such; else plain ones; else those of the mobile page.
 *
 * @returns empty texts for a song that has none
 */
export async function fetchLyric(client: KwClient, songId: string, call: Call): Promise<Lyric> {
  const id = numericRid(songId);
  for (const words of [true, false]) {
    try {
      const content = await fetchContent(client, id, words, call);
      // With and without words, "none" is the same answer; a text that does not read well is not.
      if (content === undefined) break;
      const lyric = parseContent(content);
      if (lyric !== undefined) return limitLyric(lyric);
    } catch (error) {
      if (!isAppError(error) || error.kind !== "upstream_changed") throw error;
      call.step?.("kw.lyric_unreadable", { words });
    }
  }
  return limitLyric(await fetchPageLyric(client, id, call));
}

/** @returns the decoded text; undefined when the service has none. */
async function fetchContent(client: KwClient, id: string, words: boolean, call: Call): Promise<string | undefined> {
  const query = `user=12345,web,web,web&requester=localhost&req=1&rid=MUSIC_${id}${words ? "&lrcx=1" : ""}`;
  const address = `http://newlyric.kuwo.cn/newlyric.lrc?${maskLyric(Buffer.from(query)).toString("base64")}`;
  const reply = await client.get(address, { "User-Agent": MOBILE_USER_AGENT }, call);
  return decodeContent(reply.bytes, words);
}

/**
 * A reply of `newlyric.lrc`: a head, then zlib; inside GB18030, for word lyrics under base64 and the mask.
 *
 * @returns undefined when the head says that there is no content
 * @throws AppError `upstream_changed` when it is another form
 */
export function decodeContent(bytes: Uint8Array, words: boolean): string | undefined {
  const head = Buffer.from(bytes.subarray(0, 200)).toString("latin1");
  if (/^tp=none/i.test(head)) return undefined;
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf("\r\n\r\n");
  if (!head.toLowerCase().startsWith(HEAD) || at === -1) throw unreadable("no content");
  try {
    const inflated = inflateSync(bytes.subarray(at + 4), { maxOutputLength: MAX_LYRIC_BYTES });
    const text = words ? maskLyric(Buffer.from(inflated.toString("latin1"), "base64")) : inflated;
    return new TextDecoder("gb18030").decode(text);
  } catch (error) {
    throw unreadable(error);
  }
}

const unreadable = (detail: unknown) => new AppError("upstream_changed", "酷我: 歌词无法解密", { detail });

const PageReply = Type.Object({ data: Type.Union([Type.Object({}), Type.Null()]) });

/** The mobile page's lines: no words, no translation. */
async function fetchPageLyric(client: KwClient, id: string, call: Call): Promise<Lyric> {
  const address = `http://m.kuwo.cn/newh5/singles/songinfoandlrc?musicId=${id}&httpsStatus=1`;
  const reply = await client.get(address, { "User-Agent": DALVIK_USER_AGENT }, call);
  const { data } = decode(PageReply, reply.json(), "kw");
  const fields = recordOf(data);
  if (!("lrclist" in fields)) throw new AppError("upstream_not_found", "歌曲信息获取失败");
  const list = decode(Type.Union([Type.Array(Type.Unknown()), Type.Null()]), fields["lrclist"], "kw") ?? [];
  const lines = list.flatMap((item): LrcLine[] => {
    const { time, lineLyric } = recordOf(item);
    const seconds = numberOf(time);
    const text = textOf(lineLyric);
    return seconds === undefined || text === undefined
      ? []
      : [{ timeMs: Math.round(seconds * 1000), text: decodeEntities(text) }];
  });
  return { ...NO_LYRIC, lyric: formatLrc(lines) };
}

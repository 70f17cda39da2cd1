import { deflateSync } from "node:zlib";
import iconv from "iconv-lite";
import { maskLyric } from "../../../src/sources/kw/crypto.ts";
import { json, type LyricLine, type PlatformRequest, type World } from "../world.ts";
import { artistOf, byRid, nameOf } from "./songs.ts";

/** Word times are mixed with these two; the text tells them in octal: 34 = 042. */
const START = 3;
const DURATION = 4;

/** `<a,b>`: a + b holds the start, a − b the duration. */
export function wordTag(offsetMs: number, durationMs: number, start = START, duration = DURATION): string {
  return `<${start * offsetMs + duration * durationMs},${start * offsetMs - duration * durationMs}>`;
}

const pad = (value: number) => String(value).padStart(2, "0");
const at = (ms: number) =>
  `[${pad(Math.floor(ms / 60_000))}:${pad(Math.floor(ms / 1000) % 60)}.${pad(Math.floor((ms % 1000) / 10))}]`;

/** A translation stands behind its line with the time of the next. */
function text(name: string, lines: LyricLine[], words: boolean): string {
  const body = lines.flatMap((line, index) => {
    const next = lines[index + 1];
    const shown = line.words.map((word) => (words ? wordTag(word.offsetMs, word.durationMs) : "") + word.text).join("");
    const translation =
      next === undefined || !line.translation ? [] : [`${at(next.startMs)}${words ? "<0,0>" : ""}${line.translation}`];
    return [at(line.startMs) + shown, ...translation];
  });
  return [`[ti:${name}]`, "[ver:v1.0]", ...(words ? ["[kuwo:042]"] : []), ...body].join("\r\n");
}

/** A reply of `newlyric.lrc` around any text. */
export function packed(content: string, words: boolean): Uint8Array<ArrayBuffer> {
  const raw = iconv.encode(content, "gb18030");
  const inner = words ? Buffer.from(maskLyric(raw).toString("base64")) : raw;
  const head = `tp=content\r\nlrcx=${words ? 1 : 0}\r\nshowtimes=1\r\n\r\n`;
  return new Uint8Array(Buffer.concat([Buffer.from(head), deflateSync(inner)]));
}

/** `newlyric.lrc`: the whole query is base64 of the masked parameters. */
export function newLyric(request: PlatformRequest, world: World): Response {
  const asked = maskLyric(Buffer.from(decodeURIComponent(request.query), "base64")).toString();
  const params = new URLSearchParams(asked);
  const rid = /^MUSIC_(\d+)$/.exec(params.get("rid") ?? "")?.[1];
  if (params.get("user") !== "12345,web,web,web" || params.get("req") !== "1" || rid === undefined) {
    return new Response("", { status: 403 });
  }
  const song = byRid(world, rid);
  if (song?.lyric === undefined) return new Response("TP=none\r\n\r\n");
  const words = params.get("lrcx") === "1";
  return new Response(packed(text(nameOf(song), song.lyric, words), words));
}

/** The mobile page's data. */
export function pageData(request: PlatformRequest, world: World): Response {
  const song = byRid(world, request.params.get("musicId"));
  if (song === undefined) return json({ status: 301, data: {} });
  const lrclist = song.lyric?.map((line) => ({
    time: String(line.startMs / 1000),
    lineLyric: line.words.map((word) => word.text).join(""),
  }));
  const songinfo = {
    songName: nameOf(song),
    artist: artistOf(song),
    album: song.album.name,
    duration: song.durationSeconds,
  };
  return json({ status: 200, data: { songinfo, lrclist: lrclist ?? null } });
}

import type { CatalogSong, LyricLine } from "./world.ts";

const HEAD = [
  { t: 0, c: [{ tx: "作词: " }, { tx: "测试", li: "https://p1.music.126.net/x.jpg", or: "orpheus://nm/artist" }] },
];

function lrcTime(ms: number, separator = "."): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `[${two(Math.floor(ms / 60_000))}:${two(Math.floor(ms / 1000) % 60)}${separator}${two(Math.floor((ms % 1000) / 10))}]`;
}

const words = (line: LyricLine) => line.words.map((word) => word.text).join("");

function yrcLine(line: LyricLine): string {
  const parts = line.words.map((word) => `(${line.startMs + word.offsetMs},${word.durationMs},0)${word.text}`);
  return `[${line.startMs},${line.durationMs}]${parts.join("")}`;
}

const lines = (song: CatalogSong, text: (line: LyricLine) => string | undefined, shift = 0) =>
  (song.lyric ?? []).flatMap((line) => {
    const part = text(line);
    return part ? [lrcTime(line.startMs + shift) + part] : [];
  });

/** The lyric part of `song/lyric/v1`. Songs of 192k also have the word-by-word form; the plain clock differs a little. */
export function lyric(song: CatalogSong | undefined) {
  if (song?.lyric === undefined) return { nolyric: true, pureMusic: song?.key === "instrumental" };
  const translation = (line: LyricLine) => line.translation;
  const romanised = (line: LyricLine) => line.romanised;
  const text = (value: string[]) => ({ version: 1, lyric: value.join("\n") });
  const heads = HEAD.map((head) => JSON.stringify(head));
  const plain = {
    lrc: text([...heads, "[by:测试]", ...lines(song, words)]),
    tlyric: text(lines(song, translation, 40)),
    romalrc: text(lines(song, romanised, 40)),
  };
  if (!song.qualities.includes("192k")) return plain;
  return {
    ...plain,
    yrc: text([...heads, ...song.lyric.map(yrcLine)]),
    ytlrc: text(lines(song, translation)),
    yromalrc: text(lines(song, romanised)),
  };
}

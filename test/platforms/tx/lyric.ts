import { deflateSync } from "node:zlib";
import { encryptBlocks } from "../../../src/sources/tx/qdes.ts";
import type { CatalogSong, LyricLine } from "../world.ts";
import type { Answer, Asked } from "./answer.ts";
import { byId } from "./songs.ts";

/** Text as the service sends it: zlib, its own triple DES, hex in capitals. */
export function encrypt(text: string): string {
  const zipped = deflateSync(text);
  const padded = Buffer.concat([zipped, Buffer.alloc((8 - (zipped.length % 8)) % 8)]);
  return Buffer.from(encryptBlocks(padded)).toString("hex").toUpperCase();
}

const escaped = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("'", "&apos;").replaceAll('"', "&quot;");

function qrc(song: CatalogSong, line: (line: LyricLine) => string): string {
  const body = (song.lyric ?? []).map(line).filter((text) => text !== "");
  const content = [
    `[ti:${escaped(song.name)}]`,
    `[ar:${escaped(song.artists[0]?.name ?? "")}]`,
    "[offset:0]",
    ...body,
  ].join("\n");
  return `<?xml version="1.0" encoding="utf-8"?>\n<QrcInfos>\n<QrcHeadInfo SaveTime="1700000000" Version="100"/>\n<LyricInfo LyricCount="1">\n<Lyric_1 LyricType="1" LyricContent="${content}\n"/>\n</LyricInfo>\n</QrcInfos>\n`;
}

const words = ({ startMs, durationMs, words: list }: LyricLine) =>
  `[${startMs},${durationMs}]${list.map((word) => `${escaped(word.text)}(${startMs + word.offsetMs},${word.durationMs})`).join("")}`;

function romanised({ startMs, durationMs, romanised: text }: LyricLine): string {
  if (!text) return "";
  const parts = text.split(" ");
  const step = Math.floor(durationMs / parts.length);
  return `[${startMs},${durationMs}]${parts.map((part, at) => `${escaped(part)} (${startMs + at * step},${step})`).join("")}`;
}

/** Two-digit fractions, and `//` where a line has no translation: as the platform does. */
function translated(song: CatalogSong): string {
  if (!song.lyric?.some((line) => line.translation)) return "";
  const pad = (value: number) => String(value).padStart(2, "0");
  const lines = song.lyric.map(({ startMs, translation }) => {
    const at = `${pad(Math.floor(startMs / 60_000))}:${pad(Math.floor(startMs / 1000) % 60)}.${pad(Math.floor((startMs % 1000) / 10))}`;
    return `[${at}]${translation ?? "//"}`;
  });
  return [`[ti:${song.name}]`, ...lines].join("\n");
}

/** `GetPlayLyricInfo`: every part encrypted, empty where there is none. */
export function lyric({ param, world }: Asked): Answer {
  if (param["crypt"] !== 1 || param["qrc"] !== 1 || typeof param["songID"] !== "number") return { code: 500_001 };
  const song = byId(world, param["songID"]);
  if (song === undefined) return { code: 24_001 };
  const has = song.lyric !== undefined;
  return {
    code: 0,
    data: {
      songID: param["songID"],
      songName: song.name,
      songType: 0,
      crypt: 1,
      lrc_t: 0,
      qrc_t: 1,
      lyric: has ? encrypt(qrc(song, words)) : "",
      trans: has && param["trans"] === 1 && translated(song) !== "" ? encrypt(translated(song)) : "",
      roma: has && param["roma"] === 1 ? encrypt(qrc(song, romanised)) : "",
    },
  };
}

import { deflateSync } from "node:zlib";
import { type CatalogSong, json, type LyricLine, type PlatformRequest, type World } from "../world.ts";
import { lookUp, md5, no } from "./wire.ts";

const KEY = [0x40, 0x47, 0x61, 0x77, 0x5e, 0x32, 0x74, 0x47, 0x51, 0x36, 0x31, 0x2d, 0xce, 0xd2, 0x6e, 0x69];

/** A lyric as the platform's editors write it. */
export function krcText(song: CatalogSong, lines: LyricLine[]): string {
  const language = {
    content: [
      { lyricContent: lines.map((line) => [line.romanised ?? ""]), type: 0, language: 0 },
      { lyricContent: lines.map((line) => [line.translation ?? ""]), type: 1, language: 0 },
    ],
    version: 1,
  };
  const rows = lines.map(
    (line) =>
      `[${line.startMs},${line.durationMs}]${line.words.map((word) => `<${word.offsetMs},${word.durationMs},0>${word.text}`).join("")}`,
  );
  return `\uFEFF${[
    "[id:$00000000]",
    `[ar:${song.artists[0]?.name ?? ""}]`,
    `[ti:${song.name}]`,
    `[hash:${song.ids.kg.hash}]`,
    "[offset:0]",
    `[language:${Buffer.from(JSON.stringify(language)).toString("base64")}]`,
    ...rows,
    "",
  ].join("\r\n")}`;
}

/** "krc1" + zlib under XOR. */
export function sealKrc(text: string): Buffer {
  const packed = deflateSync(Buffer.from(text));
  return Buffer.concat([Buffer.from("krc1"), packed.map((byte, index) => byte ^ (KEY[index % 16] ?? 0))]);
}

function lrcText(lines: LyricLine[]): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return lines
    .map((line) => {
      const centi = Math.floor(line.startMs / 10);
      const tag = `[${two(Math.floor(centi / 6000))}:${two(Math.floor(centi / 100) % 60)}.${two(centi % 100)}]`;
      return tag + line.words.map((word) => word.text).join("");
    })
    .join("\r\n");
}

const idOf = (song: CatalogSong) => song.ids.kg.audioId;
const accessKey = (song: CatalogSong) => md5(`access/${song.ids.kg.hash}`).toUpperCase();

/** GET lyrics.kugou.com/search */
export function lyricSearch(request: PlatformRequest, world: World): Response {
  const { params } = request;
  const good = params.get("ver") === "1" && params.get("man") === "yes" && params.get("client") === "pc";
  if (!good || !params.get("keyword") || !/^\d+$/.test(params.get("timelength") ?? ""))
    return json({ status: 400, errcode: 400 });
  const found = lookUp(world, params.get("hash") ?? "");
  const lines = found?.song.lyric;
  if (found === undefined || lines === undefined) return json({ status: 200, errcode: 200, candidates: [] });
  const candidate = { id: idOf(found.song), accesskey: accessKey(found.song), krctype: 1, contenttype: 0, score: 60 };
  return json({ status: 200, errcode: 200, expire: 86400, candidates: [candidate] });
}

/** GET lyrics.kugou.com/download: KRC unless LRC is asked for. `lower` = only LRC comes without a named format. */
export function lyricDownload(request: PlatformRequest, world: World): Response {
  const { params } = request;
  const song = world.songs.find((item) => idOf(item) === params.get("id"));
  if (params.get("ver") !== "1" || params.get("client") !== "pc") return json({ status: 400, error_code: 400 });
  if (song?.lyric === undefined || params.get("accesskey") !== accessKey(song)) return no(9, 404);
  const fmt = params.get("fmt") ?? (world.fault("kg", "lower", request) ? "lrc" : "krc");
  const bytes = fmt === "krc" ? sealKrc(krcText(song, song.lyric)) : Buffer.from(lrcText(song.lyric));
  return json({
    status: 200,
    info: "OK",
    error_code: 0,
    fmt,
    contenttype: fmt === "krc" ? 0 : 2,
    charset: "utf8",
    content: bytes.toString("base64"),
    id: params.get("id"),
  });
}

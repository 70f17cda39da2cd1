import type { Quality } from "../../src/core/types.ts";
import type { CatalogSong, World } from "./world.ts";

/** Migu's JSON for songs of the catalogue. */

export const TONES: Partial<Record<Quality, string>> = { "128k": "PQ", "320k": "HQ", flac: "SQ", hires: "ZQ24" };
export const FORMAT_IDS: Record<string, string> = { PQ: "000009", HQ: "020010", SQ: "011002", ZQ24: "011005" };
export const QUALITY_OF: Record<string, Quality> = { PQ: "128k", HQ: "320k", SQ: "flac", ZQ24: "hires", ZQ: "hires" };

export function tonesOf(song: CatalogSong): string[] {
  return song.qualities.flatMap((quality) => TONES[quality] ?? []);
}

export function sizeOf(song: CatalogSong, tone: string): number {
  const kbits = { PQ: 128, HQ: 320, SQ: 900 }[tone] ?? 2400;
  return Math.round((song.durationSeconds * kbits * 1000) / 8);
}

const title = (song: CatalogSong) => song.name + (song.nameExtra ?? "");
const lyricAddress = (song: CatalogSong, kind: string) =>
  song.lyric === undefined ? "" : `https://d.musicapp.migu.cn/data/oss/resource/${kind}/${song.ids.mg.songId}`;

function clock(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

export function formA(song: CatalogSong) {
  return {
    resourceType: "2",
    ...song.ids.mg,
    songName: title(song),
    albumId: song.album.id,
    album: song.album.name,
    singer: song.artists.map((item) => item.name).join("|"),
    artists: song.artists.map(({ id, name }) => ({ id, name })),
    albumImgs: ["01", "02", "03"].map((imgSizeType) => ({
      imgSizeType,
      img: `https://d.musicapp.migu.cn/data/oss/resource/cover/${song.album.id}_${imgSizeType}.jpg`,
    })),
    length: clock(song.durationSeconds),
    newRateFormats: tonesOf(song).map((formatType) => ({
      resourceType: formatType === "PQ" || formatType === "HQ" ? "2" : "E",
      formatType,
      [formatType === "PQ" || formatType === "HQ" ? "size" : "androidSize"]: String(sizeOf(song, formatType)),
      fileType: formatType === "PQ" || formatType === "HQ" ? "mp3" : "flac",
    })),
    lrcUrl: lyricAddress(song, "lrc"),
    mrcUrl: lyricAddress(song, "mrc"),
    trcUrl: lyricAddress(song, "trc"),
    vipType: song.right === "member" ? "1" : "",
    needEncrypt: "0",
    mvCopyrightId: `6008${song.ids.mg.songId}`,
  };
}

export function formB(song: CatalogSong, search = false) {
  return {
    ...song.ids.mg,
    resourceType: "2",
    [search ? "name" : "songName"]: title(song),
    singerList: song.artists.map(({ id, name }) => ({ id, name })),
    album: song.album.name,
    albumId: song.album.id,
    duration: song.durationSeconds,
    audioFormats: tonesOf(song).map((formatType) => ({
      formatType,
      asize: String(sizeOf(song, formatType)),
      isize: String(sizeOf(song, formatType)),
    })),
    img1: `/data/oss/resource/cover/${song.album.id}_01.webp`,
    img2: `/data/oss/resource/cover/${song.album.id}_02.webp`,
    img3: `/data/oss/resource/cover/${song.album.id}_03.webp`,
    ext: { lrcUrl: lyricAddress(song, "lrc") },
    [search ? "mrcurl" : "mrcUrl"]: lyricAddress(song, "mrc"),
    trcUrl: lyricAddress(song, "trc"),
    mvCopyrightId: `6008${song.ids.mg.songId}`,
  };
}

export function find(world: World, name: "songId" | "copyrightId" | "contentId", id: string | null) {
  return world.songs.find((song) => song.ids.mg[name] === id);
}

import type { Quality } from "../../../src/core/types.ts";
import type { CatalogSong, World } from "../world.ts";

const PREFIXES: Record<string, Quality> = {
  "M500.mp3": "128k",
  "O600.ogg": "192k",
  "M800.mp3": "320k",
  "F000.flac": "flac",
  "RS01.flac": "flac24bit",
  "Q000.flac": "atmos",
  "Q001.flac": "atmos_plus",
  "D004.mp4": "dolby",
  "AI00.flac": "master",
};

export interface AskedFile {
  prefix: string;
  mediaMid: string;
  extension: string;
  quality: Quality;
}

export function readFileName(name: string): AskedFile | undefined {
  const match = /^([A-Z][0-9A-Z]{3})([0-9A-Za-z]+)\.(\w+)$/.exec(name);
  if (match === null) return undefined;
  const [, prefix = "", mediaMid = "", extension = ""] = match;
  const quality = PREFIXES[`${prefix}.${extension}`];
  return quality === undefined ? undefined : { prefix, mediaMid, extension, quality };
}

export const byMid = (world: World, mid: unknown) => world.songs.find((song) => song.ids.tx.mid === mid);
export const byId = (world: World, id: unknown) => world.songs.find((song) => song.ids.tx.id === String(id));

const bytes = (song: CatalogSong, quality: Quality, kbit: number) =>
  song.qualities.includes(quality) ? song.durationSeconds * kbit * 125 : 0;

/** A track as every service of the platform describes it. */
export function trackOf(song: CatalogSong): Record<string, unknown> {
  const has = (quality: Quality, kbit: number) => bytes(song, quality, kbit);
  return {
    id: Number(song.ids.tx.id),
    type: 0,
    mid: song.ids.tx.mid,
    name: song.name,
    title: song.name,
    subtitle: song.nameExtra ?? "",
    singer: song.artists.map((artist) => ({
      id: Number(artist.id),
      mid: artist.mid,
      name: artist.name,
      title: artist.name,
      type: 0,
    })),
    album: {
      id: Number(song.album.id),
      mid: song.album.mid,
      name: song.album.name,
      title: song.album.name,
      subtitle: "",
      time_public: song.publishDate,
      pmid: `${song.album.mid}_5`,
    },
    mv: { id: 1, vid: song.ids.tx.vid, name: "", title: "" },
    interval: song.durationSeconds,
    isonly: 0,
    language: 0,
    genre: 1,
    index_cd: 0,
    index_album: 3,
    time_public: song.publishDate,
    status: song.right === "none" ? 1 : 0,
    fnote: 4009,
    ksong: { id: 48, mid: "0012gHBe2mKkQx" },
    bpm: 137,
    pay: { pay_month: song.right === "member" ? 1 : 0, pay_play: song.right === "member" ? 1 : 0 },
    file: {
      media_mid: song.ids.tx.mediaMid,
      size_128mp3: has("128k", 128),
      size_192ogg: has("192k", 192),
      size_320mp3: has("320k", 320),
      size_flac: has("flac", 900),
      size_hires: has("flac24bit", 1600),
      size_dolby: has("dolby", 768),
      size_new: [has("master", 4000), has("atmos", 1200), has("atmos_plus", 2000), 0, 0, 0, 0, 0, 0, 0],
    },
    vs: [],
  };
}

/** The common forms. Platforms are translated into these at the border; routes translate them to the original's answers. */

export const SOURCE_IDS = ["kg", "tx", "wy", "mg", "kw"] as const;
export type SourceId = (typeof SOURCE_IDS)[number];

export const SOURCE_NAMES: Record<SourceId, string> = {
  kg: "酷狗",
  tx: "QQ音乐",
  wy: "网易云",
  mg: "咪咕",
  kw: "酷我",
};

/** Every quality that any source knows, worst first. */
export const QUALITIES = [
  "128k",
  "192k",
  "320k",
  "flac",
  "flac24bit",
  "hires",
  "atmos",
  "atmos_plus",
  "dolby",
  "sky",
  "master",
] as const;
export type Quality = (typeof QUALITIES)[number];

export function isSourceId(value: string): value is SourceId {
  return (SOURCE_IDS as readonly string[]).includes(value);
}

export function isQuality(value: string): value is Quality {
  return (QUALITIES as readonly string[]).includes(value);
}

export interface Artist {
  id?: string;
  /** tx only: the letter-and-digit id. */
  mid?: string;
  /** tx only: the platform's class of artist (0 man, 1 woman, 2 group, …). */
  type?: number;
  name: string;
  avatar?: string;
  /** Address with `{size}` where the edge length in pixels goes. */
  sizableAvatar?: string;
}

export interface Album {
  id?: string;
  mid?: string;
  name: string;
}

export interface QualityInfo {
  /** Bytes. */
  size?: number;
  /** kg: the file's hash in this quality. */
  hash?: string;
}

export interface Song {
  source: SourceId;
  /** The id by which `/url/{source}/{songId}` finds it (kg: the hash, lower case). */
  songId: string;
  /** Full title, as shown. */
  name: string;
  /** Title without its addition, when the platform keeps them apart. */
  originalName?: string;
  /** The addition: "(Live)", "(DJ版)". */
  nameExtra?: string;
  artists: Artist[];
  album?: Album;
  durationSeconds?: number;
  /** Address of the largest cover. */
  cover?: string;
  /** Address with `{size}` where the edge length in pixels goes. */
  sizableCover?: string;
  qualities: Partial<Record<Quality, QualityInfo>>;
  /** yyyy-mm-dd */
  publishDate?: string;
  mvId?: string;
  bpm?: number;
  language?: string;
  genre?: string[];
  track?: number;
  disc?: number;
  /** Further ids of the platform: kg `audioId albumAudioId`, tx `id mediaMid albumMid`, mg `copyrightId contentId lrcUrl mrcUrl trcUrl`. */
  ids: Record<string, string>;
  /** kg search: variants of the same recording; `isOriginal`, `tag` as the platform marks them. */
  variants?: Song[];
  isOriginal?: boolean;
  tag?: string;
}

/** LRC texts; an empty string = the song has none. `lxlyric` is LX's word-by-word form. */
export interface Lyric {
  lyric: string;
  tlyric: string;
  rlyric: string;
  lxlyric: string;
}

export interface PlayableUrl {
  url: string;
  /** What is served, not what was asked for. */
  quality: Quality;
  /** Seconds for which the platform keeps the address alive; undefined = no known limit. */
  lifetimeSeconds?: number;
  /** Bytes, when the platform says. */
  size?: number;
  /** Lower-case file extension without the dot. */
  extension?: string;
}

export interface Page<T> {
  total: number;
  /** From 1. */
  page: number;
  size: number;
  list: T[];
}

export const SEARCH_TYPES = ["song", "playlist", "album", "artist"] as const;
export type SearchType = (typeof SEARCH_TYPES)[number];

/** A playlist, album or artist in a list of search results. */
export interface Collection {
  source: SourceId;
  type: "playlist" | "album" | "artist";
  id: string;
  name: string;
  author?: string;
  cover?: string;
  description?: string;
  songCount?: number;
  playCount?: number;
  /** yyyy-mm-dd */
  publishDate?: string;
}

export interface CollectionContent {
  info: Collection;
  songs: Page<Song>;
}

export interface Board {
  source: SourceId;
  id: string;
  name: string;
  cover?: string;
  updateText?: string;
}

export interface Comment {
  id: string;
  text: string;
  /** Unix ms. */
  time?: number;
  timeText?: string;
  location?: string;
  user: { id?: string; name: string; avatar?: string };
  likes?: number;
  images?: string[];
  replies?: Comment[];
  replyCount?: number;
}

export interface MvFile {
  url: string;
  hash?: string;
  /** kbit/s */
  bitrate?: number;
  /** Bytes. */
  size?: number;
}

export interface Mv {
  source: SourceId;
  id: string;
  name: string;
  originalName?: string;
  nameExtra?: string;
  intro?: string;
  artists: Artist[];
  durationSeconds?: number;
  cover?: string;
  sizableCover?: string;
  tags?: string[];
  /** By height: "270p", "720p", "1080p". */
  files: Record<string, MvFile>;
  ids: Record<string, string>;
}

/** What an LX client knows of a song and sends in `?info=`; third-party scripts get it as it is. */
export interface MusicInfo {
  name: string;
  singer: string;
  source: SourceId | "local";
  songmid: string;
  /** "mm:ss" */
  interval: string | null;
  albumName: string;
  img: string | null;
  typeUrl: Record<string, unknown>;
  albumId: string | number | undefined;
  types: { type: string; size: string | null; hash?: string }[];
  _types: Record<string, { size: string | null; hash?: string }>;
  hash?: string;
  strMediaMid?: string;
  albumMid?: string;
  songId?: string | number;
  copyrightId?: string;
  lrcUrl?: string;
  mrcUrl?: string;
  trcUrl?: string;
  filePath?: string;
  ext?: string;
}

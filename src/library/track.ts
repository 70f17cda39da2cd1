/** One audio file of the library, as read from it. */
export interface TrackData {
  title: string;
  artists: string[];
  album: string;
  albumArtist: string;
  durationSeconds: number | undefined;
  /** kbit/s */
  bitrate: number | undefined;
  codec: string;
  lossless: boolean;
  sampleRate: number | undefined;
  bitsPerSample: number | undefined;
  year: number | undefined;
  track: number | undefined;
  disc: number | undefined;
  genre: string;
  /** Where a cover is: in the tags, a picture beside the file, or nowhere. */
  cover: "embedded" | "file" | "none";
  lyric: "embedded" | "file" | "none";
}

/** Where a file is and what tells that it changed. */
export interface FileState {
  /** Index into the list of roots. */
  root: number;
  /** Below its root, with `/`. */
  path: string;
  /** Bytes. */
  size: number;
  /** Whole milliseconds. */
  mtime: number;
  /** Name, size and time of the lyric file and the picture that belong to it; empty = none. */
  side: string;
}

export interface Track extends TrackData {
  id: number;
  root: string;
  path: string;
  size: number;
  mtime: number;
  /** Unix ms of the first scan that saw it. */
  addedAt: number;
}

/** A file that could not be read as audio. */
export interface BadFile {
  root: string;
  path: string;
  size: number;
  mtime: number;
  reason: string;
}

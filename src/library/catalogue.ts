import type { Database } from "bun:sqlite";
import { fold } from "./normalise.ts";
import type { BadFile, Track, TrackData } from "./track.ts";

export const SORTS = ["title", "artist", "album", "path", "duration", "bitrate", "size", "added", "modified"] as const;
export type TrackSort = (typeof SORTS)[number];

export interface TrackQuery {
  /** Words that title, artist, album or path hold, all of them. */
  search?: string;
  sort?: TrackSort;
  descending?: boolean;
  /** From 1. */
  page: number;
  pageSize: number;
}

/** A file as the scan compares it. */
export interface Known {
  id: number;
  size: number;
  mtime: number;
  side: string;
}

export interface NewTrack {
  root: string;
  path: string;
  size: number;
  mtime: number;
  side: string;
  data: TrackData;
}

/** The index in `lx.db`. Everything is one statement or one transaction of a batch. */
export interface Catalogue {
  get(id: number): Track | undefined;
  side(id: number): string;
  at(root: string, path: string): Known | undefined;
  put(track: NewTrack): number;
  remove(ids: readonly number[]): void;
  /** Rows in the order of their ids, for loading in slices. */
  slice(afterId: number, limit: number): Track[];
  list(query: TrackQuery): { total: number; tracks: Track[] };
  counts(): { tracks: number; bad: number; bytes: number; seconds: number };
  badFiles(page: number, pageSize: number): { total: number; files: BadFile[] };
  badAt(root: string, path: string): BadFile | undefined;
  putBad(file: BadFile): void;
  removeBad(root: string, path: string): void;
  /** Files of one root in the order of their ids, for walking in slices. */
  paths(root: string, afterId: number, limit: number): { id: number; path: string }[];
  badPaths(root: string): string[];
  /** Drops the rows of folders that are no longer configured. @returns their ids */
  keepRoots(roots: readonly string[]): number[];
  transaction<T>(work: () => T): T;
}

interface Row {
  id: number;
  root: string;
  path: string;
  size: number;
  mtime: number;
  side: string;
  title: string;
  artists: string;
  album: string;
  album_artist: string;
  duration: number | null;
  bitrate: number | null;
  codec: string;
  lossless: number;
  sample_rate: number | null;
  bits: number | null;
  year: number | null;
  track: number | null;
  disc: number | null;
  genre: string;
  cover: string;
  lyric: string;
  added: number;
}

const COLUMNS =
  "id, root, path, size, mtime, side, title, artists, album, album_artist, duration, bitrate, codec, lossless, " +
  "sample_rate, bits, year, track, disc, genre, cover, lyric, added";

const ORDER: Record<TrackSort, string> = {
  title: "CASE title WHEN '' THEN path ELSE title END COLLATE NOCASE",
  artist: "artists COLLATE NOCASE",
  album: "album COLLATE NOCASE, disc, track",
  path: "root, path",
  duration: "duration",
  bitrate: "bitrate",
  size: "size",
  added: "added",
  modified: "mtime",
};

const SCHEMA = `
CREATE TABLE IF NOT EXISTS library_tracks (
  id INTEGER PRIMARY KEY AUTOINCREMENT, root TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,
  mtime INTEGER NOT NULL, side TEXT NOT NULL, title TEXT NOT NULL, artists TEXT NOT NULL, album TEXT NOT NULL,
  album_artist TEXT NOT NULL, duration REAL, bitrate INTEGER, codec TEXT NOT NULL, lossless INTEGER NOT NULL,
  sample_rate INTEGER, bits INTEGER, year INTEGER, track INTEGER, disc INTEGER, genre TEXT NOT NULL,
  cover TEXT NOT NULL, lyric TEXT NOT NULL, added INTEGER NOT NULL, search TEXT NOT NULL, UNIQUE (root, path)
);
CREATE TABLE IF NOT EXISTS library_bad (
  root TEXT NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, reason TEXT NOT NULL,
  PRIMARY KEY (root, path)
) WITHOUT ROWID;`;

export function createCatalogue(db: Database, now: () => number = Date.now): Catalogue {
  db.run(SCHEMA);
  const one = db.query<Row, [number]>(`SELECT ${COLUMNS} FROM library_tracks WHERE id = ?`);
  const known = db.query<Known, [string, string]>(
    "SELECT id, size, mtime, side FROM library_tracks WHERE root = ? AND path = ?",
  );
  const sliceQuery = db.query<Row, [number, number]>(
    `SELECT ${COLUMNS} FROM library_tracks WHERE id > ? ORDER BY id LIMIT ?`,
  );
  const removeOne = db.query<null, [number]>("DELETE FROM library_tracks WHERE id = ?");
  const insert = db.query<{ id: number }, (string | number | null)[]>(`
    INSERT INTO library_tracks (root, path, size, mtime, side, title, artists, album, album_artist, duration, bitrate,
      codec, lossless, sample_rate, bits, year, track, disc, genre, cover, lyric, added, search)
    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
    ON CONFLICT (root, path) DO UPDATE SET size = excluded.size, mtime = excluded.mtime, side = excluded.side,
      title = excluded.title, artists = excluded.artists, album = excluded.album, album_artist = excluded.album_artist,
      duration = excluded.duration, bitrate = excluded.bitrate, codec = excluded.codec, lossless = excluded.lossless,
      sample_rate = excluded.sample_rate, bits = excluded.bits, year = excluded.year, track = excluded.track,
      disc = excluded.disc, genre = excluded.genre, cover = excluded.cover, lyric = excluded.lyric,
      search = excluded.search
    RETURNING id`);
  const badAt = db.query<BadFile, [string, string]>("SELECT * FROM library_bad WHERE root = ? AND path = ?");
  const putBad = db.query<null, [string, string, number, number, string]>(
    "INSERT OR REPLACE INTO library_bad (root, path, size, mtime, reason) VALUES (?,?,?,?,?)",
  );
  const removeBad = db.query<null, [string, string]>("DELETE FROM library_bad WHERE root = ? AND path = ?");
  const pathsOf = db.query<{ id: number; path: string }, [string, number, number]>(
    // The plus keeps SQLite from the index of root and path, by which it would sort all rows for every slice.
    "SELECT id, path FROM library_tracks WHERE +root = ? AND id > ? ORDER BY id LIMIT ?",
  );
  const badPathsOf = db.query<{ path: string }, [string]>("SELECT path FROM library_bad WHERE root = ?");
  const transact = db.transaction((work: () => void) => work());

  return {
    get(id) {
      const row = one.get(id);
      return row === null ? undefined : toTrack(row);
    },
    side: (id) => one.get(id)?.side ?? "",
    at: (root, path) => known.get(root, path) ?? undefined,
    put: (track) => insert.get(...values(track, now()))?.id ?? 0,
    remove(ids) {
      for (const id of ids) removeOne.run(id);
    },
    slice: (afterId, limit) => sliceQuery.all(afterId, limit).map(toTrack),
    list: (query) => list(db, query),
    counts() {
      const sums = db
        .query<{ tracks: number; bytes: number | null; seconds: number | null }, []>(
          "SELECT count(*) AS tracks, sum(size) AS bytes, sum(duration) AS seconds FROM library_tracks",
        )
        .get();
      const bad = db.query<{ bad: number }, []>("SELECT count(*) AS bad FROM library_bad").get();
      return {
        tracks: sums?.tracks ?? 0,
        bad: bad?.bad ?? 0,
        bytes: sums?.bytes ?? 0,
        seconds: Math.round(sums?.seconds ?? 0),
      };
    },
    badFiles(page, pageSize) {
      const total = db.query<{ n: number }, []>("SELECT count(*) AS n FROM library_bad").get()?.n ?? 0;
      const files = db
        .query<BadFile, [number, number]>("SELECT * FROM library_bad ORDER BY root, path LIMIT ? OFFSET ?")
        .all(pageSize, (page - 1) * pageSize);
      return { total, files };
    },
    badAt: (root, path) => badAt.get(root, path) ?? undefined,
    putBad: (file) => void putBad.run(file.root, file.path, file.size, file.mtime, file.reason),
    removeBad: (root, path) => void removeBad.run(root, path),
    paths: (root, afterId, limit) => pathsOf.all(root, afterId, limit),
    badPaths: (root) => badPathsOf.all(root).map((row) => row.path),
    keepRoots: (roots) => keepRoots(db, roots),
    transaction<T>(work: () => T): T {
      const box: { value?: T } = {};
      transact(() => {
        box.value = work();
      });
      return box.value as T;
    },
  };
}

function values({ root, path, size, mtime, side, data }: NewTrack, now: number): (string | number | null)[] {
  const artists = data.artists.join("、");
  const search = fold([data.title, artists, data.album, path].join("\n"));
  return [
    root,
    path,
    size,
    mtime,
    side,
    data.title,
    JSON.stringify(data.artists),
    data.album,
    data.albumArtist,
    data.durationSeconds ?? null,
    data.bitrate ?? null,
    data.codec,
    data.lossless ? 1 : 0,
    data.sampleRate ?? null,
    data.bitsPerSample ?? null,
    data.year ?? null,
    data.track ?? null,
    data.disc ?? null,
    data.genre,
    data.cover,
    data.lyric,
    now,
    search,
  ];
}

function list(db: Database, query: TrackQuery): { total: number; tracks: Track[] } {
  const words = fold(query.search ?? "")
    .split(" ")
    .filter((word) => word !== "")
    .slice(0, 8);
  const where = words.length === 0 ? "" : `WHERE ${words.map(() => "instr(search, ?) > 0").join(" AND ")}`;
  const total = db.query<{ n: number }, string[]>(`SELECT count(*) AS n FROM library_tracks ${where}`).get(...words);
  const direction = query.descending ? "DESC" : "ASC";
  const order = ORDER[query.sort ?? "title"]
    .split(", ")
    .map((column) => `${column} ${direction}`)
    .join(", ");
  const rows = db
    .query<Row, (string | number)[]>(
      `SELECT ${COLUMNS} FROM library_tracks ${where} ORDER BY ${order}, id LIMIT ? OFFSET ?`,
    )
    .all(...words, query.pageSize, (query.page - 1) * query.pageSize);
  return { total: total?.n ?? 0, tracks: rows.map(toTrack) };
}

function keepRoots(db: Database, roots: readonly string[]): number[] {
  const marks = roots.map(() => "?").join(",");
  const gone = db
    .query<{ id: number }, string[]>(`SELECT id FROM library_tracks WHERE root NOT IN (${marks})`)
    .all(...roots);
  db.query<null, string[]>(`DELETE FROM library_tracks WHERE root NOT IN (${marks})`).run(...roots);
  db.query<null, string[]>(`DELETE FROM library_bad WHERE root NOT IN (${marks})`).run(...roots);
  return gone.map((row) => row.id);
}

function toTrack(row: Row): Track {
  return {
    id: row.id,
    root: row.root,
    path: row.path,
    size: row.size,
    mtime: row.mtime,
    addedAt: row.added,
    title: row.title,
    artists: names(row.artists),
    album: row.album,
    albumArtist: row.album_artist,
    durationSeconds: row.duration ?? undefined,
    bitrate: row.bitrate ?? undefined,
    codec: row.codec,
    lossless: row.lossless === 1,
    sampleRate: row.sample_rate ?? undefined,
    bitsPerSample: row.bits ?? undefined,
    year: row.year ?? undefined,
    track: row.track ?? undefined,
    disc: row.disc ?? undefined,
    genre: row.genre,
    cover: place(row.cover),
    lyric: place(row.lyric),
  };
}

function place(text: string): "embedded" | "file" | "none" {
  return text === "embedded" || text === "file" ? text : "none";
}

function names(json: string): string[] {
  const value: unknown = JSON.parse(json);
  return Array.isArray(value) ? value.filter((name) => typeof name === "string") : [];
}

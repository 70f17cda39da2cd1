import type { Database } from "bun:sqlite";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { isQuality, isSourceId } from "../core/types.ts";
import type { StoredFile } from "./store.ts";

/** A file as the database knows it. `path` is empty for one in the folder. */
export type Row = StoredFile;

const Stored = Type.Object({
  name: Type.String(),
  path: Type.String(),
  source: Type.String(),
  song_id: Type.String(),
  quality: Type.String(),
  extension: Type.String(),
  size: Type.Number(),
  mtime: Type.Number(),
  added_at: Type.Number(),
  played_at: Type.Number(),
  plays: Type.Integer(),
  pinned: Type.Integer(),
  tagged: Type.Integer(),
  state: Type.Union([Type.Literal("good"), Type.Literal("found"), Type.Literal("bad")]),
  hash: Type.Union([Type.String(), Type.Null()]),
  length_proven: Type.Integer(),
  seconds: Type.Union([Type.Number(), Type.Null()]),
  bitrate: Type.Union([Type.Number(), Type.Null()]),
  title: Type.Union([Type.String(), Type.Null()]),
  artist: Type.Union([Type.String(), Type.Null()]),
  tree: Type.Union([Type.String(), Type.Null()]),
});

const COLUMNS = Object.keys(Stored.properties);

/** The table behind the index. */
export function createRows(db: Database) {
  db.run(`CREATE TABLE IF NOT EXISTS audio_files (
    name TEXT PRIMARY KEY, path TEXT NOT NULL, source TEXT NOT NULL, song_id TEXT NOT NULL, quality TEXT NOT NULL,
    extension TEXT NOT NULL, size INTEGER NOT NULL, mtime REAL NOT NULL, added_at REAL NOT NULL,
    played_at REAL NOT NULL, plays INTEGER NOT NULL, pinned INTEGER NOT NULL, tagged INTEGER NOT NULL,
    state TEXT NOT NULL, hash TEXT, length_proven INTEGER NOT NULL, seconds REAL, bitrate REAL, title TEXT,
    artist TEXT, tree TEXT
  ) WITHOUT ROWID`);
  const all = db.query("SELECT * FROM audio_files");
  const insert = db.query(
    `INSERT OR REPLACE INTO audio_files (${COLUMNS.join(", ")}) VALUES (${COLUMNS.map((name) => `$${name}`).join(", ")})`,
  );
  const drop = db.query("DELETE FROM audio_files WHERE name = $name");
  const play = db.query("UPDATE audio_files SET played_at = $played_at, plays = $plays WHERE name = $name");

  return {
    all: (): Row[] => all.all().flatMap((row) => fromRow(row) ?? []),
    save: (file: StoredFile): void => void insert.run(toRow(file)),
    remove: (name: string): void => void drop.run({ name }),
    savePlays: db.transaction((files: StoredFile[]) => {
      for (const { name, playedAt, plays } of files) play.run({ name, played_at: playedAt, plays });
    }),
  };
}

function toRow(file: StoredFile): Static<typeof Stored> {
  return {
    name: file.name,
    path: file.path,
    source: file.source,
    song_id: file.songId,
    quality: file.quality,
    extension: file.extension,
    size: file.size,
    mtime: file.mtime,
    added_at: file.addedAt,
    played_at: file.playedAt,
    plays: file.plays,
    pinned: file.pinned ? 1 : 0,
    tagged: file.tagged ? 1 : 0,
    state: file.state,
    hash: file.hash ?? null,
    length_proven: file.lengthProven ? 1 : 0,
    seconds: file.seconds ?? null,
    bitrate: file.bitrate ?? null,
    title: file.title ?? null,
    artist: file.artist ?? null,
    tree: file.tree ?? null,
  };
}

function fromRow(row: unknown): Row | undefined {
  if (!Value.Check(Stored, row)) return undefined;
  const { source, quality } = row;
  if (!isSourceId(source) || !(quality === "cover" || isQuality(quality))) return undefined;
  return {
    name: row.name,
    path: row.path,
    source,
    songId: row.song_id,
    quality,
    extension: row.extension,
    size: row.size,
    mtime: row.mtime,
    addedAt: row.added_at,
    playedAt: row.played_at,
    plays: row.plays,
    pinned: row.pinned === 1,
    tagged: row.tagged === 1,
    state: row.state,
    lengthProven: row.length_proven === 1,
    ...(row.hash === null ? {} : { hash: row.hash }),
    ...(row.seconds === null ? {} : { seconds: row.seconds }),
    ...(row.bitrate === null ? {} : { bitrate: row.bitrate }),
    ...(row.title === null ? {} : { title: row.title }),
    ...(row.artist === null ? {} : { artist: row.artist }),
    ...(row.tree === null ? {} : { tree: row.tree }),
  };
}

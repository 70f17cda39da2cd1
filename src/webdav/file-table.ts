import type { Database } from "bun:sqlite";
import type { RemoteFile } from "./listing.ts";

/** The index of one WebDAV server as it was last seen, so that a start needs no listing. */
export interface FileTable {
  all(): RemoteFile[];
  put(file: RemoteFile): void;
  remove(path: string): void;
  /** Puts these in the place of all; in slices, so that requests get their turn. */
  replace(files: readonly RemoteFile[]): Promise<void>;
}

interface Row {
  path: string;
  size: number | null;
  etag: string | null;
  modified: number | null;
}

const SLICE = 200;

/** @param server names the server and user; rows of another one are dropped */
export function createFileTable(db: Database, server: string): FileTable {
  db.run(`CREATE TABLE IF NOT EXISTS webdav_files (
    path TEXT PRIMARY KEY, server TEXT NOT NULL, size INTEGER, etag TEXT, modified INTEGER, run INTEGER NOT NULL
  ) WITHOUT ROWID`);
  const key = Bun.hash.xxHash64(server).toString(16);
  db.query<null, [string]>("DELETE FROM webdav_files WHERE server <> ?").run(key);
  const insert = db.query<null, [string, string, number | null, string | null, number | null, number]>(
    "INSERT OR REPLACE INTO webdav_files (path, server, size, etag, modified, run) VALUES (?,?,?,?,?,?)",
  );
  const remove = db.query<null, [string]>("DELETE FROM webdav_files WHERE path = ?");
  const removeOld = db.query<{ path: string }, [number, number]>(
    "DELETE FROM webdav_files WHERE path IN (SELECT path FROM webdav_files WHERE run <> ? LIMIT ?) RETURNING path",
  );
  let run = db.query<{ run: number | null }, []>("SELECT max(run) AS run FROM webdav_files").get()?.run ?? 0;
  const write = (file: RemoteFile) =>
    insert.run(file.path, key, file.size ?? null, file.etag ?? null, file.modified ?? null, run);
  const writeAll = db.transaction((files: readonly RemoteFile[]) => {
    for (const file of files) write(file);
  });

  return {
    all: () =>
      db
        .query<Row, []>("SELECT path, size, etag, modified FROM webdav_files")
        .all()
        .map((row) => ({
          path: row.path,
          size: row.size ?? undefined,
          etag: row.etag ?? undefined,
          modified: row.modified ?? undefined,
        })),
    put: (file) => void write(file),
    remove: (path) => void remove.run(path),
    async replace(files) {
      run++;
      for (let at = 0; at < files.length; at += SLICE) {
        writeAll(files.slice(at, at + SLICE));
        await Bun.sleep(0);
      }
      while (removeOld.all(run, SLICE).length > 0) await Bun.sleep(0);
    },
  };
}

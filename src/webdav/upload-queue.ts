import type { Database } from "bun:sqlite";

export interface Upload {
  id: number;
  /** Absolute path here. */
  local: string;
  /** Path there, below the configured folder. */
  remote: string;
  action: "put" | "delete";
  tries: number;
}

/** Waiting uploads in `lx.db`: what a stopped server has not sent yet is sent after the next start. */
export interface UploadQueue {
  /** A newer wish for the same file takes the place of the older. False = full. */
  add(upload: Omit<Upload, "id" | "tries">, now: number): boolean;
  cancel(remote: string): void;
  due(now: number, without: readonly number[]): Upload | undefined;
  /** Unix ms of the next one to become due. */
  nextAt(without: readonly number[]): number | undefined;
  /** Removes it, unless a newer wish for the same file came meanwhile. */
  finish(upload: Upload): void;
  postpone(upload: Upload, change: { tries: number; at: number; failed: boolean; error: string }): void;
  retryFailed(now: number): void;
  counts(): { waiting: number; failed: number };
}

export function createUploadQueue(db: Database, limit: number): UploadQueue {
  db.run(`CREATE TABLE IF NOT EXISTS webdav_uploads (
    id INTEGER PRIMARY KEY AUTOINCREMENT, local TEXT NOT NULL, remote TEXT NOT NULL UNIQUE, action TEXT NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, at INTEGER NOT NULL, failed INTEGER NOT NULL DEFAULT 0, error TEXT
  )`);
  const size = db.query<{ n: number }, []>("SELECT count(*) AS n FROM webdav_uploads");
  const known = db.query<{ id: number }, [string]>("SELECT id FROM webdav_uploads WHERE remote = ?");
  const insert = db.query<null, [string, string, string, number]>(
    "INSERT OR REPLACE INTO webdav_uploads (local, remote, action, at) VALUES (?,?,?,?)",
  );
  const cancel = db.query<null, [string]>("DELETE FROM webdav_uploads WHERE remote = ?");
  const remove = db.query<null, [number]>("DELETE FROM webdav_uploads WHERE id = ?");
  const postpone = db.query<null, [number, number, number, string, number]>(
    "UPDATE webdav_uploads SET tries = ?, at = ?, failed = ?, error = ? WHERE id = ?",
  );
  const retry = db.query<null, [number]>("UPDATE webdav_uploads SET failed = 0, tries = 0, at = ? WHERE failed = 1");
  const waiting = db.query<Upload & { at: number }, [number]>(
    "SELECT id, local, remote, action, tries, at FROM webdav_uploads WHERE failed = 0 ORDER BY at, id LIMIT ?",
  );
  const sums = db.query<{ waiting: number; failed: number }, []>(
    "SELECT count(*) FILTER (WHERE failed = 0) AS waiting, count(*) FILTER (WHERE failed = 1) AS failed FROM webdav_uploads",
  );
  // Those under way are few: looking past them is one row each.
  const first = (without: readonly number[]) =>
    waiting.all(without.length + 1).find((upload) => !without.includes(upload.id));

  return {
    add({ local, remote, action }, now) {
      if ((size.get()?.n ?? 0) >= limit && known.get(remote) === null) return false;
      insert.run(local, remote, action, now);
      return true;
    },
    cancel: (remote) => void cancel.run(remote),
    due(now, without) {
      const found = first(without);
      return found !== undefined && found.at <= now ? found : undefined;
    },
    nextAt: (without) => first(without)?.at,
    finish: ({ id }) => void remove.run(id),
    postpone: ({ id }, { tries, at, failed, error }) =>
      void postpone.run(tries, Math.round(at), failed ? 1 : 0, error, id),
    retryFailed: (now) => void retry.run(now),
    counts: () => sums.get() ?? { waiting: 0, failed: 0 },
  };
}

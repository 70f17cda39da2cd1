import type { Database } from "bun:sqlite";
import { BAN_REASONS, type Ban, type BanReason } from "./ban-index.ts";
import { touch } from "./store.ts";

/** After this long without a ban, the next one is a first one again. */
const FORGET_MS = 30 * 86_400_000;
const MAX_ROWS = 200_000;

interface Row {
  target: string;
  reason: string;
  note: string;
  created_at: number;
  expires_at: number | null;
  times: number;
}

export interface BanStore {
  /** Those in force, newest first. */
  active(limit: number): Ban[];
  /** How often this target has been banned before. */
  times(target: string): number;
  /** The automatic ones that end first. */
  firstToEnd(limit: number): string[];
  write(bans: readonly Ban[]): void;
  remove(target: string): boolean;
}

/** The lasting side of bans. Ended ones stay for a while, because a further ban lasts longer. */
export function createBanStore(db: Database, now: () => number): BanStore {
  const write = db.query(
    `INSERT INTO access_bans VALUES ($target, $reason, $note, $created, $expires, $times)
     ON CONFLICT (target) DO UPDATE SET reason = excluded.reason, note = excluded.note,
       created_at = excluded.created_at, expires_at = excluded.expires_at, times = excluded.times`,
  );
  const times = db.query<{ times: number }, [string]>("SELECT times FROM access_bans WHERE target = ?");
  const remove = db.query("DELETE FROM access_bans WHERE target = ?");

  function forgetOld(): void {
    db.query("DELETE FROM access_bans WHERE expires_at < ?").run(now() - FORGET_MS);
    db.query(
      "DELETE FROM access_bans WHERE target IN (SELECT target FROM access_bans WHERE expires_at IS NOT NULL ORDER BY expires_at DESC LIMIT -1 OFFSET ?)",
    ).run(MAX_ROWS);
  }

  return {
    active: (limit) =>
      db
        .query<Row, [number, number]>(
          "SELECT * FROM access_bans WHERE expires_at IS NULL OR expires_at > ? ORDER BY created_at DESC LIMIT ?",
        )
        .all(now(), limit)
        .map(fromRow),
    times: (target) => times.get(target)?.times ?? 0,
    firstToEnd: (limit) =>
      db
        .query<{ target: string }, [number, number]>(
          "SELECT target FROM access_bans WHERE expires_at > ? AND reason <> 'manual' ORDER BY expires_at LIMIT ?",
        )
        .all(now(), limit)
        .map((row) => row.target),
    write(bans) {
      db.transaction(() => {
        for (const ban of bans) {
          write.run({
            target: ban.target,
            reason: ban.reason,
            note: ban.note,
            created: ban.createdAt,
            expires: Number.isFinite(ban.expiresAt) ? ban.expiresAt : null,
            times: ban.times,
          });
        }
        forgetOld();
        touch(db, "bans");
      })();
    },
    remove(target) {
      return db.transaction(() => {
        const { changes } = remove.run(target);
        if (changes > 0) touch(db, "bans");
        return changes > 0;
      })();
    },
  };
}

function fromRow(row: Row): Ban {
  return {
    target: row.target,
    reason: isReason(row.reason) ? row.reason : "manual",
    note: row.note,
    createdAt: row.created_at,
    expiresAt: row.expires_at ?? Number.POSITIVE_INFINITY,
    times: row.times,
  };
}

export function isReason(value: unknown): value is BanReason {
  return (BAN_REASONS as readonly unknown[]).includes(value);
}

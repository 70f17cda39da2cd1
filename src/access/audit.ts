import type { Database } from "bun:sqlite";
import { type Logger, maskFields } from "../ops/log.ts";

/** One change that someone made. */
export interface AuditEntry {
  /** User, token or `cli`. */
  actor: string;
  address: string;
  /** `key.add`, `ban.remove`, `config.change` … */
  action: string;
  /** What was changed: a name, an address, a config path. */
  target: string;
  /** What is worth knowing; secrets are masked by name before anything is written. */
  detail?: unknown;
  requestId?: string;
}

export interface AuditRow extends Required<Omit<AuditEntry, "detail">> {
  id: number;
  /** Unix ms. */
  at: number;
  detail: unknown;
}

export interface Audit {
  /** Never throws: a full disk must not undo what was done, but the log says so. */
  record(entry: AuditEntry): void;
  list(
    page: number,
    pageSize: number,
    filter?: { actor?: string; action?: string },
  ): { rows: AuditRow[]; total: number };
}

const MAX_ROWS = 100_000;
/** Old rows are removed once in so many new ones. */
const PRUNE_EVERY = 500;
const MAX_VALUE = 500;

interface Row {
  id: number;
  at: number;
  actor: string;
  address: string;
  action: string;
  target: string;
  detail: string;
  request_id: string;
}

export function createAudit(db: Database, log: Logger, now: () => number = Date.now): Audit {
  let sincePrune = 0;

  function prune(): void {
    sincePrune = 0;
    db.query("DELETE FROM access_audit WHERE id <= (SELECT max(id) FROM access_audit) - ?").run(MAX_ROWS);
  }

  return {
    record(entry) {
      const detail = JSON.stringify(maskFields(entry.detail ?? {}, MAX_VALUE)) ?? "{}";
      const { actor, address, action, requestId = "" } = entry;
      const target = entry.target.slice(0, MAX_VALUE);
      log.info("changed", { actor, address, action, target });
      try {
        db.query(
          "INSERT INTO access_audit (at, actor, address, action, target, detail, request_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
        ).run(now(), actor, address, action, target, detail, requestId);
        if (++sincePrune >= PRUNE_EVERY) prune();
      } catch (error) {
        log.error("audit entry could not be written", { action, target, error });
      }
    },
    list(page, pageSize, filter = {}) {
      const where = "WHERE ($actor IS NULL OR actor = $actor) AND ($action IS NULL OR action = $action)";
      const named = { actor: filter.actor ?? null, action: filter.action ?? null };
      const total =
        db.query<{ n: number }, [typeof named]>(`SELECT count(*) AS n FROM access_audit ${where}`).get(named)?.n ?? 0;
      const rows = db
        .query<Row, [typeof named & { limit: number; offset: number }]>(
          `SELECT * FROM access_audit ${where} ORDER BY id DESC LIMIT $limit OFFSET $offset`,
        )
        .all({ ...named, limit: pageSize, offset: (page - 1) * pageSize });
      return { rows: rows.map(fromRow), total };
    },
  };
}

function fromRow({ request_id, detail, ...row }: Row): AuditRow {
  const value: unknown = JSON.parse(detail);
  return { ...row, requestId: request_id, detail: value };
}

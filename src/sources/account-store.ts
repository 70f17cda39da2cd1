import type { Database } from "bun:sqlite";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { isSourceId, type SourceId } from "../core/types.ts";

const Schedule = Type.Object({
  /** Seconds between runs; absent = never. */
  refreshSeconds: Type.Optional(Type.Number()),
  signInSeconds: Type.Optional(Type.Number()),
});

const Details = Type.Object({
  nickname: Type.Optional(Type.String()),
  membership: Type.Optional(Type.String()),
  lastError: Type.Optional(Type.String()),
  /** Unix ms. */
  checkedAt: Type.Optional(Type.Number()),
  refreshedAt: Type.Optional(Type.Number()),
  signedInAt: Type.Optional(Type.Number()),
});

export type AccountHealth = "healthy" | "expired" | "banned";

/** The platforms' day: China has one time zone. */
export const dayOf = (now: number): string => new Date(now + 8 * 3_600_000).toISOString().slice(0, 10);

/** One account with all that must outlive a restart. `credentials` are secret. */
export interface AccountRow {
  /** The source's stable id: "kg:123456". */
  id: string;
  source: SourceId;
  /** For people: "账号 2". */
  label: string;
  /** "config" rows follow the config file; "added" ones came by command or API. */
  origin: "config" | "added";
  credentials: Record<string, string>;
  /** The credentials as the config had them when they were taken from there: an edited config wins over stored tokens. */
  configured: Record<string, string>;
  schedule: Static<typeof Schedule>;
  state: AccountHealth;
  /** Unix ms; 0 = not resting. */
  coolDownUntil: number;
  /** Unix ms; undefined = not known. */
  expiresAt: number | undefined;
  /** Unix ms; may lie ahead where a turn has been reserved. */
  lastUsed: number;
  /** yyyy-mm-dd to which `dayCount` belongs. */
  day: string;
  dayCount: number;
  details: Static<typeof Details>;
}

/** Keeps accounts. Everything is read once at start; `save` is on the request path and must be quick. */
export interface AccountStore {
  load(): AccountRow[];
  save(row: AccountRow): void;
  delete(id: string): void;
}

const Text = Type.Record(Type.String(), Type.String());
const Stored = Type.Object({
  id: Type.String(),
  source: Type.String(),
  label: Type.String(),
  origin: Type.Union([Type.Literal("config"), Type.Literal("added")]),
  credentials: Type.String(),
  configured: Type.String(),
  schedule: Type.String(),
  state: Type.Union([Type.Literal("healthy"), Type.Literal("expired"), Type.Literal("banned")]),
  cool_down_until: Type.Number(),
  expires_at: Type.Union([Type.Number(), Type.Null()]),
  last_used: Type.Number(),
  day: Type.String(),
  day_count: Type.Number(),
  details: Type.String(),
});

export function createSqliteAccountStore(db: Database): AccountStore {
  db.run(`CREATE TABLE IF NOT EXISTS accounts (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, label TEXT NOT NULL, origin TEXT NOT NULL,
    credentials TEXT NOT NULL, configured TEXT NOT NULL, schedule TEXT NOT NULL, state TEXT NOT NULL,
    cool_down_until INTEGER NOT NULL, expires_at INTEGER, last_used INTEGER NOT NULL,
    day TEXT NOT NULL, day_count INTEGER NOT NULL, details TEXT NOT NULL
  ) WITHOUT ROWID`);
  const all = db.query("SELECT * FROM accounts ORDER BY source, label");
  const put = db.query(`INSERT OR REPLACE INTO accounts VALUES
    ($id, $source, $label, $origin, $credentials, $configured, $schedule, $state,
     $cool_down_until, $expires_at, $last_used, $day, $day_count, $details)`);
  const remove = db.query("DELETE FROM accounts WHERE id = ?");
  return {
    load: () => all.all().flatMap(readRow),
    save(row) {
      put.run({
        id: row.id,
        source: row.source,
        label: row.label,
        origin: row.origin,
        credentials: JSON.stringify(row.credentials),
        configured: JSON.stringify(row.configured),
        schedule: JSON.stringify(row.schedule),
        state: row.state,
        cool_down_until: row.coolDownUntil,
        expires_at: row.expiresAt ?? null,
        last_used: row.lastUsed,
        day: row.day,
        day_count: row.dayCount,
        details: JSON.stringify(row.details),
      });
    },
    delete: (id) => void remove.run(id),
  };
}

/** A row that cannot be read (an older form, a damaged page) is left out: config rows come back by themselves. */
function readRow(value: unknown): AccountRow[] {
  if (!Value.Check(Stored, value) || !isSourceId(value.source)) return [];
  const credentials = readJson(value.credentials, Text);
  if (credentials === undefined) return [];
  return [
    {
      id: value.id,
      source: value.source,
      label: value.label,
      origin: value.origin,
      credentials,
      configured: readJson(value.configured, Text) ?? {},
      schedule: readJson(value.schedule, Schedule) ?? {},
      state: value.state,
      coolDownUntil: value.cool_down_until,
      expiresAt: value.expires_at ?? undefined,
      lastUsed: value.last_used,
      day: value.day,
      dayCount: value.day_count,
      details: readJson(value.details, Details) ?? {},
    },
  ];
}

function readJson<T extends typeof Text | typeof Schedule | typeof Details>(
  text: string,
  schema: T,
): Static<T> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(schema, value) ? value : undefined;
  } catch {
    return undefined;
  }
}

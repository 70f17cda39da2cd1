import { createHash } from "node:crypto";
import type { SourceId } from "../core/types.ts";
import { type AccountHealth, type AccountRow, dayOf } from "./account-store.ts";

/** One account as people may see it: no credential, only their names. */
export interface AccountView {
  /** For commands and addresses; says nothing of the platform's own id. */
  handle: string;
  source: SourceId;
  label: string;
  origin: "config" | "added";
  state: AccountHealth | "resting";
  /** Names of the credentials that it has, values masked. */
  credentials: Record<string, string>;
  nickname?: string;
  membership?: string;
  lastError?: string;
  /** Unix ms, as all times below. */
  expiresAt?: number;
  /** It dies within `common.accounts.warn_before`. */
  expiresSoon: boolean;
  restsUntil?: number;
  lastUsed?: number;
  usedToday: number;
  checkedAt?: number;
  refreshedAt?: number;
  signedInAt?: number;
}

export const handleOf = (row: Pick<AccountRow, "id" | "source">): string =>
  `${row.source}-${createHash("sha256").update(row.id).digest("hex").slice(0, 10)}`;

export function viewOf(row: AccountRow, now: number, warnBeforeMs: number): AccountView {
  const resting = row.state === "healthy" && row.coolDownUntil > now;
  return {
    handle: handleOf(row),
    source: row.source,
    label: row.label,
    origin: row.origin,
    state: resting ? "resting" : row.state,
    credentials: Object.fromEntries(Object.keys(row.credentials).map((name) => [name, "***"])),
    ...row.details,
    ...(row.expiresAt === undefined ? {} : { expiresAt: row.expiresAt }),
    expiresSoon: row.state === "healthy" && row.expiresAt !== undefined && row.expiresAt - now < warnBeforeMs,
    ...(resting ? { restsUntil: row.coolDownUntil } : {}),
    ...(row.lastUsed === 0 ? {} : { lastUsed: row.lastUsed }),
    usedToday: row.day === dayOf(now) ? row.dayCount : 0,
  };
}

/** By source, then "账号 2" before "账号 10". */
export function byLabel(a: AccountRow, b: AccountRow): number {
  if (a.source !== b.source) return a.source < b.source ? -1 : 1;
  return a.label.localeCompare(b.label, "zh", { numeric: true });
}

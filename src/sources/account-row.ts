import type { SourceId } from "../core/types.ts";
import type { AccountRow } from "./account-store.ts";
import type { AccountState } from "./source.ts";

/** The values that the config names, as they are now. */
export const renewed = (configured: Record<string, string>, now: Record<string, string>) =>
  Object.fromEntries(Object.keys(configured).map((name) => [name, now[name] ?? configured[name] ?? ""]));

export function withoutError(row: AccountRow): AccountRow["details"] {
  const { lastError: _, ...rest } = row.details;
  return rest;
}

export function applyState(row: AccountRow, found: AccountState, now: number): void {
  if (found.state === "expired" || found.state === "banned") row.state = found.state;
  if (found.state === "valid") {
    row.state = "healthy";
    row.coolDownUntil = 0;
  }
  const details = found.state === "valid" ? withoutError(row) : row.details;
  row.details = {
    ...details,
    checkedAt: now,
    ...(found.nickname === undefined ? {} : { nickname: found.nickname }),
    ...(found.membership === undefined ? {} : { membership: found.membership }),
  };
  // The token's own end (from a refresh) and the membership's: what comes first matters.
  const token = Number(row.credentials["expiresAt"]);
  const ends = [found.expiresAt, token > 0 ? token : undefined].filter((time) => time !== undefined);
  if (ends.length > 0) row.expiresAt = Math.min(...ends);
}

/** The config names the values that it named before, or those that a refresh has put in their place. */
export function saysTheSame(known: AccountRow, credentials: Record<string, string>): boolean {
  const same = (other: Record<string, string>) =>
    Object.entries(credentials).every(([name, value]) => other[name] === value);
  return same(known.configured) || same(known.credentials);
}

export function freshRow(
  known: AccountRow | undefined,
  found: { id: string; credentials: Record<string, string> },
  source: SourceId,
  label: string,
  schedule: AccountRow["schedule"],
): AccountRow {
  return {
    id: found.id,
    source,
    label,
    origin: "config",
    // What was learned of the device stays with the person.
    credentials: { ...learnedOf(known), ...found.credentials },
    configured: found.credentials,
    schedule,
    state: "healthy",
    coolDownUntil: 0,
    expiresAt: undefined,
    lastUsed: known?.lastUsed ?? 0,
    day: known?.day ?? "",
    dayCount: known?.dayCount ?? 0,
    details: {},
  };
}

/** What calls have found out (a device id), but not the token's end: that belongs to the old token. */
function learnedOf(known: AccountRow | undefined): Record<string, string> {
  const own = Object.entries(known?.credentials ?? {});
  return Object.fromEntries(own.filter(([name]) => name !== "expiresAt" && !(name in (known?.configured ?? {}))));
}

/** `refresh_login` and `lite_sign_in` of a `user` section. */
export function scheduleOf(user: unknown): AccountRow["schedule"] {
  const seconds = (name: string): number | undefined => {
    const part = at(user, name);
    const interval = at(part, "interval");
    return at(part, "enable") === true && typeof interval === "number" ? interval : undefined;
  };
  const refreshSeconds = seconds("refresh_login");
  const signInSeconds = seconds("lite_sign_in");
  return {
    ...(refreshSeconds === undefined ? {} : { refreshSeconds }),
    ...(signInSeconds === undefined ? {} : { signInSeconds }),
  };
}

function at(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && name in value
    ? (value as Record<string, unknown>)[name]
    : undefined;
}

export function freeLabel(rows: AccountRow[]): string {
  const taken = new Set(rows.map((row) => row.label));
  for (let number = 1; ; number++) if (!taken.has(`账号 ${number}`)) return `账号 ${number}`;
}

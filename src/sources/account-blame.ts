import { AppError, type ErrorKind } from "../core/errors.ts";
import { SOURCE_NAMES, type SourceId } from "../core/types.ts";
import type { AccountRow } from "./account-store.ts";

/** Failures that another account (or one at all) may turn into an answer. */
const ANOTHER_MAY_HELP: ReadonlySet<ErrorKind> = new Set([
  "upstream_needs_login",
  "upstream_needs_purchase",
  "upstream_verify",
  "upstream_quality",
  "upstream_refused",
]);

export const anotherMayHelp = (error: AppError): boolean => ANOTHER_MAY_HELP.has(error.kind);

/** Most telling first: what the user can do something about. */
const TELLING: readonly ErrorKind[] = [
  "upstream_no_copyright",
  "upstream_needs_purchase",
  "upstream_needs_login",
  "upstream_quality",
  "upstream_verify",
  "upstream_not_found",
  "upstream_refused",
  "upstream_changed",
  "upstream_unreachable",
];

export function mostTelling(failures: readonly AppError[]): AppError | undefined {
  const rank = (error: AppError) => TELLING.indexOf(error.kind) + 1 || TELLING.length + 1;
  return failures.toSorted((a, b) => rank(a) - rank(b))[0];
}

const SHORT: Partial<Record<ErrorKind, string>> = {
  upstream_needs_purchase: "需要会员",
  upstream_needs_login: "需要登录",
  upstream_verify: "需要验证",
};

/** Why this account was of no use: "账号 2 已过期"; undefined when it is well. */
export function faultOf(row: AccountRow, now: number, budgetSpent: boolean): string | undefined {
  if (row.state === "expired") return `${row.label} 已过期`;
  if (row.state === "banned") return `${row.label} 已被封禁`;
  if (row.coolDownUntil > now) return `${row.label} 被限制，稍后恢复`;
  return budgetSpent ? `${row.label} 今日次数已用完` : undefined;
}

/** The failure as the user sees it: `酷狗: 需要会员 (账号 2 已过期)`. Without a faulty account it stays as it is. */
export function blame(source: SourceId, error: AppError, faults: readonly string[]): AppError {
  if (faults.length === 0 || !anotherMayHelp(error)) return error;
  const name = SOURCE_NAMES[source];
  const own = error.message.replace(new RegExp(`^${name}:?\\s*`), "");
  const message = `${name}: ${SHORT[error.kind] ?? own} (${faults.slice(0, 3).join("，")})`;
  return new AppError(error.kind, message, {
    cause: error,
    detail: error.detail,
    ...(error.upstreamCode === undefined ? {} : { upstreamCode: error.upstreamCode }),
  });
}

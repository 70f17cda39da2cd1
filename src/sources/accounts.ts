import { AppError, isAppError } from "../core/errors.ts";
import type { Quality, SourceId } from "../core/types.ts";
import { anotherMayHelp, blame, faultOf, mostTelling } from "./account-blame.ts";
import { type AccountDeps, type AccountRoster, createRoster } from "./account-roster.ts";

import { type AccountRow, dayOf } from "./account-store.ts";
import type { Account, Call, Source } from "./source.ts";

export interface AccountNeed {
  quality?: Quality | undefined;
  signal?: AbortSignal | undefined;
  step?: Call["step"];
}

export type { AccountDeps, AccountSettings, WriteBack } from "./account-roster.ts";
export type { AccountView } from "./account-view.ts";

/** Every account of every source: which one asks next, how each is, and how it is kept. */
export interface AccountPool extends Omit<AccountRoster, "touch" | "save"> {
  /**
   * Runs `work` as a guest or with the accounts that are well, least recently used first, until one succeeds.
   * @throws AppError the most telling failure; it names the accounts whose fault it was
   */
  run<T>(source: Source, need: AccountNeed, work: (call: Call) => Promise<T>): Promise<T>;
}

/** What platforms give to everybody. */
const GUEST_QUALITIES: ReadonlySet<Quality> = new Set(["128k"]);
/** A song is not worth asking a whole pool of accounts for. */
const MAX_ACCOUNTS_PER_RUN = 3;
/** A turn further away than this is nobody's turn: the client waits 20 s in all. */
const MAX_WAIT_MS = 5000;
export function createAccountPool(deps: AccountDeps & { sleep?: (ms: number) => Promise<void> }): AccountPool {
  const roster = createRoster(deps);
  const sleep = deps.sleep ?? ((ms: number) => Bun.sleep(ms));
  /** Turns are given faster than the clock ticks: this says who had the later one within a millisecond. */
  const turns = new Map<string, number>();
  let turn = 0;
  /** Guests rest too; by source, Unix ms. */
  const guestRestsUntil = new Map<SourceId, number>();

  const spent = (row: AccountRow): boolean => {
    const { dailyBudget } = deps.settings();
    return dailyBudget > 0 && row.day === dayOf(deps.now()) && row.dayCount >= dailyBudget;
  };

  /** Counts one request of the account; false when its day's budget is spent. */
  function spend(row: AccountRow): boolean {
    if (spent(row)) return false;
    const day = dayOf(deps.now());
    row.dayCount = row.day === day ? row.dayCount + 1 : 1;
    row.day = day;
    return true;
  }

  function spendAgain(row: AccountRow): boolean {
    const may = spend(row);
    if (may) roster.save(row);
    return may;
  }

  /** Reserves the account's next turn. @returns ms until then; undefined when it may not be used now */
  function claim(row: AccountRow): number | undefined {
    const now = deps.now();
    const gap = deps.settings().minimumGapMs;
    // A clock that was put back must not lock an account for the difference.
    const last = row.lastUsed > now + MAX_WAIT_MS + gap ? now : row.lastUsed;
    const start = gap > 0 ? Math.max(now, last + gap) : now;
    if (start - now > MAX_WAIT_MS || !spend(row)) return undefined;
    row.lastUsed = start;
    turns.set(row.id, ++turn);
    roster.save(row);
    return start - now;
  }

  function usable(source: SourceId): AccountRow[] {
    const now = deps.now();
    return roster
      .rows(source)
      .filter((row) => row.state === "healthy" && row.coolDownUntil <= now && !spent(row))
      .sort((a, b) => a.lastUsed - b.lastUsed || (turns.get(a.id) ?? 0) - (turns.get(b.id) ?? 0));
  }

  async function asAccount<T>(row: AccountRow, need: AccountNeed, work: (call: Call) => Promise<T>): Promise<T> {
    const wait = claim(row);
    if (wait === undefined) throw new AppError("upstream_verify", "账号请求过多，请稍后重试");
    if (wait > 0) await sleep(wait);
    need.signal?.throwIfAborted();
    // It may have died while this call waited for its turn.
    if (row.state !== "healthy") throw new AppError("upstream_needs_login", "账号已失效");
    need.step?.("account", { account: row.label });
    const account: Account = { id: row.id, label: row.label, credentials: row.credentials };
    try {
      return await work({
        account,
        signal: need.signal,
        step: need.step,
        learn: (found) => roster.learn(row.id, found),
        mayAskAgain: () => spendAgain(row),
      });
    } catch (error) {
      if (isAppError(error)) punish(row, error);
      throw error;
    }
  }

  function punish(row: AccountRow, error: AppError): void {
    const now = deps.now();
    if (error.kind === "upstream_needs_login") {
      row.state = "expired";
      deps.log.warn("account is out of rotation", {
        source: row.source,
        account: row.label,
        upstreamCode: error.upstreamCode,
      });
    } else if (error.kind === "upstream_verify") {
      row.coolDownUntil = now + deps.settings().coolDownMs;
      deps.log.warn("account rests", { source: row.source, account: row.label, upstreamCode: error.upstreamCode });
    } else return;
    row.details = { ...row.details, lastError: error.message };
    roster.save(row);
  }

  async function asGuest<T>(source: SourceId, need: AccountNeed, work: (call: Call) => Promise<T>): Promise<T> {
    need.step?.("account", { account: "游客" });
    try {
      return await work({ signal: need.signal, step: need.step });
    } catch (error) {
      if (isAppError(error) && error.kind === "upstream_verify" && roster.rows(source).length > 0) {
        guestRestsUntil.set(source, deps.now() + deps.settings().coolDownMs);
      }
      throw error;
    }
  }

  /** Guest and accounts in the order in which they are tried. */
  function order(source: SourceId, need: AccountNeed): (AccountRow | "guest")[] {
    const accounts = usable(source).slice(0, MAX_ACCOUNTS_PER_RUN);
    if (accounts.length === 0) return ["guest"];
    const guestRests = (guestRestsUntil.get(source) ?? 0) > deps.now();
    // What names no quality (search, lists, lyrics) needs nobody's account.
    const guestWill = need.quality === undefined || (deps.settings().guestFirst && GUEST_QUALITIES.has(need.quality));
    return guestWill && !guestRests ? ["guest", ...accounts] : [...accounts, "guest"];
  }

  return {
    ...roster,
    async run(source, need, work) {
      const failures: AppError[] = [];
      for (const who of order(source.id, need)) {
        // After an account's clear "no", a guest has nothing to add.
        if (who === "guest" && failures.some((error) => error.kind === "upstream_needs_purchase")) break;
        try {
          return await (who === "guest" ? asGuest(source.id, need, work) : asAccount(who, need, work));
        } catch (error) {
          if (!isAppError(error)) throw error;
          failures.push(error);
          if (!anotherMayHelp(error) || need.signal?.aborted) break;
        }
      }
      const told = mostTelling(failures) ?? new AppError("upstream_refused", "获取失败");
      const now = deps.now();
      const faults = roster.rows(source.id).flatMap((row) => faultOf(row, now, spent(row)) ?? []);
      throw blame(source.id, told, faults);
    },
  };
}

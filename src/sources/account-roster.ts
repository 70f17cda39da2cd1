import { Value } from "@sinclair/typebox/value";
import type { Config } from "../config/schema.ts";
import { kgUser, kwUser, mgUser, txUser, wyUser } from "../config/sections/sources.ts";
import { AppError, isAppError, toAppError } from "../core/errors.ts";
import { SOURCE_IDS, SOURCE_NAMES, type SourceId } from "../core/types.ts";
import type { Logger } from "../ops/log.ts";
import { applyState, freeLabel, freshRow, renewed, saysTheSame, scheduleOf, withoutError } from "./account-row.ts";
import type { AccountRow, AccountStore } from "./account-store.ts";
import { type AccountView, byLabel, handleOf, viewOf } from "./account-view.ts";
import type { Account, AccountAbility, Source } from "./source.ts";

export interface AccountSettings {
  guestFirst: boolean;
  coolDownMs: number;
  /** Requests per account and day; 0 = no limit. */
  dailyBudget: number;
  minimumGapMs: number;
  writeBack: boolean;
  warnBeforeMs: number;
}

export interface AccountDeps {
  sources: ReadonlyMap<SourceId, Source>;
  store: AccountStore;
  settings: () => AccountSettings;
  log: Logger;
  now: () => number;
  /** Puts refreshed credentials into the config file; used for accounts of the config when `writeBack` is set. */
  writeBack?: (change: WriteBack) => Promise<void>;
}

/** New values of credentials in place of the old ones, in `module.<source>.user` or `module.cookiepool.<source>`. */
export interface WriteBack {
  source: SourceId;
  before: Readonly<Record<string, string>>;
  after: Readonly<Record<string, string>>;
}

/** The accounts themselves: where they come from, what people do with them. */
export interface AccountRoster {
  /** Takes the accounts of the config; those that left it are forgotten, those that changed start afresh. */
  configure(module: Config["module"], cookiepool: boolean): void;
  rows(source?: SourceId): AccountRow[];
  save(row: AccountRow): void;
  /** Adds what was found out to an account's credentials. */
  learn(id: string, found: Record<string, string>): void;
  /** @param user the keys of `module.<source>.user` @throws AppError `invalid_request`, `conflict` */
  add(source: SourceId, user: Record<string, unknown>, label?: string): AccountView;
  /** @throws AppError `not_found`; `conflict` for an account of the config file */
  remove(handle: string): void;
  list(source?: SourceId): AccountView[];
  /** Asks the platform how the account is. @throws AppError `upstream_*`, `unsupported` */
  check(handle: string): Promise<AccountView>;
  refresh(handle: string): Promise<AccountView>;
  signIn(handle: string): Promise<AccountView>;
  /** The same rows as `list`, for metrics and the page. */
  health(): AccountView[];
  touch(handle: string): AccountRow;
}

const USERS = { kg: kgUser, tx: txUser, wy: wyUser, mg: mgUser, kw: kwUser };
/** Refresh of accounts that came without a schedule of their own. */
const DEFAULT_REFRESH_SECONDS = 86_400;
const MAX_ACCOUNTS = 1000;
const MAX_LABEL = 40;

export function createRoster(deps: AccountDeps): AccountRoster {
  const rows = new Map(deps.store.load().map((row) => [row.id, row]));

  function save(row: AccountRow): void {
    if (rows.get(row.id) !== row) return;
    deps.store.save(row);
  }

  function keep(row: AccountRow): void {
    rows.set(row.id, row);
    deps.store.save(row);
  }

  function abilityOf(source: SourceId): AccountAbility {
    const ability = deps.sources.get(source)?.accounts;
    if (ability === undefined) throw new AppError("unsupported", `${SOURCE_NAMES[source]}不使用账号`);
    return ability;
  }

  function touch(handle: string): AccountRow {
    const row = [...rows.values()].find((item) => handleOf(item) === handle);
    if (row === undefined) throw new AppError("not_found", `没有账号 ${handle.slice(0, 40)}`);
    return row;
  }

  const view = (row: AccountRow) => viewOf(row, deps.now(), deps.settings().warnBeforeMs);
  const sorted = (source?: SourceId) =>
    [...rows.values()].filter((row) => source === undefined || row.source === source).sort(byLabel);

  const accountOf = (row: AccountRow): Account => ({ id: row.id, label: row.label, credentials: row.credentials });
  const learn = (id: string, found: Record<string, string>) => {
    const row = rows.get(id);
    if (row === undefined) return;
    row.credentials = { ...row.credentials, ...found };
    save(row);
  };

  /** One of the account's own jobs. A dead login is written down before the failure goes on. */
  async function work<T>(row: AccountRow, job: () => Promise<T>): Promise<T> {
    try {
      return await job();
    } catch (error) {
      const failure = toAppError(error);
      row.details = { ...row.details, lastError: failure.message };
      if (failure.kind === "upstream_needs_login") row.state = "expired";
      save(row);
      if (!isAppError(error)) throw error;
      throw new AppError(failure.kind, `${SOURCE_NAMES[row.source]}: ${row.label} ${failure.message}`, {
        cause: error,
        ...(failure.upstreamCode === undefined ? {} : { upstreamCode: failure.upstreamCode }),
      });
    }
  }

  async function writeBack(row: AccountRow, before: Record<string, string>): Promise<void> {
    if (row.origin !== "config" || deps.writeBack === undefined || !deps.settings().writeBack) return;
    try {
      await deps.writeBack({ source: row.source, before, after: row.credentials });
      row.configured = renewed(row.configured, row.credentials);
      save(row);
    } catch (error) {
      // The token is safe in the database; only the file is behind.
      deps.log.error("config file could not be updated", { source: row.source, account: row.label, error });
    }
  }

  function configure(module: Config["module"], cookiepool: boolean): void {
    const present = new Set<string>();
    for (const source of SOURCE_IDS) {
      const ability = deps.sources.get(source)?.accounts;
      if (ability === undefined) continue;
      const users: readonly unknown[] = cookiepool ? module.cookiepool[source] : [module[source].user];
      users.slice(0, MAX_ACCOUNTS).forEach((user, index) => {
        const found = ability.fromConfig(user);
        if (found === undefined || present.has(found.id)) return;
        present.add(found.id);
        const known = rows.get(found.id);
        const label = `账号 ${index + 1}`;
        if (known !== undefined && saysTheSame(known, found.credentials)) {
          // In place: calls that are under way hold this very row.
          Object.assign(known, { label, origin: "config", configured: found.credentials, schedule: scheduleOf(user) });
          save(known);
        } else keep(freshRow(known, found, source, label, scheduleOf(user)));
      });
    }
    for (const row of rows.values()) {
      if (row.origin !== "config" || present.has(row.id)) continue;
      rows.delete(row.id);
      deps.store.delete(row.id);
    }
  }

  return {
    configure,
    save,
    learn,
    touch,
    rows: (source) =>
      source === undefined ? [...rows.values()] : [...rows.values()].filter((row) => row.source === source),
    list: (source) => sorted(source).map(view),
    health: () => sorted().map(view),
    add(source, user, label) {
      const ability = abilityOf(source);
      const schema = USERS[source];
      // Numbers become text where text is wanted: a userid in a YAML file is often written without quotes.
      const given: object = { ...Value.Create(schema), ...structuredClone(user) };
      const filled: unknown = Value.Convert(schema, Value.Default(schema, given));
      if (!Value.Check(schema, filled)) {
        const names = new Set([...Value.Errors(schema, filled)].map((error) => error.path.slice(1)));
        throw new AppError("invalid_request", `账号参数有误: ${[...names].join("、").slice(0, 200)}`);
      }
      const found = ability.fromConfig(filled);
      if (found === undefined) throw new AppError("invalid_request", "账号参数不完整");
      if (rows.has(found.id)) throw new AppError("conflict", "该账号已存在");
      if (rows.size >= MAX_ACCOUNTS) throw new AppError("conflict", `账号数量已达上限 ${MAX_ACCOUNTS}`);
      const name = label?.trim().slice(0, MAX_LABEL) || freeLabel(sorted(source));
      const schedule = ability.refresh === undefined ? {} : { refreshSeconds: DEFAULT_REFRESH_SECONDS };
      const fresh = freshRow(undefined, found, source, name, { ...schedule, ...scheduleOf(filled) });
      const row: AccountRow = { ...fresh, origin: "added" };
      keep(row);
      return view(row);
    },
    remove(handle) {
      const row = touch(handle);
      if (row.origin === "config") throw new AppError("conflict", "该账号来自配置文件，请在配置文件中删除");
      rows.delete(row.id);
      deps.store.delete(row.id);
    },
    async check(handle) {
      const row = touch(handle);
      const { check } = abilityOf(row.source);
      if (check === undefined) throw new AppError("unsupported", `${SOURCE_NAMES[row.source]}不支持检查账号`);
      const state = await work(row, () =>
        check(accountOf(row), { account: accountOf(row), learn: (found) => learn(row.id, found) }),
      );
      applyState(row, state, deps.now());
      save(row);
      return view(row);
    },
    async refresh(handle) {
      const row = touch(handle);
      const { refresh } = abilityOf(row.source);
      if (refresh === undefined) throw new AppError("unsupported", `${SOURCE_NAMES[row.source]}不支持刷新登录`);
      const before = row.credentials;
      const fresh = await work(row, () => refresh(accountOf(row), { account: accountOf(row) }));
      row.credentials = { ...row.credentials, ...fresh };
      row.state = "healthy";
      const expires = Number(fresh["expiresAt"]);
      if (expires > 0) row.expiresAt = expires;
      row.details = { ...withoutError(row), refreshedAt: deps.now() };
      save(row);
      await writeBack(row, before);
      return view(row);
    },
    async signIn(handle) {
      const row = touch(handle);
      const { signIn } = abilityOf(row.source);
      if (signIn === undefined) throw new AppError("unsupported", `${SOURCE_NAMES[row.source]}不支持签到`);
      await work(row, () => signIn(accountOf(row), { account: accountOf(row) }));
      row.details = { ...withoutError(row), signedInAt: deps.now() };
      save(row);
      return view(row);
    },
  };
}

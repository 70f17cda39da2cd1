import { readFile } from "node:fs/promises";
import { parse } from "yaml";
import { AppError, toAppError } from "../core/errors.ts";
import { isSourceId, SOURCE_IDS, SOURCE_NAMES, type SourceId } from "../core/types.ts";
import type { AccountPool, AccountView } from "../sources/accounts.ts";
import type { Command, CommandContext } from "./command.ts";

type Feature = (context: CommandContext) => Promise<AccountPool>;

const STATES: Record<AccountView["state"], string> = {
  healthy: "healthy",
  resting: "resting",
  expired: "EXPIRED",
  banned: "BANNED",
};

/** `account list | add | remove | check | refresh`. Credentials go in, and never out. */
export function accountCommands(feature: Feature): Command[] {
  return [
    {
      name: "account list",
      summary: "accounts of the platforms and how they are",
      usage: "account list [SOURCE]",
      arity: [0, 1],
      async run(context) {
        const pool = await feature(context);
        const [source] = context.positionals;
        const views = pool.list(source === undefined ? undefined : sourceOf(source));
        context.result(views, views.length === 0 ? "no accounts: all platforms are asked as a guest" : table(views));
        return 0;
      },
    },
    {
      name: "account add",
      summary: "add an account (kept in the database, not in the config file)",
      usage: "account add SOURCE [KEY=VALUE…]",
      options: { file: { type: "string" }, label: { type: "string" } },
      help: [
        "KEY as in module.SOURCE.user: token, userid …",
        "--file FILE     read them from a YAML or JSON file (-: stdin), so that no secret stands in the shell's history",
        "--label TEXT    what to call the account in lists",
      ].join("\n"),
      arity: [1, 32],
      async run(context) {
        const [name = "", ...pairs] = context.positionals;
        const source = sourceOf(name);
        const user = { ...(await userFromFile(context.values["file"])), ...userFromPairs(pairs) };
        const label = context.values["label"];
        const view = (await feature(context)).add(source, user, typeof label === "string" ? label : undefined);
        context.result(view, `added ${view.handle} (${SOURCE_NAMES[source]} ${view.label})`);
        return 0;
      },
    },
    {
      name: "account remove",
      summary: "remove an account that was added",
      usage: "account remove HANDLE",
      arity: [1, 1],
      async run(context) {
        const [handle = ""] = context.positionals;
        (await feature(context)).remove(handle);
        context.result({ removed: handle }, `removed ${handle}`);
        return 0;
      },
    },
    eachCommand(feature, "check", "ask the platforms how the accounts are"),
    eachCommand(feature, "refresh", "renew the logins now"),
  ];
}

/** A command over one account, or over all of them. Exit code 1 when one of them is not well. */
function eachCommand(feature: Feature, job: "check" | "refresh", summary: string): Command {
  return {
    name: `account ${job}`,
    summary,
    usage: `account ${job} [HANDLE]`,
    arity: [0, 1],
    async run(context) {
      const pool = await feature(context);
      const [handle] = context.positionals;
      const handles = handle === undefined ? pool.list().map((view) => view.handle) : [handle];
      const progress = context.progress(job);
      const outcomes: { handle: string; ok: boolean; account?: AccountView; error?: string }[] = [];
      for (const one of handles) {
        try {
          const account = await pool[job](one);
          outcomes.push({ handle: one, ok: account.state === "healthy" || account.state === "resting", account });
        } catch (error) {
          const failure = toAppError(error);
          if (failure.kind === "not_found") throw failure;
          // A platform without this ability is no failure of the account.
          outcomes.push({ handle: one, ok: failure.kind === "unsupported", error: failure.message });
        }
        progress.update(outcomes.length, handles.length);
      }
      progress.end();
      context.result(outcomes, outcomes.length === 0 ? "no accounts" : outcomes.map(line).join("\n"));
      return outcomes.every((item) => item.ok) ? 0 : 1;
    },
  };
}

function line(item: { handle: string; ok: boolean; account?: AccountView; error?: string }): string {
  if (item.account === undefined) return `${item.ok ? "-" : "✗"} ${item.handle}  ${item.error ?? ""}`;
  return `${item.ok ? "✓" : "✗"} ${table([item.account])}`;
}

function table(views: AccountView[]): string {
  const rows = views.map((view) => [
    view.handle,
    SOURCE_NAMES[view.source],
    view.label,
    STATES[view.state],
    [view.nickname, view.membership].filter((text) => text !== undefined).join(" "),
    view.expiresAt === undefined ? "" : `until ${day(view.expiresAt)}${view.expiresSoon ? " (soon!)" : ""}`,
    `${view.usedToday} today`,
    view.lastError ?? "",
  ]);
  return rows.map((row) => row.filter((cell) => cell !== "").join("  ")).join("\n");
}

const day = (ms: number): string => new Date(ms + 8 * 3_600_000).toISOString().slice(0, 10);

function sourceOf(name: string): SourceId {
  if (isSourceId(name)) return name;
  throw new AppError("invalid_request", `unknown source "${name}"; one of: ${SOURCE_IDS.join(" ")}`);
}

function userFromPairs(pairs: string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new AppError("invalid_request", "credentials are given as KEY=VALUE");
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

async function userFromFile(file: unknown): Promise<Record<string, unknown>> {
  if (typeof file !== "string") return {};
  let value: unknown;
  try {
    value = parse(file === "-" ? await Bun.stdin.text() : await readFile(file, "utf8"));
  } catch {
    // The parser's message may quote a line with a secret.
    throw new AppError("invalid_request", `${file} cannot be read as YAML or JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AppError("invalid_request", `${file} does not hold keys of module.SOURCE.user`);
  }
  return { ...value };
}

import type { Access } from "../access/access.ts";
import { readOriginalBans } from "../access/ban-import.ts";
import type { Ban } from "../access/ban-index.ts";
import { AppError } from "../core/errors.ts";
import { durationOption, table, textOption, timeText } from "./access-options.ts";
import type { Command, CommandContext } from "./command.ts";

/** `ban list|add|remove|import`. A running server takes changes over within seconds. */
export function banCommands(feature: (context: CommandContext) => Promise<Access>): Command[] {
  return [
    {
      name: "ban list",
      summary: "list the bans in force",
      arity: [0, 0],
      async run(context) {
        const bans = (await feature(context)).bans.list();
        context.result(
          bans.map(form),
          table([["TARGET", "REASON", "SINCE", "UNTIL", "TIMES", "NOTE"], ...bans.map(row)]),
        );
        return 0;
      },
    },
    {
      name: "ban add",
      summary: "ban an address or a network",
      usage: "ADDRESS|CIDR",
      options: { for: { type: "string" }, note: { type: "string" } },
      help: "--for 12h      length (s, m, h, d); without it the ban lasts until it is removed\n--note TEXT    why",
      arity: [1, 1],
      async run(context) {
        const { bans, audit } = await feature(context);
        const seconds = durationOption(context, "for");
        const note = textOption(context, "note") ?? "";
        const ban = bans.add({ target: context.positionals[0] ?? "", note, seconds });
        audit.record({ actor: "cli", address: "", action: "ban.add", target: ban.target, detail: { note } });
        context.result(form(ban), `banned ${ban.target}`);
        return 0;
      },
    },
    {
      name: "ban remove",
      summary: "lift a ban",
      usage: "ADDRESS|CIDR",
      arity: [1, 1],
      async run(context) {
        const { bans, audit } = await feature(context);
        const target = context.positionals[0] ?? "";
        if (!bans.remove(target)) throw new AppError("not_found", `there is no ban of ${target}; see: ban list`);
        audit.record({ actor: "cli", address: "", action: "ban.remove", target });
        context.result({ removed: target }, `lifted the ban of ${target}`);
        return 0;
      },
    },
    {
      name: "ban import",
      summary: "take over the bans in the original server's data.db",
      usage: "FILE",
      arity: [1, 1],
      async run(context) {
        const { bans, audit } = await feature(context);
        const file = context.positionals[0] ?? "";
        const found = readOriginalBans(file);
        const taken = bans.take(found);
        audit.record({ actor: "cli", address: "", action: "ban.import", target: file, detail: { taken } });
        context.result({ found: found.length, taken }, `${taken} of ${found.length} bans in force were taken over`);
        return 0;
      },
    },
  ];
}

function form(ban: Ban) {
  return { ...ban, expiresAt: Number.isFinite(ban.expiresAt) ? ban.expiresAt : null };
}

function row(ban: Ban): string[] {
  const until = Number.isFinite(ban.expiresAt) ? timeText(ban.expiresAt) : "for ever";
  return [ban.target, ban.reason, timeText(ban.createdAt), until, String(ban.times), ban.note];
}

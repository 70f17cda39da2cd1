import type { Access } from "../access/access.ts";
import { newSecret } from "../access/digest.ts";
import { USER_ROLES, type UserRole } from "../access/users.ts";
import { AppError } from "../core/errors.ts";
import { table, textOption, timeText } from "./access-options.ts";
import type { Command, CommandContext } from "./command.ts";

const STDIN_HELP = "--stdin        read the password from standard input; without it one is made up and shown once";

/** `user list|add|passwd|remove`. @param readStdin the whole of standard input */
export function userCommands(
  feature: (context: CommandContext) => Promise<Access>,
  readStdin: () => Promise<string> = () => Bun.stdin.text(),
): Command[] {
  async function passwordFor(context: CommandContext): Promise<{ password: string; shown: string | undefined }> {
    if (context.values["stdin"] === true) {
      return { password: (await readStdin()).replace(/\r?\n$/, ""), shown: undefined };
    }
    const password = newSecret("").slice(0, 20);
    return { password, shown: password };
  }

  return [
    {
      name: "user list",
      summary: "list the users of the management pages",
      arity: [0, 0],
      async run(context) {
        const users = (await feature(context)).admin.users.list();
        const rows = users.map((user) => [user.name, user.role, timeText(user.createdAt)]);
        context.result(
          users.map(({ name, role, createdAt }) => ({ name, role, createdAt })),
          table([["NAME", "ROLE", "SINCE"], ...rows]),
        );
        return 0;
      },
    },
    {
      name: "user add",
      summary: "add a user of the management pages",
      usage: "NAME",
      options: { role: { type: "string" }, stdin: { type: "boolean" } },
      help: `--role ROLE    admin or viewer (default)\n${STDIN_HELP}`,
      arity: [1, 1],
      async run(context) {
        const { admin, audit } = await feature(context);
        const role = roleOf(textOption(context, "role") ?? "viewer");
        const { password, shown } = await passwordFor(context);
        const user = await admin.users.add(context.positionals[0] ?? "", password, role);
        audit.record({ actor: "cli", address: "", action: "user.add", target: user.name, detail: { role } });
        context.result({ name: user.name, role, ...(shown && { password: shown }) }, told(`added ${user.name}`, shown));
        return 0;
      },
    },
    {
      name: "user passwd",
      summary: "set a user's password and end all sessions of the user",
      usage: "NAME",
      options: { stdin: { type: "boolean" } },
      help: STDIN_HELP,
      arity: [1, 1],
      async run(context) {
        const { admin, audit } = await feature(context);
        const name = context.positionals[0] ?? "";
        const { password, shown } = await passwordFor(context);
        await admin.users.setPassword(name, password);
        audit.record({ actor: "cli", address: "", action: "user.password", target: name });
        context.result({ name, ...(shown && { password: shown }) }, told(`changed the password of ${name}`, shown));
        return 0;
      },
    },
    {
      name: "user remove",
      summary: "remove a user with all sessions and tokens",
      usage: "NAME",
      arity: [1, 1],
      async run(context) {
        const { admin, audit } = await feature(context);
        const name = context.positionals[0] ?? "";
        admin.users.remove(name);
        audit.record({ actor: "cli", address: "", action: "user.remove", target: name });
        context.result({ removed: name }, `removed ${name}`);
        return 0;
      },
    },
  ];
}

function roleOf(word: string): UserRole {
  const role = USER_ROLES.find((known) => known === word);
  if (role === undefined)
    throw new AppError("invalid_request", `--role takes ${USER_ROLES.join(" or ")}, got "${word}"`);
  return role;
}

function told(line: string, password: string | undefined): string {
  return password === undefined ? line : `${line}\npassword (shown only now): ${password}`;
}

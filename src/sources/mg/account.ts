import { createHash } from "node:crypto";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { isAppError } from "../../core/errors.ts";
import type { Account, AccountAbility, AccountState, Call } from "../source.ts";
import { acceptBody, type MgClient } from "./client.ts";
import { h5Headers } from "./url.ts";

const ACTIVE = "https://m.music.migu.cn/migumusic/h5/user/auth/userActiveNotice";
const REFERER = "https://m.music.migu.cn/v4/my";

const User = Type.Object({
  by: Type.Optional(Type.String()),
  session: Type.Optional(Type.String()),
  useragent: Type.Optional(Type.String()),
  token: Type.Optional(Type.String()),
  ce: Type.Optional(Type.String()),
  pacmtoken: Type.Optional(Type.String()),
});
const NAMES = ["by", "session", "useragent", "token", "ce", "pacmtoken"] as const;

export function createAccounts(client: MgClient): AccountAbility {
  /** The h5 page's "still here". Of the three kinds of credentials only SESSION is known to be kept alive by it. */
  async function notice(account: Account, call: Call) {
    const headers = h5Headers({ account }, REFERER);
    const reply = await client.raw({ url: ACTIVE, method: "POST", headers, body: "", retry: true }, call);
    acceptBody(reply.json(), "200");
    return reply;
  }

  async function refresh(account: Account, call: Call): Promise<Record<string, string>> {
    if (!account.credentials["session"]) return { ...account.credentials };
    const reply = await notice(account, call);
    const renewed = reply.headers.getSetCookie().flatMap((line) => /^SESSION=([^;]+)/.exec(line)?.[1] ?? []);
    const session = renewed.at(-1) ?? account.credentials["session"];
    return { ...account.credentials, session };
  }

  async function check(account: Account, call: Call): Promise<AccountState> {
    if (!account.credentials["session"]) return { state: "unknown" };
    try {
      await notice(account, call);
      return { state: "valid" };
    } catch (error) {
      if (!isAppError(error)) throw error;
      if (error.kind === "upstream_needs_login")
        return { state: /封禁|冻结/.test(error.message) ? "banned" : "expired" };
      // A refusal for a reason that we do not know says nothing of the login.
      if (error.kind === "upstream_refused") return { state: "unknown" };
      throw error;
    }
  }

  return { fromConfig, refresh, check };
}

/** Any of the three kinds makes an account; what the operator wrote is kept as it is. */
function fromConfig(user: unknown): { id: string; credentials: Record<string, string> } | undefined {
  if (!Value.Check(User, user)) return undefined;
  const credentials = Object.fromEntries(
    NAMES.map((name) => [name, user[name]?.trim() ?? ""]).filter(([, value]) => value !== ""),
  );
  const person = credentials["session"] ?? credentials["token"] ?? credentials["pacmtoken"];
  if (person === undefined) return undefined;
  return { id: `mg:${createHash("md5").update(person).digest("hex").slice(0, 12)}`, credentials };
}

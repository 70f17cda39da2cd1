import { createHash } from "node:crypto";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { AppError } from "../../core/errors.ts";
import { decode } from "../decode.ts";
import type { Account, AccountAbility, AccountState, Call, SourceDeps } from "../source.ts";
import { maybe, parseCookie, type WyClient } from "./client.ts";

const User = Type.Object({ cookie: Type.String() });
const Who = Type.Object({
  account: maybe(
    Type.Object({ id: maybe(Type.Number()), ban: maybe(Type.Number()), anonimousUser: maybe(Type.Boolean()) }),
  ),
  profile: maybe(Type.Object({ nickname: maybe(Type.String()), userId: maybe(Type.Number()) })),
});
const Until = maybe(Type.Object({ expireTime: maybe(Type.Number()) }));
const Membership = Type.Object({
  data: maybe(Type.Object({ redplus: Until, associator: Until, musicPackage: Until })),
});

const REFRESH_USER_AGENT =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36 Edg/124.0.0.0";
/** dailyTask: signed in already today. */
const ALREADY = -2;

export function createAccounts(client: WyClient, deps: Pick<SourceDeps<unknown>, "now" | "random">): AccountAbility {
  return { fromConfig, refresh, check, signIn };

  /** Recorded: `wy/13-internal-refresh`. The new cookies come as `Set-Cookie`. */
  async function refresh(account: Account, call: Call): Promise<Record<string, string>> {
    const cookie = account.credentials["cookie"] ?? "";
    const header = refreshHeader(parseCookie(cookie));
    // The original's JSON writer escapes slashes, and the digest covers the text.
    const text = JSON.stringify({ header, e_r: false }).replaceAll("/", "\\/");
    const { reply } = await client.eapi(
      "/api/login/token/refresh",
      text,
      { ...call, account },
      {
        base: "http://interface.music.163.com",
        userAgent: REFRESH_USER_AGENT,
        cookie: Object.entries(header)
          .map(([name, value]) => `${name}=${value};`)
          .join(" "),
      },
    );
    return { ...account.credentials, cookie: mergeCookies(cookie, reply.headers.getSetCookie()) };
  }

  function refreshHeader(cookie: Map<string, string>): Record<string, string> {
    const now = deps.now();
    const own = (name: string, otherwise: string) => cookie.get(name) || otherwise;
    const number = String(Math.floor(deps.random() * 10_000)).padStart(4, "0");
    const token = cookie.get("MUSIC_U");
    const guest = cookie.get("MUSIC_A");
    return {
      osver: own("osver", "17.4.1"),
      deviceId: own("deviceId", ""),
      os: own("os", "ios"),
      appver: own("appver", cookie.get("os") === "pc" ? "" : "9.0.65"),
      versioncode: own("versioncode", "140"),
      mobilename: own("mobilename", ""),
      buildver: own("buildver", String(Math.floor(now / 1000))),
      resolution: own("resolution", "1920x1080"),
      __csrf: own("__csrf", ""),
      channel: own("channel", ""),
      requestId: `${now}_${number}`,
      ...(token === undefined ? {} : { MUSIC_U: token }),
      ...(guest === undefined ? {} : { MUSIC_A: guest }),
    };
  }

  async function check(account: Account, call: Call): Promise<AccountState> {
    const asked = { ...call, account };
    try {
      const { body } = await client.weapi("/weapi/w/nuser/account/get", {}, asked);
      const { account: who, profile } = decode(Who, body, "wy");
      if (who?.ban) return { state: "banned" };
      if (!who || !profile || who.anonimousUser === true) return { state: "expired" };
      const nickname = profile.nickname ? { nickname: profile.nickname } : {};
      return { state: "valid", ...nickname, ...(await membership(profile.userId ?? 0, asked)) };
    } catch (error) {
      if (error instanceof AppError && error.kind === "upstream_needs_login") return { state: "expired" };
      throw error;
    }
  }

  /** The best membership that still runs, and until when. An account is worth telling of without it. */
  async function membership(userId: number, call: Call): Promise<Partial<AccountState>> {
    try {
      const payload = { userId: String(userId || "") };
      const { body } = await client.eapi("/api/music-vip-membership/client/vip/info", payload, call);
      const data = decode(Membership, body, "wy").data;
      const kinds = [
        ["SVIP", data?.redplus?.expireTime],
        ["VIP", data?.associator?.expireTime],
        ["音乐包", data?.musicPackage?.expireTime],
      ] as const;
      const running = kinds.find(([, until]) => (until ?? 0) > deps.now());
      return running?.[1] ? { membership: running[0], expiresAt: running[1] } : {};
    } catch (error) {
      call.step?.("wy membership failed", { error: String(error) });
      return {};
    }
  }

  /** As the Android app and as the web page; "already today" is fine. */
  async function signIn(account: Account, call: Call): Promise<void> {
    for (const type of [0, 1]) {
      await client.eapi("/api/point/dailyTask", { type }, { ...call, account }, { accept: [ALREADY] });
    }
  }
}

/** The whole browser cookie is kept as it was pasted; a bare MUSIC_U value is taken for one. */
function fromConfig(user: unknown): { id: string; credentials: Record<string, string> } | undefined {
  if (!Value.Check(User, user)) return undefined;
  const pasted = user.cookie.trim().replace(/^cookie:\s*/i, "");
  if (pasted === "") return undefined;
  const cookie = pasted.includes("=") ? pasted : `MUSIC_U=${pasted}`;
  const parsed = parseCookie(cookie);
  const person = parsed.get("MUSIC_U") ?? parsed.get("MUSIC_A") ?? cookie;
  return { id: `wy:${createHash("md5").update(person).digest("hex").slice(0, 12)}`, credentials: { cookie } };
}

/** Puts what the platform sets in place of what was there; an emptied or expired cookie changes nothing. */
export function mergeCookies(cookie: string, setCookies: readonly string[]): string {
  const merged = parseCookie(cookie);
  for (const line of setCookies) {
    const [pair = "", ...attributes] = line.split(";");
    if (attributes.some((item) => /^\s*max-age=0\s*$/i.test(item))) continue;
    for (const [name, value] of parseCookie(pair)) if (value !== "") merged.set(name, value);
  }
  return [...merged].map(([name, value]) => `${name}=${value}`).join("; ");
}

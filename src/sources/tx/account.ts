import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { txUser } from "../../config/sections/sources.ts";
import { AppError, isAppError } from "../../core/errors.ts";
import { idOf, numberOf, positive, present, recordOf, textOf } from "../read.ts";
import type { Account, AccountAbility, AccountState, Call } from "../source.ts";
import { androidComm, loginType, numericId, refusal, type TxClient } from "./client.ts";

/** Codes of `Login` that mean "sign in again by hand". */
const INVALID = 1000;
const NOT_REFRESHABLE = 2000;

const LoginData = Type.Object({ musickey: Type.String({ minLength: 1 }) });

export function createAccounts(client: TxClient): AccountAbility {
  return {
    fromConfig(user) {
      if (!Value.Check(txUser, user) || user.qqmusic_key === "") return undefined;
      const { qqmusic_key, refresh_key } = user;
      // Old cookies write the number as o0123.
      const uin = user.uin.replace(/^o0*/, "");
      return { id: `tx:${uin}`, credentials: { qqmusic_key, uin, refresh_key } };
    },

    async refresh(account, call) {
      const data = await client.ask(
        { comm: loginComm(account), req1: loginRequest(account) },
        "req1",
        LoginData,
        call,
        {
          retry: false,
          app: hasOpenId(account),
          onCode: (code) =>
            code === INVALID || code === NOT_REFRESHABLE
              ? new AppError("upstream_needs_login", "QQ音乐: 登录已失效，需要重新登录", { upstreamCode: code })
              : undefined,
        },
      );
      return learned(account, recordOf(data));
    },

    async check(account, call) {
      try {
        return await askState(client, account, call);
      } catch (error) {
        const state = isAppError(error) ? stateOf(error) : undefined;
        if (state === undefined) throw error;
        return { state };
      }
    },
  };
}

/** What the newer forms need is only known after a first refresh (or a sign-in elsewhere). */
function hasOpenId(account: Account): boolean {
  const { openid = "", refresh_token = "" } = account.credentials;
  return openid !== "" && refresh_token !== "";
}

function loginComm(account: Account): Record<string, unknown> {
  if (hasOpenId(account)) return androidComm(account);
  const { qqmusic_key = "", uin = "" } = account.credentials;
  return {
    fPersonality: "0",
    tmeLoginType: String(loginType(qqmusic_key)),
    qq: uin,
    authst: qqmusic_key,
    ct: "11",
    cv: "12080008",
    v: "12080008",
    tmeAppID: "qqmusic",
  };
}

function loginRequest(account: Account): Record<string, unknown> {
  return { module: "music.login.LoginServer", method: "Login", param: loginParam(account) };
}

function loginParam({ credentials: c, ...account }: Account): Record<string, unknown> {
  const { qqmusic_key: musickey = "", uin = "", refresh_key = "" } = c;
  if (!hasOpenId({ credentials: c, ...account })) return { str_musicid: uin, musickey, refresh_key };
  const { openid = "", refresh_token = "", access_token = "", unionid = "" } = c;
  if (loginType(musickey) === 1) {
    return { openid, refresh_token, str_musicid: uin, musickey, unionid, refresh_key, loginMode: 2 };
  }
  return {
    openid,
    access_token,
    refresh_token,
    expired_in: numberOf(c["expired_in"]) ?? 0,
    musicid: numericId(uin) ?? 0,
    musickey,
    refresh_key,
    loginMode: 2,
  };
}

const LEARNED = [
  "refresh_key",
  "openid",
  "unionid",
  "access_token",
  "refresh_token",
  "expired_in",
  "expired_at",
  "musickeyCreateTime",
  "keyExpiresIn",
] as const;

/** Everything that a later refresh or check needs, in place of what was. */
function learned(account: Account, data: Record<string, unknown>): Record<string, string> {
  const fresh = Object.fromEntries(LEARNED.map((name) => [name, textOf(data[name])]));
  return {
    ...account.credentials,
    ...(present(fresh) as Record<string, string>),
    qqmusic_key: textOf(data["musickey"]) ?? "",
    uin: idOf(data["str_musicid"]) ?? idOf(data["musicid"]) ?? account.credentials["uin"] ?? "",
  };
}

async function askState(client: TxClient, account: Account, call: Call): Promise<AccountState> {
  const { qqmusic_key = "", uin = "" } = account.credentials;
  if (qqmusic_key === "") throw refusal(INVALID);
  const comm = { qq: uin, authst: qqmusic_key, ct: "26", cv: "2010101", v: "2010101" };
  const ask = (module: string, method: string) =>
    client.ask({ comm, req: { module, method, param: {} } }, "req", Type.Object({}), call);
  const user = recordOf(await ask("music.UserInfo.userInfoServer", "GetLoginUserInfo"));
  const vip = await ask("VipLogin.VipLoginInter", "vip_login_base").catch(() => ({}));
  return {
    state: "valid",
    ...present({
      nickname: textOf(user["nick"]) ?? textOf(recordOf(user["info"])["nick"]),
      membership: membershipOf(recordOf(recordOf(vip)["identity"])),
      expiresAt: expiryOf(account),
    }),
  };
}

function membershipOf(identity: Record<string, unknown>): string | undefined {
  if (numberOf(identity["HugeVip"]) === 1) return "SVIP";
  return numberOf(identity["vip"]) === 1 || numberOf(identity["LMFlag"]) === 1 ? "VIP" : undefined;
}

/** When the key dies, as the last refresh told. */
function expiryOf({ credentials }: Account): number | undefined {
  const created = positive(credentials["musickeyCreateTime"]);
  const lifetime = positive(credentials["keyExpiresIn"]);
  return created === undefined || lifetime === undefined ? undefined : (created + lifetime) * 1000;
}

function stateOf(error: AppError): AccountState["state"] | undefined {
  if (error.upstreamCode === 20_450) return "banned";
  return error.kind === "upstream_needs_login" ? "expired" : undefined;
}

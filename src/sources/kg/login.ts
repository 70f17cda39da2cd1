import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../core/errors.ts";
import { decode } from "../decode.ts";
import type { Account, Call } from "../source.ts";
import { ANDROID_HEADERS, address, type KgClient, NEWEST_HEADERS, refusal } from "./client.ts";
import { aesDecrypt, aesEncrypt, rsaEncrypt, sealToken, sessionKey } from "./crypto.ts";
import { Loose, numberOf, Part, partOf, textOf } from "./fields.ts";

/** A token dies about 30 days after it was given. */
const TOKEN_LIFETIME_MS = 30 * 86_400_000;
export const DEFAULT_LOGIN = "http://login.user.kugou.com/v4/login_by_token";

const LoginReply = Type.Object({
  status: Loose,
  error_code: Loose,
  data: Part(Type.Object({ token: Loose, userid: Loose, secu_params: Loose })),
});

/** The configured login service, and the newer one where that refuses for another reason than a dead token. */
export async function refreshToken(client: KgClient, account: Account, call: Call): Promise<Record<string, string>> {
  const login = account.credentials["loginUrl"] || DEFAULT_LOGIN;
  let fresh: { token: string; userid: string };
  if (/\/v5\//.test(login)) {
    fresh = await loginV5(client, login, account, call);
  } else {
    try {
      fresh = await loginV4(client, login, account, call);
    } catch (error) {
      if (!isAppError(error) || error.kind === "upstream_needs_login") throw error;
      call.step?.("kg newer request", { because: error.upstreamCode ?? error.kind });
      fresh = await loginV5(client, login.replace("/v4/", "/v5/"), account, call).catch(() => {
        throw error;
      });
    }
  }
  return { ...account.credentials, ...fresh, expiresAt: String(client.deps.now() + TOKEN_LIFETIME_MS) };
}

/** `p3` of both logins. The original writes JSON with `/` escaped, and so is the token sealed. */
function sealedToken(client: KgClient, token: string): string {
  const plain = JSON.stringify({ clienttime: client.seconds(), token }).replaceAll("/", "\\/");
  return sealToken(plain, client.edition.loginKey);
}

/** The original's form: `, ` and `: ` between parts, everything outside ASCII as `\uXXXX`. */
function spacedJson(value: Record<string, string | number>): string {
  const parts = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}: ${JSON.stringify(item)}`);
  return `{${parts.join(", ")}}`.replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

async function loginV4(client: KgClient, login: string, account: Account, call: Call) {
  const who = client.who({ account });
  const { appid, clientver } = client.config.client;
  const body = spacedJson({
    p3: sealedToken(client, who.token),
    clienttime_ms: client.deps.now(),
    t1: 0,
    t2: 0,
    userid: who.userid,
  });
  const params = client.signed(
    [
      ["dfid", "-"],
      ["appid", appid],
      ["mid", who.mid],
      ["clientver", clientver],
      ["clienttime", client.seconds()],
    ],
    body,
  );
  const headers = { ...ANDROID_HEADERS, "Content-Type": "application/json" };
  const reply = decode(
    LoginReply,
    await client.json({ url: address(login, params), method: "POST", headers, body }, call),
    "kg",
  );
  const data = partOf(reply.data);
  if (numberOf(reply.error_code) !== 0 || data === undefined) throw loginRefused(reply.error_code, reply.status);
  return freshToken(textOf(data.token), textOf(data.userid) || who.userid);
}

const ANDROID_T3 = "MCwwLDAsMCwwLDAsMCwwLDA=";

async function loginV5(client: KgClient, login: string, account: Account, call: Call) {
  const who = client.who({ account });
  const ms = client.deps.now();
  const r = client.letters(16);
  const { key, iv } = sessionKey(r);
  const body = JSON.stringify({
    dfid: who.dfid,
    p3: sealedToken(client, who.token),
    plat: 1,
    t1: 0,
    t2: 0,
    t3: ANDROID_T3,
    pk: rsaEncrypt(JSON.stringify({ clienttime_ms: ms, key: r }), client.edition.publicKey, "zeros").toUpperCase(),
    params: aesEncrypt("{}", key, iv).toString("hex"),
    userid: who.userid,
    clienttime_ms: ms,
  });
  const params = client.signed(
    [
      ["dfid", who.dfid],
      ["mid", who.mid],
      ["uuid", "-"],
      ["appid", client.config.client.appid],
      ["clientver", client.edition.newestClientver],
      ["clienttime", client.seconds()],
      ["token", who.token],
      ["userid", who.userid],
    ],
    body,
  );
  const headers = { ...NEWEST_HEADERS, "Content-Type": "application/json" };
  const reply = decode(
    LoginReply,
    await client.json({ url: address(login, params), method: "POST", headers, body }, call),
    "kg",
  );
  const data = partOf(reply.data);
  if (numberOf(reply.error_code) !== 0 || data === undefined) throw loginRefused(reply.error_code, reply.status);
  const sealed = textOf(data.secu_params);
  const token = sealed === "" ? textOf(data.token) : tokenIn(sealed, key, iv);
  return freshToken(token, textOf(data.userid) || who.userid);
}

function tokenIn(sealed: string, key: string, iv: string): string {
  const plain = aesDecrypt(Buffer.from(sealed, "hex"), key, iv).toString("utf8");
  try {
    return textOf(decode(Type.Object({ token: Loose }), JSON.parse(plain), "kg").token);
  } catch (error) {
    throw new AppError("upstream_changed", "酷狗登录刷新失败", { cause: error });
  }
}

function freshToken(token: string, userid: string): { token: string; userid: string } {
  if (token === "") throw new AppError("upstream_changed", "酷狗登录刷新失败: 平台没有返回 token");
  return { token, userid };
}

type Code = string | number | boolean | null | undefined;

const loginRefused = (code: Code, status: Code) => refusal([code, status], `酷狗登录刷新失败 (${textOf(code)})`);

import { type Static, type TSchema, Type } from "@sinclair/typebox";
import type { Config } from "../../config/schema.ts";
import { AppError, type ErrorKind } from "../../core/errors.ts";
import { decode } from "../decode.ts";
import { numberOf, recordOf } from "../read.ts";
import type { Account, Call, SourceDeps } from "../source.ts";
import { bodyText, zzcSign } from "./crypto.ts";

export type TxDeps = SourceDeps<Config["module"]["tx"]>;

/** A browser's, as the service's web player sends it. */
const USER_AGENT =
  "Mozilla/5.0 (Windows NT 10.0; WOW64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/113.0.5666.197 Safari/537.36";
const APP_USER_AGENT = "QQMusic 14090008(android 10)";

/** `comm` of a guest on a PC. */
export const GUEST_COMM = { ct: "19", cv: "1859", uin: "0" } as const;

/** `comm` of the newer Android client; signed in when there is an account. */
export function androidComm(account?: Account): Record<string, unknown> {
  const key = account?.credentials["qqmusic_key"] ?? "";
  const login =
    account === undefined || key === ""
      ? {}
      : { qq: account.credentials["uin"] ?? "", authst: key, tmeLoginType: loginType(key) };
  return {
    ct: 11,
    cv: 14_090_008,
    v: 14_090_008,
    tmeAppID: "qqmusic",
    chid: "10003505",
    QIMEI36: "6c9d3cd110abca9b16311cee10001e717614",
    os_ver: "10",
    phonetype: "EBG-AN10",
    nettype: "1030",
    uid: "0",
    ...login,
  };
}

/** 1 = WeChat, 2 = QQ: the key's first letters tell. */
export function loginType(key: string): 1 | 2 {
  return key.startsWith("W_X") ? 1 : 2;
}

export interface AskOptions {
  /** Headers of the app instead of a browser's. */
  app?: boolean;
  /** False for what must not be done twice. Default true: these POSTs only read. */
  retry?: boolean;
  /** What another code of the called method than 0 means here; undefined = the common table. */
  onCode?: (code: number) => AppError | undefined;
}

/** POST `u.y.qq.com/cgi-bin/musics.fcg`: signed, one or several methods by name beside `comm`. */
export interface TxClient {
  /** @returns the `data` of the method called `name`, checked. */
  ask<T extends TSchema>(
    body: Record<string, unknown>,
    name: string,
    data: T,
    call: Call,
    options?: AskOptions,
  ): Promise<Static<T>>;
  /** The older GET services of `c.y.qq.com`. */
  get<T extends TSchema>(url: string, headers: Record<string, string>, reply: T, call: Call): Promise<Static<T>>;
}

const Envelope = Type.Object({ code: Type.Integer() });

export function createClient(deps: TxDeps): TxClient {
  return {
    async ask(body, name, data, call, options = {}) {
      const text = bodyText(body);
      const reply = await deps.http({
        url: `https://u.y.qq.com/cgi-bin/musics.fcg?format=json&sign=${zzcSign(text)}`,
        method: "POST",
        headers: {
          "User-Agent": options.app ? APP_USER_AGENT : USER_AGENT,
          "Content-Type": "text/plain; charset=utf-8",
        },
        body: text,
        retry: options.retry ?? true,
        signal: call.signal,
      });
      const whole = decode(Envelope, reply.json(), "tx");
      const asked = recordOf(body[name]);
      const step = { module: asked["module"], method: asked["method"] };
      if (whole.code !== 0) {
        call.step?.("tx.request", { ...step, code: whole.code });
        throw refusal(whole.code);
      }
      const part = decode(Envelope, recordOf(whole)[name], "tx");
      call.step?.("tx.request", { ...step, code: part.code });
      if (part.code !== 0) throw options.onCode?.(part.code) ?? refusal(part.code, recordOf(part)["data"]);
      return decode(data, recordOf(part)["data"], "tx");
    },

    async get(url, headers, schema, call) {
      const reply = await deps.http({ url, headers: { "User-Agent": USER_AGENT, ...headers }, signal: call.signal });
      return decode(schema, reply.json(), "tx");
    },
  };
}

const CODES: Record<number, [ErrorKind, string]> = {
  1000: ["upstream_needs_login", "登录已失效"],
  104400: ["upstream_needs_login", "登录已失效"],
  104401: ["upstream_needs_login", "登录已失效"],
  20450: ["upstream_needs_login", "账号已被封禁"],
  2000: ["upstream_refused", "请求签名未通过"],
  2001: ["upstream_verify", "需要安全验证，请稍后再试"],
  20271: ["upstream_verify", "需要图形验证"],
  20279: ["upstream_verify", "登录设备过多"],
  104013: ["upstream_verify", "登录设备过多"],
  104604: ["upstream_verify", "请求过于频繁"],
  104003: ["upstream_needs_purchase", "需要会员或购买"],
  104004: ["upstream_refused", "平台未给出播放地址"],
};

/** The platform's own code as our error. */
export function refusal(code: number, data?: unknown): AppError {
  const [kind, reason] = CODES[code] ?? ["upstream_refused", `平台拒绝了请求（${code}）`];
  const feedback = recordOf(data)["feedbackURL"];
  return new AppError(kind, `QQ音乐: ${reason}`, {
    upstreamCode: code,
    ...(feedback === undefined ? {} : { detail: { feedback } }),
  });
}

/** A numeric id that fits a request; undefined for a mid. */
export function numericId(id: string): bigint | undefined {
  return /^\d{1,19}$/.test(id) && numberOf(id) !== 0 ? BigInt(id) : undefined;
}

import { createHash } from "node:crypto";
import { type TSchema, Type } from "@sinclair/typebox";
import type { Config } from "../../config/schema.ts";
import { AppError, type ErrorKind } from "../../core/errors.ts";
import type { HttpReply } from "../../net/fetch.ts";
import { decode } from "../decode.ts";
import type { Call, SourceDeps } from "../source.ts";
import { eapiParams, linuxapiParams, randomKey, weapiParams } from "./crypto.ts";

/** Those that the recorded requests carry. */
export const USER_AGENTS = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.0.0 Safari/537.36 Edg/114.0.1788.0",
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/112.0.0.0 Safari/537.36 Edg/112.0.1722.39",
] as const;
const LINUX_USER_AGENT =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/60.0.3112.90 Safari/537.36";
const FORM = "application/x-www-form-urlencoded";

export type WyConfig = Config["module"]["wy"];

export const NAME = "网易云";

export interface Exchange {
  reply: HttpReply;
  /** Parsed; its `code` is 200. */
  body: unknown;
}

export interface EapiOptions {
  /** Scheme and host; default `https://interface.music.163.com`. */
  base?: string;
  userAgent?: string;
  /** Sent as it is; default the account's cookie, empty for a guest. */
  cookie?: string;
  /** `code`s that are no failure, besides 200. */
  accept?: number[];
  /** Bytes of reply at most. */
  maxBytes?: number;
}

/** Every way of asking NetEase. Each throws AppError `upstream_*` unless the platform answers with code 200. */
export interface WyClient {
  /** @param path begins with `/api/`. @param payload an object, or the JSON text itself. */
  eapi(path: string, payload: object | string, call: Call, options?: EapiOptions): Promise<Exchange>;
  /** @param path begins with `/weapi/`; `csrf_token` is added to the payload. */
  weapi(path: string, payload: object, call: Call): Promise<Exchange>;
  /** @param path begins with `/api/`. */
  linuxapi(path: string, payload: object, call: Call): Promise<Exchange>;
}

export function createWyClient(deps: Pick<SourceDeps<unknown>, "http" | "random">): WyClient {
  async function post(
    url: string,
    form: Record<string, string>,
    headers: Record<string, string>,
    call: Call,
    maxBytes?: number,
  ) {
    return deps.http({
      url,
      ...(maxBytes === undefined ? {} : { maxBytes }),
      method: "POST",
      headers: { ...headers, "Content-Type": FORM },
      body: Object.entries(form)
        .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
        .join("&"),
      // Asking twice changes nothing on the platform's side.
      retry: true,
      signal: call.signal,
    });
  }

  return {
    async eapi(path, payload, call, options = {}) {
      const base = options.base ?? "https://interface.music.163.com";
      const headers = {
        Cookie: options.cookie ?? cookieOf(call),
        "User-Agent": options.userAgent ?? userAgentOf(call, deps.random),
      };
      const params = eapiParams(path, typeof payload === "string" ? payload : JSON.stringify(payload));
      const reply = await post(
        `${base}/eapi/${path.slice("/api/".length)}`,
        { params },
        headers,
        call,
        options.maxBytes,
      );
      return { reply, body: accepted(reply, call, options.accept) };
    },
    async weapi(path, payload, call) {
      const cookie = cookieOf(call);
      const text = JSON.stringify({ ...payload, csrf_token: parseCookie(cookie).get("__csrf") ?? "" });
      const headers = {
        Cookie: cookie === "" ? "os=pc" : cookie,
        "User-Agent": userAgentOf(call, deps.random),
        Referer: "https://music.163.com/",
      };
      const reply = await post(
        `https://music.163.com${path}`,
        weapiParams(text, randomKey(deps.random)),
        headers,
        call,
      );
      return { reply, body: accepted(reply, call) };
    },
    async linuxapi(path, payload, call) {
      const text = JSON.stringify({ method: "POST", url: `https://music.163.com${path}`, params: payload });
      const headers = { Cookie: cookieOf(call), "User-Agent": LINUX_USER_AGENT, Referer: "https://music.163.com/" };
      const form = { eparams: linuxapiParams(text) };
      const reply = await post("https://music.163.com/api/linux/forward", form, headers, call);
      return { reply, body: accepted(reply, call) };
    },
  };
}

const Answer = Type.Object({
  code: Type.Integer(),
  message: Type.Optional(Type.Unknown()),
  msg: Type.Optional(Type.Unknown()),
});

/** The body when its `code` says success. */
export function accepted(reply: HttpReply, call: Call, accept: number[] = []): unknown {
  if (reply.status >= 500) {
    throw new AppError("upstream_unreachable", `${NAME}: 服务暂时不可用`, { upstreamCode: reply.status });
  }
  const body = reply.json();
  const answer = decode(Answer, body, "wy");
  if (answer.code !== 200 && !accept.includes(answer.code)) throw refusal(answer, call);
  return body;
}

/** What the platform's codes mean. */
const CODES: Record<number, [ErrorKind, string]> = {
  301: ["upstream_needs_login", "需要登录"],
  400: ["upstream_refused", "平台不接受请求参数"],
  404: ["upstream_not_found", "没有找到该资源"],
  405: ["upstream_verify", "请求过于频繁"],
  406: ["upstream_verify", "请求过于频繁"],
  [-447]: ["upstream_verify", "服务器繁忙"],
  [-460]: ["upstream_verify", "平台拒绝了本机地址或设备"],
  [-462]: ["upstream_verify", "平台要求安全验证"],
};

function refusal(answer: { code: number; message?: unknown; msg?: unknown }, call: Call): AppError {
  const upstreamCode = answer.code;
  if (upstreamCode === 301 && call.account !== undefined) {
    return new AppError("upstream_needs_login", `${NAME}: 账号登录已失效`, { upstreamCode });
  }
  const known = CODES[upstreamCode];
  if (known !== undefined) return new AppError(known[0], `${NAME}: ${known[1]}`, { upstreamCode });
  const reason = [answer.message, answer.msg].find((text) => typeof text === "string" && text !== "");
  const shown = typeof reason === "string" ? reason.slice(0, 100) : `平台返回错误 ${upstreamCode}`;
  return new AppError("upstream_refused", `${NAME}: ${shown}`, { upstreamCode });
}

/** What the platform may leave out or send as null. */
export const maybe = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

export function cookieOf(call: Call): string {
  return call.account?.credentials["cookie"] ?? "";
}

/** One account keeps one browser; guests change as the original does. */
export function userAgentOf(call: Call, random: () => number): string {
  const index =
    call.account === undefined
      ? Math.floor(random() * USER_AGENTS.length)
      : (createHash("md5").update(call.account.id).digest()[0] ?? 0) % USER_AGENTS.length;
  return USER_AGENTS[index] ?? USER_AGENTS[0];
}

/** Names and values in their order; a later one of the same name wins. */
export function parseCookie(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const part of text.split(";")) {
    const equals = part.indexOf("=");
    const name = part.slice(0, Math.max(0, equals)).trim();
    if (name !== "") found.set(name, part.slice(equals + 1).trim());
  }
  return found;
}

/** @throws AppError `invalid_request` unless the id can be one of NetEase. */
export function checkId(id: string): string {
  if (!/^[1-9]\d{0,15}$/.test(id)) throw new AppError("invalid_request", `${NAME}: 无效的 id`);
  return id;
}

import { Type } from "@sinclair/typebox";
import type { Config } from "../../config/schema.ts";
import { AppError, type ErrorKind } from "../../core/errors.ts";
import type { HttpReply, HttpRequest } from "../../net/fetch.ts";
import { decode } from "../decode.ts";
import { textOf as readText, recordOf } from "../read.ts";
import type { Call, SourceDeps } from "../source.ts";

export type MgConfig = Config["module"]["mg"];

export const NAME = "咪咕";

/** Channel of the Android app for guests and for accounts with a token. */
export const GUEST_CHANNEL = "0146921";
export const ACCOUNT_CHANNEL = "014000D";
export const ANDROID_USER_AGENT =
  "Mozilla/5.0 (Linux; Android 12; 22021211RC Build/SKQ1.211006.001) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/114.0.5735.130 Mobile Safari/537.36";
export const IPHONE_USER_AGENT =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 13_2_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0.3 Mobile/15E148 Safari/604.1";

/** Headers of the app's own pages, for guests. */
export const APP_HEADERS = {
  "User-Agent": ANDROID_USER_AGENT,
  Referer: "https://app.c.nf.migu.cn/",
  channel: GUEST_CHANNEL,
};
export const IPHONE_HEADERS = { "User-Agent": IPHONE_USER_AGENT, Referer: "https://m.music.migu.cn/" };

export interface MgClient {
  /** The parsed body; its `code` is "000000". */
  app(request: HttpRequest, call: Call): Promise<unknown>;
  /** The parsed body of the h5 pages; its `code` is 200. */
  h5(request: HttpRequest, call: Call): Promise<unknown>;
  /** Whatever came; 5xx is an error. */
  raw(request: HttpRequest, call: Call): Promise<HttpReply>;
}

const Answer = Type.Object({ code: Type.Union([Type.String(), Type.Number()]) });

export function createMgClient(deps: Pick<SourceDeps<unknown>, "http">): MgClient {
  async function raw(request: HttpRequest, call: Call): Promise<HttpReply> {
    const reply = await deps.http({ ...request, signal: call.signal });
    if (reply.status >= 500) {
      throw new AppError("upstream_unreachable", `${NAME}: 服务暂时不可用`, { upstreamCode: reply.status });
    }
    return reply;
  }
  const withCode = (wanted: string) => async (request: HttpRequest, call: Call) =>
    acceptBody((await raw(request, call)).json(), wanted);
  return { raw, app: withCode("000000"), h5: withCode("200") };
}

/** @throws AppError with the platform's own reason unless the body's `code` is the wanted one. */
export function acceptBody(body: unknown, wanted: string): unknown {
  const { code } = decode(Answer, body, "mg");
  if (String(code) === wanted) return body;
  const fields = recordOf(body);
  const reason = textOf(fields["info"]) || textOf(fields["msg"]) || textOf(fields["message"]);
  throw refusal(reason, code);
}

const REASONS: [RegExp, ErrorKind][] = [
  [/验证|频繁/, "upstream_verify"],
  [/登录|登陆|封禁|冻结/, "upstream_needs_login"],
  [/会员|VIP|开通|购买|付费|订购/i, "upstream_needs_purchase"],
  [/版权|下架|地区/, "upstream_no_copyright"],
  [/不存在|无此/, "upstream_not_found"],
];

/** The platform's text decides the kind: its codes are many and undocumented. */
export function refusal(reason: string, upstreamCode: string | number): AppError {
  const text = reason.replace(/正在播放试听片段[。，,]?/, "").trim();
  const kind = REASONS.find(([pattern]) => pattern.test(text))?.[1] ?? "upstream_refused";
  return new AppError(kind, `${NAME}: ${text === "" ? "平台没有给出地址" : text.slice(0, 100)}`, { upstreamCode });
}

/** Ids and sizes come as text or as numbers; everything else, and nothing, is an empty text. */
export const textOf = (value: unknown): string => readText(value)?.trim() ?? "";

/** A text or a number that should be one: what several of Migu's interfaces do not agree on. */
export const Loose = Type.Optional(Type.Union([Type.String(), Type.Number(), Type.Null()]));

export type IdKind = "songId" | "copyrightId" | "contentId";

/** Song ids have up to 10 digits, copyright ids 11 characters, content ids more. */
export function kindOfId(id: string): IdKind {
  if (/^\d{1,10}$/.test(id)) return "songId";
  if (/^[0-9A-Za-z]{11}$/.test(id)) return "copyrightId";
  if (/^[0-9A-Za-z]{12,24}$/.test(id)) return "contentId";
  throw new AppError("invalid_request", `${NAME}: 无效的 id`);
}

/** `//host/…` becomes https; images of form B are relative to the app's own host. */
export function absolute(address: string, base = "http://d.musicapp.migu.cn"): string {
  if (address === "" || /^https?:\/\//.test(address)) return address;
  if (address.startsWith("//")) return `https:${address}`;
  return `${base}${address.startsWith("/") ? "" : "/"}${address}`;
}

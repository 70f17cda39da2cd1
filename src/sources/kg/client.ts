import { AppError, type ErrorKind } from "../../core/errors.ts";
import type { HttpReply, HttpRequest } from "../../net/fetch.ts";
import type { Call, SourceDeps } from "../source.ts";
import { type Params, sign } from "./crypto.ts";

/** The slice `module.kg` as far as the source reads it. */
export interface KgConfig {
  client: {
    appid: string;
    signatureKey: string;
    clientver: string;
    pidversionsecret: string;
    pid: string;
    public_key: string;
  };
  tracker: {
    host: string;
    path: string;
    version: string;
    "x-router": { enable: boolean; value: string };
    extra_params: Record<string, unknown>;
  };
  user: KgUser;
}

export interface KgUser {
  token: string;
  userid: string;
  mid: string;
  lite_sign_in: { enable: boolean; mixsongmid: { value: string | number } };
  refresh_login: { login_url: string };
}

export type KgDeps = SourceDeps<KgConfig>;

/** Who asks, in the platform's words. A guest has userid "0" and no token. */
export interface Who {
  userid: string;
  token: string;
  mid: string;
  /** "-" until the device is registered. */
  dfid: string;
  vipType: string;
}

/** What belongs to an appid besides the config's own values. @see platforms.md 1.1, 1.2, 1.7 */
interface Edition {
  /** The newest version code that is known for it. */
  newestClientver: string;
  /** AES-256 key of `p3` in the login. */
  loginKey: string;
  /** RSA key of device registration and of the v5 login, base64 SPKI. */
  publicKey: string;
}

const ANDROID: Edition = {
  newestClientver: "20489",
  loginKey: "90b8382a1bb4ccdcf063102053fd75b8",
  publicKey:
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDIAG7QOELSYoIJvTFJhMpe1s/gbjDJX51HBNnEl5HXqTW6lQ7LC8jr9fWZTwusknp+sVGzwd40MwP6U5yDE27M/X1+UR4tvOGOqp94TJtQ1EPnWGWXngpeIW5GxoQGao1rmYWAu6oi1z9XkChrsUdC6DJE5E221wf/4WLFxwAtRQIDAQAB",
};
const LITE: Edition = {
  newestClientver: "11440",
  loginKey: "c24f74ca2820225badc01946dba4fdf7",
  publicKey:
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDECi0Np2UR87scwrvTr72L6oO01rBbbBPriSDFPxr3Z5syug0O24QyQO8bg27+0+4kBzTBTBOZ/WWU0WryL1JSXRTXLgFVxtzIY41Pe7lPOgsfTCn5kZcvKhYKJesKnnJDNr5/abvTGf+rHG3YRwsCHcQ08/q6ifSioBszvb3QiwIDAQAB",
};

export const LITE_APPID = "3116";
/** Secret of appid 1005, for the requests that always go out under it. */
export const ANDROID_SECRET = "OIlwieks28dk2k092lksi2UIkp";
export const WEB_SECRET = "NVPh5oo715z5DIWAeQlhMDsWXXQV4hwt";

/** The original sends a browser's name, drawn anew each time, to the endpoints without one of their own. */
export const BROWSER =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/113.0.0.0 Safari/537.36";

/** Headers of the newest Android client. */
export const NEWEST_HEADERS: Readonly<Record<string, string>> = {
  "User-Agent": "Android15-1070-11083-46-0-DiscoveryDRADProtocol-wifi",
  "kg-rc": "1",
  "kg-thash": "5d816a0",
  "kg-rec": "1",
  "kg-rf": "B9EDA08A64250DEFFBCADDEE00F8F25F",
};

/** Headers of the original's Android requests (play address, login, sign-in). */
export const ANDROID_HEADERS: Readonly<Record<string, string>> = {
  "User-Agent": "Android712-AndroidPhone-8983-18-0-NetMusic-wifi",
  "KG-THash": "3e5ec6b",
  "KG-Rec": "1",
  "KG-RC": "1",
};

/** Requests to the platform: percent-encoding, signature, decoding of JSON, and the trace of each. */
export interface KgClient {
  readonly config: KgConfig;
  readonly deps: KgDeps;
  readonly edition: Edition;
  who(call: Call): Who;
  /** Unix seconds. */
  seconds(): number;
  send(request: HttpRequest, call: Call): Promise<HttpReply>;
  /** @throws AppError `upstream_unreachable` | `upstream_changed` */
  json(request: HttpRequest, call: Call): Promise<unknown>;
  /** The parameters with `signature` at their end. */
  signed(params: Params, body?: string, secret?: string): Params;
  /** `count` letters and digits, lower case. */
  letters(count: number): string;
}

export function createClient(deps: KgDeps): KgClient {
  const { config } = deps;
  const edition = config.client.appid === LITE_APPID ? LITE : ANDROID;

  async function send(request: HttpRequest, call: Call): Promise<HttpReply> {
    const started = deps.now();
    const [where = ""] = request.url.replace(/^https?:\/\//, "").split("?");
    try {
      const reply = await deps.http({ ...request, signal: call.signal });
      call.step?.("kg request", { where, status: reply.status, ms: deps.now() - started });
      return reply;
    } catch (error) {
      call.step?.("kg request", { where, failed: true, ms: deps.now() - started });
      throw error;
    }
  }

  return {
    config,
    deps,
    edition: config.client.public_key === "" ? edition : { ...edition, publicKey: config.client.public_key },
    who: (call) => whoOf(call, config.user.mid),
    seconds: () => Math.floor(deps.now() / 1000),
    send,
    json: async (request, call) => (await send(request, call)).json(),
    signed: (params, body = "", secret = config.client.signatureKey) => [
      ...params,
      ["signature", sign(secret, params, body)],
    ],
    letters: (count) => Array.from({ length: count }, () => Math.floor(deps.random() * 36).toString(36)).join(""),
  };
}

function whoOf(call: Call, guestMid: string): Who {
  const { credentials = {} } = call.account ?? {};
  return {
    userid: credentials["userid"] || "0",
    token: credentials["token"] ?? "",
    mid: credentials["mid"] || guestMid,
    dfid: credentials["dfid"] || "-",
    vipType: credentials["vipType"] || "6",
  };
}

/** `a=b&c=d`, encoded as the original's HTTP client does it: `, : / @ ( ) ' ! * ~` stay as they are. */
export function queryText(params: Params): string {
  return params.map(([name, value]) => `${name}=${encodeValue(String(value))}`).join("&");
}

function encodeValue(value: string): string {
  return encodeURIComponent(value.toWellFormed()).replace(/%(?:2C|3A|2F|40)/g, (code) => decodeURIComponent(code));
}

export const address = (base: string, params: Params): string => `${base}?${queryText(params)}`;

const CODES: Record<string, { kind: ErrorKind; message: string }> = {
  "20018": { kind: "upstream_needs_login", message: "酷狗账号登录已失效，请重新登录" },
  "51002": { kind: "upstream_needs_login", message: "酷狗账号登录已失效，请重新登录" },
  "152": { kind: "upstream_needs_login", message: "酷狗要求登录后才能使用" },
  "20028": { kind: "upstream_verify", message: "酷狗要求验证，请稍后重试" },
  "1002": { kind: "upstream_verify", message: "酷狗提示操作过于频繁，请稍后重试" },
  "20010": { kind: "upstream_refused", message: "酷狗拒绝了请求: 密钥错误" },
  "20017": { kind: "upstream_refused", message: "酷狗拒绝了请求: 参数错误" },
};

type Code = string | number | boolean | null | undefined;

/**
 * The platform's "no" as an error.
 * @param codes where the answer may keep its code, the most telling first; an answer without any is none that we know
 * @param message used where the code says nothing to us
 */
export function refusal(codes: Code | Code[], message: string, detail?: unknown): AppError {
  const said = (Array.isArray(codes) ? codes : [codes]).filter((code) => code !== undefined && code !== null);
  const code =
    said.map(String).find((text) => text !== "" && text !== "0") ?? said.map(String).find((text) => text !== "");
  if (code === undefined) return new AppError("upstream_changed", "酷狗: 平台返回的数据格式已变化", { detail });
  const known = CODES[code];
  return new AppError(known?.kind ?? "upstream_refused", known?.message ?? message, { upstreamCode: code, detail });
}

const HASH = /^[0-9a-f]{32}$/i;

/** @throws AppError `invalid_request` */
export function requireHash(id: string): string {
  if (!HASH.test(id)) throw new AppError("invalid_request", "酷狗歌曲 ID 应为 32 位 hash");
  return id;
}

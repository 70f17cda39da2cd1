import { createHash } from "node:crypto";
import { deflateSync, inflateSync } from "node:zlib";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { Elysia } from "elysia";
import { AppError, isAppError } from "../../core/errors.ts";
import type { Quality, SourceId } from "../../core/types.ts";
import { sameText } from "../same-text.ts";

export interface GcspSettings {
  enable: boolean;
  path: string;
  enable_verify: boolean;
  package_md5: string;
  salt_1: string;
  salt_2: string;
}

export interface GcspDeps {
  settings: () => GcspSettings;
  /** A playable address. @throws AppError */
  url: (source: SourceId, songId: string, quality: Quality, request: Request) => Promise<string>;
  now: () => number;
}

const MAX_BODY = 5 * 1024;
/** A small body may inflate to much more. */
const MAX_INFLATED = 64 * 1024;
/** A message is good for this long (seconds), and may come from a clock that is this much ahead. */
const MAX_AGE = 10;
const MAX_AHEAD = 60;

const Message = Type.Object({
  text_1: Type.String(),
  text_2: Type.Optional(Type.String()),
  time: Type.Optional(Type.Union([Type.String(), Type.Number()])),
  sign_1: Type.Optional(Type.String()),
  sign_2: Type.Optional(Type.String()),
});
const Wanted = Type.Object({
  platform: Type.String(),
  t1: Type.Union([Type.String(), Type.Number()]),
  t2: Type.String(),
});

const PLATFORMS: Record<string, SourceId> = { qq: "tx", wyy: "wy", kugou: "kg", kuwo: "kw", mgu: "mg" };
const QUALITIES: Record<string, Quality> = { mp3: "128k", hq: "320k", sq: "flac", hr: "flac24bit", hires: "flac24bit" };

/**
 * The lyric-adapter protocol ("gcsp"): a zlib body of the hex of a JSON message; the answer is zlib of JSON.
 * @see compat/vectors.json `gcsp`
 */
export function gcspRoutes(deps: GcspDeps) {
  const { path } = deps.settings();
  const directory = path.slice(0, path.lastIndexOf("/"));
  const serve = async ({ request }: { request: Request }) => {
    const settings = deps.settings();
    if (!settings.enable) throw new AppError("not_found", "未找到您所请求的资源");
    const body = await boundedBody(request);
    return answer(await handle(deps, settings, body, request));
  };
  return new Elysia({ name: "routes/gcsp", detail: { tags: ["gcsp"] } })
    .post(path, serve, { parse: "none", detail: { summary: "歌词适配 / lyric adapter" } })
    .post(`${directory}/check_version`, serve, { parse: "none", detail: { hide: true } });
}

async function boundedBody(request: Request): Promise<Uint8Array> {
  const tooLarge = () => new AppError("too_large", "请求体过大");
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY) throw tooLarge();
  const body = new Uint8Array(await request.arrayBuffer());
  if (body.byteLength > MAX_BODY) throw tooLarge();
  return body;
}

interface Reply {
  code: string;
  error_msg: string;
  data: string | { bitrate: string; url: string } | null;
}

const refusal = (error_msg: string): Reply => ({ code: "403", error_msg, data: null });

async function handle(deps: GcspDeps, settings: GcspSettings, body: Uint8Array, request: Request): Promise<Reply> {
  const message = decodeMessage(body);
  if (message === undefined) return refusal("请求参数有误");
  const verdict = settings.enable_verify ? verify(message, settings, deps.now()) : "success";
  if (verdict !== "success") return refusal(REFUSALS[verdict]);
  const wanted = parseWanted(message.text_1);
  const source = wanted === undefined ? undefined : PLATFORMS[wanted.platform];
  const quality = wanted === undefined ? undefined : QUALITIES[wanted.t2];
  if (wanted === undefined || source === undefined || quality === undefined) return refusal("不支持的平台或音质");
  try {
    const url = await deps.url(source, String(wanted.t1), quality, request);
    // The app reads Kuwo's addresses from an object; the bit rate in it is not looked at.
    return { code: "200", error_msg: "success", data: source === "kw" ? { bitrate: "123", url } : url };
  } catch (error) {
    if (!isAppError(error)) throw error;
    return refusal("内部系统错误，请稍后再试");
  }
}

const REFUSALS = {
  time: "请求检验失败，请检查系统时间是否为标准时间",
  sign: "请求检验失败，请检查应用是否被修改或更新到最新版本",
};

function decodeMessage(body: Uint8Array): Static<typeof Message> | undefined {
  try {
    const hex = inflateSync(body, { maxOutputLength: MAX_INFLATED }).toString("latin1");
    const value: unknown = JSON.parse(Buffer.from(hex, "hex").toString("utf8"));
    return Value.Check(Message, value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function parseWanted(text: string): Static<typeof Wanted> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(Wanted, value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const md5 = (text: string) => createHash("md5").update(text).digest("hex");

/** Both signatures, then the age of the message. `now` in Unix ms. */
export function verify(
  message: Static<typeof Message>,
  settings: GcspSettings,
  now: number,
): "success" | "sign" | "time" {
  const time = String(message.time ?? "");
  const sign1 = md5(settings.package_md5 + time + settings.salt_2);
  const joined = JSON.stringify(message.text_1) + JSON.stringify(message.text_2 ?? null);
  const plain = (joined + sign1 + time + settings.salt_1)
    .replaceAll("\\", "")
    .replaceAll('}"', "}")
    .replaceAll('"{', "{");
  if (!sameText(message.sign_1 ?? "", sign1) || !sameText(message.sign_2 ?? "", md5(plain))) return "sign";
  const age = Math.trunc(now / 1000) - Number(time);
  return age <= MAX_AGE && age >= -MAX_AHEAD ? "success" : "time";
}

function answer(reply: Reply): Response {
  return new Response(new Uint8Array(deflateSync(JSON.stringify(reply))), {
    headers: { "content-type": "application/octet-stream" },
  });
}

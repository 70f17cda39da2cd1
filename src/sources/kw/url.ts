import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../core/errors.ts";
import type { PlayableUrl, Quality } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { idOf, numberOf, recordOf, textOf } from "../read.ts";
import type { Call, UrlRequest } from "../source.ts";
import { KW_QUALITIES, type KwClient, type KwDeps, type KwQuality, MOBILE_USER_AGENT, rid } from "./client.ts";
import { encryptQuery } from "./crypto.ts";

/** Seconds for which an address lives. */
const LIFETIME = 3600;
/** The spoken notice "this song needs a membership". */
const NOTICES = /\/(?:2352675463|2272659253)\.mp3$/;
const ENCRYPTED = /^(?:mgg|mflac|mmp4|mnac|kgm|kgma|kgg|kwm|zp|vpr)$/i;

interface Asked extends KwQuality {
  songId: string;
  quality: Quality;
}

/** What a reply says of the file, whichever service it came from. */
interface Offered {
  url: string | undefined;
  bitrate: number | undefined;
  format: string | undefined;
  rid: string | undefined;
  ekey: string | undefined;
}

export function createUrl(deps: KwDeps, client: KwClient) {
  const { config } = deps;
  const services = { "bd-api": bdApi, kuwodes, mobi } as const;

  return async function url({ songId, quality }: UrlRequest, call: Call): Promise<PlayableUrl> {
    const known = KW_QUALITIES[quality];
    if (known === undefined) throw new AppError("unsupported", "酷我: 不支持的音质");
    const asked: Asked = { ...known, quality, songId: rid(songId) };
    try {
      return accept(await services[config.proto](asked, call), asked, call);
    } catch (error) {
      if (config.proto === "mobi" || !mayAskMobi(error, asked, call)) throw error;
      call.step?.("kw.second_attempt", {});
      return accept(await mobi(asked, call).catch(() => Promise.reject(error)), asked, call);
    }
  };

  /** Only when the service failed, or knows guests not at all; "buy" and "members only" stand. */
  function mayAskMobi(error: unknown, asked: Asked, call: Call): boolean {
    if (!config.mobi.second_attempt || !/^\d{1,12}$/.test(asked.songId) || !isAppError(error)) return false;
    if (call.signal?.aborted || call.mayAskAgain?.() === false) return false;
    if (error.kind === "upstream_needs_login") return call.account === undefined;
    return ["upstream_unreachable", "upstream_changed", "upstream_refused"].includes(error.kind);
  }

  /** The app's download service, with the account. The original's request. */
  async function bdApi(asked: Asked, call: Call): Promise<Offered> {
    const { uid = "0", token = "", device_id = "0" } = call.account?.credentials ?? {};
    const path = `https://bd-api.kuwo.cn/api/service/music/downloadInfo/${encodeURIComponent(asked.songId)}`;
    const query = `isMv=0&format=${asked.extension}&br=${asked.br}&uid=${encodeURIComponent(uid)}&token=${encodeURIComponent(token)}`;
    const headers = {
      "User-Agent": "Dart/2.14 (dart:io)",
      channel: "qq",
      plat: "ar",
      net: "wifi",
      ver: "3.1.2",
      uid,
      devId: device_id,
    };
    const reply = decode(Coded, (await client.get(`${path}?${query}`, headers, call)).json(), "kw");
    const data = codedData(reply);
    const audio = recordOf(data["audioInfo"]);
    return { ...offeredOf(data), bitrate: numberOf(audio["bitrate"]), format: textOf(audio["format"]) };
  }

  /** `mobi.s` by template, its parameters encrypted. The original's request. */
  async function kuwodes(asked: Asked, call: Call): Promise<Offered> {
    const { des } = config;
    const params = fillTemplate(des.params, asked);
    const query = des.need_encrypt ? `q=${encodeURIComponent(encryptQuery(params))}` : params;
    const address = `https://${des.host}/${des.path.replace(/^\/+/, "")}?f=${encodeURIComponent(des.f)}&${query}`;
    const reply = await client.get(address, des.headers, call);
    return des.response_type === "text"
      ? readText(reply.text())
      : readJson(reply.json(), des.url_json_path, des.bitrate_json_path);
  }

  /** The newest app's plain request: no account in it. */
  async function mobi(asked: Asked, call: Call): Promise<Offered> {
    const { host, user, source } = config.mobi;
    const query =
      `f=web&user=${encodeURIComponent(user)}&source=${encodeURIComponent(source)}&type=convert_url_with_sign` +
      `&br=${asked.br}&format=${asked.extension}&sig=0&rid=${encodeURIComponent(asked.songId)}&network=WIFI`;
    const reply = await client.get(`http://${host}/mobi.s?${query}`, { "User-Agent": MOBILE_USER_AGENT }, call);
    return readJson(reply.json(), "data.url", "data.bitrate");
  }
}

const Coded = Type.Object({
  code: Type.Union([Type.Integer(), Type.String({ pattern: "^-?\\d+$" })]),
  data: Type.Optional(Type.Unknown()),
});

function codedData(reply: { code: number | string; data?: unknown }): Record<string, unknown> {
  const code = Number(reply.code);
  if (code === 404) throw new AppError("upstream_not_found", "酷我: 歌曲不存在或无版权", { upstreamCode: code });
  if (code !== 200) throw new AppError("upstream_needs_login", "酷我: 未登录或账号已失效", { upstreamCode: code });
  return recordOf(reply.data);
}

function offeredOf(data: Record<string, unknown>): Offered {
  return {
    url: textOf(data["url"]),
    bitrate: numberOf(data["bitrate"]),
    format: textOf(data["format"]),
    rid: idOf(data["rid"]),
    ekey: textOf(data["ekey"]),
  };
}

function fillTemplate(template: string, asked: Asked): string {
  const values: Record<string, string> = {
    songId: encodeURIComponent(asked.songId),
    map_quality: asked.br,
    raw_quality: asked.quality,
    ext: asked.extension,
  };
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

/** CRLF lines `name=value`. */
function readText(text: string): Offered {
  const fields: Record<string, string> = {};
  for (const line of text.split(/[\r\n]+/)) {
    const at = line.indexOf("=");
    if (at > 0) fields[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  if (fields["url"] === undefined && fields["bitrate"] === undefined) {
    throw new AppError("upstream_changed", "酷我: 平台返回的数据格式已变化", { detail: { start: text.slice(0, 120) } });
  }
  return offeredOf(fields);
}

function readJson(reply: unknown, urlPath: string, bitratePath: string): Offered {
  const code = numberOf(recordOf(reply)["code"]);
  if (code !== undefined && code !== 200) codedData({ code });
  const steps = urlPath.split(".");
  const around = recordOf(at(reply, steps.slice(0, -1)));
  const url = textOf(at(reply, steps));
  const bitrate = numberOf(at(reply, bitratePath.split(".")));
  if (url === undefined && bitrate === undefined) {
    throw new AppError("upstream_changed", "酷我: 平台返回的数据格式已变化", { detail: { urlPath, bitratePath } });
  }
  return { ...offeredOf(around), url, bitrate };
}

function at(value: unknown, path: string[]): unknown {
  return path.reduce((inner, name) => recordOf(inner)[name], value);
}

/** @throws AppError unless the file is exactly what was asked for: the platform lowers and replaces silently. */
function accept(offered: Offered, asked: Asked, call: Call): PlayableUrl {
  const { bitrate, format } = offered;
  call.step?.("kw.offer", { bitrate, format });
  const url = offered.url?.split("?")[0] ?? "";
  const extension = /\.(\w{2,5})$/.exec(url)?.[1]?.toLowerCase();
  const quality = (reason: string) =>
    new AppError("upstream_quality", `酷我: ${reason}`, { detail: { bitrate, format, extension } });
  if (bitrate === 1 || NOTICES.test(url)) {
    throw new AppError("upstream_needs_purchase", "酷我: 需要会员或购买", { upstreamCode: 1 });
  }
  if (!/^https?:\/\//.test(url)) throw new AppError("upstream_refused", "酷我: 平台未给出播放地址");
  if (bitrate === undefined) {
    throw new AppError("upstream_changed", "酷我: 平台返回的数据格式已变化", { detail: { missing: "bitrate" } });
  }
  if (offered.ekey !== undefined || bitrate > 4000 || ENCRYPTED.test(format ?? "") || ENCRYPTED.test(extension ?? "")) {
    throw quality("平台只提供加密文件");
  }
  if (offered.rid !== undefined && rid(offered.rid) !== asked.songId) throw quality("平台给出的不是这首歌");
  if (bitrate !== asked.bitrate || (format ?? asked.extension).toLowerCase() !== asked.extension) {
    throw quality(`平台只提供其他音质（${bitrate}k ${format ?? ""}）`.replace(" ）", "）"));
  }
  if (extension !== undefined && extension !== asked.extension) throw quality("平台给出的文件格式不符");
  return { url, quality: asked.quality, lifetimeSeconds: LIFETIME, extension: asked.extension };
}

import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { PlayableUrl, Quality } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call, SourceDeps, UrlRequest } from "../source.ts";
import { accepted, checkId, cookieOf, maybe, NAME, type WyClient, type WyConfig } from "./client.ts";

/** `level` of each quality. Guests get up to exhigh, VIP up to hires, super VIP the rest. */
export const LEVELS = {
  "128k": "standard",
  "192k": "higher",
  "320k": "exhigh",
  flac: "lossless",
  flac24bit: "hires",
  hires: "hires",
  atmos: "jyeffect",
  dolby: "dolby",
  sky: "sky",
  master: "jymaster",
} as const satisfies Partial<Record<Quality, string>>;

/** The original took the platform's own names too. */
export const QUALITY_ALIASES: Record<string, Quality> = {
  standard: "128k",
  higher: "192k",
  exhigh: "320k",
  lossless: "flac",
  jyeffect: "atmos",
  jymaster: "master",
};

/** Seconds for which an address lives when the reply does not say. */
const LIFETIME = 1200;

/** One item of `data`. Recorded: `wy/01-url-128k`. */
const Item = Type.Object({
  url: Type.Union([Type.String(), Type.Null()]),
  level: maybe(Type.String()),
  code: maybe(Type.Number()),
  fee: maybe(Type.Number()),
  expi: maybe(Type.Number()),
  size: maybe(Type.Number()),
  type: maybe(Type.String()),
  freeTrialInfo: Type.Optional(Type.Unknown()),
});
type Item = Static<typeof Item>;
const UrlReply = Type.Object({ data: Type.Array(Item, { minItems: 1 }) });

/** Play addresses, from the platform itself or from a NeteaseCloudMusicApi server, judged alike. */
export function createUrl(client: WyClient, deps: Pick<SourceDeps<WyConfig>, "config" | "http">) {
  const ask = deps.config.proto === "ncmapi" ? askServer : askPlatform;

  async function askPlatform(songId: string, level: string, call: Call): Promise<unknown> {
    const payload = {
      ids: JSON.stringify([songId]),
      level,
      encodeType: "flac",
      ...(level === "sky" ? { immerseType: "c51" } : {}),
    };
    return (await client.eapi("/api/song/enhance/player/url/v1", payload, call)).body;
  }

  async function askServer(songId: string, level: string, call: Call): Promise<unknown> {
    const base = deps.config.ncmapi.api_url.replace(/\/+$/, "");
    if (base === "") throw new AppError("unsupported", `${NAME}: 没有配置 ncmapi.api_url`);
    const cookie = cookieOf(call);
    const query = new URLSearchParams({ id: songId, level, ...(cookie === "" ? {} : { cookie }) });
    // Such a server answers "log in" with HTTP 301 and no address to follow.
    const url = `${base}/song/url/v1?${query}`;
    return accepted(await deps.http({ url, redirect: "manual", signal: call.signal }), call);
  }

  return async function url(request: UrlRequest, call: Call): Promise<PlayableUrl> {
    const songId = checkId(request.songId);
    const level = levelOf(request.quality);
    call.step?.("wy url", { proto: deps.config.proto, level });
    const item = decode(UrlReply, await ask(songId, level, call), "wy").data[0];
    if (item === undefined) throw new AppError("upstream_not_found", `${NAME}: 没有找到该歌曲`);
    return playable(item, level, request.quality, call);
  };
}

function levelOf(quality: Quality): string {
  const levels: Partial<Record<Quality, string>> = LEVELS;
  const level = levels[quality];
  if (level === undefined) throw new AppError("unsupported", `${NAME}: 不支持音质 ${quality}`);
  return level;
}

/** Only a full song in the level that was asked for passes. */
function playable(item: Item, level: string, quality: Quality, call: Call): PlayableUrl {
  if (item.url === null || item.url === "") throw unavailable(item, call);
  if (item.freeTrialInfo !== undefined && item.freeTrialInfo !== null) {
    throw new AppError("upstream_quality", `${NAME}: 只有试听片段，需要会员`, {
      detail: { trial: item.freeTrialInfo },
    });
  }
  if (item.level !== level) {
    const got = item.level ?? "null";
    throw new AppError("upstream_quality", `reject unmatched quality: expected=${level}, got=${got}`);
  }
  return {
    url: item.url,
    quality,
    lifetimeSeconds: item.expi !== undefined && item.expi !== null && item.expi > 0 ? item.expi : LIFETIME,
    ...(item.size ? { size: item.size } : {}),
    ...(item.type ? { extension: item.type.toLowerCase() } : {}),
  };
}

/** `fee`: 0 free, 1 VIP, 4 bought album, 8 free in low quality. */
function unavailable(item: Item, call: Call): AppError {
  const options = { upstreamCode: item.code ?? 0, detail: { fee: item.fee } };
  if (item.fee === 4) return new AppError("upstream_needs_purchase", `${NAME}: 需要购买专辑`, options);
  if (item.fee === 1) {
    const who = call.account === undefined ? "需要会员账号" : "需要会员";
    return new AppError("upstream_needs_purchase", `${NAME}: ${who}`, options);
  }
  return new AppError("upstream_no_copyright", `${NAME}: 没有版权或已下架`, options);
}

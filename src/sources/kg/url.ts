import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../core/errors.ts";
import type { PlayableUrl, Quality, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call, UrlRequest } from "../source.ts";
import { ANDROID_HEADERS, address, type KgClient, NEWEST_HEADERS, refusal, requireHash, type Who } from "./client.ts";
import { hashKey, type Params } from "./crypto.ts";
import type { Devices } from "./device.ts";
import { compact, Loose, numberOf, Part, partOf, positiveOf, textOf } from "./fields.ts";

/** The platform's words for a quality: `names` in the order in which they are tried, `file` whose hash is sent. */
interface Rendition {
  names: readonly string[];
  file: "128k" | "320k" | "flac" | "flac24bit";
  /** The hash in the answer is the one asked for. The sound effects are files of their own. */
  sameFile: boolean;
  /** Least kbit/s that this quality can have. */
  leastBitrate: number;
}

const LOSSLESS = 400;
export const RENDITIONS: Partial<Record<Quality, Rendition>> = {
  "128k": { names: ["128"], file: "128k", sameFile: true, leastBitrate: 0 },
  "320k": { names: ["320"], file: "320k", sameFile: true, leastBitrate: 256 },
  flac: { names: ["flac"], file: "flac", sameFile: true, leastBitrate: LOSSLESS },
  flac24bit: { names: ["high"], file: "flac24bit", sameFile: true, leastBitrate: LOSSLESS },
  hires: { names: ["high"], file: "flac24bit", sameFile: true, leastBitrate: LOSSLESS },
  atmos: { names: ["viper_atmos"], file: "128k", sameFile: false, leastBitrate: LOSSLESS },
  // The original asks for viper_atmos; the platform has since moved the master rendition to viper_clear.
  master: { names: ["viper_atmos", "viper_clear"], file: "128k", sameFile: false, leastBitrate: LOSSLESS },
};

/** The platform's addresses live for a day. */
const LIFETIME_SECONDS = 86_400;
const PLAIN_EXTENSIONS = new Set(["mp3", "flac", "m4a", "ogg", "wav"]);

/** GET /v5/url. Fields we read, nothing more. */
const UrlReply = Type.Object({
  status: Type.Optional(Type.Union([Type.Integer(), Type.String()])),
  error_code: Loose,
  err_code: Loose,
  url: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String()), Type.Null()])),
  hash: Loose,
  extName: Loose,
  fileSize: Loose,
  bitRate: Loose,
  hash_offset: Part(Type.Object({})),
  fail_process: Type.Optional(Type.Unknown()),
});

interface Wanted {
  hash: string;
  rendition: string;
  albumId: string;
  albumAudioId: string;
}

/**
 * The address of one quality. First the original's request; where that is refused for want of a registered device or
 * of newer parameters, the newest client's request once.
 * @throws AppError `upstream_*`, `unsupported`, `invalid_request`
 */
export async function fetchUrl(
  client: KgClient,
  devices: Devices,
  songOf: (hash: string, call: Call) => Promise<Song>,
  request: UrlRequest,
  call: Call,
): Promise<PlayableUrl> {
  const { quality } = request;
  const rendition = RENDITIONS[quality];
  if (rendition === undefined) throw new AppError("unsupported", "酷狗没有这种音质");
  const id = requireHash(request.songId).toLowerCase();
  const known = request.song?.qualities[rendition.file]?.hash ? request.song : undefined;
  const song = known ?? (await songOf(id, call));
  const hash = song.qualities[rendition.file]?.hash;
  if (!hash)
    throw new AppError("upstream_quality", "获取歌曲信息失败", { detail: { reason: "no such quality", quality } });
  const wanted = {
    hash: hash.toLowerCase(),
    albumId: song.album?.id ?? "",
    albumAudioId: song.ids["albumAudioId"] ?? "",
  };

  let refused: AppError | undefined;
  for (const name of rendition.names) {
    if (refused !== undefined && call.mayAskAgain?.() === false) break;
    try {
      return await attempt(client, devices, { ...wanted, rendition: name }, rendition, quality, call);
    } catch (error) {
      // Another name of the same quality is worth a request only when this one was answered with "no".
      if (
        !isAppError(error) ||
        !["upstream_needs_purchase", "upstream_refused", "upstream_quality"].includes(error.kind)
      )
        throw error;
      refused ??= error;
    }
  }
  throw refused ?? new AppError("upstream_refused", "链接获取失败，可能是数字专辑或者api失效");
}

async function attempt(
  client: KgClient,
  devices: Devices,
  wanted: Wanted,
  rendition: Rendition,
  quality: Quality,
  call: Call,
): Promise<PlayableUrl> {
  const who = client.who(call);
  try {
    return await ask(client, originalRequest(client, who, wanted), wanted, rendition, quality, call);
  } catch (error) {
    const hopeful = isAppError(error) && (error.kind === "upstream_verify" || error.kind === "upstream_refused");
    if (!hopeful) throw error;
    const dfid = await devices.dfidOf(call);
    if (dfid === undefined || call.mayAskAgain?.() === false) throw error;
    call.step?.("kg newer request", { because: error.upstreamCode });
    return ask(client, newestRequest(client, { ...who, dfid }, wanted), wanted, rendition, quality, call);
  }
}

interface Outgoing {
  url: string;
  headers: Record<string, string>;
}

function originalRequest(client: KgClient, who: Who, wanted: Wanted): Outgoing {
  const { client: constants, tracker } = client.config;
  const params: (readonly [string, string | number])[] = [
    ["album_id", wanted.albumId],
    ["userid", who.userid],
    ["area_code", 1],
    ["hash", wanted.hash],
    ["module", ""],
    ["mid", who.mid],
    ["appid", constants.appid],
    ["ssa_flag", "is_fromtrack"],
    ["clientver", constants.clientver],
    ["open_time", today(client.deps.now())],
    ["vipType", who.vipType],
    ["ptype", 0],
    ["token", who.token],
    ["auth", ""],
    ["mtype", 0],
    ["album_audio_id", wanted.albumAudioId],
    ["behavior", "play"],
    ["clienttime", client.seconds()],
    ["pid", constants.pid],
    ["key", hashKey(wanted.hash, who, constants.pidversionsecret, constants.appid)],
    ["dfid", who.dfid],
    ["pidversion", 3001],
  ];
  if (tracker.version === "v5") params.push(["quality", wanted.rendition]);
  if (tracker.version === "v4") params.push(["version", constants.clientver]);
  const router = tracker["x-router"];
  return {
    url: address(
      tracker.host.replace(/\/+$/, "") + tracker.path,
      client.signed(withExtra(params, tracker.extra_params)),
    ),
    headers: { ...ANDROID_HEADERS, ...(router.enable ? { "x-router": router.value } : {}) },
  };
}

/** Configured parameters go first and do not replace ours. */
function withExtra(params: Params, extra: Record<string, unknown>): Params {
  const names = new Set(params.map(([name]) => name));
  const further = Object.entries(extra)
    .filter(([name]) => !names.has(name))
    .map(([name, value]) => [name, typeof value === "object" ? JSON.stringify(value) : String(value)] as const);
  return [...further, ...params];
}

function newestRequest(client: KgClient, who: Who, wanted: Wanted): Outgoing {
  const { client: constants } = client.config;
  const clienttime = client.seconds();
  const params: Params = [
    ["dfid", who.dfid],
    ["mid", who.mid],
    ["uuid", "-"],
    ["appid", constants.appid],
    ["clientver", client.edition.newestClientver],
    ["userid", who.userid],
    ["token", who.token],
    ["clienttime", clienttime],
    ["album_id", wanted.albumId],
    ["area_code", 1],
    ["hash", wanted.hash],
    ["ssa_flag", "is_fromtrack"],
    ["version", 11430],
    ["quality", wanted.rendition],
    ["album_audio_id", wanted.albumAudioId],
    ["behavior", "play"],
    ["pid", constants.pid],
    ["cmd", 26],
    ["pidversion", 3001],
    ["IsFreePart", 0],
    ["cdnBackup", 1],
    ["kcard", 0],
    ["module", ""],
    ["key", hashKey(wanted.hash, who, constants.pidversionsecret, constants.appid)],
  ];
  return {
    url: address("https://gateway.kugou.com/v5/url", client.signed(params)),
    headers: {
      ...NEWEST_HEADERS,
      dfid: who.dfid,
      clienttime: String(clienttime),
      mid: who.mid,
      "x-router": "trackercdn.kugou.com",
    },
  };
}

async function ask(
  client: KgClient,
  outgoing: Outgoing,
  wanted: Wanted,
  rendition: Rendition,
  quality: Quality,
  call: Call,
): Promise<PlayableUrl> {
  const reply = decode(UrlReply, await client.json(outgoing, call), "kg");
  const status = numberOf(reply.status);
  if (status !== 1) throw refusedUrl(status, textOf(reply.error_code ?? reply.err_code), reply.fail_process);
  const url = typeof reply.url === "string" ? reply.url : reply.url?.[0];
  if (!url || !/^https?:\/\//.test(url)) {
    throw new AppError("upstream_changed", "酷狗: 平台返回的数据格式已变化", { detail: "status 1 without an address" });
  }
  if (partOf(reply.hash_offset) !== undefined) {
    throw new AppError("upstream_quality", "酷狗只提供试听片段，需要会员或购买");
  }
  const extension = extensionOf(url, textOf(reply.extName));
  if (!PLAIN_EXTENSIONS.has(extension)) {
    throw new AppError("upstream_quality", "酷狗只提供加密文件，无法播放", { detail: { extension } });
  }
  const bitrate = kilobits(positiveOf(reply.bitRate));
  const hash = textOf(reply.hash).toLowerCase();
  const wrongFile = rendition.sameFile && hash !== "" && hash !== wanted.hash;
  const tooLow = bitrate !== undefined && bitrate < rendition.leastBitrate;
  const lossy = rendition.leastBitrate === LOSSLESS && extension === "mp3";
  if (wrongFile || tooLow || lossy) {
    throw new AppError("upstream_quality", "酷狗没有提供所请求的音质", {
      detail: { quality, bitrate, wrongFile, lossy },
    });
  }
  return {
    url,
    quality,
    lifetimeSeconds: LIFETIME_SECONDS,
    extension,
    ...compact({ size: positiveOf(reply.fileSize) }),
  };
}

function refusedUrl(status: number | undefined, code: string, failProcess: unknown): AppError {
  const detail = { status, failProcess };
  const upstreamCode = code === "" || code === "0" ? `status ${status ?? "?"}` : code;
  if (status === 3) {
    return new AppError("upstream_no_copyright", "该歌曲在酷狗没有版权，请换源播放", { upstreamCode, detail });
  }
  const refused = refusal([code, status], "链接获取失败，可能是数字专辑或者api失效", detail);
  if (status === 2 && refused.kind === "upstream_refused") {
    const message = "链接获取失败，请检查账号是否有会员或数字专辑是否购买";
    return new AppError("upstream_needs_purchase", message, { upstreamCode, detail });
  }
  return refused;
}

/** The address says what is served; `extName` speaks where it does not. */
function extensionOf(url: string, extName: string): string {
  const path = url.split(/[?#]/)[0] ?? "";
  const own = /\.([a-z0-9]{2,5})$/i.exec(path)?.[1]?.toLowerCase();
  const said = extName.toLowerCase().replace(/^\./, "");
  // Both must be plain: an encrypted file may hide behind either.
  if (said !== "" && !PLAIN_EXTENSIONS.has(said)) return said;
  return own ?? said;
}

/** `bitRate` is in bit/s in most answers, in kbit/s in some. */
const kilobits = (value: number | undefined) => (value !== undefined && value > 10_000 ? value / 1000 : value);

/** yyyymmdd in the platform's time zone. */
function today(now: number): string {
  return new Date(now + 8 * 3_600_000).toISOString().slice(0, 10).replaceAll("-", "");
}

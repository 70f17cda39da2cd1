import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../core/errors.ts";
import type { PlayableUrl, Quality, Song } from "../../core/types.ts";
import { idOf, positive, textOf } from "../read.ts";
import type { Call, UrlRequest } from "../source.ts";
import { refusal, type TxClient, type TxDeps } from "./client.ts";
import { fetchDetail } from "./song.ts";

/** File name prefix and extension by quality. */
export const FILES: Partial<Record<Quality, readonly [prefix: string, extension: string]>> = {
  "128k": ["M500", "mp3"],
  "192k": ["O600", "ogg"],
  "320k": ["M800", "mp3"],
  flac: ["F000", "flac"],
  flac24bit: ["RS01", "flac"],
  hires: ["RS01", "flac"],
  atmos: ["Q000", "flac"],
  atmos_plus: ["Q001", "flac"],
  dolby: ["D004", "mp4"],
  master: ["AI00", "flac"],
};
const ENCRYPTED = /\.(?:mgg|mflac|mmp4|mnac)$/i;
const TRIAL = /^(?:RS02|O802)/;
const NO_RIGHT = 104_003;
const VKEY_FAILED = 104_004;
/** What the platform gives when it does not say. */
const DEFAULT_LIFETIME = 80_400;

const VkeyData = Type.Object({
  expiration: Type.Optional(Type.Number()),
  sip: Type.Optional(Type.Array(Type.String())),
  midurlinfo: Type.Array(
    Type.Object({
      purl: Type.String(),
      result: Type.Optional(Type.Integer()),
      code: Type.Optional(Type.Integer()),
      ekey: Type.Optional(Type.Unknown()),
    }),
    { minItems: 1 },
  ),
});

export function createUrl(deps: TxDeps, client: TxClient) {
  return async function url({ songId, quality, song }: UrlRequest, call: Call): Promise<PlayableUrl> {
    const file = FILES[quality];
    if (file === undefined) throw new AppError("unsupported", "QQ音乐: 不支持的音质");
    const known = knownMediaMid(song);
    const detail = known === undefined ? await fetchDetail(client, songId, call) : undefined;
    if (detail?.offShelf) throw new AppError("upstream_no_copyright", "QQ音乐: 歌曲已下架或无版权");
    const asked: Asked = {
      songId,
      quality,
      prefix: file[0],
      extension: file[1],
      mediaMid: known ?? mediaMidOf(detail?.song),
    };
    try {
      return await fetchVkey(deps, client, asked, false, call);
    } catch (error) {
      if (!deps.config.newer_request || !mayAskAgain(error) || call.mayAskAgain?.() === false) throw error;
      call.step?.("tx.second_attempt", {});
      return fetchVkey(deps, client, asked, true, call);
    }
  };
}

interface Asked {
  songId: string;
  quality: Quality;
  prefix: string;
  extension: string;
  mediaMid: string;
}

function mediaMidOf(song: Song | undefined): string {
  const mediaMid = song?.ids["mediaMid"];
  if (mediaMid === undefined) throw new AppError("upstream_no_copyright", "QQ音乐: 该歌曲没有可播放的文件");
  return mediaMid;
}

/** A client may have sent it: what cannot be one is not used. */
function knownMediaMid(song: Song | undefined): string | undefined {
  const mediaMid = song?.ids["mediaMid"] ?? "";
  return /^[0-9A-Za-z]{4,32}$/.test(mediaMid) ? mediaMid : undefined;
}

/** Only when the service failed to make a key; what it refused for want of a right stays refused. */
function mayAskAgain(error: unknown): boolean {
  return isAppError(error) && error.upstreamCode === VKEY_FAILED;
}

async function fetchVkey(
  deps: TxDeps,
  client: TxClient,
  asked: Asked,
  newer: boolean,
  call: Call,
): Promise<PlayableUrl> {
  const { guid, uin: guestUin } = deps.config.vkeyserver;
  const uin = call.account?.credentials["uin"] ?? "";
  const param = {
    filename: [`${asked.prefix}${asked.mediaMid}.${asked.extension}`],
    guid,
    songmid: [asked.songId],
    songtype: [0],
    uin: newer && uin === "" ? guestUin : uin,
    loginflag: 1,
    platform: "20",
    ...(newer ? { ctx: 0, downloadfrom: 1, referer: "y.qq.com", scene: 0 } : {}),
  };
  const data = await client.ask(
    {
      req: { module: "music.vkey.GetVkey", method: "UrlGetVkey", param },
      comm: {
        qq: uin,
        authst: call.account?.credentials["qqmusic_key"] ?? "",
        ct: "26",
        cv: "2010101",
        v: "2010101",
      },
    },
    "req",
    VkeyData,
    call,
  );
  const item = data.midurlinfo[0];
  const result = item?.result || item?.code || 0;
  call.step?.("tx.vkey", { quality: asked.quality, result });
  // An empty address without a reason is how the service says that the right is missing.
  if (item === undefined || item.purl === "") throw refusal(result === 0 ? NO_RIGHT : result);
  checkFile(item.purl, idOf(item.ekey), asked);
  return {
    url: cdnOf(deps.config.cdnaddr, data.sip) + item.purl,
    quality: asked.quality,
    lifetimeSeconds: positive(data.expiration) ?? DEFAULT_LIFETIME,
    extension: asked.extension,
  };
}

/** @throws AppError `upstream_quality` unless the file is exactly what was asked for. */
function checkFile(purl: string, ekey: string | undefined, asked: Asked): void {
  const name = purl.split("?")[0]?.split("/").at(-1) ?? "";
  const refuse = (reason: string) => new AppError("upstream_quality", `QQ音乐: ${reason}`, { detail: { file: name } });
  if (ekey !== undefined || ENCRYPTED.test(name)) throw refuse("平台只提供加密文件");
  if (TRIAL.test(name)) throw refuse("平台只提供试听片段");
  if (!name.startsWith(asked.prefix) || !name.endsWith(`.${asked.extension}`)) throw refuse("平台只提供其他音质");
}

function cdnOf(configured: string, sip: string[] | undefined): string {
  const base = textOf(configured) ?? sip?.find((address) => /^https?:\/\//.test(address));
  if (base === undefined) throw new AppError("upstream_changed", "QQ音乐: 平台未给出音频服务器");
  return base.endsWith("/") ? base : `${base}/`;
}

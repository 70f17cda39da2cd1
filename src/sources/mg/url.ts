import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import { type PlayableUrl, QUALITIES, type Quality, type Song } from "../../core/types.ts";
import { type Attempt, firstAnswer } from "../attempts.ts";
import { decode } from "../decode.ts";
import type { Call, SourceDeps, UrlRequest } from "../source.ts";
import {
  ACCOUNT_CHANNEL,
  ANDROID_USER_AGENT,
  APP_HEADERS,
  absolute,
  acceptBody,
  GUEST_CHANNEL,
  kindOfId,
  Loose,
  type MgClient,
  type MgConfig,
  NAME,
  refusal,
  textOf,
} from "./client.ts";
import { decodeH5 } from "./crypto.ts";
import { isTrue, type MgSongs } from "./song.ts";

/** How each quality is called: `tone` by the app, `type` and `formatId` by the h5 pages. */
const TONES: Partial<Record<Quality, { tone: string; accepts: string[]; type: string; formatId: string }>> = {
  "128k": { tone: "PQ", accepts: ["PQ"], type: "1", formatId: "000009" },
  "320k": { tone: "HQ", accepts: ["HQ"], type: "2", formatId: "020010" },
  flac: { tone: "SQ", accepts: ["SQ"], type: "3", formatId: "011002" },
  flac24bit: { tone: "ZQ24", accepts: ["ZQ24", "ZQ"], type: "4", formatId: "011005" },
  hires: { tone: "ZQ24", accepts: ["ZQ24", "ZQ"], type: "4", formatId: "011005" },
};
type Tone = NonNullable<(typeof TONES)[Quality]>;

export const MG_QUALITIES = QUALITIES.filter((quality) => TONES[quality] !== undefined);

export type Way = MgConfig["ways"][number];

const H5_PLAY = "https://m.music.migu.cn/migumusic/h5/play/auth/getSongPlayInfo";
const APP_V24 = "https://app.c.nf.migu.cn/MIGUM2.0/strategy/listen-url/v2.4";
const APP_V20 = "https://app.c.nf.migu.cn/MIGUM2.0/v2.0/content/listen-url";
const H5_V24 = "https://c.musicapp.migu.cn/strategy/listen-url/h5/v2.4";

const H5Reply = Type.Object({
  data: Type.Optional(
    Type.Union([Type.Object({ playUrl: Loose, formatId: Loose, auditionsLength: Loose }), Type.Null()]),
  ),
});
/** Replies of all three listen-url interfaces. */
const ListenReply = Type.Object({
  data: Type.Optional(
    Type.Union([
      Type.Object({
        url: Loose,
        audioFormatType: Loose,
        formatType: Loose,
        auditionsLength: Loose,
        isTrial: Type.Optional(Type.Unknown()),
        needEncrypt: Type.Optional(Type.Unknown()),
        cannotCode: Loose,
        dialogInfo: Type.Optional(Type.Union([Type.Object({ text: Loose }), Type.Null()])),
      }),
      Type.Null(),
    ]),
  ),
});

interface Ask {
  request: UrlRequest;
  tone: Tone;
  call: Call;
  /** The song's ids; asked for once, when a way first needs one that is not known (or wants the platform's word). */
  ids: (needed: ("songId" | "copyrightId" | "contentId")[], confirmed?: boolean) => Promise<Record<string, string>>;
}

/** Play addresses by the configured ways, in their order, each only where the account has what it needs. */
export function createUrl(client: MgClient, songs: MgSongs, deps: Pick<SourceDeps<MgConfig>, "config" | "now">) {
  const RUN: Record<Way, (ask: Ask) => Promise<PlayableUrl>> = {
    h5: askH5,
    "app-v2.4": askAppV24,
    "app-v2.0": askAppV20,
    "h5-v2.4": askH5V24,
  };

  return async function url(request: UrlRequest, call: Call): Promise<PlayableUrl> {
    kindOfId(request.songId);
    const tone = TONES[request.quality];
    if (tone === undefined) throw new AppError("unsupported", `${NAME}: 不支持音质 ${request.quality}`);
    const ways = deps.config.ways.filter((way) => fits(way, call, tone));
    if (ways.length === 0) throw new AppError("upstream_needs_login", `${NAME}: 需要账号`);
    const ask: Ask = { request, tone, call, ids: lookup(songs, request, call) };
    const attempts = ways.map(
      (way): Attempt<PlayableUrl> => ({
        name: way,
        run: () => {
          call.step?.("mg url", { way, tone: tone.tone });
          return RUN[way](ask);
        },
      }),
    );
    return firstAnswer(attempts, call, { now: deps.now });
  };

  /** The original's: information by copyright id, then the h5 page's request with the operator's cookie. */
  async function askH5({ request, tone, call, ids }: Ask): Promise<PlayableUrl> {
    const { copyrightId = "" } = await ids(["copyrightId"], request.song === undefined);
    const url = `${H5_PLAY}?type=${tone.type}&copyrightId=${copyrightId}`;
    const body = await client.h5({ url, headers: h5Headers(call) }, call);
    const data = decode(H5Reply, body, "mg").data;
    return playable(request.quality, {
      url: textOf(data?.playUrl),
      format: textOf(data?.formatId),
      accepts: [tone.formatId],
      trial: Number(textOf(data?.auditionsLength)) > 0,
    });
  }

  async function askAppV24({ request, tone, call, ids }: Ask): Promise<PlayableUrl> {
    const { songId = "", contentId = "", albumId = "" } = await ids(["songId", "contentId"]);
    const query = new URLSearchParams({
      albumId,
      lowerQualityContentId: contentId,
      netType: "01",
      resourceType: "2",
      songId,
      toneFlag: tone.tone,
    });
    const credentials = call.account?.credentials;
    const token = credentials?.["token"] ?? "";
    const headers = {
      "User-Agent": ANDROID_USER_AGENT,
      channel: token === "" ? GUEST_CHANNEL : ACCOUNT_CHANNEL,
      ...(token === "" ? {} : { token, ce: credentials?.["ce"] ?? "" }),
      timestamp: String(deps.now()),
      ua: "Android_migu",
      mode: "android",
    };
    return listened(request.quality, tone, await client.app({ url: `${APP_V24}?${query}`, headers }, call));
  }

  async function askAppV20({ request, tone, call, ids }: Ask): Promise<PlayableUrl> {
    const { songId = "" } = await ids(["songId"]);
    const query = new URLSearchParams({ netType: "00", resourceType: "2", songId, toneFlag: tone.tone });
    return listened(
      request.quality,
      tone,
      await client.app({ url: `${APP_V20}?${query}`, headers: APP_HEADERS }, call),
    );
  }

  async function askH5V24({ request, tone, call, ids }: Ask): Promise<PlayableUrl> {
    const { copyrightId = "", contentId = "" } = await ids(["copyrightId", "contentId"]);
    const query = `contentId=${contentId}&copyrightId=${copyrightId}&resourceType=2&netType=01&toneFlag=${tone.tone}&scene=&lowerQualityContentId=${contentId}`;
    const pacmtoken = call.account?.credentials["pacmtoken"] ?? "";
    const headers = {
      "User-Agent": ANDROID_USER_AGENT,
      birth: "h5page",
      signature: "1",
      channel: "014X031",
      Referer: "https://y.migu.cn/",
      ...(pacmtoken === "" ? {} : { pacmtoken, Cookie: `pacmtoken=${pacmtoken}` }),
    };
    const reply = await client.raw({ url: `${H5_V24}?${query}`, headers }, call);
    return listened(request.quality, tone, acceptBody(parse(decodeH5(reply.bytes)), "000000"));
  }
}

/** The h5 pages know an account by these three; a guest has none of them. */
export function h5Headers(call: Call, referer = "https://m.music.migu.cn/v4/"): Record<string, string> {
  const { useragent = "", by = "", session = "" } = call.account?.credentials ?? {};
  return {
    "User-Agent": useragent,
    by,
    Cookie: `SESSION=${session}`,
    Referer: referer,
    Origin: "https://m.music.migu.cn",
  };
}

function fits(way: Way, call: Call, tone: Tone): boolean {
  const { session = "", pacmtoken = "" } = call.account?.credentials ?? {};
  if (way === "h5") return session !== "";
  // Guests get PQ only from this page.
  if (way === "h5-v2.4") return pacmtoken !== "" || tone.tone === "PQ";
  return true;
}

/** Ids from the request, then from the platform (one request for all ways together). */
function lookup(songs: MgSongs, request: UrlRequest, call: Call): Ask["ids"] {
  let known: Record<string, string> = { ...idsOf(request.song), [kindOfId(request.songId)]: request.songId };
  let asked: Promise<void> | undefined;
  const ask = async () => {
    const { song, encrypted } = await songs.find(request.songId, call);
    if (encrypted) throw new AppError("upstream_quality", `${NAME}: 只有加密文件`);
    known = { ...known, ...idsOf(song) };
  };
  return async (needed, confirmed = false) => {
    if (confirmed || needed.some((name) => known[name] === undefined)) {
      asked ??= ask();
      await asked;
    }
    const missing = needed.find((name) => known[name] === undefined);
    if (missing !== undefined) throw new AppError("upstream_not_found", `${NAME}: 歌曲缺少 ${missing}`);
    return known;
  };
}

/** Only ids that could be some: they may come from a client. */
function idsOf(song: Song | undefined): Record<string, string> {
  const { songId, copyrightId, contentId } = song?.ids ?? {};
  const named = { songId, copyrightId, contentId, albumId: song?.album?.id };
  return Object.fromEntries(
    Object.entries(named).flatMap(([name, id]) =>
      id !== undefined && /^[0-9A-Za-z]{1,24}$/.test(id) ? [[name, id]] : [],
    ),
  );
}

function listened(quality: Quality, tone: Tone, body: unknown): PlayableUrl {
  const data = decode(ListenReply, body, "mg").data;
  const text = textOf(data?.dialogInfo?.text);
  const url = textOf(data?.url);
  if (url === "") throw refusal(text, textOf(data?.cannotCode));
  if (isTrue(data?.needEncrypt)) throw new AppError("upstream_quality", `${NAME}: 只有加密文件`);
  return playable(quality, {
    url,
    format: textOf(data?.audioFormatType) || textOf(data?.formatType),
    accepts: tone.accepts,
    trial: Number(textOf(data?.auditionsLength)) > 0 || isTrue(data?.isTrial) || text.includes("试听"),
  });
}

const ENCRYPTED = /\/wav_3d\/|\.(?:mgm|z3d|i3d|mgg|mflac)(?:$|[?#])/i;

function playable(
  quality: Quality,
  got: { url: string; format: string; accepts: string[]; trial: boolean },
): PlayableUrl {
  if (got.url === "") throw refusal("", "");
  if (got.trial) throw new AppError("upstream_quality", `${NAME}: 只有试听片段，需要会员`);
  if (ENCRYPTED.test(got.url)) throw new AppError("upstream_quality", `${NAME}: 只有加密文件`);
  if (!got.accepts.includes(got.format)) {
    const expected = got.accepts[0];
    throw new AppError("upstream_quality", `${NAME}: 音质不符，需要 ${expected}，平台给出 ${got.format || "未知"}`);
  }
  // The query authorises the address and stays; a bare plus would be read as a space.
  const url = absolute(got.url).replaceAll("+", "%2B");
  const extension = /\.([a-z0-9]{2,4})(?:$|[?#])/i.exec(url)?.[1]?.toLowerCase();
  return { url, quality, ...(extension === undefined ? {} : { extension }) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError("upstream_changed", `${NAME}: 平台返回了无法识别的数据`, { cause });
  }
}

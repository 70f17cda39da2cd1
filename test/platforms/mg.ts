import * as content from "./mg-content.ts";
import { FORMAT_IDS, find, formA, formB, QUALITY_OF, tonesOf } from "./mg-replies.ts";
import type { CatalogSong, EmulatedAccount, Platform, PlatformRequest, World } from "./world.ts";
import { json } from "./world.ts";

export interface MgAsk {
  request: PlatformRequest;
  world: World;
}

/** Migu: app interfaces with "000000", h5 pages with 200; each checks the headers that its clients send. */
export const mgPlatform: Platform = {
  source: "mg",
  hosts: [".migu.cn"],
  handle(request, world) {
    if (world.fault("mg", "verify", request)) return json({ code: "200002", info: "访问过于频繁，请完成验证" });
    const route = ROUTES[`${request.method} ${request.host}${request.path}`] ?? prefixRoute(request);
    return route?.({ request, world }) ?? new Response("Not Found", { status: 404 });
  },
};

export type Route = (ask: MgAsk) => Response | undefined | Promise<Response>;

const RESOURCE = "/MIGUM2.0/v1.0/content/resourceinfo.do";
const ROUTES: Record<string, Route> = {
  [`POST app.c.nf.migu.cn${RESOURCE}`]: resource,
  [`POST c.musicapp.migu.cn${RESOURCE}`]: resource,
  [`GET c.musicapp.migu.cn${RESOURCE}`]: resource,
  "GET app.c.nf.migu.cn/MIGUM2.0/v2.0/content/querySongBySongId.do": ({ request, world }) =>
    resources([find(world, "songId", request.params.get("songId"))]),
  "GET c.musicapp.migu.cn/MIGUM3.0/resource/song/by-contentids/v2.0": ({ request, world }) => {
    const song = find(world, "contentId", request.params.get("contentId"));
    return json({ code: "000000", info: "操作成功", data: song === undefined ? [] : [formB(song)] });
  },
  "GET m.music.migu.cn/migumusic/h5/play/auth/getSongPlayInfo": h5Play,
  "GET app.c.nf.migu.cn/MIGUM2.0/strategy/listen-url/v2.4": appV24,
  "GET app.c.nf.migu.cn/MIGUM2.0/v2.0/content/listen-url": appV20,
  "GET c.musicapp.migu.cn/strategy/listen-url/h5/v2.4": h5V24,
  ...content.ROUTES,
};

function prefixRoute(request: PlatformRequest): Route | undefined {
  return Object.entries(content.PREFIXES).find(([prefix]) => (request.host + request.path).startsWith(prefix))?.[1];
}

const failed = (info: string, code = "299999") => json({ code, info });
const desktop = (request: PlatformRequest) => (request.headers.get("user-agent") ?? "").startsWith("Mozilla/5.0");
const phone = (request: PlatformRequest) => /Android|iPhone/.test(request.headers.get("user-agent") ?? "");

function resources(songs: (CatalogSong | undefined)[]): Response {
  return json({ code: "000000", info: "成功", resource: songs.flatMap((song) => song ?? []).map(formA) });
}

function resource({ request, world }: MgAsk): Response {
  const type = request.params.get("resourceType");
  if (type === "D") return content.mv({ request, world });
  if (type !== "2") return failed("resourceType");
  const form = new URLSearchParams(request.text).get("resourceId");
  const ids = request.params.get("copyrightId")?.split("|") ?? form?.split("|") ?? [];
  if (ids.length === 0 || ids.length > 100) return failed("参数错误");
  return resources(ids.map((id) => find(world, "copyrightId", id)));
}

/** A member has everything, everybody else what is free; the h5 page is for accounts only. */
function mayHave(song: CatalogSong, account: EmulatedAccount | undefined): boolean {
  return song.right === "free" || (song.right === "member" && account?.state === "member");
}

function accountBy(world: World, token: string | null | undefined): EmulatedAccount | undefined {
  const account = world.accounts.find((item) => item.source === "mg" && item.token === token);
  if (account !== undefined) account.requests++;
  return account;
}

/** The best format that exists and may be had, not above what was asked for; HQ and up need membership. */
function bestTone(song: CatalogSong, tone: string, member: boolean): string {
  const order = Object.keys(FORMAT_IDS);
  const limit = member ? order.indexOf(tone) : Math.min(order.indexOf(tone), order.indexOf("PQ"));
  return (
    tonesOf(song)
      .filter((one) => order.indexOf(one) <= limit)
      .at(-1) ?? "PQ"
  );
}

function address(world: World, request: PlatformRequest, song: CatalogSong, tone: string): string {
  const encrypted = world.fault("mg", "encrypted", request);
  const extension = encrypted ? "mgm" : tone === "PQ" || tone === "HQ" ? "mp3" : "flac";
  const path = `/public/${encrypted ? "wav_3d" : "product9th"}/${song.ids.mg.contentId}/${tone}%2B1.${extension}?Key=0f1e&Tim=1732147200000&channelid=01`;
  // The platform writes a bare plus, which a client must escape.
  return world.audioUrl("freetyst.nf.migu.cn", path, song, QUALITY_OF[tone] ?? "128k").replace("%2B", "+");
}

export function h5Account({ request, world }: MgAsk): EmulatedAccount | undefined {
  const session = /(?:^|;\s*)SESSION=([^;]*)/.exec(request.headers.get("cookie") ?? "")?.[1];
  const complete =
    (request.headers.get("by") ?? "") !== "" &&
    desktop(request) &&
    request.headers.get("origin") === "https://m.music.migu.cn" &&
    (request.headers.get("referer") ?? "").startsWith("https://m.music.migu.cn/v4/");
  const account = complete ? accountBy(world, session) : undefined;
  return account?.state === "expired" || account?.state === "banned" ? undefined : account;
}

function h5Play({ request, world }: MgAsk): Response {
  const account = h5Account({ request, world });
  if (account === undefined) return json({ code: 401, msg: "用户未登录" });
  const song = find(world, "copyrightId", request.params.get("copyrightId"));
  const asked = Object.keys(FORMAT_IDS)[Number(request.params.get("type")) - 1];
  if (song === undefined || asked === undefined) return json({ code: 404, msg: "歌曲不存在" });
  if (song.right === "none") return json({ code: 200, data: { playUrl: "", formatId: "" } });
  const trial = !mayHave(song, account) || world.fault("mg", "trial", request);
  const tone = world.fault("mg", "lower", request) ? "PQ" : bestTone(song, asked, account.state === "member");
  return json({
    code: 200,
    msg: "成功",
    data: {
      playUrl: address(world, request, song, tone),
      formatId: FORMAT_IDS[tone],
      auditionsLength: trial ? 60 : 0,
    },
  });
}

/** What the listen-url interfaces answer; `v2.4` names the format `audioFormatType`. */
function listen(
  ask: MgAsk,
  song: CatalogSong | undefined,
  account: EmulatedAccount | undefined,
  name: string,
): Response {
  const { request, world } = ask;
  const asked = request.params.get("toneFlag") ?? "";
  if (song === undefined) return failed("歌曲不存在", "200001");
  if (!(asked in FORMAT_IDS)) return failed("toneFlag");
  const data = { songItem: formA(song), song: formB(song), lrcUrl: formA(song).lrcUrl };
  if (song.right === "none") {
    return json({
      code: "000000",
      data: { ...data, url: "", cannotCode: "440002", dialogInfo: { text: "该歌曲暂无版权" } },
    });
  }
  const trial = !mayHave(song, account) || world.fault("mg", "trial", request);
  const tone = world.fault("mg", "lower", request) ? "PQ" : bestTone(song, asked, account?.state === "member");
  if (trial && asked !== "PQ") {
    const text = "开通白金会员畅听高音质";
    return json({ code: "000000", data: { ...data, url: "", cannotCode: "440018", dialogInfo: { text } } });
  }
  const dialogInfo = trial ? { text: "正在播放试听片段。开通会员畅听完整歌曲" } : null;
  const url = address(world, request, song, tone);
  return json({ code: "000000", data: { ...data, url, [name]: tone, dialogInfo, auditionsLength: trial ? 60 : 0 } });
}

function appV24(ask: MgAsk): Response {
  const { headers, params } = ask.request;
  const stamp = Number(headers.get("timestamp"));
  const account = accountBy(ask.world, headers.get("token"));
  if (!phone(ask.request) || headers.get("ua") !== "Android_migu" || headers.get("mode") !== "android") {
    return failed("headers");
  }
  if (!Number.isInteger(stamp) || params.get("netType") !== "01" || params.get("resourceType") !== "2") {
    return failed("参数错误");
  }
  const song = find(ask.world, "songId", params.get("songId"));
  if (song !== undefined && params.get("lowerQualityContentId") !== song.ids.mg.contentId) return failed("contentId");
  if (headers.get("token") === null) {
    return headers.get("channel") === "0146921" ? listen(ask, song, undefined, "audioFormatType") : failed("channel");
  }
  if (headers.get("channel") !== "014000D" || headers.get("ce") === null) return failed("channel");
  if (account === undefined || account.state === "expired") return failed("登录已过期，请重新登录", "200004");
  if (account.state === "banned") return failed("账号已被封禁", "200009");
  return listen(ask, song, account, "audioFormatType");
}

function appV20(ask: MgAsk): Response {
  const { headers, params } = ask.request;
  if (headers.get("channel") !== "0146921" || !(headers.get("referer") ?? "").startsWith("https://app.c.nf.migu.cn/")) {
    return failed("channel");
  }
  if (params.get("netType") !== "00" || params.get("resourceType") !== "2") return failed("参数错误");
  return listen(ask, find(ask.world, "songId", params.get("songId")), undefined, "formatType");
}

async function sealed(response: Response): Promise<Response> {
  const key = new TextEncoder().encode("Jk8qzuePiJ1qE3mDYhLQ3T73DtDoAhLP");
  const plain = new Uint8Array(await response.arrayBuffer());
  const shift = 1 + (plain.length % 250);
  const body = plain.map((byte, index) => byte - shift + (key[index % key.length] ?? 0));
  return new Response(new Uint8Array([0xab, 0xcd, 1, shift, ...body]), {
    headers: { "content-type": "application/octet-stream" },
  });
}

/** Encodes its bodies when the client says `signature: 1`. Guests get PQ only. */
function h5V24(ask: MgAsk): Response | Promise<Response> {
  const { headers, params } = ask.request;
  if (headers.get("birth") !== "h5page" || headers.get("channel") !== "014X031") return failed("birth");
  if ((headers.get("referer") ?? "") !== "https://y.migu.cn/") return failed("referer");
  const song = find(ask.world, "contentId", params.get("contentId"));
  if (song !== undefined && params.get("copyrightId") !== song.ids.mg.copyrightId) return failed("copyrightId");
  const token = headers.get("pacmtoken");
  if (token !== null && !(headers.get("cookie") ?? "").includes(`pacmtoken=${token}`)) return failed("cookie");
  const account = accountBy(ask.world, token);
  if (token !== null && account?.state !== "member" && account?.state !== "guest")
    return failed("登录已过期", "200004");
  const answer = listen(ask, song, account, "audioFormatType");
  return headers.get("signature") === "1" ? sealed(answer) : answer;
}

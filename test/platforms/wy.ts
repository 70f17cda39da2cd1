import type { Quality } from "../../src/core/types.ts";
import type { CatalogSong, EmulatedAccount, Platform, PlatformRequest, World } from "./world.ts";
import { json } from "./world.ts";
import { openEapi, openLinuxapi, openWeapi, sealReply } from "./wy-crypto.ts";
import * as replies from "./wy-replies.ts";

/** What one request asks, whichever encoding it came in. */
export interface WyAsk {
  /** `/api/…` */
  path: string;
  payload: Record<string, unknown>;
  account: EmulatedAccount | undefined;
  request: PlatformRequest;
  world: World;
}

/**
 * Second keys of weapi that the emulator can open (a test knows what its client's `random` yields). A request under
 * another key is checked by form only, and answered only where nothing of its payload matters.
 */
export const weapiKeys = new Set<string>();

/** NetEase: decrypts and checks every request, knows guests and accounts by `MUSIC_U`, and refuses by its codes. */
export const wyPlatform: Platform = {
  source: "wy",
  hosts: ["music.163.com", ".music.163.com", "163cn.tv", "ncmapi.test"],
  handle(request, world) {
    if (request.host === "163cn.tv") return shortLink(request);
    if (request.host === "ncmapi.test") return ncmapi(request, world);
    const opened = open(request);
    if (opened instanceof Response) return opened;
    const account = accountOf(request, world);
    if (account !== undefined) account.requests++;
    if (world.fault("wy", "verify", request)) {
      return json({ code: -462, data: { type: 9000, verifyUrl: "https://st.music.163.com/encrypt-pages" } });
    }
    if (account?.state === "banned") return json({ code: -460, message: "网络太拥挤，请稍候再试！" });
    const answer = ask({ ...opened, account, request, world });
    if (opened.payload["e_r"] !== true) return answer;
    return answer.text().then((text) => new Response(new Uint8Array(sealReply(text))));
  },
};

const bad = (message: string) => json({ code: 400, message });

function open(request: PlatformRequest): Pick<WyAsk, "path" | "payload"> | Response {
  if (request.method !== "POST") return json({ code: 404, message: "Not Found" }, { status: 404 });
  if (!(request.headers.get("content-type") ?? "").startsWith("application/x-www-form-urlencoded")) {
    return bad("content-type");
  }
  if (!/^(?:Mozilla\/5\.0|NeteaseMusic)/.test(request.headers.get("user-agent") ?? ""))
    return json({ code: -460, message: "Cheating" });
  const form = new URLSearchParams(request.text);
  if (request.path.startsWith("/eapi/")) return openedEapi(request, form);
  if (request.path === "/api/linux/forward") return openedLinux(form);
  if (request.path.startsWith("/weapi/")) return openedWeapi(request, form);
  return json({ code: 404, message: "Not Found" }, { status: 404 });
}

function openedEapi(request: PlatformRequest, form: URLSearchParams): Pick<WyAsk, "path" | "payload"> | Response {
  if (!/^interface(?:3|pc)?\.music\.163\.com$/.test(request.host)) return bad("host");
  const inner = openEapi(form.get("params") ?? "");
  if (inner === undefined || [...form.keys()].join() !== "params") return bad("params");
  const outer = request.path.replace(/^\/eapi\//, "/api/");
  if (outer !== "/api/batch" && outer !== inner.path) return bad("path");
  return { path: inner.path, payload: parse(inner.text) };
}

function openedLinux(form: URLSearchParams): Pick<WyAsk, "path" | "payload"> | Response {
  const inner = parse(openLinuxapi(form.get("eparams") ?? "") ?? "");
  const target = /^https?:\/\/music\.163\.com(\/api\/.*)$/.exec(String(inner["url"]));
  if (target === null || inner["method"] !== "POST") return bad("eparams");
  return { path: target[1] ?? "", payload: parse(JSON.stringify(inner["params"] ?? {})) };
}

function openedWeapi(request: PlatformRequest, form: URLSearchParams): Pick<WyAsk, "path" | "payload"> | Response {
  const params = form.get("params") ?? "";
  const encSecKey = form.get("encSecKey") ?? "";
  if (request.host !== "music.163.com" || !(request.headers.get("referer") ?? "").includes("music.163.com")) {
    return bad("referer");
  }
  if (!/^[0-9a-f]{256}$/.test(encSecKey) || !/^[A-Za-z0-9+/]+={0,2}$/.test(params)) return bad("encSecKey");
  const path = request.path.replace(/^\/weapi\//, "/api/");
  const text = openWeapi(params, encSecKey, weapiKeys);
  if (text === undefined) return path === "/api/w/nuser/account/get" ? { path, payload: {} } : bad("params");
  const payload = parse(text);
  const csrf = /__csrf=([^;]*)/.exec(request.headers.get("cookie") ?? "")?.[1] ?? "";
  return payload["csrf_token"] === csrf ? { path, payload } : bad("csrf_token");
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function accountOf(request: PlatformRequest, world: World, cookie = request.headers.get("cookie") ?? "") {
  const token = /(?:^|;\s*)MUSIC_U=([^;]*)/.exec(cookie)?.[1] ?? "";
  return world.accounts.find((item) => item.source === "wy" && item.token === token && token !== "");
}

function ask(asked: WyAsk): Response {
  const { path } = asked;
  for (const [pattern, answer] of Object.entries(ROUTES)) {
    const match = new RegExp(`^${pattern}/?$`).exec(path);
    if (match !== null) return answer(asked, match[1] ?? "");
  }
  return json({ code: 404, message: "接口未找到！" });
}

const ROUTES: Record<string, (asked: WyAsk, part: string) => Response> = {
  "/api/song/enhance/player/url/v1": playUrl,
  ...replies.ROUTES,
};

export const LEVELS: Record<string, Quality> = {
  standard: "128k",
  higher: "192k",
  exhigh: "320k",
  lossless: "flac",
  hires: "hires",
  jyeffect: "atmos",
  sky: "sky",
  dolby: "dolby",
  jymaster: "master",
};
const ORDER = Object.keys(LEVELS);

function playUrl({ payload, account, request, world }: WyAsk): Response {
  const level = String(payload["level"]);
  const ids = typeof payload["ids"] === "string" ? payload["ids"] : "";
  if (!ORDER.includes(level) || payload["encodeType"] !== "flac" || !/^\["?\d+"?\]$/.test(ids)) return bad("level");
  if (level === "sky" && payload["immerseType"] !== "c51") return bad("immerseType");
  const id = ids.replace(/\D/g, "");
  return json({ code: 200, data: [playItem(id, level, account?.state === "member", request, world)] });
}

/** One item of a url reply, for a member or anybody else. */
function playItem(id: string, level: string, member: boolean, request: PlatformRequest, world: World) {
  const song = world.songs.find((item) => item.ids.wy.id === id);
  const none = { id: Number(id), url: null, br: 0, size: 0, md5: null, expi: 1200, type: null, level: null };
  if (song === undefined || song.right === "none") return { ...none, code: 404, fee: 0, freeTrialInfo: null };
  const trial = world.fault("wy", "trial", request) || (song.right === "member" && !member);
  const fee = song.right === "member" ? 1 : 8;
  if (trial && ORDER.indexOf(level) > ORDER.indexOf("exhigh")) return { ...none, code: -110, fee, freeTrialInfo: null };
  const served = world.fault("wy", "lower", request) ? "standard" : bestLevel(song, level, member);
  const quality = LEVELS[served] ?? "128k";
  const extension = ORDER.indexOf(served) < ORDER.indexOf("lossless") ? "mp3" : "flac";
  const path = `/20241121000000/a099794f627babf28f41cf64aec64229/jdymusic/obj/${id}/${served}.${extension}?vuutv=${id}`;
  return {
    ...none,
    url: world.audioUrl("m701.music.126.net", path, song, quality),
    br: quality.endsWith("k") ? Number.parseInt(quality, 10) * 1000 : 999_000,
    size: replies.sizeOf(song, quality),
    md5: "0".repeat(32),
    code: 200,
    type: extension,
    level: served,
    fee,
    payed: 0,
    time: song.durationSeconds * 1000,
    freeTrialInfo: trial ? { start: 0, end: 30 } : null,
  };
}

/** The best that exists and may be had, not above what was asked for. */
function bestLevel(song: CatalogSong, level: string, member: boolean): string {
  const limit = Math.min(ORDER.indexOf(level), member ? ORDER.length : ORDER.indexOf("exhigh"));
  const fits = ORDER.filter((name, index) => {
    const quality = LEVELS[name] ?? "128k";
    return index <= limit && song.qualities.includes(quality);
  });
  return fits.at(-1) ?? "standard";
}

/** A NeteaseCloudMusicApi server: plain queries, the cookie as a parameter, the platform's answers passed on. */
function ncmapi(request: PlatformRequest, world: World): Response {
  if (request.path !== "/song/url/v1") return json({ code: 404 }, { status: 404 });
  const level = request.params.get("level") ?? "";
  const id = request.params.get("id") ?? "";
  if (!/^\d+$/.test(id) || !ORDER.includes(level)) return json({ code: 400 }, { status: 400 });
  const cookie = request.params.get("cookie") ?? "";
  const account = accountOf(request, world, cookie);
  if (account === undefined && cookie !== "") return json({ code: 301, msg: "需要登录" }, { status: 301 });
  if (account !== undefined) account.requests++;
  return json({ code: 200, data: [playItem(id, level, account?.state === "member", request, world)] });
}

function shortLink(request: PlatformRequest): Response {
  const target = `https://y.music.163.com/m/playlist?id=${request.path.replace(/\D/g, "")}&userid=1&creatorId=1`;
  return new Response(null, { status: 302, headers: { location: target } });
}

import type { Config } from "../../config/schema.ts";
import { AppError } from "../../core/errors.ts";
import type { Quality } from "../../core/types.ts";
import type { HttpReply } from "../../net/fetch.ts";
import type { Call, SourceDeps } from "../source.ts";

export type KwDeps = SourceDeps<Config["module"]["kw"]>;

/** What the services call a quality: the `br` of a request, the extension, and the `bitrate` of an honest reply. */
export interface KwQuality {
  br: string;
  extension: string;
  /** kbit/s; 2000 and 4000 stand for lossless. */
  bitrate: number;
}

export const KW_QUALITIES: Partial<Record<Quality, KwQuality>> = {
  "128k": { br: "128kmp3", extension: "mp3", bitrate: 128 },
  "192k": { br: "192kmp3", extension: "mp3", bitrate: 192 },
  "320k": { br: "320kmp3", extension: "mp3", bitrate: 320 },
  flac: { br: "2000kflac", extension: "flac", bitrate: 2000 },
  flac24bit: { br: "4000kflac", extension: "flac", bitrate: 4000 },
  hires: { br: "4000kflac", extension: "flac", bitrate: 4000 },
};

export const MOBILE_USER_AGENT = "okhttp/3.10.0";
export const DALVIK_USER_AGENT = "Dalvik/2.1.0 (Linux; U; Android 10; EBG-AN10 Build/HUAWEIEBG-AN10)";

/** A song's number; the prefix that some services put before it is taken off. */
export function rid(id: string): string {
  return id.replace(/^MUSIC_/i, "");
}

/** @throws AppError `invalid_request` when it is not a number. */
export function numericRid(id: string): string {
  const number = rid(id);
  if (!/^\d{1,12}$/.test(number)) throw new AppError("invalid_request", "酷我: 歌曲 id 不正确");
  return number;
}

export interface KwClient {
  /** GET; the body as it came. Notes the step, and refuses an HTTP failure. */
  get(url: string, headers: Record<string, string>, call: Call): Promise<HttpReply>;
}

export function createClient(deps: KwDeps): KwClient {
  return {
    async get(url, headers, call) {
      const reply = await deps.http({ url, headers, signal: call.signal });
      call.step?.("kw.request", { path: /^https?:\/\/([^?]*)/.exec(url)?.[1], status: reply.status });
      if (reply.status >= 500) {
        throw new AppError("upstream_unreachable", "酷我: 平台服务出错，请稍后重试", { upstreamCode: reply.status });
      }
      return reply;
    },
  };
}

/** Several replies are JSON with single quotes. Rewritten, never evaluated. */
export function parseLoose(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return parseSingleQuoted(text);
  }
}

function parseSingleQuoted(text: string): unknown {
  // A string ends at a quote before , : ] } only: names hold apostrophes ("Don't").
  const json = text.replace(/'((?:[^'\\]|\\.|'(?!\s*[,:\]}]))*)'/gs, (_whole, inner: string) =>
    JSON.stringify(unescaped(inner)),
  );
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new AppError("upstream_changed", "酷我: 平台返回的数据格式已变化", {
      cause: error,
      detail: { start: text.slice(0, 200) },
    });
  }
}

function unescaped(text: string): string {
  return text.replace(/\\(u[0-9a-fA-F]{4}|.)/gs, (_whole, code: string) => {
    if (code.length === 5) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    return { n: "\n", r: "\r", t: "\t", b: "\b", f: "\f" }[code] ?? code;
  });
}

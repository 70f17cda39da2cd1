import { AppError } from "../core/errors.ts";
import type { GuardedClient } from "../net/guard.ts";

export interface Downloaded {
  /** Undefined: not changed since `etag` or `lastModified`. */
  text: string | undefined;
  etag: string | undefined;
  lastModified: string | undefined;
}

const DEADLINE_MS = 30_000;
/** Nine million characters, of which some take three bytes. */
const MAX_BYTES = 27_000_000;
/** As the desktop client. */
const MAX_REDIRECTS = 3;
const AGENT = "lx-music-api-server";

/**
 * Fetches a script as clients import one.
 * @throws AppError `invalid_request` when the answer is no text, else as the guard.
 */
export async function downloadScript(
  guard: GuardedClient,
  url: string,
  known: { etag?: string | undefined; lastModified?: string | undefined } = {},
  userAgent = "",
): Promise<Downloaded> {
  const reply = await guard.bytes({
    url,
    headers: {
      "User-Agent": userAgent || AGENT,
      Accept: "*/*",
      ...(known.etag === undefined ? {} : { "If-None-Match": known.etag }),
      ...(known.lastModified === undefined ? {} : { "If-Modified-Since": known.lastModified }),
    },
    deadlineMs: DEADLINE_MS,
    maxBytes: MAX_BYTES,
    maxRedirects: MAX_REDIRECTS,
  });
  const etag = reply.headers.get("etag") ?? known.etag;
  const lastModified = reply.headers.get("last-modified") ?? known.lastModified;
  if (reply.status === 304) return { text: undefined, etag, lastModified };
  if (reply.status !== 200) throw new AppError("upstream_refused", `下载脚本失败：HTTP ${reply.status}`);
  try {
    // A byte-order mark stays: clients refuse such a script, and so do we.
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(reply.bytes);
    return { text, etag, lastModified };
  } catch (error) {
    throw new AppError("invalid_request", "下载的内容不是文本", { cause: error });
  }
}

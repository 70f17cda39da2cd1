import { AppError } from "../core/errors.ts";
import type { Remote } from "./remote.ts";

/** What a player may ask for and what it needs to know; nothing else passes in either direction. */
const ASKED = ["range", "if-range", "if-none-match", "if-modified-since", "if-match", "if-unmodified-since"];
const TOLD = ["content-length", "content-range", "etag", "last-modified"];

const TYPES: Record<string, string> = {
  aac: "audio/aac",
  aif: "audio/aiff",
  aiff: "audio/aiff",
  ape: "audio/x-ape",
  flac: "audio/flac",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  lrc: "text/plain; charset=utf-8",
  m4a: "audio/mp4",
  mka: "audio/x-matroska",
  mp3: "audio/mpeg",
  ogg: "audio/ogg",
  opus: "audio/ogg",
  png: "image/png",
  wav: "audio/wav",
  webp: "image/webp",
  wma: "audio/x-ms-wma",
};

const WHOLE_BYTES = 1 << 20;

/**
 * A file of the configured server, streamed: GET and HEAD with ranges and validators. The content type follows the
 * name, so that a page stored there is never shown as one of ours.
 * @throws AppError `not_found`, `upstream_refused`, and what `Remote.send` throws
 */
export async function passFile(remote: Remote, path: string, request: Request): Promise<Response> {
  const method = request.method === "HEAD" ? "HEAD" : "GET";
  const headers: Record<string, string> = {};
  for (const name of ASKED) {
    const value = request.headers.get(name);
    if (value !== null) headers[name] = value;
  }
  const answer = await remote.send({ method, path, headers, signal: request.signal });
  if (![200, 206, 304, 412, 416].includes(answer.status)) {
    await answer.body?.cancel();
    if (answer.status === 404 || answer.status === 410) throw new AppError("not_found", "未找到文件");
    throw new AppError("upstream_refused", `WebDAV 服务器拒绝了请求（HTTP ${answer.status}）`, {
      upstreamCode: answer.status,
    });
  }
  const extension = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const out = new Headers({
    "content-type": TYPES[extension] ?? "application/octet-stream",
    "accept-ranges": answer.headers.get("accept-ranges") ?? (answer.status === 206 ? "bytes" : "none"),
    "x-content-type-options": "nosniff",
  });
  if (!(extension in TYPES)) out.set("content-disposition", "attachment");
  for (const name of TOLD) {
    const value = answer.headers.get(name);
    if (value !== null) out.set(name, value);
  }
  if (method === "HEAD" || answer.status === 304 || answer.status === 412 || answer.status === 416) {
    await answer.body?.cancel();
    if (method !== "HEAD") out.delete("content-length");
    return new Response(null, { status: answer.status, headers: out });
  }
  const length = Number(answer.headers.get("content-length") ?? Number.NaN);
  // Bun sends streams chunked, without their length; what is small goes out whole and with it.
  if (length <= WHOLE_BYTES) return new Response(await answer.bytes(), { status: answer.status, headers: out });
  return new Response(answer.body, { status: answer.status, headers: out });
}

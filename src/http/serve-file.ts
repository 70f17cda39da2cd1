import type { BigIntStats } from "node:fs";
import { stat } from "node:fs/promises";
import { extname } from "node:path";
import { AppError } from "../core/errors.ts";

export interface ServedFile {
  /** Where it lies; the caller has made sure that the client may have it. */
  path: string;
  /** The name that a browser saves it under; may hold any character. */
  name: string;
  /** Default: by the extension of `path`. */
  contentType?: string;
  /** Quoted. Default: made of size and time of change, so that it follows the bytes. */
  etag?: string;
  /** Default `inline`: players and browsers play it. */
  disposition?: "inline" | "attachment";
  /** `Cache-Control`; default: none is sent. */
  cacheControl?: string;
  /** What the caller has just learned of the file, to spare the second look. */
  status?: BigIntStats;
}

const CONTENT_TYPES: Record<string, string> = {
  ".aac": "audio/aac",
  ".aiff": "audio/aiff",
  ".ape": "audio/x-ape",
  ".avif": "image/avif",
  ".bmp": "image/bmp",
  ".flac": "audio/flac",
  ".gif": "image/gif",
  ".jpeg": "image/jpeg",
  ".jpg": "image/jpeg",
  ".lrc": "text/plain; charset=utf-8",
  ".m4a": "audio/mp4",
  ".mka": "audio/x-matroska",
  ".mp3": "audio/mpeg",
  ".mp4": "audio/mp4",
  ".oga": "audio/ogg",
  ".ogg": "audio/ogg",
  ".opus": "audio/ogg",
  ".png": "image/png",
  ".wav": "audio/wav",
  ".webp": "image/webp",
  ".wma": "audio/x-ms-wma",
};

export function contentTypeOf(path: string): string {
  return CONTENT_TYPES[extname(path).toLowerCase()] ?? "application/octet-stream";
}

/**
 * One file over HTTP: GET and HEAD, `Range` (one range: from-to, from-, -suffix; 416), `ETag`, `Last-Modified`, 304,
 * 412, `If-Range`. The bytes go from disk to socket in the kernel. A file that is deleted or replaced meanwhile goes
 * on being sent as it was.
 *
 * Ranges are cut here and not left to Bun, which knows no `If-Range` and sends `Accept-Ranges` twice.
 *
 * @throws AppError `not_found` when there is no such regular file.
 * @see https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
 */
export async function serveFile(request: Request, file: ServedFile): Promise<Response> {
  const status = file.status ?? (await stat(file.path, { bigint: true }).catch(() => undefined));
  if (!status?.isFile()) throw new AppError("not_found", "未找到您所请求的资源");
  const size = Number(status.size);
  // The inode is in it because the kernel's clock ticks too slowly to tell two quick replacements apart.
  const etag = file.etag ?? `"${[status.size, status.mtimeNs, status.ino].map((n) => n.toString(16)).join("-")}"`;
  const lastModified = new Date(Math.floor(Number(status.mtimeMs) / 1000) * 1000).toUTCString();
  const headers: Record<string, string> = {
    "content-type": file.contentType ?? contentTypeOf(file.path),
    "content-disposition": contentDisposition(file.name, file.disposition ?? "inline"),
    "accept-ranges": "bytes",
    etag,
    "last-modified": lastModified,
    ...(file.cacheControl === undefined ? {} : { "cache-control": file.cacheControl }),
  };
  const outcome = precondition(request.headers, etag, lastModified);
  if (outcome !== undefined) return new Response(null, { status: outcome, headers });

  const asked = request.method === "GET" ? request.headers.get("range") : null;
  const range = asked === null ? undefined : parseRange(asked, size);
  if (range === undefined) return new Response(Bun.file(file.path), { headers });
  if (!rangeStillHolds(request.headers.get("if-range"), etag, lastModified)) {
    return new Response(unranged(file.path), { headers });
  }
  if (range === "unsatisfiable") {
    return new Response(null, { status: 416, headers: { ...headers, "content-range": `bytes */${size}` } });
  }
  const [start, end] = range;
  return new Response(Bun.file(file.path).slice(start, end + 1), {
    status: 206,
    headers: { ...headers, "content-range": `bytes ${start}-${end}/${size}` },
  });
}

/**
 * First and last byte of the one range asked for. Undefined = the header is to be ignored (not bytes, malformed, or
 * several ranges, for which a server may send the whole).
 */
export function parseRange(header: string, size: number): [number, number] | "unsatisfiable" | undefined {
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header);
  if (match === null) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") {
    if (last === "") return undefined;
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : [size - length, size - 1];
  }
  if (last !== "" && BigInt(last) < BigInt(first)) return undefined;
  const start = Number(first);
  if (start >= size) return "unsatisfiable";
  return [start, last === "" ? size - 1 : Math.min(Number(last), size - 1)];
}

/** 304, 412, or undefined = go on. @see https://www.rfc-editor.org/rfc/rfc9110#name-precedence-of-preconditions */
function precondition(headers: Headers, etag: string, lastModified: string): 304 | 412 | undefined {
  const changedAt = Date.parse(lastModified);
  const ifMatch = headers.get("if-match");
  const ifUnmodified = headers.get("if-unmodified-since");
  if (ifMatch !== null) {
    if (!listsTag(ifMatch, etag, true)) return 412;
  } else if (ifUnmodified !== null && changedAt > Date.parse(ifUnmodified)) return 412;
  const ifNoneMatch = headers.get("if-none-match");
  if (ifNoneMatch !== null) return listsTag(ifNoneMatch, etag, false) ? 304 : undefined;
  const ifModified = headers.get("if-modified-since");
  return ifModified !== null && changedAt <= Date.parse(ifModified) ? 304 : undefined;
}

function listsTag(header: string, etag: string, strong: boolean): boolean {
  if (header.trim() === "*") return true;
  const bare = (tag: string) => tag.replace(/^W\//, "");
  const found: string[] = header.match(/(?:W\/)?"[^"]*"/g) ?? [];
  if (strong) return !etag.startsWith("W/") && found.includes(etag);
  return found.some((tag) => bare(tag) === bare(etag));
}

/** A resumed download goes on only when what it has is a part of these bytes. */
function rangeStillHolds(ifRange: string | null, etag: string, lastModified: string): boolean {
  if (ifRange === null) return true;
  const validator = ifRange.trim();
  if (/^(?:W\/)?"/.test(validator)) return validator === etag && !etag.startsWith("W/");
  return Date.parse(validator) === Date.parse(lastModified);
}

/**
 * The whole file although the request has a `Range`: Bun would cut a plain file (or its plain stream) by that header.
 * Goes out chunked; only a resumed download of a file that has changed comes here.
 */
function unranged(path: string): ReadableStream {
  return Bun.file(path).stream().pipeThrough(new TransformStream());
}

/** `filename` for old clients, `filename*` with the true name. @see https://www.rfc-editor.org/rfc/rfc8187 */
export function contentDisposition(name: string, kind: "inline" | "attachment"): string {
  const clean = name.toWellFormed();
  const plain = clean.replace(/[^\x20-\x7e]+|["\\%]/g, "_");
  if (plain === clean) return `${kind}; filename="${plain}"`;
  const encoded = encodeURIComponent(clean).replace(
    /['()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `${kind}; filename="${plain}"; filename*=UTF-8''${encoded}`;
}

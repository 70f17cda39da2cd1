import { AppError, isAppError } from "../core/errors.ts";

/** One outgoing request. Header names are sent as written; nothing is added but what `fetch` itself needs. */
export interface HttpRequest {
  /** Absolute, percent-encoded as it shall be sent. */
  url: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  /** Milliseconds for the whole exchange, body included. */
  deadlineMs?: number;
  /** Bytes of body at most. */
  maxBytes?: number;
  redirect?: "follow" | "manual" | "error";
  /** Ask again once after a fault of the connection. Default: GET and HEAD only. */
  retry?: boolean;
  signal?: AbortSignal | undefined;
}

export interface HttpReply {
  status: number;
  headers: Headers;
  bytes: Uint8Array<ArrayBuffer>;
  /** UTF-8, without a byte-order mark. */
  text(): string;
  /** @throws AppError `upstream_changed` when the body is not JSON. */
  json(): unknown;
}

/** @throws AppError `upstream_unreachable` (connection, deadline, too large), never a bare error. */
export type HttpClient = (request: HttpRequest) => Promise<HttpReply>;

export interface HttpClientOptions {
  deadlineMs: number;
  maxBytes: number;
  /** Further tries after a connection fault. */
  retries: number;
  /** Every request goes to `{gateway}/{scheme}/{host}{path}?{query}` instead. */
  gateway?: string;
  /** Proxies by the target's scheme. */
  proxy?: { http?: string; https?: string };
  fetch?: typeof globalThis.fetch;
  sleep?: (ms: number) => Promise<void>;
  random?: () => number;
}

const RETRY_STATUS = new Set([502, 503, 504]);
const BACKOFF_MS = 150;

/** A client for the platforms' own addresses (ours to choose); addresses that others name pass `net/guard.ts`. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const fetchImpl = options.fetch ?? globalThis.fetch;
  const sleep = options.sleep ?? ((ms: number) => Bun.sleep(ms));
  const random = options.random ?? Math.random;

  return async function request(req) {
    const method = req.method ?? "GET";
    const mayRetry = req.retry ?? (method === "GET" || method === "HEAD");
    const deadline = Date.now() + (req.deadlineMs ?? options.deadlineMs);
    for (let attempt = 0; ; attempt++) {
      const last = !mayRetry || attempt >= options.retries;
      try {
        const reply = await exchange(fetchImpl, options, req, method, deadline);
        if (last || !RETRY_STATUS.has(reply.status)) return reply;
      } catch (error) {
        if (last || req.signal?.aborted || Date.now() >= deadline) throw error;
        if (isAppError(error) && error.kind !== "upstream_unreachable") throw error;
      }
      // Jitter keeps many waiting requests from striking a recovering platform at once.
      const pause = BACKOFF_MS * 2 ** attempt * (0.5 + random());
      await sleep(Math.max(0, Math.min(pause, deadline - Date.now() - 1)));
    }
  };
}

/** `{gateway}/{scheme}/{host}{path}?{query}`; a host with a port keeps it. */
export function throughGateway(gateway: string, url: string): string {
  const match = /^(https?):\/\/([^/?#]+)([^#]*)/.exec(url);
  if (match === null) throw new AppError("internal", "内部服务器错误", { detail: `not an absolute address: ${url}` });
  const [, scheme, host, rest = ""] = match;
  return `${gateway.replace(/\/+$/, "")}/${scheme}/${host}${rest.startsWith("/") ? rest : `/${rest}`}`;
}

async function exchange(
  fetchImpl: typeof globalThis.fetch,
  options: HttpClientOptions,
  req: HttpRequest,
  method: string,
  deadline: number,
): Promise<HttpReply> {
  const timeout = AbortSignal.timeout(Math.max(1, deadline - Date.now()));
  const signal = req.signal ? AbortSignal.any([req.signal, timeout]) : timeout;
  const proxy = req.url.startsWith("https:") ? options.proxy?.https : options.proxy?.http;
  try {
    const response = await fetchImpl(options.gateway ? throughGateway(options.gateway, req.url) : req.url, {
      method,
      signal,
      redirect: req.redirect ?? "follow",
      ...(req.headers === undefined ? {} : { headers: req.headers }),
      ...(req.body === undefined ? {} : { body: req.body }),
      ...(proxy ? { proxy } : {}),
    });
    const bytes = await readBounded(response, req.maxBytes ?? options.maxBytes);
    return makeReply(response, bytes);
  } catch (error) {
    if (isAppError(error)) throw error;
    const host = /^https?:\/\/([^/?#]+)/.exec(req.url)?.[1] ?? "";
    const late = timeout.aborted;
    throw new AppError("upstream_unreachable", late ? "平台响应超时，请稍后重试" : "无法连接平台，请稍后重试", {
      cause: error,
      detail: { host, error: late ? "deadline" : error },
    });
  }
}

async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () =>
    new AppError("upstream_changed", "平台返回的数据过大", { detail: { url: hostOf(response.url), maxBytes } });
  if (Number(response.headers.get("content-length") ?? 0) > maxBytes) {
    await response.body?.cancel();
    throw tooLarge();
  }
  if (response.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body) {
    length += chunk.byteLength;
    if (length > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function hostOf(url: string): string {
  return /^https?:\/\/([^/?#]+)/.exec(url)?.[1] ?? "";
}

function makeReply(response: Response, bytes: Uint8Array<ArrayBuffer>): HttpReply {
  const text = () => new TextDecoder().decode(bytes);
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    text,
    json() {
      try {
        return JSON.parse(text());
      } catch (error) {
        const kind = response.status >= 500 ? "upstream_unreachable" : "upstream_changed";
        throw new AppError(kind, "平台返回了无法识别的数据", {
          cause: error,
          detail: { host: hostOf(response.url), status: response.status, start: text().slice(0, 200) },
        });
      }
    },
  };
}

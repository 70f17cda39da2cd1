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
  /** `follow` (default): at most 5 further requests, through the same gateway or proxy. */
  redirect?: "follow" | "manual" | "error";
  /** Ask again after a fault of the connection or 502, 503, 504. Default: GET and HEAD only. */
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
  /** Further tries of one request; all requests together also share a budget. */
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
const REDIRECT_STATUS = new Set([301, 302, 303, 307, 308]);
const MAX_REDIRECTS = 5;
const BACKOFF_MS = 150;
/** Retries that may be made at once after a calm time, and what each request adds: one in five requests at most. */
const BUDGET = 20;
const BUDGET_GAIN = 0.2;
/** Of a request that is sent on to another host, these headers go along: the others may be credentials. */
const HARMLESS = new Set(["accept", "accept-language", "range", "referer", "user-agent"]);

/** A client for the platforms' own addresses (ours to choose); addresses that others name pass `net/guard.ts`. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
  const sleep = options.sleep ?? ((ms: number) => Bun.sleep(ms));
  const random = options.random ?? Math.random;
  // A platform that is down fails every request: without a common budget, retries would double what strikes it.
  let budget = BUDGET;

  return async function request(req) {
    const method = req.method ?? "GET";
    const mayRetry = req.retry ?? (method === "GET" || method === "HEAD");
    const deadline = Date.now() + (req.deadlineMs ?? options.deadlineMs);
    budget = Math.min(BUDGET, budget + BUDGET_GAIN);
    for (let attempt = 0; ; attempt++) {
      // Jitter keeps many waiting requests from striking a recovering platform at once.
      const pause = BACKOFF_MS * 2 ** attempt * (0.5 + random());
      const last = () => !mayRetry || attempt >= options.retries || budget < 1 || Date.now() + pause >= deadline;
      try {
        const reply = await exchange(options, req, method, deadline);
        if (!RETRY_STATUS.has(reply.status) || last()) return reply;
      } catch (error) {
        if (last() || req.signal?.aborted) throw error;
        if (isAppError(error) && error.kind !== "upstream_unreachable") throw error;
      }
      budget -= 1;
      await sleep(pause);
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

/** One request with its redirects, body included. */
async function exchange(
  options: HttpClientOptions,
  req: HttpRequest,
  method: string,
  deadline: number,
): Promise<HttpReply> {
  const timeout = AbortSignal.timeout(Math.max(1, deadline - Date.now()));
  const signal = req.signal ? AbortSignal.any([req.signal, timeout]) : timeout;
  try {
    let step: HttpRequest = { ...req, method };
    for (let hop = 0; ; hop++) {
      const response = await send(options, step, signal);
      const next = req.redirect === "manual" ? undefined : redirected(step, response);
      if (next === undefined) {
        return makeReply(response, await readBounded(response, req.maxBytes ?? options.maxBytes, step.url), step.url);
      }
      await response.body?.cancel();
      if (req.redirect === "error" || hop >= MAX_REDIRECTS) {
        throw new AppError("upstream_changed", "平台返回了意外的跳转", { detail: { host: hostOf(step.url) } });
      }
      step = next;
    }
  } catch (error) {
    if (isAppError(error)) throw error;
    const late = timeout.aborted;
    throw new AppError("upstream_unreachable", late ? "平台响应超时，请稍后重试" : "无法连接平台，请稍后重试", {
      cause: error,
      // The error itself names the whole address, which may hold a token.
      detail: { host: hostOf(req.url), error: late ? "deadline" : codeOf(error) },
    });
  }
}

function send(options: HttpClientOptions, step: HttpRequest, signal: AbortSignal): Promise<Response> {
  const proxy = step.url.startsWith("https:") ? options.proxy?.https : options.proxy?.http;
  return (options.fetch ?? globalThis.fetch)(options.gateway ? throughGateway(options.gateway, step.url) : step.url, {
    method: step.method ?? "GET",
    signal,
    // Followed by hand: `fetch` would leave the gateway, and take our headers along to any host.
    redirect: "manual",
    ...(step.headers === undefined ? {} : { headers: step.headers }),
    ...(step.body === undefined ? {} : { body: step.body }),
    ...(proxy ? { proxy } : {}),
  });
}

/** The request that this answer sends us on to. @see RFC 9110 section 15.4 */
function redirected(step: HttpRequest, response: Response): HttpRequest | undefined {
  const location = response.headers.get("location");
  if (!REDIRECT_STATUS.has(response.status) || location === null) return undefined;
  const url = URL.parse(location, step.url);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  url.hash = "";
  const keeps = response.status === 307 || response.status === 308 || step.method === "GET" || step.method === "HEAD";
  const same = url.host === new URL(step.url).host;
  // A body may hold credentials: it goes to no other host.
  if (!same && keeps && step.body !== undefined) return undefined;
  const headers = Object.entries(step.headers ?? {}).filter(([name]) => {
    const lower = name.toLowerCase();
    return (same || HARMLESS.has(lower)) && (keeps || !lower.startsWith("content-"));
  });
  const next: HttpRequest = { url: url.href, method: keeps ? (step.method ?? "GET") : "GET" };
  if (step.headers !== undefined) next.headers = Object.fromEntries(headers);
  if (keeps && step.body !== undefined) next.body = step.body;
  return next;
}

async function readBounded(response: Response, maxBytes: number, url: string): Promise<Uint8Array<ArrayBuffer>> {
  const tooLarge = () =>
    new AppError("upstream_changed", "平台返回的数据过大", { detail: { host: hostOf(url), maxBytes } });
  // An answer to HEAD has a length and no body.
  if (response.body === null) return new Uint8Array();
  if (Number(response.headers.get("content-length") ?? 0) > maxBytes) {
    await response.body.cancel();
    throw tooLarge();
  }
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

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : error instanceof Error ? error.name : "";
}

function hostOf(url: string): string {
  return /^https?:\/\/([^/?#]+)/.exec(url)?.[1] ?? "";
}

function makeReply(response: Response, bytes: Uint8Array<ArrayBuffer>, url: string): HttpReply {
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
          detail: { host: hostOf(url), status: response.status, start: text().slice(0, 200) },
        });
      }
    },
  };
}

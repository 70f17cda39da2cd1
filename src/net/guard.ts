import { rootCertificates } from "node:tls";
import { AppError, isAppError } from "../core/errors.ts";
import { inNetwork, isPublic, type Network, parseAddress, parseNetwork } from "./address.ts";
import { boundedBody, decodedBody, gather } from "./body.ts";
import { createResolve, type Resolve } from "./resolve.ts";

export interface GuardOptions {
  /** Milliseconds for a whole exchange, body included. */
  deadlineMs: number;
  /** Bytes of body at most, after decompression. */
  maxBytes: number;
  maxRedirects: number;
  /** Hosts ("name", "name:port") and networks ("10.0.0.0/8") that may be reached although they are not public. */
  allowPrivate?: readonly string[];
  /** DNS servers; empty = the system's resolver. */
  dns?: readonly string[];
  /** A further certificate authority (PEM), besides the built-in ones. */
  ca?: string;
  /** Stands in for the resolver; the answers are checked all the same. */
  resolve?: Resolve;
}

export interface GuardedRequest {
  url: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  deadlineMs?: number;
  /** Milliseconds until the response's headers; default: the deadline. */
  headersMs?: number;
  maxBytes?: number;
  /** 0 = a redirect is an answer like any other. */
  maxRedirects?: number;
  /** False: bytes as they came, and no `Accept-Encoding` of ours. Default true. */
  decompress?: boolean;
  /** When given, only these hosts may be reached: "name", or ".name" for it and everything below. */
  allowHosts?: readonly string[];
  /** Told of every host before it is connected to, redirects included. */
  onHost?: (host: string) => void;
  signal?: AbortSignal | undefined;
}

export interface GuardedResponse {
  status: number;
  statusText: string;
  headers: Headers;
  /** Where the answer came from, after redirects. */
  url: string;
  /** Fails with an AppError `too_large` or `upstream_unreachable` when the limit or deadline is reached. */
  body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** Ends the exchange; needed when the body is not read to its end. */
  cancel(): void;
}

export interface GuardedReply {
  status: number;
  statusText: string;
  headers: Headers;
  url: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** UTF-8, without a byte-order mark. */
  text(): string;
}

/**
 * The one way out to addresses that others name (scripts, links in answers, webhooks). Only http and https; the name
 * is resolved here, the address is checked, and the connection goes to that very address, so that an answer of the
 * DNS which changes in between changes nothing. Every redirect passes the same checks.
 *
 * Every method throws AppError: `invalid_request` (not an address that can be asked), `forbidden` (may not be asked),
 * `too_large`, `upstream_unreachable`.
 */
export interface GuardedClient {
  stream(request: GuardedRequest): Promise<GuardedResponse>;
  bytes(request: GuardedRequest): Promise<GuardedReply>;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Addresses of one name that are tried in turn. */
const MAX_ADDRESSES = 3;

export function createGuardedClient(options: GuardOptions): GuardedClient {
  const resolve = options.resolve ?? createResolve(options.dns ?? []);
  const allowed = readAllowPrivate(options.allowPrivate ?? []);

  async function stream(request: GuardedRequest): Promise<GuardedResponse> {
    const deadline = Date.now() + (request.deadlineMs ?? options.deadlineMs);
    const end = new AbortController();
    const timer = setTimeout(
      () => end.abort(new AppError("upstream_unreachable", "对方响应超时")),
      deadline - Date.now(),
    );
    const signal = request.signal === undefined ? end.signal : AbortSignal.any([request.signal, end.signal]);
    const finish = () => clearTimeout(timer);
    const cancel = () => {
      finish();
      end.abort(new AppError("upstream_unreachable", "请求已取消"));
    };
    try {
      const response = await follow(request, deadline, signal);
      const limit = request.maxBytes ?? options.maxBytes;
      const plain = request.decompress === false ? response.response.body : decodedBody(response.response, signal);
      const body = boundedBody(plain, limit, signal, finish, cancel);
      const { status, statusText, headers } = response.response;
      return { status, statusText, headers, url: response.url, body, cancel };
    } catch (error) {
      cancel();
      throw error;
    }
  }

  /** Asks, and asks again where a redirect points to, until an answer is one. */
  async function follow(
    request: GuardedRequest,
    deadline: number,
    signal: AbortSignal,
  ): Promise<{ response: Response; url: string }> {
    const most = request.maxRedirects ?? options.maxRedirects;
    let step: GuardedRequest = request;
    for (let count = 0; ; count++) {
      const target = checkUrl(step.url, request.allowHosts);
      request.onHost?.(target.host);
      const response = await connect(step, target, deadline, signal);
      const location = REDIRECTS.has(response.status) && most > 0 ? response.headers.get("location") : null;
      if (location === null) return { response, url: target.href };
      await response.body?.cancel().catch(() => {});
      if (count >= most) throw new AppError("upstream_unreachable", "重定向次数过多");
      step = redirected(step, target, location, response.status);
    }
  }

  async function connect(
    request: GuardedRequest,
    target: URL,
    deadline: number,
    signal: AbortSignal,
  ): Promise<Response> {
    const addresses = await addressesOf(target, deadline);
    let last: unknown;
    for (const address of addresses.slice(0, MAX_ADDRESSES)) {
      if (signal.aborted || Date.now() >= deadline) break;
      const headersMs = Math.max(1, Math.min(request.headersMs ?? Number.POSITIVE_INFINITY, deadline - Date.now()));
      try {
        return await exchange(request, target, address, headersMs, signal, options.ca);
      } catch (error) {
        last = error;
        if (isStale(error, request) && !signal.aborted) {
          return await exchange(request, target, address, headersMs, signal, options.ca, false).catch(
            (again: unknown) => {
              throw unreachable(again, target.host);
            },
          );
        }
        // Only a connection that was never made may be tried elsewhere: the request might have been carried out.
        if (isAppError(error) || !isConnectFault(error)) break;
      }
    }
    throw unreachable(last ?? signal.reason, target.host);
  }

  async function addressesOf(target: URL, deadline: number): Promise<string[]> {
    const host = bareHost(target);
    const literal = parseAddress(host);
    if (literal !== undefined) {
      if (!mayReach(literal, target)) throw refused(target.host, host);
      return [host];
    }
    const found = await resolve(host, Math.max(1, deadline - Date.now())).catch((error: unknown) => {
      throw unreachable(error, target.host);
    });
    if (found.length === 0) throw unreachable("no such name", target.host);
    const usable = found.filter((text) => {
      const address = parseAddress(text);
      return address !== undefined && mayReach(address, target);
    });
    if (usable.length === 0) throw refused(target.host, found[0] ?? "");
    return usable;
  }

  function mayReach(address: Uint8Array, target: URL): boolean {
    if (isPublic(address)) return true;
    if (allowed.hosts.has(target.hostname) || allowed.hosts.has(target.host)) return true;
    return allowed.networks.some((item) => inNetwork(address, item));
  }

  return {
    stream,
    async bytes(request) {
      const response = await stream(request);
      const bytes = await gather(response.body);
      const { status, statusText, headers, url } = response;
      return { status, statusText, headers, url, bytes, text: () => new TextDecoder().decode(bytes) };
    },
  };
}

function readAllowPrivate(items: readonly string[]): { hosts: Set<string>; networks: Network[] } {
  const hosts = new Set<string>();
  const networks: Network[] = [];
  for (const item of items) {
    const parsed = parseNetwork(item);
    if (parsed === undefined) hosts.add(item.toLowerCase());
    else networks.push(parsed);
  }
  return { hosts, networks };
}

/** @throws AppError `invalid_request`, or `forbidden` when the host is not among `allowHosts`. */
function checkUrl(text: string, allowHosts: readonly string[] | undefined): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw new AppError("invalid_request", "地址格式错误");
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new AppError("invalid_request", "只支持 http 和 https 地址");
  }
  if (url.username !== "" || url.password !== "") throw new AppError("invalid_request", "地址中不能包含用户名或密码");
  if (allowHosts !== undefined && !allowHosts.some((item) => hostMatches(item, url.hostname))) {
    throw new AppError("forbidden", `不允许访问主机 ${url.hostname}`);
  }
  return url;
}

function hostMatches(pattern: string, host: string): boolean {
  const name = host.replace(/\.$/, "");
  return pattern.startsWith(".") ? name === pattern.slice(1) || name.endsWith(pattern) : name === pattern;
}

const bareHost = (url: URL) => url.hostname.replace(/^\[|\]$/g, "");

/** Headers that say how a message travels; they are ours, never the caller's. */
const OWN_HEADERS =
  /^(?:host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|content-length)$/i;

async function exchange(
  request: GuardedRequest,
  target: URL,
  address: string,
  headersMs: number,
  signal: AbortSignal,
  ca: string | undefined,
  keepalive = true,
): Promise<Response> {
  const headers = new Headers();
  try {
    for (const [name, value] of Object.entries(request.headers ?? {})) {
      if (!OWN_HEADERS.test(name)) headers.set(name, value);
    }
  } catch (error) {
    throw new AppError("invalid_request", "请求头格式错误", { cause: error });
  }
  headers.set("host", target.host);
  if (request.decompress === false && !headers.has("accept-encoding")) headers.set("accept-encoding", "");
  const name = bareHost(target);
  const host = address.includes(":") ? `[${address}]` : address;
  const port = target.port === "" ? "" : `:${target.port}`;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new AppError("upstream_unreachable", "对方响应超时")), headersMs);
  try {
    return await fetch(`${target.protocol}//${host}${port}${target.pathname}${target.search}`, {
      method: request.method ?? "GET",
      headers,
      redirect: "manual",
      decompress: false,
      keepalive,
      signal: AbortSignal.any([signal, late.signal]),
      ...(request.body === undefined ? {} : { body: request.body }),
      // Certificate and SNI are those of the name, although the connection goes to the address.
      ...(target.protocol === "https:" ? { tls: tlsOptions(name, address, ca) } : {}),
    });
  } finally {
    clearTimeout(timer);
  }
}

function tlsOptions(name: string, address: string, ca: string | undefined): object {
  return {
    ...(name === address ? {} : { serverName: name }),
    ...(ca === undefined ? {} : { ca: [...rootCertificates, ca] }),
  };
}

function redirected(step: GuardedRequest, from: URL, location: string, status: number): GuardedRequest {
  if (!URL.canParse(location, from.href)) throw new AppError("upstream_unreachable", "重定向地址格式错误");
  const to = new URL(location, from.href);
  const { body, headers = {}, ...rest } = step;
  const toGet = status === 303 ? step.method !== "HEAD" : status < 303 && /^post$/i.test(step.method ?? "GET");
  const kept = Object.entries(headers).filter(([name]) => {
    if (toGet && /^content-/i.test(name)) return false;
    return to.origin === from.origin || !/^(?:authorization|cookie)$/i.test(name);
  });
  return {
    ...rest,
    url: to.href,
    headers: Object.fromEntries(kept),
    ...(toGet ? { method: "GET" } : body === undefined ? {} : { body }),
  };
}

function isConnectFault(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /ConnectionRefused|ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|FailedToOpenSocket|ETIMEDOUT/.test(code);
}

/** A kept connection that the other side had already closed; asking again on a new one repeats nothing. */
function isStale(error: unknown, request: GuardedRequest): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return code === "ECONNRESET" && /^(?:get|head)$/i.test(request.method ?? "GET");
}

function refused(host: string, address: string): AppError {
  return new AppError("forbidden", "不允许访问内网或本机地址", { detail: { host, address } });
}

function unreachable(error: unknown, host: string): AppError {
  if (isAppError(error)) return error;
  return new AppError("upstream_unreachable", "无法连接对方服务器", { cause: error, detail: { host, error } });
}

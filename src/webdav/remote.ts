import { AppError, isAppError } from "../core/errors.ts";
import type { Breaker } from "../net/breaker.ts";
import { type AuthMode, createAuthenticator } from "./auth.ts";
import { PROPFIND_BODY } from "./multistatus.ts";

export interface RemoteOptions {
  /** Address of the configured folder. */
  url: string;
  username: string;
  password: string;
  auth: AuthMode;
  sslVerify: boolean;
  /** Milliseconds until the head of an answer. */
  deadlineMs: number;
  /** Milliseconds without a byte of body. */
  idleMs: number;
  breaker: Breaker;
  fetch?: typeof globalThis.fetch;
}

export interface RemoteRequest {
  method: string;
  /** Decoded, below the configured folder: "/cache_audio/晴天.mp3". */
  path: string;
  headers?: Record<string, string>;
  /** Made anew for each try. */
  body?: () => BodyInit;
  signal?: AbortSignal | undefined;
  /** Milliseconds until the head of the answer; default the configured deadline. */
  deadlineMs?: number;
}

export interface Remote {
  /**
   * One exchange with the configured server, which sees the credentials; no other host ever does. Redirects are
   * followed within the configured folder only.
   * @throws AppError `upstream_unreachable`, `upstream_needs_login` (401), `upstream_refused` (redirect elsewhere),
   *   `invalid_request` (a path out of the folder)
   */
  send(request: RemoteRequest): Promise<Response>;
  /** Absolute address of a path; with credentials when asked for. */
  addressOf(path: string, withCredentials?: boolean): string;
  /** Path of an absolute address or of a path below the folder; undefined = not below the configured folder. */
  pathOf(address: string): string | undefined;
}

const MAX_REDIRECTS = 3;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Methods whose request may be sent to another path without changing anything there. */
const SAFE = new Set(["GET", "HEAD", "PROPFIND", "OPTIONS"]);

export function createRemote(options: RemoteOptions): Remote {
  const base = baseOf(options.url);
  const fetchImpl = options.fetch ?? globalThis.fetch;
  const auth = createAuthenticator({ username: options.username, password: options.password }, options.auth);
  let settling: Promise<void> | undefined;

  function urlOf(path: string): URL {
    const segments = path.split("/").filter((segment) => segment !== "");
    if (segments.some((segment) => segment === "." || segment === ".." || /[\0\\]/.test(segment))) {
      throw new AppError("invalid_request", "路径无效");
    }
    const trailing = path.endsWith("/") && segments.length > 0 ? "/" : "";
    return new URL(base.pathname + segments.map(encodeSegment).join("/") + trailing, base);
  }

  async function once(request: RemoteRequest, url: URL, withAuth: boolean): Promise<Response> {
    const controller = new AbortController();
    const stop = () => controller.abort(request.signal?.reason);
    if (request.signal?.aborted) stop();
    request.signal?.addEventListener("abort", stop, { once: true });
    const timer = setTimeout(() => controller.abort("deadline"), request.deadlineMs ?? options.deadlineMs);
    const target = url.pathname + url.search;
    const authorization = withAuth ? auth.header(request.method, target) : undefined;
    try {
      const response = await fetchImpl(url, {
        method: request.method,
        headers: {
          "accept-encoding": "identity",
          ...request.headers,
          ...(authorization === undefined ? {} : { authorization }),
        },
        redirect: "manual",
        signal: controller.signal,
        tls: { rejectUnauthorized: options.sslVerify },
        ...(request.body === undefined ? {} : { body: request.body() }),
      });
      if (response.status >= 502 && response.status <= 504) options.breaker.failure();
      else options.breaker.success();
      return guarded(response, controller, options.idleMs, () => request.signal?.removeEventListener("abort", stop));
    } catch (error) {
      request.signal?.removeEventListener("abort", stop);
      // Our own client went away: that says nothing about the server.
      if (request.signal?.aborted) {
        options.breaker.release();
        throw new AppError("upstream_unreachable", "请求已取消", { cause: error });
      }
      const late = controller.signal.reason === "deadline";
      // One missed deadline is enough: the next caller must not pay it again.
      do options.breaker.failure();
      while (late && options.breaker.state === "closed");
      throw new AppError("upstream_unreachable", late ? "WebDAV 服务器响应超时" : "无法连接 WebDAV 服务器", {
        detail: { host: base.host, error: late ? "deadline" : reasonOf(error) },
      });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Learns how the server wants credentials, by a question without any. */
  async function settle(): Promise<void> {
    if (auth.settled) return;
    settling ??= (async () => {
      const headers = { depth: "0", "content-type": "application/xml" };
      const probe: RemoteRequest = { method: "PROPFIND", path: "/", headers, body: () => PROPFIND_BODY };
      const response = await once(probe, base, false);
      await response.body?.cancel();
      // A fault says nothing of how the server wants them; the next question will.
      if (response.status < 500) auth.learn(response.status, response.headers.get("www-authenticate"));
    })().finally(() => {
      settling = undefined;
    });
    await settling;
  }

  async function withLogin(request: RemoteRequest, url: URL): Promise<Response> {
    await settle();
    const first = await once(request, url, true);
    if (first.status !== 401) return first;
    await first.body?.cancel();
    if (auth.learn(401, first.headers.get("www-authenticate"))) {
      const second = await once(request, url, true);
      if (second.status !== 401) return second;
      await second.body?.cancel();
    }
    throw new AppError("upstream_needs_login", "WebDAV 用户名或密码错误", { detail: { host: base.host } });
  }

  return {
    async send(request) {
      let url = urlOf(request.path);
      if (!options.breaker.allow()) {
        throw new AppError("upstream_unreachable", "WebDAV 服务器暂时不可用", {
          retryAfterSeconds: Math.max(1, Math.ceil((options.breaker.openUntil - Date.now()) / 1000)),
        });
      }
      for (let hops = 0; ; hops++) {
        const response = await withLogin(request, url);
        const location = response.headers.get("location");
        if (!REDIRECTS.has(response.status) || location === null) return response;
        await response.body?.cancel();
        const next = URL.canParse(location, url) ? new URL(location, url) : undefined;
        if (next === undefined || !isBelow(base, next) || !SAFE.has(request.method) || hops >= MAX_REDIRECTS) {
          throw new AppError("upstream_refused", "WebDAV 服务器要求跳转到其他地址，已拒绝", {
            detail: { from: base.host, to: next?.host, method: request.method },
          });
        }
        url = next;
      }
    },
    addressOf(path, withCredentials = false) {
      const url = urlOf(path);
      if (withCredentials && options.username !== "") {
        url.username = encodeURIComponent(options.username);
        url.password = encodeURIComponent(options.password);
      }
      return url.href;
    },
    pathOf(address) {
      const isPath = !/^[a-z][a-z0-9+.-]*:/i.test(address);
      if (isPath ? address.startsWith("//") : !URL.canParse(address)) return undefined;
      const url = isPath ? new URL(base.pathname + address.replace(/^\/+/, ""), base) : new URL(address);
      if (url.username !== "" || url.password !== "" || !isBelow(base, url)) return undefined;
      const segments = url.pathname.slice(base.pathname.length).split("/").map(decodeSegment);
      // An encoded separator or "..": the server might read it as one.
      if (segments.some((segment) => segment === undefined || segment === ".." || /[/\\\0]/.test(segment))) {
        return undefined;
      }
      return `/${segments.join("/")}`;
    },
  };
}

/** @throws AppError `invalid_request` */
function baseOf(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new AppError("invalid_request", "WebDAV 地址无效");
  // Credentials belong into their own keys; here they would show in messages.
  url.username = "";
  url.password = "";
  url.search = "";
  url.hash = "";
  url.pathname = url.pathname.replace(/\/*$/, "/");
  return url;
}

function isBelow(base: URL, url: URL): boolean {
  return (
    url.origin === base.origin && `${url.pathname}/`.startsWith(base.pathname) && !/%2e%2e|%2f|%5c/i.test(url.pathname)
  );
}

function encodeSegment(segment: string): string {
  // Some servers compare hrefs literally and leave these alone.
  return encodeURIComponent(segment.toWellFormed()).replace(/%(?:40|3A|24|2C|2B|3D|26)/g, (sign) =>
    decodeURIComponent(sign),
  );
}

export function decodeSegment(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  if (isAppError(error)) return error.kind;
  if (error instanceof Error) return "code" in error ? String(error.code) : error.name;
  return "unknown";
}

/** The same answer whose body ends the exchange when it falls silent. */
function guarded(response: Response, controller: AbortController, idleMs: number, done: () => void): Response {
  if (response.body === null || response.status === 204 || response.status === 304) {
    done();
    return response;
  }
  const source = response.body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const finish = () => {
    clearTimeout(timer);
    done();
  };
  const body = new ReadableStream<Uint8Array>({
    async pull(out) {
      timer = setTimeout(() => controller.abort("silent"), idleMs);
      try {
        const { value, done: ended } = await source.read();
        clearTimeout(timer);
        if (ended) {
          finish();
          out.close();
        } else out.enqueue(value);
      } catch {
        finish();
        out.error(new AppError("upstream_unreachable", "WebDAV 传输中断"));
      }
    },
    async cancel(reason) {
      finish();
      await source.cancel(reason).catch(() => undefined);
      controller.abort("cancelled");
    },
  });
  return new Response(body, { status: response.status, headers: response.headers });
}

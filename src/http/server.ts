import type { Elysia } from "elysia";
import { AppError, toAppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { type Peer, type RequestContext, setContext } from "./context.ts";
import { dialectOf, errorBody } from "./errors.ts";
import { createRequestIds } from "./plugins/request-id.ts";

/** What the access rules say about a request, before any route sees it. */
export interface AccessDecision {
  peer: Peer;
  /** Set = the request goes no further. */
  error?: AppError | undefined;
  role: RequestContext["role"];
  user?: string | undefined;
  keyName?: string | undefined;
  authorised: boolean;
  /** `RateLimit-*` and the like. */
  headers?: Record<string, string> | undefined;
}

export interface AccessGate {
  check(request: Request, path: string, peerAddress: string): AccessDecision | Promise<AccessDecision>;
}

/** Finished requests, for metrics. */
export interface RequestObserver {
  finished(path: string, method: string, status: number, milliseconds: number): void;
}

export interface HandlerDeps {
  routes: Pick<Elysia, "handle">;
  access: AccessGate;
  /** The JSON of an answer from memory, without the router; undefined = the router's turn. */
  fastLane?: ((request: Request, path: string, context: RequestContext) => string | undefined) | undefined;
  /** Handlers that take whole paths with methods that the router does not know (WebDAV). */
  mounts?: { prefix: string; handle: (request: Request, context: RequestContext) => Promise<Response> }[];
  /** CORS and security headers for this request; also answers preflights. */
  headers: {
    forAnswer(request: Request, path: string): Record<string, string>;
    preflight(request: Request): Response | undefined;
  };
  observer?: RequestObserver;
  log: Logger;
  debug: () => boolean;
}

/** Largest request target, as the original's server had it. */
const MAX_TARGET = 8190;

/**
 * The pipeline around the routes: id, who asks, may they, answer, headers, metrics. Never throws, never shows a stack.
 * A hot answer is made at once, without a promise and with all its headers in one object: that is what most requests
 * of a busy server are.
 */
export function createHandler(
  deps: HandlerDeps,
): (request: Request, peerAddress: string) => Response | Promise<Response> {
  const requestId = createRequestIds();

  return function handle(request, peerAddress) {
    const startedAt = performance.now();
    const id = requestId(request.headers.get("x-request-id"));
    const path = pathOf(request.url);
    const arrival: Arrival = { id, startedAt, path };
    try {
      const decision = deps.access.check(request, path, peerAddress);
      if (decision instanceof Promise) {
        return decision
          .then((later) => proceed(deps, request, arrival, later))
          .catch((error) => fail(deps, request, arrival, error));
      }
      const answer = proceed(deps, request, arrival, decision);
      return answer instanceof Promise ? answer.catch((error) => fail(deps, request, arrival, error)) : answer;
    } catch (error) {
      return fail(deps, request, arrival, error);
    }
  };
}

interface Arrival {
  id: string;
  /** `performance.now()` */
  startedAt: number;
  path: string;
}

function proceed(
  deps: HandlerDeps,
  request: Request,
  arrival: Arrival,
  decision: AccessDecision,
): Response | Promise<Response> {
  const context = makeContext(arrival, decision);
  if (decision.error !== undefined) {
    setContext(request, context);
    return finish(
      deps,
      request,
      arrival,
      errorResponse(decision.error, arrival.path, context.peer.address),
      context,
      decision.headers,
    );
  }
  const hot = deps.fastLane?.(request, arrival.path, context);
  if (hot !== undefined && !deps.debug()) return hotResponse(deps, request, arrival, hot, context, decision.headers);
  setContext(request, context);
  return route(deps, request, arrival.path, context).then((response) =>
    finish(deps, request, arrival, response, context, decision.headers),
  );
}

function hotResponse(
  deps: HandlerDeps,
  request: Request,
  arrival: Arrival,
  body: string,
  context: RequestContext,
  extra: Record<string, string> | undefined,
): Response {
  const headers: Record<string, string> = {
    ...deps.headers.forAnswer(request, arrival.path),
    ...extra,
    "content-type": "application/json; charset=utf-8",
    "x-request-id": arrival.id,
  };
  if (context.cacheStatus !== undefined) headers["cache-status"] = context.cacheStatus;
  deps.observer?.finished(arrival.path, request.method, 200, performance.now() - arrival.startedAt);
  return new Response(body, { headers });
}

async function route(deps: HandlerDeps, request: Request, path: string, context: RequestContext): Promise<Response> {
  if (request.url.length > MAX_TARGET + 256) throw new AppError("invalid_request", "请求地址过长");
  if (request.method === "OPTIONS") {
    const preflight = deps.headers.preflight(request);
    if (preflight !== undefined) return preflight;
  }
  const mount = deps.mounts?.find((item) => path === item.prefix.slice(0, -1) || path.startsWith(item.prefix));
  if (mount !== undefined) return mount.handle(request, context);
  if (request.method !== "HEAD" || servesFiles(path)) return deps.routes.handle(request);
  return withoutBody(await deps.routes.handle(asGet(request, context)));
}

/** These routes answer HEAD themselves, without opening the file. */
function servesFiles(path: string): boolean {
  return /^\/(?:cache|local|webdav|webdav-proxy)(?:\/|$)/.test(path);
}

function asGet(request: Request, context: RequestContext): Request {
  const get = new Request(request.url, { method: "GET", headers: request.headers, signal: request.signal });
  setContext(get, context);
  return get;
}

async function withoutBody(response: Response): Promise<Response> {
  const length = (await response.arrayBuffer()).byteLength;
  const headers = new Headers(response.headers);
  headers.set("content-length", String(length));
  return new Response(null, { status: response.status, headers });
}

function makeContext(arrival: Arrival, decision: AccessDecision): RequestContext {
  const context: RequestContext = {
    id: arrival.id,
    startedAt: arrival.startedAt,
    peer: decision.peer,
    role: decision.role,
    authorised: decision.authorised,
  };
  if (decision.user !== undefined) context.user = decision.user;
  if (decision.keyName !== undefined) context.keyName = decision.keyName;
  return context;
}

/** The answer to a failure in the dialect of the path it happened on. */
export function errorResponse(error: unknown, path: string, address?: string): Response {
  const known = toAppError(error);
  const extra = known.kind === "source_disabled" && address !== undefined ? { "Your IP": address } : {};
  const { status, body } = errorBody(known, dialectOf(path), extra);
  const headers: Record<string, string> = { "content-type": "application/json; charset=utf-8" };
  if (known.retryAfterSeconds !== undefined)
    headers["retry-after"] = String(Math.max(1, Math.ceil(known.retryAfterSeconds)));
  return new Response(JSON.stringify(body), { status, headers });
}

function fail(deps: HandlerDeps, request: Request, arrival: Arrival, error: unknown): Response {
  const known = toAppError(error);
  if (known.kind === "internal" || known.kind === "storage_failed") {
    deps.log.error("request failed", { id: arrival.id, path: arrival.path.slice(0, 200), error, detail: known.detail });
  }
  return finish(deps, request, arrival, errorResponse(error, arrival.path), undefined, undefined);
}

function finish(
  deps: HandlerDeps,
  request: Request,
  arrival: Arrival,
  response: Response,
  context: RequestContext | undefined,
  extra: Record<string, string> | undefined,
): Response {
  const { id, path, startedAt } = arrival;
  const { headers } = response;
  headers.set("x-request-id", id);
  const common = deps.headers.forAnswer(request, path);
  for (const name in common) if (!headers.has(name)) headers.set(name, common[name] ?? "");
  for (const name in extra) headers.set(name, extra[name] ?? "");
  if (context?.cacheStatus !== undefined) headers.set("cache-status", context.cacheStatus);
  const milliseconds = performance.now() - startedAt;
  if (deps.debug()) {
    headers.set("server-timing", `total;dur=${milliseconds.toFixed(1)}`);
    const peer = context?.peer.address;
    deps.log.debug("request", {
      id,
      method: request.method,
      path,
      status: response.status,
      ms: Math.round(milliseconds),
      peer,
    });
  }
  deps.observer?.finished(path, request.method, response.status, milliseconds);
  return response;
}

/** "/a/b" of "http://host/a/b?c"; not decoded. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const end = url.indexOf("?", start);
  return end === -1 ? url.slice(start) : url.slice(start, end);
}

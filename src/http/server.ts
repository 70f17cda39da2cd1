import type { Elysia } from "elysia";
import { AppError, toAppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { withBoundedBody } from "./body-limit.ts";
import { type Peer, type RequestContext, setContext } from "./context.ts";
import { dialectOf, errorBody } from "./errors.ts";
import { addCommon, createHotResponses, type HotAnswer } from "./hot-answer.ts";
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
  /** An answer from memory, without the router; undefined = the router's turn. */
  fastLane?: ((request: Request, path: string, context: RequestContext) => HotAnswer | undefined) | undefined;
  /** Handlers that take whole paths with methods that the router does not know (WebDAV). */
  mounts?: { prefix: string; handle: (request: Request, context: RequestContext) => Promise<Response> }[];
  /** CORS and security headers for this request; also answers preflights. */
  headers: {
    forAnswer(request: Request, path: string): Record<string, string>;
    preflight(request: Request): Response | undefined;
  };
  /** Largest body in bytes; undefined = the route streams it and has a limit of its own. */
  bodyLimit?: (method: string, path: string) => number | undefined;
  observer?: RequestObserver;
  log: Logger;
  debug: () => boolean;
}

/** Largest request target, as the original's server had it. */
const MAX_TARGET = 8190;
const ORIGIN_ROOM = 256;

/** What is known of a request when it comes in. */
interface Arrival {
  id: string;
  /** `performance.now()` */
  startedAt: number;
  path: string;
}

/**
 * The pipeline around the routes: id, who asks, may they, answer, headers, metrics. Never throws, never shows a stack.
 * A hot answer is made at once, without a promise and with headers that are copied, not built: that is what most
 * requests of a busy server are.
 */
export function createHandler(
  deps: HandlerDeps,
): (request: Request, peerAddress: string) => Response | Promise<Response> {
  const requestId = createRequestIds();
  const hotResponse = createHotResponses();

  function proceed(request: Request, arrival: Arrival, decision: AccessDecision): Response | Promise<Response> {
    const context = makeContext(arrival, decision);
    const { path } = arrival;
    if (decision.error !== undefined) {
      setContext(request, context);
      const refusal = errorResponse(decision.error, path, context.peer.address);
      return finish(deps, request, arrival, refusal, context, decision.headers);
    }
    const hot = deps.debug() ? undefined : deps.fastLane?.(request, path, context);
    if (hot !== undefined) {
      const response = hotResponse(hot, deps.headers.forAnswer(request, path), arrival.id, decision.headers);
      deps.observer?.finished(path, request.method, 200, performance.now() - arrival.startedAt);
      return response;
    }
    setContext(request, context);
    return route(deps, request, path, context).then(
      (response) => finish(deps, request, arrival, response, context, decision.headers),
      (error) => fail(deps, request, arrival, error, context, decision.headers),
    );
  }

  return function handle(request, peerAddress) {
    const arrival = {
      id: requestId(request.headers.get("x-request-id")),
      startedAt: performance.now(),
      path: pathOf(request.url),
    };
    const failed = (error: unknown) => fail(deps, request, arrival, error, undefined, undefined);
    try {
      const decision = deps.access.check(request, arrival.path, peerAddress);
      if (decision instanceof Promise) return decision.then((later) => proceed(request, arrival, later)).catch(failed);
      const answer = proceed(request, arrival, decision);
      return answer instanceof Promise ? answer.catch(failed) : answer;
    } catch (error) {
      return failed(error);
    }
  };
}

async function route(deps: HandlerDeps, given: Request, path: string, context: RequestContext): Promise<Response> {
  if (given.url.length > MAX_TARGET + ORIGIN_ROOM) throw new AppError("invalid_request", "请求地址过长");
  if (!isWellEscaped(path)) throw new AppError("invalid_request", "请求参数有错");
  if (given.method === "OPTIONS") {
    const preflight = deps.headers.preflight(given);
    if (preflight !== undefined) return preflight;
  }
  const limit = mayHaveBody(given.method) ? deps.bodyLimit?.(given.method, path) : undefined;
  const request = limit === undefined ? given : await withBoundedBody(given, limit);
  if (request !== given) setContext(request, context);
  const mount = deps.mounts?.find((item) => path === item.prefix.slice(0, -1) || path.startsWith(item.prefix));
  if (mount !== undefined) return mount.handle(request, context);
  if (request.method !== "HEAD" || servesFiles(path)) return deps.routes.handle(request);
  return withoutBody(await deps.routes.handle(asGet(request, context)));
}

/** The router would take a broken escape as it stands, and an id would then mean something else to a platform. */
function isWellEscaped(path: string): boolean {
  if (!path.includes("%")) return true;
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

/** No route of ours reads the body of the others. */
function mayHaveBody(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
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

function fail(
  deps: HandlerDeps,
  request: Request,
  arrival: Arrival,
  error: unknown,
  context: RequestContext | undefined,
  extra: Record<string, string> | undefined,
): Response {
  const known = toAppError(error);
  // What failed because its client left is no fault of ours.
  if (request.signal.aborted && known.kind === "internal") {
    deps.log.debug("client left", { id: arrival.id });
  } else if (known.kind === "internal" || known.kind === "storage_failed") {
    deps.log.error("request failed", { id: arrival.id, path: arrival.path.slice(0, 200), error, detail: known.detail });
  }
  const response = errorResponse(error, arrival.path, context?.peer.address);
  return finish(deps, request, arrival, response, context, extra);
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
  const { headers, status } = response;
  const { method } = request;
  headers.set("x-request-id", id);
  addCommon(headers, deps.headers.forAnswer(request, path));
  for (const name in extra) headers.set(name, extra[name] ?? "");
  if (context?.cacheStatus !== undefined) headers.set("cache-status", context.cacheStatus);
  const milliseconds = performance.now() - startedAt;
  if (deps.debug()) {
    headers.set("server-timing", `total;dur=${milliseconds.toFixed(1)}`);
    const ms = Math.round(milliseconds);
    deps.log.debug("request", { id, method, path: path.slice(0, 200), status, ms, peer: context?.peer.address });
  }
  deps.observer?.finished(path, method, status, milliseconds);
  return response;
}

/** Shortest scheme and host: "http://h". */
const SHORTEST_ORIGIN = 8;

/** "/a/b" of "http://host/a/b?c"; not decoded. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", SHORTEST_ORIGIN);
  if (start === -1) return "/";
  const end = url.indexOf("?", start);
  return end === -1 ? url.slice(start) : url.slice(start, end);
}

import type { Elysia } from "elysia";
import type { Remote } from "../access/peer.ts";
import { AppError, toAppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { withBoundedBody } from "./body-limit.ts";
import { type Peer, type RequestContext, setContext } from "./context.ts";
import { dialectOf, errorBody } from "./errors.ts";
import { addCommon, createHotResponses, type HotAnswer } from "./hot-answer.ts";
import { createRequestIds } from "./plugins/request-id.ts";
import { createTargets, routableUrl, type Target } from "./target.ts";

/** What the access rules say about a request, before any route sees it. */
export interface AccessDecision {
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
  check(request: Request, target: Target, remote: Remote): AccessDecision | Promise<AccessDecision>;
  /** Who asks. */
  peerOf(headers: Headers, remote: Remote): Peer;
}

/** Finished requests, for metrics. */
export interface RequestObserver {
  finished(path: string, method: string, status: number, milliseconds: number): void;
}

export interface HandlerDeps {
  routes: Pick<Elysia, "handle">;
  access: AccessGate;
  /** An answer from memory, without the router; undefined = the router's turn. */
  fastLane?: ((request: Request, target: Target, context: RequestContext) => HotAnswer | undefined) | undefined;
  /** Handlers that take whole paths with methods that the router does not know (WebDAV). */
  mounts?: { prefix: string; handle: (request: Request, context: RequestContext) => Promise<Response> }[];
  /** CORS and security headers for this request; also answers preflights. */
  headers: {
    forAnswer(request: Request, target: Target): Readonly<Record<string, string>>;
    preflight(request: Request): Response | undefined;
  };
  /** Largest body in bytes; undefined = the route streams it and has a limit of its own. */
  bodyLimit?: (method: string, path: string) => number | undefined;
  observer?: RequestObserver;
  log: Logger;
  debug: () => boolean;
}

/**
 * Hot answers take microseconds, and so does looking at the clock: one in so many is timed, and stands for those that
 * follow.
 */
const TIMED_EVERY = 64;
/** Largest request target, as the original's server had it. */
const MAX_TARGET = 8190;

/** What is known of a request. Its peer is looked up when somebody wants to know it: that is a question to the kernel. */
class Exchange implements RequestContext {
  /** `performance.now()` when it came in; of a hot answer that is not timed, 0. */
  startedAt = 0;
  role: RequestContext["role"] = "none";
  authorised = false;
  user?: string;
  keyName?: string;
  cacheStatus?: string;
  private known: Peer | undefined;

  constructor(
    readonly id: string,
    readonly target: Target,
    private readonly headers: Headers,
    private readonly remote: Remote,
    private readonly access: AccessGate,
  ) {}

  get peer(): Peer {
    this.known ??= this.access.peerOf(this.headers, this.remote);
    return this.known;
  }

  /** From here on it is timed. */
  begin(): void {
    if (this.startedAt === 0) this.startedAt = performance.now();
  }

  decided(decision: AccessDecision): void {
    this.role = decision.role;
    this.authorised = decision.authorised;
    if (decision.user !== undefined) this.user = decision.user;
    if (decision.keyName !== undefined) this.keyName = decision.keyName;
  }
}

/**
 * The pipeline around the routes: id, who asks, may they, answer, headers, metrics. Never throws, never shows a stack.
 * A hot answer is made at once, without a promise and with headers that are copied, not built: that is what most
 * requests of a busy server are.
 */
export function createHandler(deps: HandlerDeps): (request: Request, remote: Remote) => Response | Promise<Response> {
  const requestId = createRequestIds();
  const hotResponse = createHotResponses();
  const targetOf = createTargets();
  let count = 0;
  let hotMs = 0;

  function proceed(request: Request, exchange: Exchange, decision: AccessDecision): Response | Promise<Response> {
    exchange.decided(decision);
    try {
      return answer(request, exchange, decision);
    } catch (error) {
      return fail(deps, request, exchange, error, decision.headers);
    }
  }

  function answer(request: Request, exchange: Exchange, decision: AccessDecision): Response | Promise<Response> {
    const { target } = exchange;
    if (decision.error !== undefined) {
      exchange.begin();
      setContext(request, exchange);
      const refusal = errorResponse(decision.error, target.path, exchange.peer.address);
      return finish(deps, request, exchange, refusal, decision.headers);
    }
    const hot = deps.debug() || isTooLong(target) ? undefined : deps.fastLane?.(request, target, exchange);
    if (hot !== undefined) {
      const response = hotResponse(hot, deps.headers.forAnswer(request, target), exchange.id, decision.headers);
      if (exchange.startedAt !== 0) hotMs = performance.now() - exchange.startedAt;
      deps.observer?.finished(target.path, "GET", 200, hotMs);
      return response;
    }
    exchange.begin();
    setContext(request, exchange);
    return route(deps, request, target, exchange).then(
      (response) => finish(deps, request, exchange, response, decision.headers),
      (error) => fail(deps, request, exchange, error, decision.headers),
    );
  }

  return function handle(request, remote) {
    const known = targetOf(request.url);
    const target = known.routable ? known : targetOf(withRoutableUrl(request, remote).url);
    const { headers } = request;
    const id = requestId(headers.get("x-request-id"));
    const exchange = new Exchange(id, target, headers, remote, deps.access);
    count++;
    if (count % TIMED_EVERY === 0) exchange.begin();
    try {
      const decision = deps.access.check(request, exchange.target, remote);
      const answer =
        decision instanceof Promise
          ? decision.then((later) => proceed(request, exchange, later))
          : proceed(request, exchange, decision);
      if (!(answer instanceof Promise)) return answer;
      exchange.begin();
      // Once its client has left, nobody can tell any more who it was.
      void remote.address;
      return answer.catch((error) => fail(deps, request, exchange, error, undefined));
    } catch (error) {
      return fail(deps, request, exchange, error, undefined);
    }
  };
}

async function route(deps: HandlerDeps, given: Request, target: Target, context: RequestContext): Promise<Response> {
  const { path } = target;
  if (isTooLong(target)) throw new AppError("invalid_request", "请求地址过长");
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

/** The rules and the router must read the same path. A copy of the request would have to take its body along. */
function withRoutableUrl(request: Request, { secure }: Remote): Request {
  // The parser takes out what points elsewhere ("/docs/../url"), as the server does where the host is a good one.
  return Object.defineProperty(request, "url", { value: new URL(routableUrl(request.url, secure)).href });
}

function isTooLong({ path, query }: Target): boolean {
  return path.length + query.length > MAX_TARGET;
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
  exchange: Exchange,
  error: unknown,
  extra: Record<string, string> | undefined,
): Response {
  const known = toAppError(error);
  const { id, target } = exchange;
  // What failed because its client left is no fault of ours.
  if (request.signal.aborted && known.kind === "internal") {
    deps.log.debug("client left", { id });
  } else if (known.kind === "internal" || known.kind === "storage_failed") {
    deps.log.error("request failed", { id, path: target.path.slice(0, 200), error, detail: known.detail });
  }
  return finish(deps, request, exchange, errorResponse(error, target.path, exchange.peer.address), extra);
}

function finish(
  deps: HandlerDeps,
  request: Request,
  exchange: Exchange,
  response: Response,
  extra: Record<string, string> | undefined,
): Response {
  exchange.begin();
  const { id, target, startedAt } = exchange;
  const { path } = target;
  const { headers, status } = response;
  const { method } = request;
  headers.set("x-request-id", id);
  addCommon(headers, deps.headers.forAnswer(request, target));
  for (const name in extra) headers.set(name, extra[name] ?? "");
  if (exchange.cacheStatus !== undefined) headers.set("cache-status", exchange.cacheStatus);
  const milliseconds = performance.now() - startedAt;
  if (deps.debug()) {
    headers.set("server-timing", `total;dur=${milliseconds.toFixed(1)}`);
    const ms = Math.round(milliseconds);
    deps.log.debug("request", { id, method, path: path.slice(0, 200), status, ms, peer: exchange.peer.address });
  }
  deps.observer?.finished(path, method, status, milliseconds);
  return response;
}

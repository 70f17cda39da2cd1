import { AppError } from "../core/errors.ts";

export type Role = "none" | "viewer" | "admin";

/** Who asks: the peer of the connection, or the client that a trusted proxy names. */
export interface Peer {
  /** Normalised: IPv4 dotted, IPv6 compressed and lower case, IPv4-mapped as IPv4. */
  address: string;
  loopback: boolean;
  /** True when a trusted proxy named the address. */
  forwarded: boolean;
  /** The connection comes from a proxy whose headers are believed, whether or not it named anybody. */
  viaProxy?: boolean;
}

/** What the pipeline knows of one request; made by the server before any route runs. */
export interface RequestContext {
  readonly id: string;
  readonly peer: Peer;
  /** `performance.now()` at arrival. */
  readonly startedAt: number;
  /** Role in the management API; set by the access plugin. */
  role: Role;
  /** Name of the signed-in user or token, for the audit log. */
  user?: string;
  /** Name of the request key that let the request in; undefined = none was needed or given. */
  keyName?: string;
  /** The request was let in by a good key or needs none: it may bypass caches and needs no signed link. */
  authorised: boolean;
  /** Value of the `Cache-Status` header, when a cache was asked. */
  cacheStatus?: string;
}

const contexts = new WeakMap<Request, RequestContext>();

export function setContext(request: Request, context: RequestContext): void {
  contexts.set(request, context);
}

/** @throws AppError `internal` when the request did not come through the server's pipeline. */
export function contextOf(request: Request): RequestContext {
  const context = contexts.get(request);
  if (context === undefined) throw new AppError("internal", "内部服务器错误", { detail: "request without context" });
  return context;
}

/**
 * For management routes.
 * @throws AppError `unauthorized` without a sign-in, `forbidden` when the role is too low.
 */
export function requireRole(request: Request, role: Exclude<Role, "none">): RequestContext {
  const context = contextOf(request);
  if (context.role === "none") throw new AppError("unauthorized", "请先登录");
  if (role === "admin" && context.role !== "admin") throw new AppError("forbidden", "需要管理员权限");
  return context;
}

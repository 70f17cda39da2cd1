import type { Access } from "../../access/access.ts";
import type { Identity } from "../../access/admin.ts";
import type { RequestKey } from "../../access/keys.ts";
import { ADMITTED, type Verdict } from "../../access/limits.ts";
import { checkLxm } from "../../access/lxm.ts";
import type { Caller, Remote } from "../../access/peer.ts";
import { AppError } from "../../core/errors.ts";
import type { Quality, SourceId } from "../../core/types.ts";
import type { RequestContext } from "../context.ts";
import type { AccessDecision, AccessGate } from "../server.ts";
import type { Target } from "../target.ts";
import { createPlaces, type Place } from "./access-places.ts";

export interface AccessGateOptions {
  access: Access;
  /** First path segments of further pages that are for everyone. */
  openSegments?: readonly string[];
  /** The lyric-adapter endpoint while it is enabled: its clients send no headers, it checks them by itself. */
  gcspPath?: () => string | undefined;
}

export interface AccessRules extends AccessGate {
  /** @throws AppError `forbidden` when the request's key is not for this source or quality */
  mayAsk(context: RequestContext, source: SourceId, quality?: Quality): void;
  /** Is this `?key=` of `/script` good? True when none is needed. */
  scriptKeyGood(key: string): boolean;
  /** An address of ours as it is handed out: signed when keys are in use and `signed_links` is on. */
  ownLink(path: string): string;
}

const NOT_FOUND = "未找到您所请求的资源";
const KEY_REFUSED = "key验证失败";

/**
 * The one gate before all routes. Order, as the original has it: ban, forwarding, rate limits, host, then for what
 * needs it key, quota and lxm. Synchronous, and free of work for rules that are off: while no rule wants to know who
 * asks, nobody finds it out.
 */
export function createAccessGate({ access, openSegments = [], gcspPath }: AccessGateOptions): AccessRules {
  const placeOf = createPlaces(openSegments);

  function check(request: Request, target: Target, remote: Remote): AccessDecision | Promise<AccessDecision> {
    const { bans, limiter } = access;
    const place = placeOf(target.path);
    if (bans.idle && limiter.idle && admitsAll(place) && !access.peers.mayRefuse(request.headers)) return ADMISSION;
    const caller = access.peers.later(request.headers, remote);
    if (!bans.idle && bans.isBanned(caller.address)) return refused("banned", "您的IP已被封禁");
    if (caller.refused) return refused("forbidden", "不允许的公网ip转发");
    if (limiter.idle) return afterLimits(request, target, caller, place, ADMITTED);
    const verdict = limiter.admitClient({ address: caller.address, group: place.group });
    if (verdict instanceof Promise) return verdict.then((later) => afterLimits(request, target, caller, place, later));
    return afterLimits(request, target, caller, place, verdict);
  }

  /** No rule besides bans and limits is on for this place. */
  function admitsAll({ guard }: Place): boolean {
    const { key, check_lxm, allowed_host } = access.security;
    if (allowed_host.enable) return false;
    return guard === "open" || guard === "auth" || ((guard === "key" || guard === "file") && !key.enable && !check_lxm);
  }

  function afterLimits(
    request: Request,
    target: Target,
    caller: Caller,
    place: Place,
    verdict: Verdict,
  ): AccessDecision | Promise<AccessDecision> {
    if (!verdict.admitted) return limited(verdict);
    const { security } = access;
    if (security.allowed_host.enable && !access.allowedHosts.has(request.headers.get("host"))) {
      access.bans.strike(caller.address, "host");
      return refused("not_found", NOT_FOUND);
    }
    switch (place.guard) {
      case "key":
      case "file":
        return atKey(request, target, caller, place, verdict.headers);
      case "open":
      case "auth":
        return admitted(verdict.headers);
      case "unknown":
        access.bans.strike(caller.address, "probe");
        return admitted(verdict.headers);
      case "script":
        countScriptKey(target, caller);
        return admitted(verdict.headers);
      case "ops":
        return atOps(request, caller, verdict.headers);
      case "manage":
        return atManagement(request, caller, verdict.headers);
      case "dav":
        return atDav(request, target, caller, place, verdict.headers);
    }
  }

  function atKey(
    request: Request,
    target: Target,
    caller: Caller,
    place: Place,
    headers: Record<string, string> | undefined,
  ): AccessDecision | Promise<AccessDecision> {
    const { security } = access;
    if (!security.key.enable && !security.check_lxm) return admitted(headers);
    if (isPreflight(request) || isGcsp(request, target) || isEmptyProxyCall(target)) {
      return admitted(headers);
    }
    // The client chooses its Host header, so that the list counts only where the connection itself is local.
    // What a proxy says of an address is no connection: some pass on an X-Real-IP that the client has made up.
    if (access.whitelistHosts.has(request.headers.get("host")) && caller.peer.loopback && !caller.peer.forwarded) {
      return admitted(headers);
    }
    if (!security.key.enable) return atLxm(request, target, caller, place, { headers });
    const presented = request.headers.get("x-request-key");
    const key = presented === null ? undefined : access.keys.find(presented);
    if (key !== undefined) return withKey(request, target, caller, place, key, headers);
    if (place.guard === "file" && opensFile(target)) return { ...admitted(headers), authorised: false };
    if (presented === null && hasSignIn(request)) {
      return withSignIn(request, caller, headers, () => keyRefused(caller, place.guard !== "file"));
    }
    // A player whose link has run out is nobody who guesses.
    return keyRefused(caller, place.guard !== "file" || presented !== null);
  }

  function keyRefused(caller: Caller, counts: boolean): AccessDecision {
    if (counts) access.bans.strike(caller.address, "key");
    return refused("unauthorized", KEY_REFUSED);
  }

  function opensFile(target: Target): boolean {
    return !access.security.signed_links || access.links.verify(target.path, target.query);
  }

  function withKey(
    request: Request,
    target: Target,
    caller: Caller,
    place: Place,
    key: RequestKey,
    headers: Record<string, string> | undefined,
  ): AccessDecision | Promise<AccessDecision> {
    if (access.keys.isExpired(key)) return refused("unauthorized", "key已过期");
    const next = (verdict: Verdict) => {
      if (!verdict.admitted) return limited(verdict);
      const charged = access.keys.charge(key);
      const done = (quota: Awaited<typeof charged>) =>
        quota === undefined
          ? atLxm(request, target, caller, place, { headers: verdict.headers ?? headers, keyName: key.name })
          : limited({ admitted: false, ...quota });
      return charged instanceof Promise ? charged.then(done) : done(charged);
    };
    const verdict = access.limiter.admitKey({ address: caller.address, group: place.group, keyId: key.id });
    return verdict instanceof Promise ? verdict.then(next) : next(verdict);
  }

  function atLxm(
    request: Request,
    target: Target,
    caller: Caller,
    place: Place,
    more: Partial<AccessDecision>,
  ): AccessDecision {
    // Players fetch files, and players send no lxm.
    const exempt = !access.security.check_lxm || place.guard === "file";
    if (exempt || checkLxm(request.headers.get("lxm"), target.path + target.query)) {
      return { ...admitted(undefined), ...more };
    }
    access.bans.strike(caller.address, "lxm");
    return refused("unauthorized", "lxm请求头验证失败");
  }

  /** `/script` answers a wrong key by itself; here it is only counted, so that the page is no place to guess at. */
  function countScriptKey(target: Target, caller: Caller): void {
    if (!access.security.key.enable) return;
    const key = new URLSearchParams(target.query).get("key");
    if (key !== null && key !== "" && access.keys.find(key) === undefined) access.bans.strike(caller.address, "key");
  }

  function atOps(request: Request, caller: Caller, headers: Record<string, string> | undefined) {
    if (access.opsAllowed.has(caller.address)) return admitted(headers);
    const no = () => refused("forbidden", "无权访问");
    return hasSignIn(request) ? withSignIn(request, caller, headers, no) : no();
  }

  function atManagement(request: Request, caller: Caller, headers: Record<string, string> | undefined) {
    if (isPreflight(request)) return admitted(headers);
    const no = () => refused("unauthorized", "请先登录");
    return hasSignIn(request) ? withSignIn(request, caller, headers, no) : no();
  }

  /** WebDAV clients know only Basic: the password is a user's, or a request key. */
  function atDav(
    request: Request,
    target: Target,
    caller: Caller,
    place: Place,
    headers: Record<string, string> | undefined,
  ) {
    const presented = request.headers.get("x-request-key") ?? basicPassword(request);
    const key = presented === undefined ? undefined : access.keys.find(presented);
    // A stored key was made by the operator; those of the config count only while keys are in use.
    if (key !== undefined && (key.origin === "stored" || access.security.key.enable))
      return withKey(request, target, caller, { ...place, guard: "file" }, key, headers);
    const no = (): AccessDecision => ({
      ...refused("unauthorized", "请先登录"),
      headers: { "www-authenticate": 'Basic realm="lx-music-api-server", charset="UTF-8"' },
    });
    return hasSignIn(request) ? withSignIn(request, caller, headers, no, true) : no();
  }

  function withSignIn(
    request: Request,
    caller: Caller,
    headers: Record<string, string> | undefined,
    no: () => AccessDecision,
    basic = false,
  ): Promise<AccessDecision> {
    return access.admin.identify(request, caller.peer.address, basic).then(
      (identity) => (identity === undefined ? no() : signedIn(identity, headers)),
      (error) => {
        if (error instanceof AppError) return { ...admitted(headers), authorised: false, error };
        throw error;
      },
    );
  }

  function isGcsp(request: Request, target: Target): boolean {
    return request.method === "POST" && target.path === gcspPath?.();
  }

  return {
    check,
    peerOf: (headers, remote) => access.peers.read(headers, remote.address).peer,
    mayAsk(context, source, quality) {
      if (context.keyName === undefined) return;
      const key = access.keys.byName(context.keyName);
      if (key === undefined) return;
      if (key.sources.length > 0 && !key.sources.includes(source))
        throw new AppError("forbidden", "此key不能使用该平台");
      if (quality !== undefined && key.qualities.length > 0 && !key.qualities.includes(quality)) {
        throw new AppError("forbidden", "此key不能使用该音质");
      }
    },
    scriptKeyGood(text) {
      if (!access.security.key.enable) return true;
      const key = access.keys.find(text);
      return key !== undefined && !access.keys.isExpired(key);
    },
    ownLink(path) {
      const { security } = access;
      return security.key.enable && security.signed_links ? access.links.sign(path) : path;
    },
  };
}

/** The same object for most: nothing is made for a request that no rule concerns. */
const ADMISSION: AccessDecision = Object.freeze({ role: "none", authorised: true });

function admitted(headers: Record<string, string> | undefined): AccessDecision {
  return headers === undefined ? ADMISSION : { role: "none", authorised: true, headers };
}

function refused(kind: AppError["kind"], message: string): AccessDecision {
  return { role: "none", authorised: false, error: new AppError(kind, message) };
}

function limited(verdict: Verdict): AccessDecision {
  const { message = "请求过于频繁", retryAfterSeconds, headers } = verdict;
  const error = new AppError("rate_limited", message, { retryAfterSeconds });
  return { role: "none", authorised: false, error, headers };
}

function signedIn(identity: Identity, headers: Record<string, string> | undefined): AccessDecision {
  return { role: identity.role, user: identity.name, authorised: true, headers };
}

function hasSignIn(request: Request): boolean {
  return request.headers.has("authorization") || (request.headers.get("cookie")?.includes("lx_session=") ?? false);
}

/** A browser asks before it may send the key; that question has no key. */
function isPreflight(request: Request): boolean {
  return request.method === "OPTIONS" && request.headers.has("access-control-request-method");
}

/** Without an address there is nothing to open; the route says what is missing, as the original does. */
function isEmptyProxyCall(target: Target): boolean {
  return target.path === "/webdav-proxy" && !new URLSearchParams(target.query).has("url");
}

function basicPassword(request: Request): string | undefined {
  const header = request.headers.get("authorization");
  if (header === null || !/^basic /i.test(header)) return undefined;
  const text = Buffer.from(header.slice(6).slice(0, 1024), "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon === -1 ? undefined : text.slice(colon + 1);
}

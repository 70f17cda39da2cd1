import type { Database } from "bun:sqlite";
import { mkdir, rm } from "node:fs/promises";
import type { Static } from "@sinclair/typebox";
import type { webdavServerSection } from "../config/sections/webdav.ts";
import { isAppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import {
  DavRefusal,
  emptyElement,
  type PropStat,
  refusalResponse,
  responseElement,
  XML_HEAD,
  XML_TYPE,
} from "./dav-answers.ts";
import { type PropChange, readLockInfo, readPropertyUpdate, readPropfind } from "./dav-fragments.ts";
import { createGuard, type Guard } from "./dav-guard.ts";
import { createDavLocks, type DavLock, lockSeconds } from "./dav-locks.ts";
import { hrefOf, isLive, type ListingDeps, listingResponse, lockDiscovery } from "./dav-propfind.ts";
import { createDeadProps } from "./dav-props.ts";
import { createDavTree, type DavMount, type DavNode, type DavView, davPath } from "./dav-tree.ts";
import { copyNode, moveNode, writeBody } from "./dav-write.ts";

export interface DavUser {
  name: string;
  /** Only admins write. "none" with `authorised` may read (a request key). */
  role: "none" | "viewer" | "admin";
  authorised: boolean;
}

export interface DavServerDeps {
  db: Database;
  log: Logger;
  config: Static<typeof webdavServerSection>;
  /** Where it is mounted, without a slash at the end: "/dav". */
  prefix: string;
  mounts: readonly DavMount[];
  views?: readonly DavView[];
  /** Sends a file with ranges and validators. */
  serveFile(request: Request, file: { path: string; name: string; etag: string }): Promise<Response>;
  contentTypeOf(path: string): string;
  /** Told after every change below a writable mount. */
  changed?: (path: string) => void;
  now?: () => number;
}

export interface DavServer {
  /** Answers every method of WebDAV classes 1 and 2; never throws. */
  handle(request: Request, user: DavUser): Promise<Response>;
}

const READ = "OPTIONS, GET, HEAD, PROPFIND";
const WRITE = `${READ}, PUT, DELETE, MKCOL, COPY, MOVE, PROPPATCH, LOCK, UNLOCK`;
const MAX_XML = 256 << 10;

/** One request, resolved. */
interface Call {
  request: Request;
  user: DavUser;
  node: DavNode;
  /** The request's path ended in a slash. */
  slash: boolean;
  guard: Guard;
}

/**
 * A WebDAV server (RFC 4918, classes 1 and 2) over folders of the disk and read-only views.
 * @see https://www.rfc-editor.org/rfc/rfc4918
 */
export function createDavServer(deps: DavServerDeps): DavServer {
  const { config, prefix, log } = deps;
  const now = deps.now ?? Date.now;
  const writable = config.writable ? deps.mounts : deps.mounts.map((mount) => ({ ...mount, writable: false }));
  const tree = createDavTree(writable, deps.views ?? [], config.hide);
  const locks = createDavLocks(now);
  const props = createDeadProps(deps.db);
  const { contentTypeOf } = deps;
  const listing: ListingDeps = { tree, locks, props, prefix, contentTypeOf, maxEntries: config.max_entries, now };
  const bounds = () => ({ entries: config.max_entries, bytes: config.max_bytes * 10 });
  const changed = (path: string) => deps.changed?.(path);

  /** @throws DavRefusal 403 */
  function mayWrite({ user, node }: Pick<Call, "user" | "node">): void {
    if (user.role !== "admin" || !node.writable) throw new DavRefusal(403);
  }

  /** The node of another address of ours. @throws DavRefusal 400, 502 (another server), 403 */
  async function destination(request: Request): Promise<DavNode> {
    const header = request.headers.get("destination");
    const url = header === null || !URL.canParse(header, request.url) ? undefined : new URL(header, request.url);
    if (url === undefined) throw new DavRefusal(400);
    // Behind a proxy our own name may differ from the client's; the path decides, the host must only be named.
    const path = davPath(url.pathname, prefix);
    if (path === undefined) throw new DavRefusal(502);
    return await tree.resolve(path);
  }

  async function get({ request, node }: Call): Promise<Response> {
    if (node.kind === "missing") throw new DavRefusal(404);
    if (node.kind === "folder") throw new DavRefusal(405, undefined, { allow: "OPTIONS, PROPFIND" });
    const name = node.path.slice(node.path.lastIndexOf("/") + 1);
    const response = await deps.serveFile(request, { path: node.file ?? "", name, etag: node.etag ?? "" });
    response.headers.set("x-content-type-options", "nosniff");
    // What someone stored here must not act in a browser as a page of ours.
    response.headers.set("content-security-policy", "sandbox; default-src 'none'");
    return response;
  }

  async function put(call: Call): Promise<Response> {
    const { request, node, guard } = call;
    mayWrite(call);
    if (node.kind === "folder" || call.slash) throw new DavRefusal(405);
    if (!node.hasParent || node.place === undefined) throw new DavRefusal(409);
    if (request.headers.has("content-range")) throw new DavRefusal(400);
    if (Number(request.headers.get("content-length") ?? 0) > config.max_bytes) throw new DavRefusal(413);
    guard.precondition(node);
    guard.unlocked(node, { creates: node.kind === "missing", deep: false });
    await writeBody(node.place, request.body, config.max_bytes);
    if (node.kind === "missing") props.drop(node.path);
    changed(node.path);
    const fresh = await tree.resolve(node.path);
    return new Response(null, {
      status: node.kind === "missing" ? 201 : 204,
      headers: fresh.etag === undefined ? {} : { etag: fresh.etag },
    });
  }

  async function mkcol(call: Call): Promise<Response> {
    const { request, node, guard } = call;
    mayWrite(call);
    if (node.kind !== "missing") throw new DavRefusal(405);
    if (!node.hasParent || node.place === undefined) throw new DavRefusal(409);
    if ((await bodyText(request)) !== "") throw new DavRefusal(415);
    guard.unlocked(node, { creates: true, deep: false });
    await mkdir(node.place);
    props.drop(node.path);
    changed(node.path);
    return new Response(null, { status: 201 });
  }

  async function remove(call: Call): Promise<Response> {
    const { node, guard, request } = call;
    if (node.kind === "missing") throw new DavRefusal(404);
    mayWrite(call);
    if (request.headers.get("depth") === "0" && node.kind === "folder") throw new DavRefusal(400);
    guard.precondition(node);
    guard.unlocked(node, { creates: true, deep: true });
    await erase(node);
    return new Response(null, { status: 204 });
  }

  async function erase(node: DavNode): Promise<void> {
    if (node.place === undefined) throw new DavRefusal(403);
    await rm(node.place, { recursive: node.kind === "folder" });
    props.drop(node.path);
    locks.drop(node.path);
    changed(node.path);
  }

  async function transfer(call: Call, move: boolean): Promise<Response> {
    const { request, node, guard } = call;
    if (node.kind === "missing") throw new DavRefusal(404);
    if (call.user.role !== "admin" || (move && !node.writable)) throw new DavRefusal(403);
    const target = await destination(request);
    const depth = request.headers.get("depth")?.toLowerCase() ?? "infinity";
    if (depth !== "infinity" && (move || depth !== "0")) throw new DavRefusal(400);
    const overwrite = request.headers.get("overwrite")?.toUpperCase() !== "F";
    mayWrite({ user: call.user, node: target });
    const inside = (outer: string, inner: string) => inner === outer || inner.startsWith(`${outer}/`);
    if (inside(node.path, target.path) || inside(target.path, node.path)) throw new DavRefusal(403);
    if (!target.hasParent || target.place === undefined) throw new DavRefusal(409);
    guard.precondition(node);
    if (target.kind !== "missing" && !overwrite) throw new DavRefusal(412);
    if (move) guard.unlocked(node, { creates: true, deep: true });
    guard.unlocked(target, { creates: target.kind === "missing", deep: true });
    const replaced = target.kind !== "missing";
    // A file is replaced in one step; a folder must make room first.
    if (replaced && (target.kind === "folder" || node.kind === "folder")) await erase(target);
    if (move) {
      await moveNode(tree, node, target.place, bounds());
      props.move(node.path, target.path);
      locks.drop(node.path);
      changed(node.path);
    } else {
      await copyNode(tree, node, target.place, depth === "infinity", bounds());
      props.copy(node.path, target.path, depth === "infinity");
    }
    changed(target.path);
    return new Response(null, { status: replaced ? 204 : 201 });
  }

  async function propfind({ request, node }: Call): Promise<Response> {
    const depth = request.headers.get("depth")?.toLowerCase() ?? "infinity";
    if (depth !== "0" && depth !== "1" && depth !== "infinity") throw new DavRefusal(400);
    const text = await bodyText(request);
    const asked = text.trim() === "" ? ({ all: true } as const) : readPropfind(text);
    if (asked === undefined) throw new DavRefusal(400);
    if (node.kind === "missing") throw new DavRefusal(404);
    if (depth === "infinity" && node.kind === "folder" && !config.infinite_depth) {
      throw new DavRefusal(403, "propfind-finite-depth");
    }
    return listingResponse(node, depth, asked, listing);
  }

  async function proppatch(call: Call): Promise<Response> {
    const { request, node, guard } = call;
    const changes = readPropertyUpdate(await bodyText(request));
    if (changes === undefined) throw new DavRefusal(400);
    if (node.kind === "missing") throw new DavRefusal(404);
    mayWrite(call);
    guard.precondition(node);
    guard.unlocked(node, { creates: false, deep: false });
    const body = responseElement(hrefOf(node, prefix), patch(node, changes));
    return new Response(`${XML_HEAD}<D:multistatus xmlns:D="DAV:">\n${body}</D:multistatus>\n`, {
      status: 207,
      headers: XML_TYPE,
    });
  }

  /** All changes or none; what stands in the way is named, the rest "failed with it". */
  function patch(node: DavNode, changes: readonly PropChange[]): PropStat[] {
    const names = (some: readonly PropChange[]) => some.map(({ name }) => emptyElement(name));
    const fixed = changes.filter(({ name }) => isLive(name));
    const rest = names(changes.filter(({ name }) => !isLive(name)));
    if (fixed.length > 0) {
      const refused = { status: 403, xml: names(fixed), condition: "cannot-modify-protected-property" };
      return [refused, { status: 424, xml: rest }];
    }
    return [{ status: props.apply(node.path, changes) ? 200 : 507, xml: rest }];
  }

  async function lock(call: Call): Promise<Response> {
    const { request, node, guard, user } = call;
    const text = await bodyText(request);
    const seconds = lockSeconds(request.headers.get("timeout"), config.lock_timeout);
    mayWrite(call);
    if (text.trim() === "") return lockResponse(refreshed(call, seconds), 200, false);
    const info = readLockInfo(text);
    const depth = request.headers.get("depth")?.toLowerCase() ?? "infinity";
    if (info === undefined || (depth !== "0" && depth !== "infinity")) throw new DavRefusal(400);
    if (node.kind === "missing" && (!node.hasParent || node.place === undefined)) throw new DavRefusal(409);
    guard.precondition(node);
    if (node.kind === "missing") guard.unlocked(node, { creates: true, deep: false });
    const infinite = depth === "infinity" && node.kind === "folder";
    const taken = locks.take({ path: node.path, infinite, seconds, user: user.name, ...info });
    if (taken === undefined) throw new DavRefusal(503);
    if ("conflicts" in taken) throw new DavRefusal(423, "no-conflicting-lock");
    if (node.kind === "missing") {
      await writeBody(node.place ?? "", null, 0);
      props.drop(node.path);
      changed(node.path);
    }
    return lockResponse(taken.lock, node.kind === "missing" ? 201 : 200, true);
  }

  function refreshed({ node, guard, user }: Call, seconds: number): DavLock {
    for (const token of guard.tokens) {
      const held = locks.get(token);
      const covers = held !== undefined && locks.covering(node.path).includes(held);
      if (covers && held.user === user.name) return locks.refresh(token, seconds) ?? held;
    }
    throw new DavRefusal(
      guard.tokens.size === 0 ? 400 : 412,
      guard.tokens.size === 0 ? undefined : "lock-token-matches-request-uri",
    );
  }

  function lockResponse(held: DavLock, status: number, fresh: boolean): Response {
    const body = `${XML_HEAD}<D:prop xmlns:D="DAV:"><D:lockdiscovery>${lockDiscovery([held], listing)}</D:lockdiscovery></D:prop>\n`;
    return new Response(body, {
      status,
      headers: { ...XML_TYPE, ...(fresh ? { "lock-token": `<${held.token}>` } : {}) },
    });
  }

  async function unlock(call: Call): Promise<Response> {
    const { request, node, user } = call;
    mayWrite(call);
    const token = /^<(.+)>$/.exec(request.headers.get("lock-token")?.trim() ?? "")?.[1];
    if (token === undefined) throw new DavRefusal(400);
    const held = locks.get(token);
    if (held === undefined || !locks.covering(node.path).includes(held)) {
      throw new DavRefusal(409, "lock-token-matches-request-uri");
    }
    if (held.user !== user.name) throw new DavRefusal(403);
    locks.release(token);
    return new Response(null, { status: 204 });
  }

  function options({ node, user }: Call): Response {
    const allow = user.role === "admin" && (node.writable || node.kind === "folder") ? WRITE : READ;
    return new Response(null, { status: 200, headers: { allow, "ms-author-via": "DAV" } });
  }

  const METHODS: Record<string, (call: Call) => Response | Promise<Response>> = {
    OPTIONS: options,
    GET: get,
    HEAD: get,
    PUT: put,
    DELETE: remove,
    MKCOL: mkcol,
    COPY: (call) => transfer(call, false),
    MOVE: (call) => transfer(call, true),
    PROPFIND: propfind,
    PROPPATCH: proppatch,
    LOCK: lock,
    UNLOCK: unlock,
  };

  async function answer(request: Request, user: DavUser): Promise<Response> {
    if (user.role === "none" && !user.authorised) {
      throw new DavRefusal(401, undefined, {
        "www-authenticate": 'Basic realm="lx-music-api-server", charset="UTF-8"',
      });
    }
    const { pathname, hash } = new URL(request.url);
    // "DELETE /a#b" is not a request to delete "/a".
    if (hash !== "") throw new DavRefusal(400);
    const path = davPath(pathname, prefix);
    if (path === undefined) throw new DavRefusal(400);
    const method = METHODS[request.method];
    if (method === undefined) throw new DavRefusal(405, undefined, { allow: WRITE });
    const node = await tree.resolve(path);
    const guard = await createGuard(request, { tree, locks, prefix, user: user.name, node });
    return await method({ request, user, node, guard, slash: pathname.endsWith("/") });
  }

  return {
    async handle(request, user) {
      let response: Response;
      try {
        response = await answer(request, user);
      } catch (error) {
        response = refusalResponse(toRefusal(error, log, request.method));
      }
      response.headers.set("dav", "1, 2");
      return response;
    },
  };
}

/** @throws DavRefusal 413 */
async function bodyText(request: Request): Promise<string> {
  if (request.body === null) return "";
  if (Number(request.headers.get("content-length") ?? 0) > MAX_XML) throw new DavRefusal(413);
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_XML) throw new DavRefusal(413);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

const BY_CODE: Record<string, number> = {
  ENOSPC: 507,
  EDQUOT: 507,
  EACCES: 403,
  EPERM: 403,
  EROFS: 403,
  ENAMETOOLONG: 400,
  EEXIST: 409,
  ENOENT: 409,
  ENOTDIR: 409,
  ENOTEMPTY: 409,
  EISDIR: 405,
};

function toRefusal(error: unknown, log: Logger, method: string): DavRefusal {
  if (error instanceof DavRefusal) return error;
  if (isAppError(error)) {
    const status = { invalid_request: 400, not_found: 404, too_large: 413 }[error.kind as string];
    if (status !== undefined) return new DavRefusal(status);
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const status = BY_CODE[code];
  if (status === undefined) log.error("webdav request failed", { method, error });
  return new DavRefusal(status ?? 500);
}

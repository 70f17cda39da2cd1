import { DavRefusal } from "./dav-answers.ts";
import { holds, type IfHeader, parseIf } from "./dav-if.ts";
import type { DavLocks } from "./dav-locks.ts";
import { type DavNode, type DavTree, davPath } from "./dav-tree.ts";

/** What a request's headers demand and present, checked against files and locks. */
export interface Guard {
  /** Lock tokens that the request submits. */
  readonly tokens: ReadonlySet<string>;
  /** `If-Match` and `If-None-Match`. @throws DavRefusal 412 */
  precondition(node: DavNode): void;
  /**
   * @param change `creates`: the folder gains or loses an entry; `deep`: everything below is concerned
   * @throws DavRefusal 423
   */
  unlocked(node: DavNode, change: { creates: boolean; deep: boolean }): void;
}

export interface GuardDeps {
  tree: DavTree;
  locks: DavLocks;
  prefix: string;
  user: string;
  node: DavNode;
}

/** @throws DavRefusal 400 (malformed `If`), 412 (no list of it holds) */
export async function createGuard(request: Request, deps: GuardDeps): Promise<Guard> {
  const { locks, user } = deps;
  const text = request.headers.get("if");
  const header = text === null ? undefined : parseIf(text);
  if (text !== null && header === undefined) throw new DavRefusal(400);
  if (header !== undefined && !(await satisfied(header, request, deps))) throw new DavRefusal(412);
  const tokens = header?.tokens ?? new Set<string>();

  function mine(held: { token: string; user: string }): boolean {
    return tokens.has(held.token) && held.user === user;
  }

  return {
    tokens,
    precondition(node) {
      const etag = node.kind === "missing" ? undefined : (node.etag ?? '""');
      const lists = (name: string) => request.headers.get(name);
      const ifMatch = lists("if-match");
      if (ifMatch !== null && !(etag !== undefined && listed(ifMatch, etag, true))) throw new DavRefusal(412);
      const ifNone = lists("if-none-match");
      if (ifNone !== null && etag !== undefined && listed(ifNone, etag, false)) throw new DavRefusal(412);
    },
    unlocked(node, { creates, deep }) {
      const own = locks.covering(node.path);
      if (own.length > 0 && !own.some(mine)) throw new DavRefusal(423, "lock-token-submitted");
      const parent = node.path.slice(0, node.path.lastIndexOf("/")) || "/";
      // A lock on a folder keeps its list of entries, even with depth 0.
      const above = creates ? locks.on(parent) : [];
      if (above.length > 0 && !above.some(mine)) throw new DavRefusal(423, "lock-token-submitted");
      if (deep && !locks.below(node.path).every(mine)) throw new DavRefusal(423, "lock-token-submitted");
    },
  };
}

async function satisfied(header: IfHeader, request: Request, deps: GuardDeps): Promise<boolean> {
  const stateOf = async (tag: string | undefined) => {
    const node = tag === undefined ? deps.node : await tagged(tag, request, deps);
    if (node === undefined) return undefined;
    return { etag: node.etag, tokens: deps.locks.covering(node.path).map((lock) => lock.token) };
  };
  return await holds(header, stateOf);
}

async function tagged(tag: string, request: Request, deps: GuardDeps): Promise<DavNode | undefined> {
  if (!URL.canParse(tag, request.url)) return undefined;
  const path = davPath(new URL(tag, request.url).pathname, deps.prefix);
  return path === undefined ? undefined : await deps.tree.resolve(path);
}

function listed(header: string, etag: string, strong: boolean): boolean {
  if (header.trim() === "*") return true;
  const tags: string[] = header.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.some((tag) => (strong ? tag === etag : tag.replace(/^W\//, "") === etag.replace(/^W\//, "")));
}

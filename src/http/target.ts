/** What the URL of a request says, read once: a hot song is asked for by the same URL thousands of times. */
export interface Target {
  /** "/a/b" of "http://host/a/b?c"; not decoded. */
  readonly path: string;
  /** With its `?`; empty without a query. */
  readonly query: string;
  readonly secure: boolean;
  /** The router finds the same path and query in this URL, and a copy of the request can have it. */
  readonly routable: boolean;
}

/** URLs that are remembered, in each of two generations. */
const MAX_URLS = 2000;
/** Longer ones are rare, and would fill the memory. */
const MAX_LENGTH = 256;
/** Shortest scheme and host: "http://h". */
const SHORTEST_ORIGIN = 8;
/** The router looks for the path from here on: after a shorter host it would take the path's second part for it. */
const ROUTER_ORIGIN = 11;

export function targetOf(url: string): Target {
  return Object.freeze({
    path: pathOf(url),
    query: queryOf(url),
    secure: url.startsWith("https:"),
    routable: url.indexOf("/", SHORTEST_ORIGIN) >= ROUTER_ORIGIN && !url.includes("#") && URL.canParse(url),
  });
}

/**
 * The URL as the router and `URL` can read it: under a host, without a fragment. Without a Host header, or with one that
 * is none, the server gives the path alone, as it was sent, or a URL that is none; a fragment is no part of a request,
 * and the router reads on in it. The Host header itself stays what it was.
 */
export function routableUrl(url: string, secure = url.startsWith("https:")): string {
  const origin = secure ? "https://localhost" : "http://localhost";
  const start = url.startsWith("/") ? 0 : url.indexOf("/", SHORTEST_ORIGIN);
  if (start === -1) return `${origin}/`;
  const [sent = ""] = url.slice(start).split("#", 1);
  return `${origin}${sent}`;
}

/** The same URL gives the same object, as long as it is remembered: others may keep in a WeakMap what they made of it. */
export function createTargets(): (url: string) => Target {
  let recent = new Map<string, Target>();
  let older = new Map<string, Target>();

  function remember(url: string): Target {
    const target = older.get(url) ?? targetOf(url);
    if (url.length > MAX_LENGTH) return target;
    if (recent.size >= MAX_URLS) {
      older = recent;
      recent = new Map();
    }
    recent.set(url, target);
    return target;
  }

  return (url) => recent.get(url) ?? remember(url);
}

/** Not decoded. */
export function pathOf(url: string): string {
  const start = url.indexOf("/", SHORTEST_ORIGIN);
  if (start === -1) return "/";
  const end = url.indexOf("?", start);
  return end === -1 ? url.slice(start) : url.slice(start, end);
}

function queryOf(url: string): string {
  const mark = url.indexOf("?");
  if (mark === -1) return "";
  const hash = url.indexOf("#", mark);
  return hash === -1 ? url.slice(mark) : url.slice(mark, hash);
}

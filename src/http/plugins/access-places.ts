/** Which paths are behind which door. The first segment decides, as it stands in the request: the router does not decode it either. */

export type Guard =
  /** For everyone. */
  | "open"
  /** Needs a request key when keys are in use; the lxm check too. */
  | "key"
  /** Needs a request key or a signature. */
  | "file"
  /** Checks its key by itself, and answers with code 6. */
  | "script"
  /** `security.ops.allow`, or a signed-in user. */
  | "ops"
  /** Signed-in users. */
  | "manage"
  /** How one signs in. */
  | "auth"
  /** WebDAV clients: Basic, or a key. */
  | "dav"
  /** No route of ours. */
  | "unknown";

export interface Place {
  guard: Guard;
  /** Name that `security.rate_limit.rules[].groups` uses. */
  group: string;
}

const place = (guard: Guard, group: string): Place => Object.freeze({ guard, group });
const OPEN = place("open", "page");
const KEY = place("key", "info");
const FILE = place("file", "file");
const OPS = place("ops", "ops");
const MANAGE = place("manage", "manage");
const AUTH = place("auth", "auth");
const UNKNOWN = place("unknown", "other");

const PLACES = new Map<string, Place>([
  ["", OPEN],
  ["url", place("key", "url")],
  ["lyric", KEY],
  ["info", KEY],
  ["pic", KEY],
  ["search", KEY],
  ["mv", KEY],
  ["playlist", KEY],
  ["board", KEY],
  ["hot", KEY],
  ["suggest", KEY],
  ["comment", KEY],
  ["local", FILE],
  ["cache", FILE],
  ["webdav", FILE],
  ["webdav-proxy", FILE],
  ["script", place("script", "script")],
  ["dav", place("dav", "dav")],
  ["health", OPS],
  ["ready", OPS],
  ["metrics", OPS],
  ["api", MANAGE],
  ["docs", OPEN],
  ["dashboard", OPEN],
  [".well-known", OPEN],
  ["favicon.ico", OPEN],
  ["robots.txt", OPEN],
]);

/** Of the management API, what someone needs who is not signed in yet. */
const SIGN_IN = new Set(["setup", "login", "refresh", "logout", "state"].map((name) => `/api/v1/auth/${name}`));

/** @param open further first segments that are for everyone (`ca`) */
export function createPlaces(open: readonly string[]): (path: string) => Place {
  const places = new Map([...PLACES, ...open.map((segment) => [segment, OPEN] as const)]);
  const url = places.get("url") ?? KEY;
  return function placeOf(path) {
    // Nine of ten requests, without making a string of the segment.
    if (path.startsWith("/url/")) return url;
    const end = path.indexOf("/", 1);
    const found = places.get(end === -1 ? path.slice(1) : path.slice(1, end));
    if (found === undefined) return mayBeMethod(path) ? KEY : UNKNOWN;
    if (found === MANAGE && SIGN_IN.has(path)) return AUTH;
    return found;
  };
}

/** `/{method}/{source}/{songId}` and one more: behind the key also when there is no such method, as in the original. */
function mayBeMethod(path: string): boolean {
  let slashes = 0;
  for (let i = 0; i < path.length; i++) if (path.charCodeAt(i) === 47) slashes++;
  return slashes === 3 || slashes === 4;
}

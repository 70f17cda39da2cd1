import type { CacheKind } from "./kinds.ts";

/** Raised when the meaning of keys or the form of stored values changes; old entries are then never read again. */
export const KEY_VERSION = "v1";

/** What a request asks for; two requests that mean the same have the same key. */
export interface KeyParts {
  kind: CacheKind;
  /** "kg", "tx", …; "-" when the request is of no platform. */
  source: string;
  /** Song, playlist or board id, or the words of a search; any text. */
  id: string;
  quality?: string | undefined;
  /** Page, size, sort, … Undefined values count as absent. */
  options?: Readonly<Record<string, string | number | boolean | undefined>> | undefined;
}

/** Ids of platforms are short words; they stay readable in the key, and can then not collide with another song's. */
const PLAIN_ID = /^[\w-]{1,40}$/;
const SECOND_SEED = 0x6c78n;

/**
 * `v1:url:kg:128k:<id>:<xxHash64>`; without quality `v1:lyric:kg:<id>:<xxHash64>`. An id that is long or odd is not
 * repeated: `~` stands in its place, and a second hash with another seed follows, because such an id may be chosen
 * to collide.
 */
export function cacheKey(parts: KeyParts): string {
  const meaning = meaningOf(parts);
  const plain = PLAIN_ID.test(parts.id);
  const quality = parts.quality === undefined ? "" : `:${parts.quality}`;
  const hash = Bun.hash.xxHash64(meaning).toString(36);
  const tail = plain ? `${parts.id}:${hash}` : `~:${hash}${Bun.hash.xxHash64(meaning, SECOND_SEED).toString(36)}`;
  return `${KEY_VERSION}:${parts.kind}:${parts.source}${quality}:${tail}`;
}

function meaningOf({ kind, source, id, quality = "", options }: KeyParts): string {
  // Length before the free text: no choice of fields can be read as another one.
  const head = `${kind}\n${source}\n${quality}\n${id.length}\n${id}`;
  if (options === undefined) return head;
  const given = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return given.length === 0 ? head : `${head}\n${JSON.stringify(given)}`;
}

/** The kind that a key names; undefined = not a key of ours. */
export function kindOfKey(key: string): string | undefined {
  if (!key.startsWith(`${KEY_VERSION}:`)) return undefined;
  const end = key.indexOf(":", KEY_VERSION.length + 1);
  return end === -1 ? undefined : key.slice(KEY_VERSION.length + 1, end);
}

/** "/url/kg" for a key of kind url and source kg: what the list of never-cached routes is compared with. */
export function routeOfKey(key: string): string {
  const [, kind = "", source = ""] = key.split(":", 3);
  return `/${kind}/${source}`;
}

/** Is the key's route in this list, or below one that is? */
export function isNeverCached(never: readonly string[], key: string): boolean {
  if (never.length === 0) return false;
  const route = routeOfKey(key);
  return never.some((prefix) => route === prefix || route.startsWith(`${prefix}/`));
}

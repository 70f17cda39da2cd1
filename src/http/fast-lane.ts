import { isQuality, isSourceId } from "../core/types.ts";
import type { TrackAnswer, TrackPlace } from "../resolve/track.ts";
import type { RequestContext } from "./context.ts";
import { type HotAnswer, JSON_HEADERS } from "./hot-answer.ts";
import { type MusicDeps, urlBody } from "./routes/music.ts";
import { queryUrlBody } from "./routes/query.ts";

const MAX_PLACES = 10_000;

type Lane = (request: Request, path: string, context: RequestContext) => HotAnswer | undefined;

/**
 * `/url` from memory, by path or by query, without the router: nine of ten requests of a busy server are these.
 * Anything unusual (escapes, `no-cache`, other words for a quality, not in memory) is the router's.
 */
export function createFastLane(deps: Pick<MusicDeps, "track" | "normalizeId" | "mayAsk" | "ownLink">): Lane {
  const byPath = createHotUrls(deps, placeOfPath, urlBody);
  const byQuery = createHotUrls(deps, placeOfQuery, queryUrlBody);
  return (request, path, context) => {
    if (!path.startsWith("/url") || request.method !== "GET" || request.headers.get("cache-control") !== null) {
      return undefined;
    }
    if (path.length > 4) return path.charCodeAt(4) === SLASH ? byPath(path, context) : undefined;
    const mark = request.url.indexOf("?");
    return mark === -1 ? undefined : byQuery(request.url.slice(mark + 1), context);
  };
}

const SLASH = 47;

type Words = [source: string, songId: string, quality: string];

function placeOfPath(path: string): Words | undefined {
  const [, , source = "", songId = "", quality = "", more] = path.split("/");
  return more === undefined ? [source, songId, quality] : undefined;
}

function placeOfQuery(query: string): Words | undefined {
  const pairs = query.split("&").map((pair) => pair.split("="));
  const value = (name: string) => pairs.find(([key]) => key === name)?.[1] ?? "";
  return pairs.length === 3 ? [value("source"), value("songId"), value("quality")] : undefined;
}

function createHotUrls(
  deps: Pick<MusicDeps, "track" | "normalizeId" | "mayAsk" | "ownLink">,
  read: (text: string) => Words | undefined,
  bodyOf: (deps: Pick<MusicDeps, "ownLink">, answer: TrackAnswer, quality: string) => object,
) {
  const made = new WeakMap<TrackAnswer, HotAnswer>();
  /** What a text means; forgotten all at once when full, because it is quickly learned again. */
  const places = new Map<string, TrackPlace>();
  const headers = new Map<string, HotAnswer["headers"]>();

  function placeOf(text: string): TrackPlace | undefined {
    const known = places.get(text);
    if (known !== undefined) return known;
    if (/[%+]/.test(text)) return undefined;
    const [source, songId, quality] = read(text) ?? ["", "", ""];
    if (songId === "" || !isSourceId(source) || !isQuality(quality)) return undefined;
    const place = deps.track.placeOf(source, deps.normalizeId(source, songId), quality);
    if (places.size >= MAX_PLACES) places.clear();
    places.set(text, place);
    return place;
  }

  /** There are as many statuses as tiers. */
  function headersOf(cacheStatus: string): HotAnswer["headers"] {
    let record = headers.get(cacheStatus);
    if (record === undefined) {
      record = Object.freeze({ ...JSON_HEADERS, "cache-status": cacheStatus });
      headers.set(cacheStatus, record);
    }
    return record;
  }

  const make = (answer: TrackAnswer, quality: string): HotAnswer => ({
    body: JSON.stringify(bodyOf(deps, answer, quality)),
    headers: headersOf(answer.cacheStatus),
  });

  return (text: string, context: RequestContext): HotAnswer | undefined => {
    const place = placeOf(text);
    if (place === undefined) return undefined;
    deps.mayAsk(context, place.source, place.quality);
    const answer = deps.track.peek(place, context.peer.address);
    if (answer === undefined) return undefined;
    // An address of ours may need a signature of its own; the platforms' are the same for all.
    if (answer.nearby !== undefined) return make(answer, place.quality);
    let hot = made.get(answer);
    if (hot === undefined) {
      hot = make(answer, place.quality);
      made.set(answer, hot);
    }
    return hot;
  };
}

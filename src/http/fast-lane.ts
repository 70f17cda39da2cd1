import { isQuality, isSourceId } from "../core/types.ts";
import type { TrackAnswer, TrackPlace } from "../resolve/track.ts";
import type { RequestContext } from "./context.ts";
import { type MusicDeps, urlBody } from "./routes/music.ts";

const MAX_PLACES = 10_000;

/**
 * `/url/{source}/{songId}/{quality}` from memory, without the router: nine of ten requests of a busy server are these.
 * Anything unusual (escapes in the path, `no-cache`, other words for a quality, not in memory) is the router's.
 */
export function createFastLane(deps: Pick<MusicDeps, "track" | "normalizeId" | "mayAsk" | "ownLink">) {
  const bodies = new WeakMap<TrackAnswer, string>();
  /** What a path means; forgotten all at once when full, because it is quickly learned again. */
  const places = new Map<string, TrackPlace>();

  function placeOf(path: string): TrackPlace | undefined {
    const known = places.get(path);
    if (known !== undefined) return known;
    const [, , source = "", songId = "", quality = "", more] = path.split("/");
    if (more !== undefined || songId === "" || !isSourceId(source) || !isQuality(quality)) return undefined;
    const place = deps.track.placeOf(source, deps.normalizeId(source, songId), quality);
    if (places.size >= MAX_PLACES) places.clear();
    places.set(path, place);
    return place;
  }

  return (request: Request, path: string, context: RequestContext): string | undefined => {
    if (!path.startsWith("/url/") || request.method !== "GET" || path.includes("%")) return undefined;
    if (request.headers.get("cache-control") !== null) return undefined;
    const place = placeOf(path);
    if (place === undefined) return undefined;
    const { quality } = place;
    deps.mayAsk(context, place.source, quality);
    const answer = deps.track.peek(place, context.peer.address);
    if (answer === undefined) return undefined;
    context.cacheStatus = answer.cacheStatus;
    // An address of ours may need a signature of its own; the platforms' are the same for all.
    if (answer.nearby !== undefined) return JSON.stringify(urlBody(deps, answer, quality));
    let body = bodies.get(answer);
    if (body === undefined) {
      body = JSON.stringify(urlBody(deps, answer, quality));
      bodies.set(answer, body);
    }
    return body;
  };
}

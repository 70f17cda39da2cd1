import { isQuality, isSourceId } from "../core/types.ts";
import type { TrackAnswer } from "../resolve/track.ts";
import type { RequestContext } from "./context.ts";
import { type MusicDeps, urlBody } from "./routes/music.ts";

/**
 * `/url/{source}/{songId}/{quality}` from memory, without the router: nine of ten requests of a busy server are these.
 * Anything unusual (escapes in the path, `no-cache`, other words for a quality, not in memory) is the router's.
 */
export function createFastLane(deps: Pick<MusicDeps, "track" | "normalizeId" | "mayAsk" | "ownLink">) {
  const bodies = new WeakMap<TrackAnswer, string>();

  return (request: Request, path: string, context: RequestContext): string | undefined => {
    if (!path.startsWith("/url/") || request.method !== "GET" || path.includes("%")) return undefined;
    const [, , source = "", songId = "", quality = "", more] = path.split("/");
    if (more !== undefined || songId === "" || !isSourceId(source) || !isQuality(quality)) return undefined;
    if (request.headers.get("cache-control") !== null) return undefined;
    deps.mayAsk(context, source, quality);
    const answer = deps.track.peek(source, deps.normalizeId(source, songId), quality, context.peer.address);
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

import type { WarmDeps, WarmRequest } from "../cache/warm.ts";
import type { Ask, Catalog } from "./catalog.ts";
import type { TrackResolver } from "./track.ts";

const PAGE_SIZE = 100;
const NOBODY = "";

/** How the cache is warmed: where the songs of a list come from, and how their answers get into it. */
export function warmDeps(deps: { catalog: Catalog; track: TrackResolver; gapMs: () => number }): WarmDeps {
  const { catalog, track } = deps;
  const ask = (signal: AbortSignal | undefined): Ask => ({ bypass: false, signal });

  async function* songs(request: WarmRequest, signal: AbortSignal | undefined): AsyncIterable<string> {
    if (request.from === "song") {
      yield request.id;
      return;
    }
    for (let page = 1; ; page++) {
      const paging = { page, size: PAGE_SIZE };
      const part = await pageOf(request, paging, signal);
      for (const song of part.list) yield song.songId;
      if (part.list.length === 0 || page * PAGE_SIZE >= part.total) return;
    }
  }

  async function pageOf(request: WarmRequest, paging: { page: number; size: number }, signal: AbortSignal | undefined) {
    const { source, id } = request;
    if (request.from === "board") return (await catalog.board(source, id, paging, ask(signal))).value;
    const list = request.from === "album" ? catalog.album : catalog.playlist;
    return (await list(source, id, paging, ask(signal))).value.songs;
  }

  return {
    songs,
    gapMs: deps.gapMs,
    async fetch({ source, songId, what }, signal) {
      if (what.kind === "url") {
        const answer = await track.url({
          source,
          songId,
          quality: what.quality,
          client: NOBODY,
          bypass: false,
          signal,
        });
        return { cached: answer.cached };
      }
      const answer = await (what.kind === "lyric"
        ? catalog.lyric(source, songId, undefined, ask(signal))
        : catalog.info(source, songId, ask(signal)));
      return { cached: answer.status === "hit" };
    },
  };
}

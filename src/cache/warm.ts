import { isAppError } from "../core/errors.ts";
import type { Quality, SourceId } from "../core/types.ts";

export interface WarmRequest {
  source: SourceId;
  /** Where the songs come from. */
  from: "playlist" | "board" | "album" | "song";
  id: string;
  qualities: Quality[];
  /** Further kinds to have ready. */
  also?: ("lyric" | "info")[];
  /** Songs at most. */
  limit: number;
  /** Least gap between two requests that reach a platform (ms); the config's `warm_gap` when absent. */
  gapMs?: number | undefined;
}

/** One answer to have ready. */
export interface WarmItem {
  source: SourceId;
  songId: string;
  what: { kind: "url"; quality: Quality } | { kind: "lyric" } | { kind: "info" };
}

export interface WarmDeps {
  /** The songs' ids, page by page. @throws AppError when the list cannot be had. */
  songs: (request: WarmRequest, signal: AbortSignal | undefined) => AsyncIterable<string>;
  /** Has the answer in the cache when it resolves, and tells whether a platform was asked. */
  fetch: (item: WarmItem, signal: AbortSignal | undefined) => Promise<{ cached: boolean }>;
  gapMs: () => number;
}

export interface WarmCounts {
  songs: number;
  /** Answers that were asked for. */
  fetched: number;
  /** Answers that were there already. */
  cached: number;
  /** Answers that the platform would not give. */
  failed: number;
}

export type Warmer = (
  request: WarmRequest,
  options?: { progress?: ((counts: WarmCounts) => void) | undefined; signal?: AbortSignal | undefined },
) => Promise<WarmCounts>;

/** Asks for one thing after another, with a gap, so that a platform sees a patient listener and not a crawl. */
export function createWarmer(deps: WarmDeps): Warmer {
  return async (request, { progress, signal } = {}) => {
    const counts: WarmCounts = { songs: 0, fetched: 0, cached: 0, failed: 0 };
    const gapMs = request.gapMs ?? deps.gapMs();
    let nextAt = 0;
    for await (const songId of deps.songs(request, signal)) {
      if (counts.songs >= request.limit) break;
      counts.songs += 1;
      for (const what of wanted(request)) {
        signal?.throwIfAborted();
        await Bun.sleep(Math.max(0, nextAt - performance.now()));
        try {
          const { cached } = await deps.fetch({ source: request.source, songId, what }, signal);
          counts[cached ? "cached" : "fetched"] += 1;
          if (!cached) nextAt = performance.now() + gapMs;
        } catch (error) {
          if (!isAppError(error)) throw error;
          counts.failed += 1;
          nextAt = performance.now() + gapMs;
        }
        progress?.({ ...counts });
      }
    }
    return counts;
  };
}

function wanted(request: WarmRequest): WarmItem["what"][] {
  return [
    ...request.qualities.map((quality) => ({ kind: "url" as const, quality })),
    ...(request.also ?? []).map((kind) => ({ kind })),
  ];
}

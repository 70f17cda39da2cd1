import { QUALITIES, SOURCE_NAMES } from "../../core/types.ts";
import type { Source, SourceDeps } from "../source.ts";
import { createWyClient, type WyConfig } from "./client.ts";
import { createUrl, LEVELS, QUALITY_ALIASES } from "./url.ts";

/** NetEase Cloud Music. Ids are digits; boards are playlists. */
export function createWy(deps: SourceDeps<WyConfig>): Source {
  const client = createWyClient(deps);
  return {
    id: "wy",
    name: SOURCE_NAMES.wy,
    qualities: QUALITIES.filter((quality) => quality in LEVELS),
    qualityAliases: QUALITY_ALIASES,
    normalizeId: (songId) => songId.trim(),
    url: createUrl(client, deps),
  };
}

import { QUALITIES, SOURCE_NAMES } from "../../core/types.ts";
import type { Source, SourceDeps } from "../source.ts";
import { createAccounts } from "./account.ts";
import { createWyClient, type WyConfig } from "./client.ts";
import { createComments } from "./comment.ts";
import { createLists } from "./list.ts";
import { createLyric } from "./lyric.ts";
import { createMv } from "./mv.ts";
import { createSearch } from "./search.ts";
import { createSongs } from "./song.ts";
import { createUrl, LEVELS, QUALITY_ALIASES } from "./url.ts";

/** NetEase Cloud Music. Ids are digits; boards are playlists. */
export function createWy(deps: SourceDeps<WyConfig>): Source {
  const client = createWyClient(deps);
  const songs = createSongs(client);
  return {
    id: "wy",
    name: SOURCE_NAMES.wy,
    qualities: QUALITIES.filter((quality) => quality in LEVELS),
    qualityAliases: QUALITY_ALIASES,
    normalizeId: (songId) => songId.trim(),
    url: createUrl(client, deps),
    info: songs.info,
    cover: songs.cover,
    lyric: createLyric(client),
    ...createSearch(client, deps),
    ...createLists(client, songs, deps),
    comments: createComments(client, deps),
    mv: createMv(client),
    accounts: createAccounts(client, deps),
  };
}

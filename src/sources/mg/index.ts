import { SOURCE_NAMES } from "../../core/types.ts";
import type { Source, SourceDeps } from "../source.ts";
import { createMgClient, type MgConfig } from "./client.ts";
import { createSongs } from "./song.ts";
import { createUrl, MG_QUALITIES } from "./url.ts";

/** Migu. A song is found by its song id, copyright id or content id. */
export function createMg(deps: SourceDeps<MgConfig>): Source {
  const client = createMgClient(deps);
  const songs = createSongs(client);
  return {
    id: "mg",
    name: SOURCE_NAMES.mg,
    qualities: MG_QUALITIES,
    normalizeId: (songId) => songId.trim(),
    url: createUrl(client, songs, deps),
    info: songs.info,
    cover: songs.cover,
  };
}

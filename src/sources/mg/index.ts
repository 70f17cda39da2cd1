import { SOURCE_NAMES } from "../../core/types.ts";
import type { Source, SourceDeps } from "../source.ts";
import { createAccounts } from "./account.ts";
import { createMgClient, type MgConfig } from "./client.ts";
import { createComments } from "./comment.ts";
import { createLists } from "./list.ts";
import { createLyric } from "./lyric.ts";
import { createMv } from "./mv.ts";
import { createSearch } from "./search.ts";
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
    lyric: createLyric(client, songs),
    ...createSearch(client, deps),
    ...createLists(client),
    comments: createComments(client, songs),
    mv: createMv(client),
    accounts: createAccounts(client),
  };
}

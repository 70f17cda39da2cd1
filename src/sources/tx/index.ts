import { AppError } from "../../core/errors.ts";
import { SOURCE_NAMES, type Song } from "../../core/types.ts";
import type { Call, Source } from "../source.ts";
import { createAccounts } from "./account.ts";
import { createClient, type TxDeps } from "./client.ts";
import { fetchComments } from "./comment.ts";
import { createList } from "./list.ts";
import { fetchLyric } from "./lyric.ts";
import { fetchMv } from "./mv.ts";
import { createSearch } from "./search.ts";
import { fetchDetail } from "./song.ts";
import { createUrl } from "./url.ts";

/** A song's mid, or its number where a service takes one. Case matters. */
function songIdOf(id: string): string {
  if (!/^[0-9A-Za-z]{1,32}$/.test(id)) throw new AppError("invalid_request", "QQ音乐: 歌曲 id 不正确");
  return id;
}

/** QQ Music. */
export function createTx(deps: TxDeps): Source {
  const client = createClient(deps);
  const url = createUrl(deps, client);
  const info = async (id: string, call: Call): Promise<Song> => (await fetchDetail(client, songIdOf(id), call)).song;
  return {
    id: "tx",
    name: SOURCE_NAMES.tx,
    qualities: ["128k", "192k", "320k", "flac", "flac24bit", "hires", "atmos", "atmos_plus", "dolby", "master"],
    normalizeId: (id) => id,
    url: async (request, call) => url({ ...request, songId: songIdOf(request.songId) }, call),
    info,
    lyric: async (id, call, song) => fetchLyric(client, songIdOf(id), call, song),
    async cover(id, call, song) {
      const cover = song?.cover ?? (await info(id, call)).cover;
      if (cover === undefined) throw new AppError("upstream_not_found", "QQ音乐: 这首歌没有封面");
      return cover;
    },
    ...createSearch(deps, client),
    ...createList(deps, client),
    comments: async (request, call) => fetchComments(client, { ...request, songId: songIdOf(request.songId) }, call),
    mv: (id, call) => fetchMv(deps, client, id, call),
    accounts: createAccounts(client),
  };
}

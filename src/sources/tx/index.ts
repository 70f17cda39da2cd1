import { AppError } from "../../core/errors.ts";
import { SOURCE_NAMES } from "../../core/types.ts";
import type { Source } from "../source.ts";
import { createClient, type TxDeps } from "./client.ts";
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
  return {
    id: "tx",
    name: SOURCE_NAMES.tx,
    qualities: ["128k", "192k", "320k", "flac", "flac24bit", "hires", "atmos", "atmos_plus", "dolby", "master"],
    normalizeId: (id) => id,
    url: (request, call) => url({ ...request, songId: songIdOf(request.songId) }, call),
    info: async (id, call) => (await fetchDetail(client, songIdOf(id), call)).song,
  };
}

import { AppError } from "../../core/errors.ts";
import { SOURCE_NAMES } from "../../core/types.ts";
import type { Source } from "../source.ts";
import { accounts } from "./account.ts";
import { createClient, type KwDeps, rid } from "./client.ts";
import { fetchComments } from "./comment.ts";
import { createList } from "./list.ts";
import { fetchLyric } from "./lyric.ts";
import { fetchMv } from "./mv.ts";
import { createSearch } from "./search.ts";
import { fetchCover, fetchSong } from "./song.ts";
import { createUrl } from "./url.ts";

const MAX_ID_LENGTH = 64;

/** What cannot travel in an address is refused; what is not a number is left to the platform to refuse. */
function songIdOf(id: string): string {
  const number = rid(id);
  if (
    number === "" ||
    number.length > MAX_ID_LENGTH ||
    /[\u0000-\u001f\u007f/\\]/.test(number) ||
    !number.isWellFormed()
  ) {
    throw new AppError("invalid_request", "酷我: 歌曲 id 不正确");
  }
  return number;
}

/** Kuwo. */
export function createKw(deps: KwDeps): Source {
  const client = createClient(deps);
  const url = createUrl(deps, client);
  return {
    id: "kw",
    name: SOURCE_NAMES.kw,
    qualities: ["128k", "192k", "320k", "flac", "flac24bit", "hires"],
    normalizeId: rid,
    url: async (request, call) => url({ ...request, songId: songIdOf(request.songId) }, call),
    info: (id, call) => fetchSong(client, id, call),
    lyric: (id, call) => fetchLyric(client, id, call),
    cover: async (id, call, song) => song?.cover ?? fetchCover(client, id, call),
    ...createSearch(client),
    ...createList(deps, client),
    comments: (request, call) => fetchComments(client, request, call),
    mv: (id, call) => fetchMv(deps, client, id, call),
    accounts,
  };
}

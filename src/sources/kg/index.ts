import { LRUCache } from "lru-cache";
import { QUALITIES, type Song } from "../../core/types.ts";
import type { Call, Source } from "../source.ts";
import { createAccounts } from "./account.ts";
import { fetchBoard, fetchBoards } from "./board.ts";
import { createClient, type KgDeps } from "./client.ts";
import { fetchComments } from "./comment.ts";
import { fetchCover } from "./cover.ts";
import { createDevices } from "./device.ts";
import { fetchAlbum, fetchPlaylist } from "./list.ts";
import { fetchLyric } from "./lyric.ts";
import { fetchMv } from "./mv.ts";
import { searchCollections, searchSongs } from "./search.ts";
import { fetchInfo, fetchSong } from "./song.ts";
import { hotWords, suggest } from "./suggest.ts";
import { fetchUrl, RENDITIONS } from "./url.ts";

/** Songs do not change; one resolution asks for the same song several times (each account, each quality). */
const SONG_LIFETIME_MS = 3_600_000;
const MAX_SONGS = 1000;

/** Kugou. Song ids are hashes of any of a song's files. */
export function createKg(deps: KgDeps): Source {
  const client = createClient(deps);
  const devices = createDevices(client);
  const songs = new LRUCache<string, Song>({ max: MAX_SONGS, ttl: SONG_LIFETIME_MS });

  async function songOf(hash: string, call: Call): Promise<Song> {
    const known = songs.get(hash.toLowerCase());
    if (known !== undefined) return known;
    const song = await fetchSong(client, hash, call);
    songs.set(hash.toLowerCase(), song);
    return song;
  }

  return {
    id: "kg",
    name: "酷狗",
    qualities: QUALITIES.filter((quality) => RENDITIONS[quality] !== undefined),
    qualityAliases: {
      "128": "128k",
      "320": "320k",
      high: "flac24bit",
      viper_atmos: "atmos",
      viper_clear: "master",
    },
    normalizeId: (songId) => songId.toLowerCase(),
    url: (request, call) => fetchUrl(client, devices, songOf, request, call),
    async info(songId, call) {
      const song = await fetchInfo(client, songId, call);
      songs.set(songId.toLowerCase(), song);
      return song;
    },
    lyric: async (songId, call, song) => fetchLyric(client, song ?? (await songOf(songId, call)), call),
    cover: async (songId, call, song) =>
      fetchCover(client, song?.cover === undefined ? await songOf(songId, call) : song, call),
    searchSongs: (request, call) => searchSongs(client, request, call),
    searchCollections: (type, request, call) => searchCollections(client, type, request, call),
    suggest: (query, call) => suggest(client, query, call),
    hot: (call) => hotWords(client, call),
    playlist: (id, page, call) => fetchPlaylist(client, id, page, call),
    album: (id, page, call) => fetchAlbum(client, id, page, call),
    boards: (call) => fetchBoards(client, call),
    board: (id, page, call) => fetchBoard(client, id, page, call),
    comments: (request, call) => fetchComments(client, request, call),
    mv: (id, call) => fetchMv(client, id, call),
    accounts: createAccounts(client),
  };
}

import { LRUCache } from "lru-cache";
import type { Song } from "../../core/types.ts";
import { QUALITIES, type Quality } from "../../core/types.ts";
import type { Call, Source } from "../source.ts";
import { createClient, type KgDeps } from "./client.ts";
import { createDevices } from "./device.ts";
import { fetchInfo, fetchSong } from "./song.ts";
import { fetchUrl, RENDITIONS } from "./url.ts";

/** Songs do not change; one resolution asks for the same song several times (each account, each quality). */
const SONG_LIFETIME_MS = 3_600_000;
const MAX_SONGS = 1000;

export function createKg(deps: KgDeps): Source {
  const client = createClient(deps);
  const devices = createDevices(client);
  const songs = new LRUCache<string, Song>({ max: MAX_SONGS, ttl: SONG_LIFETIME_MS });

  async function songOf(hash: string, call: Call): Promise<Song> {
    const id = hash.toLowerCase();
    const known = songs.get(id);
    if (known !== undefined) return known;
    const song = await fetchSong(client, hash, call);
    songs.set(id, song);
    return song;
  }

  return {
    id: "kg",
    name: "酷狗",
    qualities: QUALITIES.filter((quality: Quality) => RENDITIONS[quality] !== undefined),
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
  };
}

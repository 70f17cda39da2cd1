import type { AudioCache, FetchJob } from "../audio/index.ts";
import { type TrackTags, tagsOfSong } from "../audio/track-tags.ts";
import type { StoredAddress } from "../cache/codecs.ts";
import type { Quality, SourceId } from "../core/types.ts";
import type { Logger } from "../ops/log.ts";
import type { Catalog } from "./catalog.ts";
import type { NearbyFinder } from "./nearby.ts";

export interface KeepAudioDeps {
  audio: Pick<AudioCache, "find" | "fetch" | "keepCover" | "refused">;
  catalog: Pick<Catalog, "info" | "lyric" | "cover">;
  log: Logger;
}

/** Where the audio cache and the platforms' knowledge meet. */
export interface AudioKeeping {
  /** A song that is in the cache. */
  finder: NearbyFinder;
  /** Keeps what a platform or script has just given, behind the answer. */
  resolved(request: { source: SourceId; songId: string }, address: StoredAddress): void;
  /** Routes that gave a fake for this lately: to be asked last. */
  avoid(source: SourceId, songId: string, quality: Quality): ReadonlySet<string>;
  /** All that the platform knows of a song, as tags. Undefined = nothing. */
  tagsOf(source: SourceId, songId: string): Promise<TrackTags | undefined>;
}

const NO_ROUTES: ReadonlySet<string> = new Set();
const ASK = { bypass: false };

export function createAudioKeeping({ audio, catalog, log }: KeepAudioDeps): AudioKeeping {
  const songOf = async (source: SourceId, songId: string) => (await catalog.info(source, songId, ASK)).value;

  /** The picture by way of the cache, so that it is fetched once. */
  async function coverOf(source: SourceId, songId: string): Promise<Uint8Array | undefined> {
    const address = (await catalog.cover(source, songId, undefined, ASK)).value;
    const file = address === "" ? undefined : await audio.keepCover(source, songId, address);
    return file === undefined ? undefined : Bun.file(file.path).bytes();
  }

  /** Without a lyric or a cover there are still tags; without the song there are none. */
  async function tagsOf(source: SourceId, songId: string): Promise<TrackTags | undefined> {
    const missing = (what: string) => (error: unknown) => {
      log.debug("part of the tags is missing", { what, source, songId, error });
      return undefined;
    };
    const [song, lyric, cover] = await Promise.all([
      songOf(source, songId).catch(missing("info")),
      catalog.lyric(source, songId, undefined, ASK).catch(missing("lyric")),
      coverOf(source, songId).catch(missing("cover")),
    ]);
    return song === undefined ? undefined : tagsOfSong(song, lyric?.value, cover);
  }

  async function about(source: SourceId, songId: string): ReturnType<NonNullable<FetchJob["about"]>> {
    const { durationSeconds, name, artists } = await songOf(source, songId);
    return { durationSeconds, title: name, artist: artists.map((artist) => artist.name).join("/") };
  }

  return {
    tagsOf,
    finder({ source, songId, quality }) {
      const file = audio.find(source, songId, quality);
      return file === undefined ? undefined : { address: `/cache/${file.name}`, quality, kind: "audio" };
    },
    resolved({ source, songId }, { url, quality, route }) {
      void audio.fetch({
        source,
        songId,
        quality,
        url,
        route,
        about: () => about(source, songId),
        tags: () => tagsOf(source, songId),
      });
    },
    avoid(source, songId, quality) {
      const routes = audio.refused(source, songId, quality);
      return routes.length === 0 ? NO_ROUTES : new Set(routes.map((item) => item.route));
    },
  };
}

import type { AudioCache, FetchJob } from "../audio/index.ts";
import { type TrackTags, tagsOfSong } from "../audio/track-tags.ts";
import type { StoredAddress } from "../cache/codecs.ts";
import type { Quality, Song, SourceId } from "../core/types.ts";
import type { Logger } from "../ops/log.ts";
import type { Ask, Catalog } from "./catalog.ts";
import type { NearbyFinder } from "./nearby.ts";

export interface AudioKeeperDeps {
  audio: AudioCache;
  catalog: Catalog;
  /** The bytes of a cover; undefined = not to be had. */
  picture: (url: string) => Promise<Uint8Array | undefined>;
  enabled: () => boolean;
  log: Logger;
}

export interface AudioKeeper {
  /** Begins to keep the bytes behind an address, in the background. */
  keep(song: { source: SourceId; songId: string }, address: StoredAddress): void;
  /** What the platforms know of a song, as tags. */
  tagsOf(source: SourceId, songId: string): Promise<TrackTags | undefined>;
}

/** Resolved addresses become files: with proof against what the platform says of the song, and with its tags. */
export function createAudioKeeper(deps: AudioKeeperDeps): AudioKeeper {
  const { audio, catalog, log } = deps;
  const ask: Ask = { bypass: false };
  const infoOf = (source: SourceId, songId: string) =>
    catalog.info(source, songId, ask).then(
      (found): Song | undefined => found.value,
      () => undefined,
    );

  async function tagsOf(source: SourceId, songId: string, known?: Song): Promise<TrackTags | undefined> {
    const song = known ?? (await infoOf(source, songId));
    if (song === undefined) return undefined;
    const [lyric, cover] = await Promise.all([
      catalog.lyric(source, songId, undefined, ask).then(
        (found) => found.value,
        () => undefined,
      ),
      song.cover === undefined ? undefined : deps.picture(song.cover),
    ]);
    if (cover !== undefined) void audio.keepCover(source, songId, cover).catch(() => undefined);
    return tagsOfSong(song, lyric, cover);
  }

  async function begin(source: SourceId, songId: string, address: StoredAddress): Promise<void> {
    const song = await infoOf(source, songId);
    const job: FetchJob = {
      source,
      songId,
      quality: address.quality,
      url: address.url,
      route: address.route,
      durationSeconds: song?.durationSeconds,
      title: song?.name,
      artist: song?.artists.map((artist) => artist.name).join("、"),
      tags: () => tagsOf(source, songId, song),
    };
    const outcome = await audio.fetch(job);
    if (outcome.kind === "refused")
      log.warn("audio refused", { source, songId, route: address.route, fault: outcome.fault });
    else if (outcome.kind === "failed") log.warn("audio not kept", { source, songId, reason: outcome.message });
  }

  return {
    keep({ source, songId }, address) {
      if (!deps.enabled() || audio.find(source, songId, address.quality) !== undefined) return;
      begin(source, songId, address).catch((error: unknown) => log.warn("audio not kept", { source, songId, error }));
    },
    tagsOf: (source, songId) => tagsOf(source, songId),
  };
}

/** The audio cache, by its index in memory. */
export function audioFinder(audio: AudioCache, enabled: () => boolean): NearbyFinder {
  return ({ source, songId, quality }) => {
    if (!enabled()) return undefined;
    const file = audio.find(source, songId, quality);
    return file === undefined
      ? undefined
      : { address: `/cache/${encodeURIComponent(file.name)}`, quality: quality satisfies Quality, kind: "audio" };
  };
}

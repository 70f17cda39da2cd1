import type { Library } from "../library/index.ts";
import type { WebdavSource } from "../webdav/client.ts";
import type { NearbyHit, TrackRequest } from "./track.ts";

export type NearbyFinder = (request: TrackRequest) => NearbyHit | undefined;

/** The library, when the operator prefers it: the file that was kept of this song, or one that the client's words fit. */
export function libraryFinder(library: Library, prefer: () => boolean): NearbyFinder {
  return ({ source, songId, quality, info }) => {
    if (!prefer()) return undefined;
    const artist = info?.singer;
    const durationSeconds = secondsOf(info?.interval);
    const found = library.match({
      songmid: `${source}_${songId}`.toLowerCase(),
      ...(info === undefined ? {} : { name: info.name }),
      ...(artist === undefined || artist === "" ? {} : { artist }),
      ...(durationSeconds === undefined ? {} : { durationSeconds }),
    });
    return found === undefined ? undefined : { address: library.address(found.track), quality, kind: "library" };
  };
}

/** The configured WebDAV server, by its index in memory. */
export function webdavFinder(webdav: WebdavSource): NearbyFinder {
  return ({ source, songId, quality }) => {
    if (!webdav.enabled) return undefined;
    const file = webdav.find(source, songId, quality);
    return file === undefined
      ? undefined
      : { address: webdav.address(source, songId, quality, file), quality, kind: "webdav" };
  };
}

/** "mm:ss" or "hh:mm:ss" in seconds. */
function secondsOf(interval: string | null | undefined): number | undefined {
  const match = /^(?:(\d{1,2}):)?(\d{1,3}):(\d{2})$/.exec(interval ?? "");
  if (match === null) return undefined;
  return Number(match[1] ?? 0) * 3600 + Number(match[2]) * 60 + Number(match[3]);
}

import type { Library } from "../library/index.ts";
import { findNearby } from "../library/nearby.ts";
import type { WebdavSource } from "../webdav/client.ts";
import type { NearbyHit, NearbyRequest } from "./track.ts";

export type NearbyFinder = (request: NearbyRequest) => NearbyHit | undefined;

/** The library, when the operator prefers it: the file that was kept of this song, or one that the client's words fit. */
export function libraryFinder(
  library: Library,
  settings: { prefer: () => boolean; allowDowngrade: () => boolean },
): NearbyFinder {
  return (request) => {
    const found = settings.prefer() ? findNearby(library, request, settings.allowDowngrade()) : undefined;
    return found === undefined ? undefined : { address: found.address, quality: found.quality, kind: "library" };
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

import { albumAudio, artistImages, type PlayOptions, playUrl, songInfo } from "./kugou/play.ts";
import type { Platform, PlatformRequest, World } from "./world.ts";

type Handler = (request: PlatformRequest, world: World, options: PlayOptions) => Response | Promise<Response>;

/** `METHOD scheme host path` -> what answers. A request that names none of these is a mistake of ours: 404. */
const ROUTES: Record<string, Handler> = {
  "GET https gateway.kugou.com /v5/url": playUrl,
  "POST http gateway.kugou.com /v3/album_audio/audio": albumAudio,
  "GET http mobilecdnbj.kugou.com /api/v3/song/info": songInfo,
  "GET https expendablekmrcdn.kugou.com /container/v2/image": artistImages,
};

/** Kugou. `requireDevice`: nobody is served without a registered device. */
export function createKgPlatform(options: { requireDevice?: boolean } = {}): Platform {
  const state: PlayOptions = { requireDevice: options.requireDevice ?? false, devices: new Set() };
  return {
    source: "kg",
    hosts: [".kugou.com"],
    handle(request, world) {
      const handler = ROUTES[`${request.method} ${request.scheme} ${request.host} ${request.path}`];
      if (handler === undefined) return new Response("no such interface", { status: 404 });
      return handler(request, world, state);
    },
  };
}

export const kgPlatform: Platform = createKgPlatform();

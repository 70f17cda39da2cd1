import { bdApi, mobi } from "./kw/play.ts";
import { pay } from "./kw/song.ts";
import type { Platform, PlatformRequest, World } from "./world.ts";

type Service = (request: PlatformRequest, world: World) => Response;

/** Host and path -> what answers. A path that ends with `/` takes everything below it. */
const SERVICES: Record<string, Service> = {
  "bd-api.kuwo.cn/api/service/music/downloadInfo/": bdApi,
  "mobi.kuwo.cn/mobi.s": mobi,
  "nmobi.kuwo.cn/mobi.s": mobi,
  "musicpay.kuwo.cn/music.pay": pay,
};

export const kwPlatform: Platform = {
  source: "kw",
  hosts: [".kuwo.cn"],
  handle(request, world) {
    const where = `${request.host}${request.path}`;
    const found = Object.entries(SERVICES).find(([path]) =>
      path.endsWith("/") ? where.startsWith(path) : where === path,
    );
    if (found === undefined) return new Response("not found", { status: 404 });
    if (request.method !== "GET") return new Response("", { status: 405 });
    return found[1](request, world);
  },
};

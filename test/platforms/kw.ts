import { board, boards, hot, playlist, search, suggest } from "./kw/lists.ts";
import { newLyric, pageData } from "./kw/lyric.ts";
import { comments, coverAddress, mv } from "./kw/people.ts";
import { bdApi, mobi } from "./kw/play.ts";
import { pay } from "./kw/song.ts";
import { picture } from "./picture.ts";
import type { Platform, PlatformRequest, World } from "./world.ts";

type Service = (request: PlatformRequest, world: World) => Response;

/** Host and path -> what answers. A path that ends with `/` takes everything below it. */
const SERVICES: Record<string, Service> = {
  "bd-api.kuwo.cn/api/service/music/downloadInfo/": bdApi,
  "mobi.kuwo.cn/mobi.s": mobi,
  "nmobi.kuwo.cn/mobi.s": mobi,
  "musicpay.kuwo.cn/music.pay": pay,
  "newlyric.kuwo.cn/newlyric.lrc": newLyric,
  "m.kuwo.cn/newh5/singles/songinfoandlrc": pageData,
  "artistpicserver.kuwo.cn/pic.web": coverAddress,
  "img1.kuwo.cn/": picture,
  "img2.kuwo.cn/": picture,
  "search.kuwo.cn/r.s": search,
  "nplserver.kuwo.cn/pl.svc": playlist,
  "qukudata.kuwo.cn/q.k": boards,
  "wbd.kuwo.cn/api/bd/bang/bang_info": board,
  "tips.kuwo.cn/t.s": suggest,
  "hotword.kuwo.cn/hotword.s": hot,
  "ncomment.kuwo.cn/com.s": comments,
  "www.kuwo.cn/url": mv("site"),
  "antiserver.kuwo.cn/anti.s": mv("older"),
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

import { listenSong, loginByToken, registerDevice, unionVip } from "./kugou/account.ts";
import * as lists from "./kugou/lists.ts";
import { lyricDownload, lyricSearch } from "./kugou/lyric.ts";
import { albumAudio, artistImages, type PlayOptions, playUrl, songInfo } from "./kugou/play.ts";
import type { Platform, PlatformRequest, World } from "./world.ts";

export { kgPublicKey } from "./kugou/account.ts";
export { BOARD as KG_BOARD, PLAYLIST as KG_PLAYLIST, SHORT_LINK as KG_SHORT_LINK } from "./kugou/lists.ts";

type Handler = (request: PlatformRequest, world: World, options: PlayOptions) => Response | Promise<Response>;

/** `METHOD scheme host path` -> what answers. A request that names none of these is a mistake of ours: 404. */
const ROUTES: Record<string, Handler> = {
  "GET https gateway.kugou.com /v5/url": playUrl,
  "POST http gateway.kugou.com /v3/album_audio/audio": albumAudio,
  "GET http mobilecdnbj.kugou.com /api/v3/song/info": songInfo,
  "GET https expendablekmrcdn.kugou.com /container/v2/image": artistImages,
  "GET https lyrics.kugou.com /search": lyricSearch,
  "GET https lyrics.kugou.com /download": lyricDownload,
  "GET https songsearch.kugou.com /song_search_v2": lists.songSearch,
  "GET http msearchretry.kugou.com /api/v3/search/special": lists.specialSearch,
  "GET http msearchretry.kugou.com /api/v3/search/album": lists.albumSearch,
  "GET http msearch.kugou.com /api/v3/search/singer": lists.singerSearch,
  "GET https searchtip.kugou.com /getSearchTip": lists.searchTip,
  "GET https gateway.kugou.com /api/v3/search/hot_tab": lists.hotTab,
  "GET http mobilecdn.kugou.com /api/v3/special/song": lists.specialSong,
  "GET http mobilecdn.kugou.com /api/v3/special/info": lists.specialInfo,
  "GET https mobiles.kugou.com /api/v5/special/info_v2": lists.globalInfo,
  "GET https mobiles.kugou.com /api/v5/special/song_v2": lists.globalSong,
  "POST https t.kugou.com /v1/songlist/batch_decode": lists.batchDecode,
  [`GET https t1.kugou.com ${new URL(lists.SHORT_LINK).pathname}`]: lists.shortLink,
  "GET http mobiles.kugou.com /api/v3/album/song": lists.albumSong,
  "GET http mobilecdn.kugou.com /api/v3/album/info": lists.albumInfo,
  "GET http mobilecdnbj.kugou.com /api/v5/rank/list": lists.rankList,
  "GET http mobilecdnbj.kugou.com /api/v3/rank/song": lists.rankSong,
  "GET http m.comment.service.kugou.com /r/v1/rank/newest": lists.comments,
  "GET http m.comment.service.kugou.com /r/v1/rank/topliked": lists.comments,
  "GET http mobilecdnbj.kugou.com /api/v3/mv/detail": lists.mvDetail,
  "GET https m.kugou.com /app/i/mv.php": lists.mvFiles,
  "POST http media.store.kugou.com /v1/get_res_privilege": lists.privilege,
  "POST https userservice.kugou.com /risk/v2/r_register_dev": registerDevice,
  "POST http login.user.kugou.com /v4/login_by_token": loginByToken,
  "POST http login.user.kugou.com /v5/login_by_token": loginByToken,
  "GET https kugouvip.kugou.com /v1/get_union_vip": unionVip,
  "POST https gateway.kugou.com /v2/report/listen_song": listenSong,
  "POST https gateway.kugou.com /youth/v2/report/listen_song": listenSong,
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

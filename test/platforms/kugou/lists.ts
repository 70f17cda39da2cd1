import { type CatalogSong, json, type PlatformRequest, type World } from "../world.ts";
import {
  androidSigned,
  coverOf,
  fileHash,
  fileSize,
  fullName,
  hasFile,
  lookUp,
  no,
  singers,
  timely,
  webSigned,
} from "./wire.ts";

/** The playlist that the emulated platform has, under its three kinds of id; it holds every song. */
export const PLAYLIST = { special: "546903", global: "collection_3_1812345678_21_0", gcid: "gcid_3zxyz1abcz0" };
export const BOARD = "8888";
export const SHORT_LINK = "https://t1.kugou.com/6vBcVdqzbV2";

function pageOf<T>(items: T[], params: URLSearchParams, most: number): T[] | undefined {
  const page = Number(params.get("page"));
  const size = Number(params.get("pagesize"));
  if (!(page >= 1) || !(size >= 1) || size > most) return undefined;
  return items.slice((page - 1) * size, page * size);
}

const bad = () => json({ status: 0, errcode: 20001, error: "param error" });
const matches = (song: CatalogSong, query: string) =>
  query !== "" && `${fullName(song)} ${singers(song)} ${song.album.name}`.includes(query);

/** GET songsearch/song_search_v2 */
export function songSearch(request: PlatformRequest, world: World): Response {
  const { params, headers } = request;
  const good = params.get("platform") === "WebFilter" && headers.get("referer")?.startsWith("https://www.kugou.com");
  if (!good) return json({ status: 0, error_code: 152, data: { total: 0, lists: [] } });
  // The sign-in searches for "artist - title", as the boards name a song.
  const query = (params.get("keyword") ?? "").split(" - ").at(-1) ?? "";
  const found = world.songs.filter((song) => matches(song, query));
  const lists = pageOf(found, params, 100);
  if (lists === undefined) return bad();
  return json({
    status: 1,
    error_code: 0,
    data: {
      total: found.length,
      page: Number(params.get("page")),
      lists: lists.map((song) => searchEntry(song, true)),
    },
  });
}

function searchEntry(song: CatalogSong, withVariants: boolean): object {
  const file = (quality: "128k" | "320k" | "flac" | "flac24bit", prefix: string) => ({
    [`${prefix}FileHash`]: hasFile(song, quality) ? fileHash(song, quality).toUpperCase() : "",
    [`${prefix}FileSize`]: hasFile(song, quality) ? fileSize(song, quality) : 0,
  });
  return {
    SongName: fullName(song),
    OriSongName: song.name,
    SingerName: singers(song),
    Singers: song.artists.map((artist) => ({ id: Number(artist.id), name: artist.name, ip_id: 0 })),
    AlbumName: song.album.name,
    AlbumID: song.album.id,
    Audioid: Number(song.ids.kg.audioId),
    MixSongID: song.ids.kg.albumAudioId,
    Duration: song.durationSeconds,
    ...file("128k", ""),
    ...file("320k", "HQ"),
    ...file("flac", "SQ"),
    ...file("flac24bit", "Res"),
    Image: coverOf(song),
    MvHash: song.ids.kg.mvHash.toUpperCase(),
    IsOriginal: 1,
    TagContent: song.right === "member" ? "VIP" : "",
    Privilege: song.right === "member" ? 10 : 0,
    trans_param: { language: "国语" },
    ...(withVariants
      ? { Grp: song.nameExtra === undefined ? [] : [searchEntry({ ...song, nameExtra: "(伴奏)" }, false)] }
      : {}),
  };
}

/** GET msearchretry/api/v3/search/special */
export function specialSearch(request: PlatformRequest): Response {
  const query = request.params.get("keyword") ?? "";
  const info = query === "" ? [] : [{ specialid: Number(PLAYLIST.special), ...about(), specialname: `${query}的歌单` }];
  return json({ status: 1, errcode: 0, data: { total: info.length, info: pageOf(info, request.params, 30) ?? [] } });
}

/** GET msearchretry/api/v3/search/album */
export function albumSearch(request: PlatformRequest, world: World): Response {
  const found = world.songs.filter((song) => matches(song, request.params.get("keyword") ?? ""));
  const info = found.map((song) => ({ albumid: Number(song.album.id), ...albumAbout(song) }));
  return json({ status: 1, errcode: 0, data: { total: info.length, info: pageOf(info, request.params, 30) ?? [] } });
}

/** GET msearch/api/v3/search/singer: a bare list. */
export function singerSearch(request: PlatformRequest, world: World): Response {
  const query = request.params.get("keyword") ?? "";
  const found = world.songs
    .flatMap((song) => song.artists)
    .filter((artist) => query !== "" && artist.name.includes(query));
  const data = found.map((artist) => ({
    singerid: Number(artist.id),
    singername: artist.name,
    songcount: 1,
    albumcount: 1,
  }));
  return json({ status: 1, errcode: 0, data: pageOf(data, request.params, 30) ?? [] });
}

/** GET searchtip/getSearchTip */
export function searchTip(request: PlatformRequest, world: World): Response {
  if (!request.headers.get("referer")?.startsWith("https://www.kugou.com")) return json({ status: 0, error_code: 403 });
  const found = world.songs.filter((song) => matches(song, request.params.get("keyword") ?? ""));
  return json({
    status: 1,
    data: [{ RecordDatas: found.map((song) => ({ HintInfo: song.name, Hot: 1 })), LableName: "" }],
  });
}

/** GET gateway/api/v3/search/hot_tab */
export function hotTab(request: PlatformRequest, world: World): Response {
  if (request.headers.get("x-router") !== "msearch.kugou.com")
    return json({ status: 0, errcode: 404 }, { status: 404 });
  if (!androidSigned(request)) return no(20017);
  const keywords = world.songs.map((song) => ({ keyword: song.name, reason: "" }));
  return json({
    status: 1,
    errcode: 0,
    data: {
      list: [
        { name: "热搜榜", keywords },
        { name: "新歌", keywords },
      ],
    },
  });
}

const about = () => ({
  specialname: "测试歌单",
  nickname: "测试用户",
  imgurl: "http://c1.kgimg.com/custom/{size}/20200101/1.jpg",
  intro: "一个&amp;歌单",
  playcount: 12345,
  songcount: 6,
  publishtime: "2020-01-01 00:00:00",
});
const albumAbout = (song: CatalogSong) => ({
  albumname: song.album.name,
  singername: singers(song),
  imgurl: coverOf(song),
  intro: "一张专辑",
  songcount: 1,
  publishtime: `${song.publishDate} 00:00:00`,
});

/** GET mobilecdn/api/v3/special/song */
export function specialSong(request: PlatformRequest, world: World): Response {
  if (request.params.get("specialid") !== PLAYLIST.special)
    return json({ status: 0, errcode: 20404, error: "no such list" });
  return listReply(world.songs, request, 300);
}

export function specialInfo(request: PlatformRequest): Response {
  if (request.params.get("specialid") !== PLAYLIST.special) return json({ status: 0, errcode: 20404, data: [] });
  return json({ status: 1, errcode: 0, data: about() });
}

function listReply(songs: CatalogSong[], request: PlatformRequest, most: number): Response {
  const page = pageOf(songs, request.params, most);
  return page === undefined
    ? bad()
    : json({ status: 1, errcode: 0, data: { total: songs.length, info: page.map(listEntry) } });
}

function listEntry(song: CatalogSong): object {
  return {
    hash: song.ids.kg.hash.toUpperCase(),
    filename: `${singers(song)} - ${fullName(song)}`,
    duration: song.durationSeconds,
    album_id: song.album.id,
    audio_id: Number(song.ids.kg.audioId),
    filesize: fileSize(song, "128k"),
    "320hash": hasFile(song, "320k") ? fileHash(song, "320k").toUpperCase() : "",
    "320filesize": hasFile(song, "320k") ? fileSize(song, "320k") : 0,
    sqhash: hasFile(song, "flac") ? fileHash(song, "flac").toUpperCase() : "",
    sqfilesize: hasFile(song, "flac") ? fileSize(song, "flac") : 0,
  };
}

function shareGood(request: PlatformRequest, world: World): boolean {
  const { params, headers } = request;
  const time = params.get("clienttime") ?? "";
  return (
    webSigned(request) &&
    params.get("srcappid") === "2919" &&
    params.get("mid") === time &&
    params.get("uuid") === time &&
    headers.get("mid") === time &&
    headers.get("referer") === "https://m3ws.kugou.com/share/index.php" &&
    timely(world, Number(time) / 1000)
  );
}

/** GET mobiles/api/v5/special/info_v2: JSON in a function call, as `format=jsonp` asks. */
export function globalInfo(request: PlatformRequest, world: World): Response {
  if (!shareGood(request, world)) return no(20017);
  if (request.params.get("global_specialid") !== PLAYLIST.global) return json({ status: 0, errcode: 20404, data: [] });
  const text = JSON.stringify({ status: 1, errcode: 0, data: about() });
  return new Response(request.params.get("format") === "jsonp" ? `callback(${text});` : text);
}

/** GET mobiles/api/v5/special/song_v2: little more than hashes. */
export function globalSong(request: PlatformRequest, world: World): Response {
  if (!shareGood(request, world)) return no(20017);
  if (request.params.get("global_specialid") !== PLAYLIST.global) return json({ status: 0, errcode: 20404, data: [] });
  return hashesOnly(world.songs, request, 300);
}

function hashesOnly(songs: CatalogSong[], request: PlatformRequest, most: number): Response {
  const page = pageOf(songs, request.params, most);
  if (page === undefined) return bad();
  const info = page.map((song) => ({
    hash: song.ids.kg.hash.toUpperCase(),
    filename: `${singers(song)} - ${fullName(song)}`,
  }));
  return json({ status: 1, errcode: 0, data: { total: songs.length, info } });
}

/** POST t/v1/songlist/batch_decode */
export function batchDecode(request: PlatformRequest): Response {
  if (!androidSigned(request)) return no(20017);
  const { data } = JSON.parse(request.text);
  const list =
    data[0]?.id === PLAYLIST.gcid && data[0]?.id_type === 2 ? [{ global_collection_id: PLAYLIST.global }] : [{}];
  return json({ status: 1, error_code: 0, data: { list } });
}

/** GET t1/… : first to another short address, then to the page with the id. */
export function shortLink(request: PlatformRequest): Response {
  if (request.params.has("hop")) {
    const page = `https://m.kugou.com/songlist/${PLAYLIST.gcid}/?src_cid=${PLAYLIST.gcid}&chl=link`;
    return new Response(null, { status: 302, headers: { location: page } });
  }
  return new Response(null, { status: 302, headers: { location: `${request.path}?hop=2` } });
}

/** GET mobiles/api/v3/album/song */
export function albumSong(request: PlatformRequest, world: World): Response {
  const songs = world.songs.filter((song) => song.album.id === request.params.get("albumid"));
  if (songs.length === 0) return json({ status: 0, errcode: 20404, data: [] });
  return hashesOnly(songs, request, 200);
}

export function albumInfo(request: PlatformRequest, world: World): Response {
  const song = world.songs.find((item) => item.album.id === request.params.get("albumid"));
  return song === undefined
    ? json({ status: 0, errcode: 20404, data: [] })
    : json({ status: 1, errcode: 0, data: albumAbout(song) });
}

/** GET mobilecdnbj/api/v5/rank/list */
export function rankList(): Response {
  const board = { rankid: Number(BOARD), rankname: "酷狗TOP500", imgurl: "http://imge.kugou.com/mcommon/{size}/1.png" };
  return json({
    status: 1,
    errcode: 0,
    data: {
      total: 2,
      info: [
        { ...board, isvol: 1, update_frequency: "每天" },
        { rankid: 1, rankname: "广告", isvol: 0, update_frequency: "" },
      ],
    },
  });
}

/** GET mobilecdnbj/api/v3/rank/song */
export function rankSong(request: PlatformRequest, world: World): Response {
  if (request.params.get("rankid") !== BOARD) return json({ status: 0, errcode: 20404, data: [] });
  const page = pageOf(world.songs, request.params, 500);
  if (page === undefined) return bad();
  const info = page.map((song) => ({
    ...listEntry(song),
    songname: fullName(song),
    remark: song.album.name,
    authors: song.artists.map((artist) => ({ author_id: Number(artist.id), author_name: artist.name })),
    hash_high: hasFile(song, "flac24bit") ? fileHash(song, "flac24bit").toUpperCase() : "",
    filesize_high: hasFile(song, "flac24bit") ? fileSize(song, "flac24bit") : 0,
    album_sizable_cover: coverOf(song),
  }));
  return json({ status: 1, errcode: 0, data: { total: world.songs.length, info } });
}

/** GET m.comment.service/r/v1/rank/{newest,topliked} */
export function comments(request: PlatformRequest, world: World): Response {
  const { params } = request;
  if (!androidSigned(request)) return json({ status: 0, err_code: 20017 });
  const good =
    params.get("code") === "fc4be23b4e972707f36b8a828a93ba8a" && params.get("extdata") === params.get("schash");
  if (!good || !timely(world, Number(params.get("clienttime")) / 1000)) return json({ status: 0, err_code: 20001 });
  if (lookUp(world, params.get("extdata") ?? "") === undefined)
    return json({ status: 1, err_code: 0, count: 0, list: null });
  const hot = request.path.endsWith("topliked");
  const first = {
    id: hot ? "9001" : "9002",
    content: hot ? "最热&amp;评论" : "最新评论",
    addtime: "2020-01-02 03:04:05",
    user_id: 77,
    user_name: "听众",
    user_pic: "http://imge.kugou.com/kugouicon/165/1.jpg",
    like: { likenum: hot ? 999 : 1, haslike: false },
    reply_num: 2,
    location: "山东",
    images: [{ url: "http://imge.kugou.com/cmt/1.jpg" }],
    pcontent: "上一条",
    puser: "另一人",
  };
  const second = { id: "9003", content: "第二条", addtime: "", user_name: "匿名", like: null, images: null };
  return json({ status: 1, err_code: 0, count: 2, list: params.get("p") === "1" ? [first, second] : [] });
}

/** GET mobilecdnbj/api/v3/mv/detail */
export function mvDetail(request: PlatformRequest, world: World): Response {
  const song = world.songs.find((item) => item.ids.kg.mvHash === request.params.get("mvhash")?.toLowerCase());
  if (song === undefined) return json({ status: 1, errcode: 0, data: { info: null } });
  const info = {
    hash: request.params.get("mvhash"),
    filename: `${singers(song)} - ${song.name} (官方版)`,
    videoname: song.name,
    remark: "官方版",
    description: `${song.name} MV`,
    singername: singers(song),
    mv_timelength: song.durationSeconds * 1000 + 500,
    imgurl: "http://imge.kugou.com/mvhdpic/{size}/2020/mv.jpg",
    video_id: 8881,
    audio_info: { hash: song.ids.kg.hash.toUpperCase(), audio_id: Number(song.ids.kg.audioId) },
    authors: song.artists.map((artist) => ({
      singername: artist.name,
      singerid: Number(artist.id),
      singeravatar: "http://singerimg.kugou.com/uploadpic/softhead/{size}/2020/1.jpg",
    })),
    tags: [
      { tag_id: 1, tag_name: "官方版" },
      { tag_id: 2, tag_name: "流行" },
    ],
  };
  return json({ status: 1, errcode: 0, data: { info } });
}

/** GET m/app/i/mv.php */
export function mvFiles(request: PlatformRequest, world: World): Response {
  const { params } = request;
  if (params.get("cmd") !== "100" || params.get("ismp3") !== "1" || params.get("ext") !== "mp4") return bad();
  const song = world.songs.find((item) => item.ids.kg.mvHash === params.get("hash")?.toLowerCase());
  if (song === undefined) return json({ status: 0, errcode: 20404 });
  const file = (name: string, bitrate: number) => ({
    hash: `${name}${params.get("hash")?.slice(2)}`.toUpperCase(),
    downurl: `http://fs.mv.web.kugou.com/202411/${name}.mp4`,
    bitrate,
    filesize: bitrate * 1000,
  });
  return json({ status: 1, mvdata: { le: file("aa", 375), sq: file("bb", 1000), rq: [] } });
}

/** POST media.store/v1/get_res_privilege */
export function privilege(request: PlatformRequest, world: World): Response {
  if (request.headers.get("kg-thash") !== "expand_search_manager.cpp:852736169:451") return no(20017);
  const body = JSON.parse(request.text);
  if (body.appid !== 1001 || body.clientver !== "9020" || body.behavior !== "play") return no(20017);
  const found = lookUp(world, body.resource[0]?.hash ?? "");
  if (found === undefined) return json({ status: 1, error_code: 0, data: [] });
  return json({ status: 1, error_code: 0, data: [{ info: { image: coverOf(found.song), imgsize: [100, 480] } }] });
}

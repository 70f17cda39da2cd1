import { json, type PlatformRequest, type World } from "../world.ts";
import type { Answer, Asked } from "./answer.ts";
import { trackOf } from "./songs.ts";

export const PLAYLIST_ID = "7217720898";
const matches = (text: string, query: string) => text.toLowerCase().includes(query.toLowerCase());
const page = <T>(items: T[], from: unknown, count: unknown) => items.slice(Number(from), Number(from) + Number(count));

/** `DoSearchForQQMusicMobile`: needs the app's `comm` and a search id. */
export function search({ param, comm, world }: Asked): Answer {
  const { query, search_type, page_num, num_per_page, searchid } = param;
  if (comm["ct"] !== 11 || comm["tmeAppID"] !== "qqmusic") return { code: 500_003 };
  if (typeof query !== "string" || !/^\d{10,22}$/.test(String(searchid))) return { code: 500_001 };
  if (Number(num_per_page) > 50 || Number(page_num) < 1) return { code: 500_001 };
  const from = (Number(page_num) - 1) * Number(num_per_page);
  const lists: Record<number, [name: string, items: Record<string, unknown>[]]> = {
    0: ["item_song", world.songs.filter((song) => matches(song.name + song.artists[0]?.name, query)).map(trackOf)],
    1: ["singer", artists(world, query)],
    2: ["item_album", albums(world, query)],
    3: ["item_songlist", matches("测试歌单", query) ? [songlist(world)] : []],
  };
  const [name, items] = lists[Number(search_type)] ?? ["", []];
  const empty = { item_song: [], singer: [], item_album: [], item_songlist: [], item_mv: [] };
  return {
    code: 0,
    data: {
      code: 0,
      meta: { sum: items.length, estimate_sum: items.length, nextpage: -1 },
      body: { ...empty, [name]: page(items, from, num_per_page) },
    },
  };
}

function artists(world: World, query: string) {
  const all = new Map(world.songs.flatMap((song) => song.artists).map((artist) => [artist.name, artist]));
  return [...all.values()]
    .filter((artist) => matches(artist.name, query))
    .map((artist) => ({
      singerID: Number(artist.id),
      singerMID: artist.mid,
      singerName: `<em>${artist.name}</em>`,
      singerPic: `http://y.gtimg.cn/music/photo_new/T001R150x150M000${artist.mid}.jpg`,
      songNum: 3,
      albumNum: 1,
    }));
}

function albums(world: World, query: string) {
  return world.songs
    .filter((song) => matches(song.album.name, query))
    .map((song) => ({
      albumid: Number(song.album.id),
      albummid: song.album.mid,
      name: song.album.name,
      pic: `http://y.gtimg.cn/music/photo_new/T002R180x180M000${song.album.mid}.jpg`,
      singer: `<em>${song.artists[0]?.name}</em>`,
      singer_list: song.artists,
      song_num: 1,
      publish_date: song.publishDate,
    }));
}

const songlist = (world: World) => ({
  dissid: PLAYLIST_ID,
  dissname: "<em>测试</em>歌单",
  logo: "http://qpic.y.qq.com/1.jpg",
  nickname: "某人",
  introduction: "介绍 &amp; 说明",
  songnum: world.songs.length,
  listennum: 123_456,
});

export function hotkey({ comm }: Asked): Answer {
  if (comm["cv"] !== "1803") return { code: 500_003 };
  return {
    code: 0,
    data: {
      vec_hotkey: [
        { id: 1, query: "晴天" },
        { id: 2, query: "七里香" },
      ],
    },
  };
}

export function suggest(request: PlatformRequest, world: World): Response {
  if (request.headers.get("referer") !== "https://y.qq.com/portal/player.html") return json({ code: -1 });
  const key = request.params.get("key") ?? "";
  const itemlist = world.songs
    .filter((song) => matches(song.name, key))
    .map((song) => ({ id: song.ids.tx.id, mid: song.ids.tx.mid, name: song.name, singer: song.artists[0]?.name }));
  return json({ code: 0, subcode: 0, data: { song: { count: itemlist.length, itemlist, name: "单曲", type: 1 } } });
}

export function playlist({ param, world }: Asked): Answer {
  if (String(param["disstid"]) !== PLAYLIST_ID)
    return { code: 0, data: { dirinfo: { id: 0, title: "" }, songlist: [] } };
  if (param["onlysonglist"] !== 0 || param["dirid"] !== 0) return { code: 500_001 };
  const dirinfo = {
    id: Number(PLAYLIST_ID),
    title: "测试歌单",
    picurl: "http://qpic.y.qq.com/1.jpg",
    desc: "介绍",
    creator: { nick: "某人" },
    songnum: world.songs.length,
    listennum: 99,
  };
  const songlist_ = page(world.songs, param["song_begin"], param["song_num"]).map(trackOf);
  return { code: 0, data: { code: 0, dirinfo, songlist: songlist_, total_song_num: world.songs.length } };
}

/** The older service: everything at once, behind a Referer check. */
export function olderPlaylist(request: PlatformRequest, world: World): Response {
  const id = request.params.get("disstid");
  if (request.headers.get("referer") !== `https://y.qq.com/n/yqq/playsquare/${id}.html`) return json({ code: -1 });
  if (id !== PLAYLIST_ID) return json({ code: 0, cdlist: [] });
  const list = {
    dissname: "测试歌单",
    logo: "http://qpic.y.qq.com/1.jpg",
    desc: "介绍",
    nickname: "某人",
    visitnum: 99,
  };
  return json({ code: 0, cdlist: [{ ...list, songlist: world.songs.map(trackOf) }] });
}

export function shortLink(request: PlatformRequest): Response {
  const key = request.params.get("__");
  const location =
    key === "list"
      ? `https://i.y.qq.com/n2/m/share/details/taoge.html?id=${PLAYLIST_ID}&hosteuin=x`
      : "https://y.qq.com/";
  return new Response("", { status: 302, headers: { location } });
}

export function album({ param, world }: Asked): Answer {
  const song = world.songs.find((item) => item.album.mid === param["albumMId"]);
  if (song === undefined) return { code: 0, data: { basicInfo: { albumName: "" } } };
  const basicInfo = {
    albumID: Number(song.album.id),
    albumMid: song.album.mid,
    albumName: song.album.name,
    publishDate: song.publishDate,
    desc: "专辑介绍",
    pmid: `${song.album.mid}_5`,
  };
  return { code: 0, data: { basicInfo, singer: { singerList: song.artists } } };
}

export function albumSongs({ param, world }: Asked): Answer {
  const songs = world.songs.filter((item) => item.album.mid === param["albumMid"]);
  const songList = page(songs, param["begin"], param["num"]).map((song) => ({ songInfo: trackOf(song) }));
  return { code: 0, data: { albumMid: param["albumMid"], totalNum: songs.length, songList } };
}

export function boards(): Answer {
  const entry = (topId: number, title: string) => ({
    topId,
    title,
    period: "2026-11-20",
    totalNum: 6,
    frontPicUrl: `http://y.gtimg.cn/${topId}.jpg`,
  });
  return {
    code: 0,
    data: {
      group: [
        { groupName: "巅峰榜", toplist: [entry(4, "流行指数榜"), entry(26, "热歌榜")] },
        { groupName: "其他", toplist: [entry(201, "MV榜"), entry(27, "新歌榜")] },
      ],
    },
  };
}

export function board({ param, world }: Asked): Answer {
  if (![4, 26, 27].includes(Number(param["topId"]))) return { code: 2000 };
  const songInfoList = page(world.songs, param["offset"], param["num"]).map(trackOf);
  return {
    code: 0,
    data: { data: { topId: param["topId"], period: "2026-11-20", totalNum: world.songs.length }, songInfoList },
  };
}

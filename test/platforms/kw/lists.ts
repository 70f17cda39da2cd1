import { createHash } from "node:crypto";
import { decryptBoard, encryptBoard } from "../../../src/sources/kw/crypto.ts";
import { type CatalogSong, json, type PlatformRequest, type World } from "../world.ts";
import { artistOf, minfoOf, nameOf } from "./songs.ts";

export const PLAYLIST_ID = "2852416543";
const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

/** JSON as several of the services write it: single quotes. */
function singleQuoted(value: unknown): Response {
  const write = (item: unknown): string => {
    if (typeof item === "string") return `'${item.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
    if (Array.isArray(item)) return `[${item.map(write).join(",")}]`;
    if (typeof item !== "object" || item === null) return String(item);
    return `{${Object.entries(item)
      .map(([name, inner]) => `${write(name)}:${write(inner)}`)
      .join(",")}}`;
  };
  return new Response(write(value), { headers: { "content-type": "text/plain;charset=utf-8" } });
}

const page = <T>(items: T[], params: URLSearchParams) => {
  const [pn, rn] = [Number(params.get("pn")), Number(params.get("rn"))];
  return items.slice(pn * rn, (pn + 1) * rn);
};
const matches = (text: string, query: string | null) => query !== null && text.includes(query);

/** `r.s`: songs, playlists, albums, artists, and the content of an album. */
export function search(request: PlatformRequest, world: World): Response {
  const { params } = request;
  if (params.get("stype") === "albuminfo") return album(params, world);
  const query = params.get("all");
  if (params.get("rformat") !== "json" || params.get("encoding") !== "utf8") return new Response("", { status: 400 });
  switch (params.get("ft")) {
    case "music": {
      if (params.get("mobi") !== "1" || params.get("client") !== "kt") return new Response("", { status: 400 });
      const songs = world.songs.filter((song) => matches(song.name + artistOf(song), query));
      // Found, but not shown: to be asked again.
      if (world.fault("kw", "verify", request)) return json({ TOTAL: String(songs.length), SHOW: "0", abslist: [] });
      return json({ TOTAL: String(songs.length), SHOW: "1", abslist: page(songs, params).map(searched) });
    }
    case "playlist": {
      const found = matches("测试歌单", query) ? [playlistEntry(world)] : [];
      return singleQuoted({ TOTAL: String(found.length), abslist: page(found, params) });
    }
    case "album": {
      const found = world.songs.filter((song) => matches(song.album.name, query)).map(albumEntry);
      return singleQuoted({ TOTAL: String(found.length), albumlist: page(found, params) });
    }
    case "artist": {
      const all = new Map(world.songs.flatMap((song) => song.artists).map((artist) => [artist.name, artist]));
      const found = [...all.values()].filter((artist) => matches(artist.name, query));
      const abslist = page(found, params).map((artist) => ({
        ARTIST: escaped(artist.name),
        ARTISTID: artist.id,
        SONGNUM: "3",
        hts_PICPATH: `https://img1.kuwo.cn/star/starheads/180/${artist.id}.jpg`,
      }));
      return json({ TOTAL: String(found.length), abslist });
    }
    default:
      return new Response("", { status: 400 });
  }
}

const searched = (song: CatalogSong) => ({
  MUSICRID: `MUSIC_${song.ids.kw.id}`,
  SONGNAME: escaped(nameOf(song)),
  ARTIST: escaped(artistOf(song)),
  ARTISTID: song.artists[0]?.id,
  ALBUM: escaped(song.album.name),
  ALBUMID: song.album.id,
  DURATION: String(song.durationSeconds),
  N_MINFO: minfoOf(song),
  FORMATS: "AAC48|MP3128",
  web_albumpic_short: `120/s4s66/12/${song.album.id}.jpg`,
  MVFLAG: song.right === "free" ? "1" : "0",
});

const playlistEntry = (world: World) => ({
  playlistid: PLAYLIST_ID,
  name: "测试歌单 &amp; It's",
  nickname: "某人",
  pic: "http://img1.kuwo.cn/p.jpg",
  songnum: String(world.songs.length),
  playcnt: "123456",
  intro: "",
});

const albumEntry = (song: CatalogSong) => ({
  albumid: song.album.id,
  name: song.album.name,
  artist: artistOf(song),
  img: "http://img1.kuwo.cn/small.jpg",
  hts_img: "https://img1.kuwo.cn/large.jpg",
  info: "Rock \\\\u0026 Roll",
  musiccnt: "1",
  pub: `${song.publishDate} 00:00:00`,
});

function album(params: URLSearchParams, world: World): Response {
  const songs = world.songs.filter((song) => song.album.id === params.get("albumid"));
  const first = songs[0];
  if (first === undefined) return singleQuoted({ musiclist: [] });
  const musiclist = songs.map((song) => ({
    id: song.ids.kw.id,
    name: escaped(nameOf(song)),
    artist: escaped(artistOf(song)),
    formats: "AAC48|ALFLAC|MP3128|MP3H",
  }));
  const { name, hts_img, img, artist } = albumEntry(first);
  return singleQuoted({
    name,
    hts_img,
    img,
    artist,
    info: "专辑介绍",
    songnum: String(songs.length),
    pub: first.publishDate,
    musiclist,
  });
}

const listed = (song: CatalogSong) => ({
  id: song.ids.kw.id,
  name: escaped(nameOf(song)),
  artist: escaped(artistOf(song)),
  artistid: song.artists[0]?.id,
  album: song.album.name,
  albumid: song.album.id,
  duration: String(song.durationSeconds),
  N_MINFO: minfoOf(song),
});

export function playlist(request: PlatformRequest, world: World): Response {
  const { params } = request;
  if (params.get("op") !== "getlistinfo" || Number(params.get("rn")) > 1000) return json({ result: "error" });
  if (params.get("pid") !== PLAYLIST_ID) return json({ result: "fail" });
  return json({
    result: "ok",
    title: "测试歌单",
    pic: "http://img1.kuwo.cn/p.jpg",
    info: "介绍",
    uname: "某人",
    playnum: 99,
    total: world.songs.length,
    musiclist: page(world.songs, params).map(listed),
  });
}

export function boards(request: PlatformRequest): Response {
  if (request.params.get("op") !== "query" || request.params.get("node") !== "2") return json({});
  const entry = (sourceid: string, name: string, source = "1") => ({
    id: `1${sourceid}`,
    sourceid,
    name,
    source,
    pic: `http://img3.kuwo.cn/${sourceid}.jpg`,
    info: "每日更新",
  });
  return json({
    child: [entry("93", "酷我飙升榜"), entry("17", "酷我新歌榜"), entry("0", "分类", "2"), entry("16", "酷我热歌榜")],
  });
}

/** `bang_info`: verifies the sign over the data as it was before encoding, and refuses old clocks. */
export function board(request: PlatformRequest, world: World): Response {
  const { params } = request;
  const [data, time, appId, sign] = ["data", "time", "appId", "sign"].map((name) => params.get(name) ?? "");
  const right = createHash("md5").update(`y67sprxhhpws${data}${time}`).digest("hex").toUpperCase();
  if (appId !== "y67sprxhhpws" || sign !== right || !/^\d{13}$/.test(time ?? "")) {
    return json({ code: 403, msg: "sign error" });
  }
  const asked = JSON.parse(decryptBoard(data ?? "")) as Record<string, unknown>;
  if (asked["sFrom"] !== "kuwo_sdk" || asked["user_type"] !== "AP") return json({ code: 400, msg: "bad parameters" });
  const found = ["93", "17", "16"].includes(String(asked["id"]));
  const query = new URLSearchParams({ pn: String(asked["pn"]), rn: String(asked["rn"]) });
  const musiclist = page(world.songs, query).map(({ ...song }) => {
    const { N_MINFO, albumid, ...rest } = listed(song);
    return { ...rest, albumId: albumid, n_minfo: N_MINFO, pic: "http://img1.kuwo.cn/star/albumcover/500/x.jpg" };
  });
  const reply = found
    ? { code: 200, data: { total: world.songs.length, musiclist } }
    : { code: 404, msg: "no such board" };
  return new Response(encodeURIComponent(encryptBoard(JSON.stringify(reply))));
}

export function suggest(request: PlatformRequest, world: World): Response {
  const query = request.params.get("w");
  const found = world.songs.filter((song) => matches(song.name, query));
  return singleQuoted({ WORDITEMS: found.map((song, at) => ({ RELWORD: escaped(song.name), SNUM: at })) });
}

export function hot(request: PlatformRequest): Response {
  const app = request.headers.get("user-agent")?.startsWith("Dalvik/");
  if (!app || request.params.get("tabid") !== "1") return json({ status: "fail" });
  return json({
    status: "ok",
    tagvalue: [
      { key: "晴天", desc: "" },
      { key: "Rock&amp;Roll", desc: "" },
    ],
  });
}

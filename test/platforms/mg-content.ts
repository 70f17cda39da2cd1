import { createHash } from "node:crypto";
import { h5Account, type MgAsk, type Route } from "./mg.ts";
import { encryptMrc } from "./mg-crypto.ts";
import { find, formA, formB } from "./mg-replies.ts";
import type { CatalogSong, LyricLine, World } from "./world.ts";
import { json } from "./world.ts";

/** Everything that Migu serves besides play addresses and song information. */
export const ROUTES: Record<string, Route> = {
  "GET jadeite.migu.cn/music_search/v3/search/searchAll": search,
  "GET music.migu.cn/v3/api/search/suggest": suggest,
  "GET jadeite.migu.cn:7090/music_search/v3/search/hotword": hot,
  "GET app.c.nf.migu.cn/MIGUM3.0/resource/playlist/song/v2.0": playlistSongs,
  "GET c.musicapp.migu.cn/MIGUM3.0/resource/playlist/v2.0": playlistInfo,
  "GET app.c.nf.migu.cn/MIGUM2.0/v1.0/content/queryAlbumSong": albumSongs,
  "GET app.c.nf.migu.cn/MIGUM3.0/resource/album/v2.0": albumInfo,
  "GET app.c.nf.migu.cn/pc/bmw/rank/rank-index/v1.0": boards,
  "GET app.c.nf.migu.cn/MIGUM2.0/v1.0/content/querycontentbyId.do": boardSongs,
  "GET app.c.nf.migu.cn/MIGUM3.0/user/comment/stack/v1.0": comments,
  "POST m.music.migu.cn/migumusic/h5/user/auth/userActiveNotice": active,
};

/** By the start of host and path. */
export const PREFIXES: Record<string, Route> = {
  "d.musicapp.migu.cn/data/oss/resource/": lyricFile,
  "c.migu.cn/": ({ request }) =>
    new Response(null, {
      status: 302,
      headers: {
        location: `https://h5.nf.migu.cn/app/v4/p/share/playlist/index.html?id=${request.path.slice(1)}&channel=1`,
      },
    }),
};

const failed = (info: string) => json({ code: "299999", info });
const ok = (fields: object) => json({ code: "000000", info: "成功", ...fields });
const guestApp = (request: MgAsk["request"]) =>
  request.headers.get("channel") === "0146921" &&
  (request.headers.get("referer") ?? "") === "https://app.c.nf.migu.cn/" &&
  (request.headers.get("user-agent") ?? "").includes("Android");
const iphone = (request: MgAsk["request"]) => (request.headers.get("user-agent") ?? "").includes("iPhone");

function search({ request, world }: MgAsk): Response {
  const { headers, params } = request;
  const text = params.get("text") ?? "";
  const secret = "6cdc72a439cef99a3418d2a78aa28c73yyapp2d16148780a1dcc7408e06336b98cfd50";
  const wanted = createHash("md5")
    .update(`${text}${secret}${headers.get("deviceid")}${headers.get("timestamp")}`)
    .digest("hex");
  const named = headers.get("uiversion") === "A_music_3.6.1" && headers.get("channel") === "0146921";
  if (headers.get("sign") !== wanted || !named) return failed("签名错误");
  const size = Number(params.get("pageSize"));
  const switches: Record<string, number> = JSON.parse(params.get("searchSwitch") ?? "{}");
  if (!(size > 0 && size <= 50) || Object.keys(switches).length !== 8) return failed("参数错误");
  const from = size * (Number(params.get("pageNo")) - 1);
  const found = world.songs.filter((song) => [song.name, song.artists[0]?.name].join(" ").includes(text));
  const some = found.slice(from, from + size);
  const total = String(found.length);
  return ok({
    // The platform groups a song with its other editions; one edition here comes twice.
    ...(switches["song"] === 1
      ? {
          songResultData: { totalCount: total, resultList: some.map((song) => [formB(song, true), formB(song, true)]) },
        }
      : {}),
    ...(switches["songlist"] === 1 ? { songListResultData: { totalCount: "1", result: [listItem(world)] } } : {}),
    ...(switches["album"] === 1 ? { albumResultData: { totalCount: total, result: some.map(albumItem) } } : {}),
    ...(switches["singer"] === 1 ? { singerResultData: { totalCount: total, result: some.map(singerItem) } } : {}),
  });
}

const listItem = (world: World) => ({
  id: "228114498",
  name: "测试歌单",
  userName: "创建者",
  musicListPicUrl: "https://d.musicapp.migu.cn/list.jpg",
  musicNum: String(world.songs.length),
  playNum: "4321",
});
const albumItem = (song: CatalogSong) => ({
  id: song.album.id,
  name: song.album.name,
  singer: song.artists[0]?.name,
  publishDate: song.publishDate,
  imgItems: [{ imgSizeType: "03", img: "/data/oss/album.jpg" }],
});
const singerItem = (song: CatalogSong) => ({
  id: song.artists[0]?.id,
  name: song.artists[0]?.name,
  singerPicUrl: [{ imgSizeType: "03", img: "https://d.musicapp.migu.cn/singer.jpg" }],
  songCount: 7,
});

function suggest({ request, world }: MgAsk): Response {
  if (request.headers.get("referer") !== "https://music.migu.cn/v3") return new Response("", { status: 403 });
  const word = request.params.get("keyword") ?? "";
  const songs = world.songs.filter((song) => song.name.includes(word));
  return json({
    returnCode: "000000",
    songs: songs.map(({ name, artists }) => ({ name, singerName: artists[0]?.name })),
  });
}

function hot({ world }: MgAsk): Response {
  const words = world.songs.map((song) => ({ word: song.name, resourceType: "song" }));
  return ok({ data: { hotwords: [{ hotwordList: [{ word: "歌手", resourceType: "singer" }, ...words] }] } });
}

function pageOf<T>(request: MgAsk["request"], items: T[]): T[] {
  const size = Number(request.params.get("pageSize") ?? 50);
  return items.slice(size * (Number(request.params.get("pageNo")) - 1)).slice(0, size);
}

function playlistSongs({ request, world }: MgAsk): Response {
  if (!iphone(request) || request.headers.get("referer") !== "https://m.music.migu.cn/") return failed("referer");
  if (request.params.get("playlistId") === "404") return ok({ data: { songList: null, totalCount: 0 } });
  return ok({
    data: { songList: pageOf(request, world.songs).map((song) => formB(song)), totalCount: world.songs.length },
  });
}

function playlistInfo({ request }: MgAsk): Response {
  if (request.params.get("playlistId") === "404") return json({ code: "200001", info: "歌单不存在" });
  return ok({
    data: {
      title: "测试歌单",
      summary: "说明",
      ownerName: "创建者",
      imgItem: { img: "https://d.musicapp.migu.cn/list.jpg" },
      opNumItem: { playNum: 4321 },
    },
  });
}

const albumOf = (world: World, id: string | null) => world.songs.filter((song) => song.album.id === id);

function albumSongs({ request, world }: MgAsk): Response {
  const songs = pageOf(request, albumOf(world, request.params.get("albumId")));
  return ok({ songList: songs.map(formA) });
}

function albumInfo({ request, world }: MgAsk): Response {
  const songs = albumOf(world, request.params.get("albumId"));
  const [first] = songs;
  if (first === undefined) return json({ code: "200001", info: "专辑不存在" });
  const data = {
    title: first.album.name,
    singer: first.artists[0]?.name,
    summary: "专辑说明",
    totalCount: String(songs.length),
    publishTime: first.publishDate,
    imgItems: [
      { imgSizeType: "01", img: "https://d.musicapp.migu.cn/1.jpg" },
      { imgSizeType: "03", img: "https://d.musicapp.migu.cn/3.jpg" },
    ],
  };
  return ok({ data });
}

function boards({ request }: MgAsk): Response {
  if (!guestApp(request)) return failed("channel");
  const board = (rankId: string, rankName: string) => ({
    rankId,
    rankName,
    imageUrl: `https://d.musicapp.migu.cn/${rankId}.jpg`,
  });
  return ok({
    data: {
      contents: [
        { style: "尖叫热歌", contents: [board("27186466", "热歌榜"), board("27553319", "新歌榜")] },
        { style: "特色", contents: [board("27553408", "原创榜"), board("27186466", "热歌榜")] },
        { style: "广告", contents: [{ title: "无" }] },
      ],
    },
  });
}

function boardSongs({ request, world }: MgAsk): Response {
  if (!/^2\d{7}$/.test(request.params.get("columnId") ?? "")) return json({ code: "200001", info: "榜单不存在" });
  const contents = world.songs.map((song) => ({ resourceType: "2", objectInfo: formA(song) }));
  return ok({ columnInfo: { columnId: request.params.get("columnId"), contents } });
}

const COMMENTS = 45;

function comment(index: number) {
  const user = { userId: `u${index}`, nickName: `听众${index}`, middleIcon: `//d.musicapp.migu.cn/${index}.jpg` };
  return {
    commentId: `c${index}`,
    commentInfo: `评论 ${index}`,
    commentTime: "2023-11-15 06:13:20",
    user,
    opNumItem: { thumbNum: COMMENTS - index },
    replyTotalCount: String(index % 3),
    replyComments: index % 3 === 0 ? [] : [{ replyId: `r${index}`, replyInfo: "回复", replyTime: "昨天", user }],
  };
}

function comments({ request, world }: MgAsk): Response {
  const { params } = request;
  const size = Number(params.get("pageSize"));
  if (!iphone(request) || params.get("resourceType") !== "2" || !(size > 0)) return failed("参数错误");
  if (find(world, "songId", params.get("resourceId")) === undefined)
    return json({ code: "200001", info: "歌曲不存在" });
  const all = Array.from({ length: COMMENTS }, (_, index) => comment(index));
  if (params.get("queryType") === "2") {
    const from = Number(params.get("hotCommentStart"));
    return ok({ data: { cfgHotCount: COMMENTS, hotComments: all.slice(from, from + size) } });
  }
  const last = params.get("commentId") ?? "";
  const from = last === "" ? 0 : all.findIndex((item) => item.commentId === last) + 1;
  if (from === 0 && last !== "") return failed("commentId");
  return ok({ data: { commentNums: String(COMMENTS), comments: all.slice(from, from + size), hotComments: [] } });
}

function active(ask: MgAsk): Response {
  const { request } = ask;
  if (request.text !== "" || request.headers.get("referer") !== "https://m.music.migu.cn/v4/my")
    return failed("参数错误");
  const account = h5Account(ask);
  if (account === undefined) return json({ code: 401, msg: "用户未登录" });
  const headers = { "content-type": "application/json", "set-cookie": `SESSION=${account.token}; Path=/; HttpOnly` };
  return new Response(JSON.stringify({ code: 200, msg: "成功" }), { headers });
}

export function mv({ request, world }: MgAsk): Response {
  const id = request.params.get("resourceId") ?? "";
  const song = world.songs.find((item) => formA(item).mvCopyrightId === id);
  if (song === undefined) return ok({ resource: [] });
  const path = (name: string) => (song.right === "none" ? "" : `/mv/${id}_${name}.mp4`);
  return ok({
    resource: [
      {
        resourceType: "D",
        songName: song.name,
        singer: song.artists.map((item) => item.name).join("|"),
        imgs: [{ img: "https://d.musicapp.migu.cn/mv.jpg" }],
        bluerayPath: song.qualities.includes("flac") ? path("fhd") : "",
        highscreenPath: path("hd"),
        widescreenPath: path("sd"),
      },
    ],
  });
}

/** `/data/oss/resource/{lrc|mrc|trc}/{songId}`. Only songs of 192k have words, only some a translation. */
function lyricFile({ request, world }: MgAsk): Response {
  const match = /\/(lrc|mrc|trc)\/(\d+)$/.exec(request.path);
  const song = find(world, "songId", match?.[2] ?? null);
  if (!guestApp(request)) return new Response("", { status: 403 });
  if (match === null || song?.lyric === undefined) return new Response("", { status: 404 });
  switch (match[1]) {
    case "mrc":
      if (!song.qualities.includes("192k")) return new Response("", { status: 404 });
      return new Response(encryptMrc(`[ti:${song.name}]\r\n${song.lyric.map(mrcLine).join("\r\n")}\r\n`));
    case "trc":
      return new Response(
        song.lyric
          .flatMap((line) => line.translation && lrcLine(line, line.translation, 30))
          .filter(Boolean)
          .join("\n"),
      );
    default:
      return new Response(
        ["[ti:x]", ...song.lyric.map((line) => lrcLine(line, line.words.map((word) => word.text).join("")))].join("\n"),
      );
  }
}

function mrcLine(line: LyricLine): string {
  const words = line.words.map((word) => `${word.text}(${line.startMs + word.offsetMs},${word.durationMs})`);
  return `[${line.startMs},${line.durationMs}]${words.join("")}`;
}

function lrcLine(line: LyricLine, text: string, shift = 0): string {
  const ms = line.startMs + shift;
  const two = (value: number) => String(value).padStart(2, "0");
  return `[${two(Math.floor(ms / 60_000))}:${two(Math.floor(ms / 1000) % 60)}.${two(Math.floor((ms % 1000) / 10))}]${text}`;
}

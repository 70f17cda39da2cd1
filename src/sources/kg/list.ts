import { type Static, Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Collection, CollectionContent, Quality, QualityInfo, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call, PageRequest } from "../source.ts";
import { address, type KgClient, refusal, WEB_SECRET } from "./client.ts";
import type { Params } from "./crypto.ts";
import { compact, idsOf, Loose, Part, partOf, plainName, positiveOf, sized, textOf } from "./fields.ts";
import { albumIdIn, decodeGcid, resolvePlaylistId } from "./share.ts";
import { albumOf, fetchSongs, MAX_AUDIO_BATCH, splitArtists } from "./song.ts";

/** A song as the mobile lists write it. Which names are there depends on the list. */
const Item = Type.Object({
  hash: Loose,
  filename: Loose,
  songname: Loose,
  authors: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.Object({ author_id: Loose, author_name: Loose }))])),
  remark: Loose,
  album_id: Loose,
  audio_id: Loose,
  album_audio_id: Loose,
  album_sizable_cover: Loose,
  mvhash: Loose,
  duration: Loose,
  filesize: Loose,
  "320hash": Loose,
  "320filesize": Loose,
  sqhash: Loose,
  sqfilesize: Loose,
  hash_high: Loose,
  filesize_high: Loose,
});
const ListReply = Type.Object({
  status: Loose,
  errcode: Loose,
  error_code: Loose,
  data: Part(Type.Object({ total: Loose, info: Type.Optional(Type.Union([Type.Null(), Type.Array(Item)])) })),
});

const About = Type.Object({
  specialname: Loose,
  albumname: Loose,
  nickname: Loose,
  singername: Loose,
  intro: Loose,
  imgurl: Loose,
  playcount: Loose,
  songcount: Loose,
  publishtime: Loose,
});
const AboutReply = Type.Object({ status: Loose, data: Part(About) });

export async function fetchItems(client: KgClient, url: string, headers: Record<string, string>, call: Call) {
  const reply = decode(ListReply, await jsonp(client, url, headers, call), "kg");
  const data = partOf(reply.data);
  if (data?.info === undefined) {
    throw refusal([reply.errcode, reply.error_code, reply.status], "获取列表失败，请检查 ID 是否正确");
  }
  const items = data.info ?? [];
  return { items, total: positiveOf(data.total) ?? items.length };
}

/** Some of these endpoints wrap their JSON in a function call. */
async function jsonp(client: KgClient, url: string, headers: Record<string, string>, call: Call): Promise<unknown> {
  const reply = await client.send({ url, headers }, call);
  const wrapped = /^\s*[\w$.]+\s*\(([\s\S]*)\)\s*;?\s*$/.exec(reply.text());
  if (wrapped?.[1] === undefined) return reply.json();
  try {
    return JSON.parse(wrapped[1]);
  } catch (error) {
    throw new AppError("upstream_changed", "平台返回了无法识别的数据", { cause: error });
  }
}

/** Title, author and cover of a list: a list without them is still a list. */
async function fetchAbout(
  client: KgClient,
  type: "playlist" | "album",
  id: string,
  url: string,
  headers: Record<string, string>,
  call: Call,
): Promise<Collection> {
  const about = await jsonp(client, url, headers, call)
    .then((reply) => partOf(decode(AboutReply, reply, "kg").data))
    .catch((error: unknown) => {
      client.deps.log.debug("list title could not be had", { source: "kg", type, error });
      return undefined;
    });
  const image = textOf(about?.imgurl);
  return {
    source: "kg",
    type,
    id,
    name: plainName(type === "album" ? about?.albumname : about?.specialname),
    ...compact({
      author: plainName(type === "album" ? about?.singername : about?.nickname),
      cover: image === "" ? "" : sized(image),
      description: plainName(about?.intro),
      songCount: positiveOf(about?.songcount),
      playCount: positiveOf(about?.playcount),
      publishDate: /^\d{4}-\d\d-\d\d/.exec(textOf(about?.publishtime))?.[0],
    }),
  };
}

export const VERSION: Params = [["version", 9108]];
const MAX_PLAYLIST_PAGE = 300;
const MAX_ALBUM_PAGE = 200;

/** @throws AppError `upstream_*`, `invalid_request` */
export async function fetchPlaylist(
  client: KgClient,
  pasted: string,
  page: PageRequest,
  call: Call,
): Promise<CollectionContent> {
  const found = await resolvePlaylistId(client, pasted, call);
  if (found.kind === "special") return fetchSpecial(client, found.id, page, call);
  const id = found.kind === "gcid" ? await decodeGcid(client, found.id, call) : found.id;
  return fetchGlobal(client, id, page, call);
}

async function fetchSpecial(client: KgClient, id: string, page: PageRequest, call: Call): Promise<CollectionContent> {
  const size = Math.min(page.size, MAX_PLAYLIST_PAGE);
  const list = address("http://mobilecdn.kugou.com/api/v3/special/song", [
    ["specialid", id],
    ["page", page.page],
    ["pagesize", size],
    ...VERSION,
    ["area_code", 1],
  ]);
  const about = address("http://mobilecdn.kugou.com/api/v3/special/info", [["specialid", id], ...VERSION]);
  const [{ items, total }, info] = await Promise.all([
    fetchItems(client, list, {}, call),
    fetchAbout(client, "playlist", id, about, {}, call),
  ]);
  return { info, songs: { total, page: page.page, size, list: items.flatMap(itemSong) } };
}

async function fetchGlobal(client: KgClient, id: string, page: PageRequest, call: Call): Promise<CollectionContent> {
  const size = Math.min(page.size, MAX_PLAYLIST_PAGE);
  const now = String(client.deps.now());
  const shared: Params = [
    ["appid", 1058],
    ["specialid", 0],
    ["global_specialid", id],
    ["srcappid", 2919],
    ["clientver", 20000],
    ["clienttime", now],
    ["mid", now],
    ["uuid", now],
    ["dfid", "-"],
  ];
  const headers = { mid: now, dfid: "-", clienttime: now, Referer: "https://m3ws.kugou.com/share/index.php" };
  const sign = (params: Params) => client.signed(params, "", WEB_SECRET);
  const base = "https://mobiles.kugou.com/api/v5/special";
  const about = address(`${base}/info_v2`, sign([...shared, ["format", "jsonp"]]));
  const list = address(
    `${base}/song_v2`,
    sign([...shared, ["plat", 0], ["version", 8000], ["page", page.page], ["pagesize", size]]),
  );
  const [{ items, total }, info] = await Promise.all([
    fetchItems(client, list, headers, call),
    fetchAbout(client, "playlist", id, about, headers, call),
  ]);
  return { info, songs: { total, page: page.page, size, list: await complete(client, items, call) } };
}

/** @throws AppError `upstream_*`, `invalid_request` */
export async function fetchAlbum(
  client: KgClient,
  pasted: string,
  page: PageRequest,
  call: Call,
): Promise<CollectionContent> {
  const id = albumIdIn(pasted);
  const size = Math.min(page.size, MAX_ALBUM_PAGE);
  const list = address("http://mobiles.kugou.com/api/v3/album/song", [
    ...VERSION,
    ["albumid", id],
    ["plat", 0],
    ["pagesize", size],
    ["area_code", 0],
    ["page", page.page],
    ["with_res_tag", 0],
  ]);
  const about = address("http://mobilecdn.kugou.com/api/v3/album/info", [
    ["albumid", id],
    ...VERSION,
    ["area_code", 1],
  ]);
  const [{ items, total }, info] = await Promise.all([
    fetchItems(client, list, {}, call),
    fetchAbout(client, "album", id, about, {}, call),
  ]);
  return { info, songs: { total, page: page.page, size, list: await complete(client, items, call) } };
}

/**
 * These lists name little more than hashes; the rest is asked for in batches. What cannot be had is taken from the
 * list itself, so that no song is lost.
 */
async function complete(client: KgClient, items: Static<typeof Item>[], call: Call): Promise<Song[]> {
  const hashed = items.filter((item) => textOf(item.hash) !== "");
  const songs: Song[] = [];
  for (let from = 0; from < hashed.length; from += MAX_AUDIO_BATCH) {
    const part = hashed.slice(from, from + MAX_AUDIO_BATCH);
    const found = await fetchSongs(
      client,
      part.map((item) => textOf(item.hash).toLowerCase()),
      call,
    );
    part.forEach((item, index) => {
      const song = found[index] ?? itemSong(item)[0];
      if (song !== undefined) songs.push(song);
    });
  }
  return songs;
}

const FILES = [
  ["128k", "hash", "filesize"],
  ["320k", "320hash", "320filesize"],
  ["flac", "sqhash", "sqfilesize"],
  ["flac24bit", "hash_high", "filesize_high"],
] as const;

/** Nothing, when the entry has no hash or no name: it could be neither played nor shown. */
export function itemSong(item: Static<typeof Item>): Song[] {
  const hash = textOf(item.hash);
  // "artist - title"; a title may hold " - " itself.
  const [, singers = "", title = ""] = /^(.*?) - (.*)$/s.exec(plainName(item.filename)) ?? [];
  const name = plainName(item.songname) || title || plainName(item.filename);
  if (hash === "" || name === "") return [];
  const qualities: Partial<Record<Quality, QualityInfo>> = {};
  for (const [quality, hashField, sizeField] of FILES) {
    const file = textOf(item[hashField]);
    if (file !== "") qualities[quality] = { hash: file, ...compact({ size: positiveOf(item[sizeField]) }) };
  }
  const authors = (item.authors ?? []).flatMap((author) => {
    const authorName = plainName(author.author_name);
    return authorName === "" ? [] : [{ name: authorName, ...compact({ id: textOf(author.author_id) }) }];
  });
  const cover = textOf(item.album_sizable_cover);
  const ids = idsOf({ hash, audioId: textOf(item.audio_id), albumAudioId: textOf(item.album_audio_id) });
  return [
    {
      source: "kg",
      songId: hash.toLowerCase(),
      name,
      artists: authors.length > 0 ? authors : splitArtists(singers),
      qualities,
      ids,
      ...compact({
        album: albumOf(textOf(item.album_id), plainName(item.remark)),
        durationSeconds: positiveOf(item.duration),
        cover: cover === "" ? "" : sized(cover),
        sizableCover: cover,
        mvId: textOf(item.mvhash),
      }),
    },
  ];
}

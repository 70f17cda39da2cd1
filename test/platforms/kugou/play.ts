import type { Quality } from "../../../src/core/types.ts";
import { json, type PlatformRequest, type World } from "../world.ts";
import {
  androidSigned,
  coverOf,
  EDITIONS,
  FILES,
  fileHash,
  fileSize,
  fullName,
  hasFile,
  lookUp,
  md5,
  no,
  singers,
  timely,
  whoAsks,
} from "./wire.ts";

export interface PlayOptions {
  /** Refuse (20028) whoever comes without a device id of ours. */
  requireDevice: boolean;
  /** Device ids given out. */
  devices: Set<string>;
}

/** Rendition names that are made from the 128k file, and the quality of ours in which a song has them. */
const EFFECTS: Record<string, Quality> = { viper_atmos: "atmos", viper_clear: "master" };

/** GET gateway/v5/url */
export async function playUrl(request: PlatformRequest, world: World, options: PlayOptions): Promise<Response> {
  const { params, headers } = request;
  const router = headers.get("x-router");
  if (router !== "tracker.kugou.com" && router !== "trackercdn.kugou.com")
    return json({ status: 0, error_code: 404 }, { status: 404 });
  if (!androidSigned(request)) return no(20017);
  const edition = EDITIONS[params.get("appid") ?? ""];
  const hash = params.get("hash") ?? "";
  if (edition === undefined || params.get("pid") !== edition.pid || hash !== hash.toLowerCase()) return no(20017);
  if (params.get("pidversion") !== "3001" || params.get("behavior") !== "play" || params.get("area_code") !== "1")
    return no(20017);
  if (params.get("IsFreePart") === "1" || !timely(world, Number(params.get("clienttime")))) return no(20017);
  if (router === "tracker.kugou.com" && !/^\d{8}$/.test(params.get("open_time") ?? "")) return no(20017);
  if (router === "trackercdn.kugou.com" && params.get("cmd") !== "26") return no(20017);
  const key = md5(hash + edition.keySecret + params.get("appid") + params.get("mid") + params.get("userid"));
  if (params.get("key") !== key) return no(20010);

  const who = whoAsks(world, params.get("userid"), params.get("token"));
  if ("refused" in who) return who.refused;
  const dfid = params.get("dfid") ?? "";
  if (dfid !== "-" && !options.devices.has(dfid)) return no(20028);
  if (options.requireDevice && dfid === "-") return no(20028);
  if (world.fault("kg", "verify", request)) return no(20028);

  const found = lookUp(world, hash);
  const name = params.get("quality") ?? "";
  const effect = EFFECTS[name];
  const file = FILES.find(([word]) => word === name)?.[1];
  if (found === undefined) return no(30020);
  if (found.song.right === "none") return json({ status: 3, error_code: 0, url: [], fail_process: [] });
  const member = who.account?.state === "member";
  if (found.song.right === "member" && !member) {
    return json({ status: 2, error_code: 0, url: [], fail_process: ["pkg", "buy"], hash: hash.toUpperCase() });
  }
  const quality = effect ?? file;
  // A hash of another quality than the one named, or a rendition that the song has not.
  if (
    quality === undefined ||
    !found.song.qualities.includes(quality === "flac24bit" ? topQuality(found.song.qualities) : quality)
  ) {
    return json({ status: 2, error_code: 0, url: [], fail_process: ["pkg"] });
  }
  if (found.quality !== undefined && found.quality !== (effect === undefined ? file : "128k")) return no(20017);
  return address(request, world, found.song, quality);
}

const topQuality = (qualities: Quality[]): Quality => (qualities.includes("flac24bit") ? "flac24bit" : "hires");

/** True sizes for the small catalogue; thousands of songs are not recorded for the sake of a number. */
const MAX_RECORDED_SONGS = 100;

async function address(
  request: PlatformRequest,
  world: World,
  song: World["songs"][number],
  asked: Quality,
): Promise<Response> {
  const lower = world.fault("kg", "lower", request);
  const trial = world.fault("kg", "trial", request);
  const encrypted = world.fault("kg", "encrypted", request);
  const quality = lower ? "128k" : asked;
  const extension = encrypted ? "kgm" : quality === "128k" || quality === "320k" ? "mp3" : "flac";
  const hash = EFFECTS_FILE.has(quality) ? md5(`${song.ids.kg.hash}/${quality}`) : fileHash(song, quality);
  const path = `/202411210000/${md5(hash)}/v3/${hash}/yp/full/ap1005_qu${quality}.${extension}`;
  const size =
    world.songs.length > MAX_RECORDED_SONGS
      ? fileSize(song, quality)
      : Bun.file((await world.audio(song, quality)).path).size;
  const url = world.audioUrl("fs.youthandroid2.kugou.com", path, song, quality);
  return json({
    status: 1,
    error_code: 0,
    url: [url],
    backupUrl: [url],
    hash: hash.toUpperCase(),
    extName: extension,
    fileSize: size,
    bitRate: Math.round((fileSize(song, quality) * 8) / song.durationSeconds),
    timeLength: song.durationSeconds,
    ...(trial ? { hash_offset: { start_ms: 0, end_ms: 60_000, start_byte: 0, end_byte: 960_000 } } : {}),
  });
}

const EFFECTS_FILE = new Set<Quality>(Object.values(EFFECTS));

/** POST gateway/v3/album_audio/audio */
export function albumAudio(request: PlatformRequest, world: World): Response {
  if (request.headers.get("x-router") !== "kmr.service.kugou.com")
    return json({ status: 0, error_code: 404 }, { status: 404 });
  const body = JSON.parse(request.text);
  const good =
    body.key === "OIlwlieks28dk2k092lksi2UIkp" &&
    body.appid === 1005 &&
    body.clientver === 11451 &&
    timely(world, body.clienttime) &&
    request.headers.get("kg-thash") === "13a3164" &&
    Array.isArray(body.data) &&
    body.data.length <= 100;
  if (!good) return no(20017);
  const data = body.data.map((item: { hash: string }) => {
    const found = lookUp(world, item.hash);
    return found === undefined ? [] : [audioEntry(found.song)];
  });
  return json({ status: 1, error_code: 0, error_msg: "", data });
}

function audioEntry(song: World["songs"][number]) {
  const files: Record<string, string> = {};
  for (const [suffix, quality] of FILES) {
    const there = hasFile(song, quality);
    files[`hash_${suffix}`] = there ? fileHash(song, quality).toUpperCase() : "";
    files[`filesize_${suffix}`] = there ? String(fileSize(song, quality)) : "0";
  }
  return {
    album_audio_id: song.ids.kg.albumAudioId,
    author_name: singers(song),
    ori_audio_name: song.name,
    songname: fullName(song),
    audio_id: song.ids.kg.audioId,
    is_original: 1,
    album_info: {
      album_id: song.album.id,
      album_name: song.album.name,
      sizable_cover: coverOf(song),
      publish_date: song.publishDate,
      language: "国语",
    },
    audio_info: {
      audio_id: song.ids.kg.audioId,
      hash: song.ids.kg.hash.toUpperCase(),
      timelength: String(song.durationSeconds * 1000),
      extname: "mp3",
      filesize: files["filesize_128"],
      ...files,
    },
    bpm: "82",
    language: "国语",
    publish_date: song.publishDate,
    trans_param: { language: "国语" },
  };
}

/** GET mobilecdnbj/api/v3/song/info */
export function songInfo(request: PlatformRequest, world: World): Response {
  const found = lookUp(world, request.params.get("hash") ?? "");
  if (found === undefined) return json({ status: 0, errcode: 20404, data: [] });
  return json({ status: 1, errcode: 0, data: { mvhash: found.song.ids.kg.mvHash.toUpperCase() } });
}

/** GET expendablekmrcdn/container/v2/image */
export function artistImages(request: PlatformRequest, world: World): Response {
  if (!androidSigned(request)) return no(20017);
  const asked: { hash: string }[] = JSON.parse(request.params.get("data") ?? "[]");
  const data = asked.map(({ hash }) => {
    const found = lookUp(world, hash);
    const author = (found?.song.artists ?? []).map((artist) => ({
      author_id: artist.id,
      author_name: artist.name,
      sizable_avatar: `http://singerimg.kugou.com/uploadpic/softhead/{size}/20210101/${artist.id}.jpg`,
    }));
    return { author, album: [] };
  });
  return json({ status: 1, error_code: 0, data });
}

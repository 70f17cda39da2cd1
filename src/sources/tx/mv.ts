import { Type } from "@sinclair/typebox";
import { AppError, isAppError } from "../../core/errors.ts";
import type { Mv, MvFile } from "../../core/types.ts";
import { decodeEntities } from "../lrc.ts";
import { listOf, numberOf, positive, present, recordOf, textOf } from "../read.ts";
import type { Call } from "../source.ts";
import { GUEST_COMM, type TxClient, type TxDeps } from "./client.ts";
import { toArtist } from "./song.ts";

/** Height by the service's class of file. */
const HEIGHTS: Record<number, string> = { 10: "240p", 20: "480p", 30: "720p", 40: "1080p" };
const REQUIRED = [
  "vid",
  "type",
  "sid",
  "cover_pic",
  "duration",
  "singers",
  "video_switch",
  "msg",
  "name",
  "desc",
  "playcnt",
  "pubdate",
  "isfav",
  "gmid",
  "songmid",
];
const ByVid = Type.Record(Type.String(), Type.Unknown());

/** An MV's description and its files. */
export async function fetchMv(deps: TxDeps, client: TxClient, vid: string, call: Call): Promise<Mv> {
  if (!/^[0-9A-Za-z]{6,24}$/.test(vid)) throw new AppError("invalid_request", "QQ音乐: mv id 不正确");
  const about = await client.ask(
    {
      comm: { ct: 24, cv: 4_747_474 },
      mvinfo: {
        module: "video.VideoDataServer",
        method: "get_video_info_batch",
        param: { vidlist: [vid], required: REQUIRED },
      },
    },
    "mvinfo",
    ByVid,
    call,
  );
  const info = recordOf(about[vid]);
  const name = textOf(info["name"]);
  if (name === undefined) throw new AppError("upstream_not_found", "mv不存在");
  const cover = textOf(info["cover_pic"]);
  return {
    source: "tx",
    id: vid,
    name: decodeEntities(name),
    artists: listOf(info["singers"]).flatMap(toArtist),
    files: await fetchFiles(deps, client, vid, call),
    ids: {},
    ...present({
      intro: textOf(info["desc"]),
      durationSeconds: positive(info["duration"]),
      cover,
      // The size is part of the address: T015R640x360M101….jpg
      sizableCover: cover?.includes("R640x360M") ? cover.replace("R640x360M", "R{size}M") : undefined,
    }),
  };
}

async function fetchFiles(deps: TxDeps, client: TxClient, vid: string, call: Call): Promise<Record<string, MvFile>> {
  const older = await olderFiles(client, vid, call).catch((error: unknown) => {
    const failed = isAppError(error) && ["upstream_changed", "upstream_refused"].includes(error.kind);
    if (!deps.config.newer_request || !failed) throw error;
    return {};
  });
  if (Object.keys(older).length > 0) return older;
  if (!deps.config.newer_request) throw noFile();
  call.step?.("tx.second_attempt", {});
  const newer = await newerFiles(deps, client, vid, call);
  if (Object.keys(newer).length === 0) throw noFile();
  return newer;
}

const noFile = () => new AppError("upstream_refused", "QQ音乐: 该mv没有可播放的文件");

async function olderFiles(client: TxClient, vid: string, call: Call): Promise<Record<string, MvFile>> {
  const data = await client.ask(
    {
      comm: { ct: 24, cv: 4_747_474, g_tk: 812_935_580, uin: 0, format: "json", platform: "yqq" },
      mvUrl: {
        module: "gosrf.Stream.MvUrlProxy",
        method: "GetMvUrls",
        // The misspelt name is what the web page sends.
        param: { vids: [vid], request_typet: 10_001, addrtype: 3, format: 264 },
      },
    },
    "mvUrl",
    ByVid,
    call,
  );
  return filesOf(data[vid]);
}

async function newerFiles(deps: TxDeps, client: TxClient, vid: string, call: Call): Promise<Record<string, MvFile>> {
  const param = {
    vids: [vid],
    request_type: 10_003,
    guid: deps.config.vkeyserver.guid,
    videoformat: 1,
    format: 265,
    dolby: 1,
    use_new_domain: 1,
    use_ipv6: 1,
  };
  const data = await client.ask(
    { comm: GUEST_COMM, req: { module: "music.stream.MvUrlProxy", method: "GetMvUrls", param } },
    "req",
    ByVid,
    call,
  );
  return filesOf(data[vid]);
}

function filesOf(value: unknown): Record<string, MvFile> {
  const found: Record<string, MvFile> = {};
  for (const item of listOf(recordOf(value)["mp4"])) {
    const fields = recordOf(item);
    const height = HEIGHTS[numberOf(fields["filetype"]) ?? 0];
    const url = [...listOf(fields["url"]), ...listOf(fields["freeflow_url"])]
      .map(textOf)
      .find((address) => /^https?:\/\//.test(address ?? ""));
    if (height === undefined || url === undefined) continue;
    found[height] = { url, ...present({ size: positive(fields["fileSize"]) }) };
  }
  return found;
}

import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Mv, MvFile } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call } from "../source.ts";
import { BROWSER, type KgClient, refusal, requireHash } from "./client.ts";
import { compact, idsOf, Loose, numberOf, Part, partOf, plainName, positiveOf, sized, textOf } from "./fields.ts";

const File = Part(Type.Object({ downurl: Loose, hash: Loose, bitrate: Loose, filesize: Loose }));
const PlayReply = Type.Object({ status: Loose, mvdata: Part(Type.Object({ le: File, sq: File, rq: File })) });

const DetailReply = Type.Object({
  status: Loose,
  errcode: Loose,
  data: Part(
    Type.Object({
      info: Part(
        Type.Object({
          hash: Loose,
          filename: Loose,
          videoname: Loose,
          remark: Loose,
          description: Loose,
          singername: Loose,
          mv_timelength: Loose,
          imgurl: Loose,
          video_id: Loose,
          audio_info: Part(Type.Object({ hash: Loose, audio_id: Loose })),
          authors: Type.Optional(
            Type.Union([
              Type.Null(),
              Type.Array(Type.Object({ singername: Loose, singerid: Loose, singeravatar: Loose })),
            ]),
          ),
          tags: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.Object({ tag_name: Loose }))])),
        }),
      ),
    }),
  ),
});

const MISSING = "mv不存在";

/** What the mv is, and where its files are. @throws AppError `upstream_not_found` */
export async function fetchMv(client: KgClient, id: string, call: Call): Promise<Mv> {
  const hash = requireHash(id);
  const [detail, files] = await Promise.all([fetchDetail(client, hash, call), fetchFiles(client, hash, call)]);
  return { ...detail, files };
}

async function fetchDetail(client: KgClient, hash: string, call: Call): Promise<Omit<Mv, "files">> {
  const url = `http://mobilecdnbj.kugou.com/api/v3/mv/detail?mvhash=${hash}`;
  const reply = decode(DetailReply, await client.json({ url, headers: { "User-Agent": BROWSER } }, call), "kg");
  const info = partOf(partOf(reply.data)?.info);
  if (numberOf(reply.status) !== 1) throw refusal([reply.errcode, reply.status], MISSING);
  if (info === undefined) throw new AppError("upstream_not_found", MISSING);
  const image = textOf(info.imgurl);
  const singer = plainName(info.singername);
  const filename = plainName(info.filename);
  const artists = (info.authors ?? []).flatMap((author) => {
    const name = plainName(author.singername);
    const avatar = textOf(author.singeravatar);
    if (name === "") return [];
    const pictures = { avatar: avatar === "" ? "" : sized(avatar), sizableAvatar: avatar };
    return [{ name, ...compact({ id: textOf(author.singerid), ...pictures }) }];
  });
  const song = partOf(info.audio_info);
  return {
    source: "kg",
    id: textOf(info.hash) || hash,
    name: filename.replace(`${singer} - `, "") || plainName(info.videoname),
    artists: artists.length > 0 || singer === "" ? artists : [{ name: singer }],
    tags: (info.tags ?? []).map((tag) => plainName(tag.tag_name)).filter((tag) => tag !== ""),
    ids: idsOf({
      filename,
      musicHash: textOf(song?.hash),
      musicId: textOf(song?.audio_id),
      vid: textOf(info.video_id),
    }),
    ...compact({
      originalName: plainName(info.videoname),
      nameExtra: plainName(info.remark),
      intro: plainName(info.description),
      durationSeconds: seconds(positiveOf(info.mv_timelength)),
      cover: image === "" ? "" : sized(image),
      sizableCover: image,
    }),
  };
}

const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);

const HEIGHTS = [
  ["270p", "le"],
  ["720p", "sq"],
  ["1080p", "rq"],
] as const;

/** By height; empty when the platform gives no file. */
async function fetchFiles(client: KgClient, hash: string, call: Call): Promise<Record<string, MvFile>> {
  const url = `https://m.kugou.com/app/i/mv.php?cmd=100&hash=${hash}&ismp3=1&ext=mp4`;
  const reply = decode(PlayReply, await client.json({ url, headers: { "User-Agent": BROWSER } }, call), "kg");
  const data = partOf(reply.mvdata);
  if (numberOf(reply.status) !== 1 || data === undefined) return {};
  const files: Record<string, MvFile> = {};
  for (const [height, name] of HEIGHTS) {
    const file = partOf(data[name]);
    const address = textOf(file?.downurl);
    if (address === "") continue;
    files[height] = {
      url: address,
      ...compact({
        hash: textOf(file?.hash),
        bitrate: positiveOf(file?.bitrate),
        size: positiveOf(file?.filesize),
      }),
    };
  }
  return files;
}

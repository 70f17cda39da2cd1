import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Mv } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import type { Call } from "../source.ts";
import { absolute, IPHONE_HEADERS, Loose, type MgClient, NAME, textOf } from "./client.ts";

const RESOURCE = "https://c.musicapp.migu.cn/MIGUM2.0/v1.0/content/resourceinfo.do?resourceType=D&resourceId=";
/** Where the paths of the reply lie. */
const FILES = "https://freetyst.nf.migu.cn/public";

const MvReply = Type.Object({
  resource: Type.Optional(
    Type.Union([
      Type.Array(
        Type.Object({
          songName: Loose,
          singer: Loose,
          bluerayPath: Loose,
          highscreenPath: Loose,
          widescreenPath: Loose,
          imgs: Type.Optional(Type.Union([Type.Array(Type.Object({ img: Loose })), Type.Null()])),
        }),
      ),
      Type.Null(),
    ]),
  ),
});

/** By the mv's copyright id. Read from two public clients of 2026; three heights at most. */
export function createMv(client: MgClient) {
  return async function mv(id: string, call: Call): Promise<Mv> {
    if (!/^[0-9A-Za-z]{1,24}$/.test(id)) throw new AppError("invalid_request", `${NAME}: 无效的 id`);
    const body = await client.app({ url: RESOURCE + id, headers: IPHONE_HEADERS }, call);
    const found = decode(MvReply, body, "mg").resource?.[0];
    if (found === undefined) throw new AppError("upstream_not_found", `${NAME}: 没有找到该 MV`);
    const paths = { "1080p": found.bluerayPath, "720p": found.highscreenPath, "480p": found.widescreenPath };
    const files = Object.entries(paths).flatMap(([height, path]) =>
      textOf(path) === "" ? [] : [[height, { url: absolute(textOf(path), FILES) }] as const],
    );
    if (files.length === 0) throw new AppError("upstream_refused", `${NAME}: 该 MV 没有播放地址`);
    const cover = textOf(found.imgs?.[0]?.img);
    return {
      source: "mg",
      id,
      name: decodeEntities(textOf(found.songName)),
      artists: textOf(found.singer)
        .split("|")
        .flatMap((name) => (name.trim() === "" ? [] : [{ name: decodeEntities(name.trim()) }])),
      ...(cover === "" ? {} : { cover: absolute(cover) }),
      files: Object.fromEntries(files),
      ids: {},
    };
  };
}

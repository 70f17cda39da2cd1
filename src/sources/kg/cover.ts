import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call } from "../source.ts";
import type { KgClient } from "./client.ts";
import { Loose, Part, partOf, sized, textOf } from "./fields.ts";

const PC_HEADERS: Readonly<Record<string, string>> = {
  "KG-RC": "1",
  "KG-THash": "expand_search_manager.cpp:852736169:451",
  "User-Agent": "KuGou2012-9020-ExpandSearchManager",
  "Content-Type": "application/json",
};

const PrivilegeReply = Type.Object({
  data: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.Array(
        Type.Object({
          info: Part(
            Type.Object({
              image: Loose,
              imgsize: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.Number())])),
            }),
          ),
        }),
      ),
    ]),
  ),
});

/**
 * Where the song's own entry names no picture, the shop's does.
 * POST media.store/v1/get_res_privilege. @throws AppError `upstream_not_found`
 */
export async function fetchCover(client: KgClient, song: Song, call: Call): Promise<string> {
  if (song.cover !== undefined) return song.cover;
  const who = client.who(call);
  const singers = song.artists.map((artist) => artist.name).join("、");
  const body = JSON.stringify({
    appid: 1001,
    area_code: "1",
    behavior: "play",
    clientver: "9020",
    need_hash_offset: 1,
    relate: 1,
    resource: [
      {
        album_audio_id: song.ids["albumAudioId"] ?? "",
        album_id: song.album?.id ?? "",
        hash: song.songId,
        id: 0,
        name: `${singers} - ${song.name}.mp3`,
        type: "audio",
      },
    ],
    token: "",
    userid: who.userid === "0" ? 0 : Number(who.userid),
    vip: 0,
  });
  const url = "http://media.store.kugou.com/v1/get_res_privilege";
  const answer = await client.json({ url, method: "POST", headers: { ...PC_HEADERS }, body, retry: true }, call);
  const info = partOf(decode(PrivilegeReply, answer, "kg").data?.[0]?.info);
  const image = textOf(info?.image);
  if (image === "") throw new AppError("upstream_not_found", "获取封面失败: 当前歌曲无封面");
  return sized(image, Math.max(0, ...(info?.imgsize ?? [])) || 480);
}

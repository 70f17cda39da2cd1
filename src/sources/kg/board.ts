import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Board, Page, Song } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call, PageRequest } from "../source.ts";
import { address, type KgClient, refusal } from "./client.ts";
import { compact, Loose, numberOf, Part, partOf, plainName, sized, textOf } from "./fields.ts";
import { fetchItems, itemSong, VERSION } from "./list.ts";

const BoardsReply = Type.Object({
  errcode: Loose,
  data: Part(
    Type.Object({
      info: Type.Array(
        Type.Object({ rankid: Loose, rankname: Loose, imgurl: Loose, isvol: Loose, update_frequency: Loose }),
      ),
    }),
  ),
});

export async function fetchBoards(client: KgClient, call: Call): Promise<Board[]> {
  const url = address("http://mobilecdnbj.kugou.com/api/v5/rank/list", [
    ...VERSION,
    ["plat", 0],
    ["showtype", 2],
    ["parentid", 0],
    ["apiver", 6],
    ["area_code", 1],
    ["withsong", 1],
  ]);
  const reply = decode(BoardsReply, await client.json({ url }, call), "kg");
  const data = partOf(reply.data);
  if (data === undefined) throw refusal(reply.errcode, "获取排行榜失败");
  return data.info.flatMap((entry): Board[] => {
    const id = textOf(entry.rankid);
    const name = plainName(entry.rankname);
    // Entries without a volume are folders and advertisements.
    if (id === "" || name === "" || (numberOf(entry.isvol) ?? 1) !== 1) return [];
    const image = textOf(entry.imgurl);
    const cover = image === "" ? "" : sized(image);
    return [{ source: "kg", id, name, ...compact({ cover, updateText: textOf(entry.update_frequency) }) }];
  });
}

export async function fetchBoard(client: KgClient, id: string, page: PageRequest, call: Call): Promise<Page<Song>> {
  const { items, total } = await fetchBoardItems(client, id, page, call);
  return { total, page: page.page, size: page.size, list: items.flatMap(itemSong) };
}

/** GET mobilecdnbj/api/v3/rank/song */
export function fetchBoardItems(client: KgClient, id: string, page: PageRequest, call: Call) {
  if (!/^\d{1,12}$/.test(id)) throw new AppError("invalid_request", "酷狗排行榜 ID 应为数字");
  const url = address("http://mobilecdnbj.kugou.com/api/v3/rank/song", [
    ...VERSION,
    ["ranktype", 1],
    ["plat", 0],
    ["pagesize", page.size],
    ["area_code", 1],
    ["page", page.page],
    ["rankid", id],
    ["with_res_tag", 0],
    ["show_portrait_mv", 1],
  ]);
  return fetchItems(client, url, {}, call);
}

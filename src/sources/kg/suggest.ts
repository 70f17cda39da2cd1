import { Type } from "@sinclair/typebox";
import { decode } from "../decode.ts";
import type { Call } from "../source.ts";
import { ANDROID_SECRET, address, type KgClient, queryText, refusal } from "./client.ts";
import { Loose, Part, partOf, plainName } from "./fields.ts";

const TipReply = Type.Object({
  data: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.Array(
        Type.Object({
          RecordDatas: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.Object({ HintInfo: Loose }))])),
        }),
      ),
    ]),
  ),
});

export async function suggest(client: KgClient, query: string, call: Call): Promise<string[]> {
  const url = `https://searchtip.kugou.com/getSearchTip?${queryText([
    ["MusicTipCount", 10],
    ["keyword", query],
  ])}`;
  const reply = decode(
    TipReply,
    await client.json({ url, headers: { Referer: "https://www.kugou.com/" } }, call),
    "kg",
  );
  if (reply.data === undefined) throw refusal(undefined, "获取搜索建议失败");
  return (reply.data?.[0]?.RecordDatas ?? []).map((record) => plainName(record.HintInfo)).filter((word) => word !== "");
}

const HotReply = Type.Object({
  errcode: Loose,
  data: Part(
    Type.Object({
      list: Type.Array(Type.Object({ keywords: Type.Array(Type.Object({ keyword: Loose })) })),
    }),
  ),
});

/** GET gateway/api/v3/search/hot_tab; each word once, in the platform's order. */
export async function hotWords(client: KgClient, call: Call): Promise<string[]> {
  const who = client.who(call);
  const params = client.signed(
    [
      ["appid", 1005],
      ["clientver", 10026],
      ["plat", 0],
    ],
    "",
    ANDROID_SECRET,
  );
  const headers = {
    "User-Agent": "Android9-AndroidPhone-10020-130-0-searchrecommendprotocol-wifi",
    dfid: who.dfid,
    mid: who.mid,
    clienttime: String(client.seconds()),
    "x-router": "msearch.kugou.com",
    "kg-rc": "1",
  };
  const url = address("https://gateway.kugou.com/api/v3/search/hot_tab", params);
  const reply = decode(HotReply, await client.json({ url, headers }, call), "kg");
  const data = partOf(reply.data);
  if (data === undefined) throw refusal(reply.errcode, "获取热搜失败");
  const words = data.list.flatMap((tab) => tab.keywords.map((item) => plainName(item.keyword)));
  return [...new Set(words)].filter((word) => word !== "");
}

import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import { decode } from "../decode.ts";
import type { Call } from "../source.ts";
import { ANDROID_SECRET, address, BROWSER, type KgClient, refusal } from "./client.ts";
import { Loose, Part, partOf, textOf } from "./fields.ts";
import { AUDIO_HEADERS } from "./song.ts";

/** What an id of a playlist can be. */
export type PlaylistId = { kind: "special" | "global" | "gcid"; id: string };

const MAX_HOPS = 4;

/**
 * Finds the playlist behind what people paste: a number, `collection_…`, `gcid_…`, an address that holds one of them,
 * or a short link that leads to such an address.
 * @throws AppError `invalid_request` when it names no playlist; `upstream_*` when a short link cannot be followed
 */
export async function resolvePlaylistId(client: KgClient, pasted: string, call: Call): Promise<PlaylistId> {
  const text = pasted.trim();
  const plain = idIn(text);
  if (plain !== undefined) return plain;
  let next = kugouAddress(/https?:\/\/[^\s"'<>，。》）]+/.exec(text)?.[0]);
  for (let hop = 0; next !== undefined && hop < MAX_HOPS; hop++) {
    const named = idIn(next.href);
    if (named !== undefined) return named;
    const reply = await client.send({ url: next.href, headers: { "User-Agent": BROWSER }, redirect: "manual" }, call);
    const location = reply.headers.get("location");
    if (location === null) {
      const inPage = idIn(reply.text().slice(0, 500_000));
      if (inPage !== undefined) return inPage;
      break;
    }
    next = kugouAddress(location, next);
  }
  throw new AppError("invalid_request", "无法识别的酷狗歌单链接或 ID");
}

/** Only the platform's own hosts are asked, whatever a link or a redirect says. */
function kugouAddress(text: string | undefined, base?: URL): URL | undefined {
  if (text === undefined || !URL.canParse(text, base)) return undefined;
  const url = new URL(text, base);
  const ours = /(^|\.)kugou\.com$/i.test(url.hostname) && url.port === "" && /^https?:$/.test(url.protocol);
  return ours ? url : undefined;
}

/** The id that a text holds: an id alone, a parameter or path of an address, or a value in a page's data. */
export function idIn(text: string): PlaylistId | undefined {
  const alone = /^(?:special_)?(\d{1,15})$/.exec(text);
  if (alone?.[1] !== undefined) return { kind: "special", id: alone[1] };
  const global = /\b(collection_[\w-]{5,80})/.exec(text);
  if (global?.[1] !== undefined) return { kind: "global", id: global[1] };
  const gcid = /\b(gcid_\w{4,40})/.exec(text);
  if (gcid?.[1] !== undefined) return { kind: "gcid", id: gcid[1] };
  const special = /(?:special\/single\/|plist\/list\/|[?&"]specialid"?[=:]\s*"?)(\d{2,15})/.exec(text);
  return special?.[1] === undefined ? undefined : { kind: "special", id: special[1] };
}

/** A number alone, or the address of an album's page. @throws AppError `invalid_request` */
export function albumIdIn(pasted: string): string {
  const text = pasted.trim();
  const found = /^(\d{1,15})$/.exec(text) ?? /(?:\/album\/(?:info\/)?|[?&]album_?id=)(\d{1,15})/i.exec(text);
  if (found?.[1] === undefined) throw new AppError("invalid_request", "无法识别的酷狗专辑链接或 ID");
  return found[1];
}

const DecodeReply = Type.Object({
  error_code: Loose,
  data: Part(Type.Object({ list: Type.Array(Type.Object({ global_collection_id: Loose })) })),
});

/** POST t.kugou.com/v1/songlist/batch_decode. @throws AppError `upstream_not_found` */
export async function decodeGcid(client: KgClient, gcid: string, call: Call): Promise<string> {
  const body = JSON.stringify({ ret_info: 1, data: [{ id: gcid, id_type: 2 }] });
  const params = client.signed(
    [
      ["dfid", "-"],
      ["appid", 1005],
      ["mid", 0],
      ["clientver", 20109],
      ["clienttime", 640612895],
      ["uuid", "-"],
    ],
    body,
    ANDROID_SECRET,
  );
  const headers = { "User-Agent": AUDIO_HEADERS["User-Agent"] ?? BROWSER, "Content-Type": "application/json" };
  const url = address("https://t.kugou.com/v1/songlist/batch_decode", params);
  const reply = decode(DecodeReply, await client.json({ url, method: "POST", headers, body, retry: true }, call), "kg");
  const data = partOf(reply.data);
  if (data === undefined) throw refusal(reply.error_code, "酷狗歌单链接解析失败");
  const id = textOf(data.list[0]?.global_collection_id);
  if (id === "") throw new AppError("upstream_not_found", "酷狗歌单不存在");
  return id;
}

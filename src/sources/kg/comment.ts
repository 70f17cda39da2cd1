import { type Static, Type } from "@sinclair/typebox";
import type { Comment, Page } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import type { Call, CommentRequest } from "../source.ts";
import { ANDROID_SECRET, address, BROWSER, type KgClient, refusal, requireHash } from "./client.ts";
import { compact, Loose, numberOf, Part, partOf, textOf } from "./fields.ts";

const Entry = Type.Object({
  id: Loose,
  content: Loose,
  addtime: Loose,
  location: Loose,
  user_id: Loose,
  user_name: Loose,
  user_pic: Loose,
  like: Part(Type.Object({ likenum: Loose })),
  reply_num: Loose,
  images: Type.Optional(Type.Union([Type.Null(), Type.Array(Type.Object({ url: Loose }))])),
  /** The comment that this one answers. */
  pcontent: Loose,
  puser: Loose,
  puser_id: Loose,
});
const Reply = Type.Object({
  err_code: Loose,
  count: Loose,
  list: Type.Optional(Type.Union([Type.Null(), Type.Array(Entry)])),
});

/** GET m.comment.service/r/v1/rank/{newest,topliked}. @throws AppError `upstream_*` */
export async function fetchComments(client: KgClient, request: CommentRequest, call: Call): Promise<Page<Comment>> {
  const hash = requireHash(request.songId).toUpperCase();
  const params = client.signed(
    [
      ["dfid", 0],
      ["mid", client.config.user.mid],
      ["clienttime", client.deps.now()],
      ["uuid", 0],
      ["extdata", hash],
      ["appid", 1005],
      ["code", "fc4be23b4e972707f36b8a828a93ba8a"],
      ["schash", hash],
      ["clientver", 11409],
      ["p", request.page],
      ["clienttoken", ""],
      ["pagesize", request.size],
      ["ver", 10],
      ["kugouid", 0],
    ],
    "",
    ANDROID_SECRET,
  );
  const order = request.sort === "hot" ? "topliked" : "newest";
  const url = address(`http://m.comment.service.kugou.com/r/v1/rank/${order}`, params);
  const reply = decode(Reply, await client.json({ url, headers: { "User-Agent": BROWSER } }, call), "kg");
  if (numberOf(reply.err_code) !== 0) throw refusal(reply.err_code, "获取评论失败");
  const list = (reply.list ?? []).flatMap(toComment);
  return { total: numberOf(reply.count) ?? list.length, page: request.page, size: request.size, list };
}

function toComment(entry: Static<typeof Entry>): Comment[] {
  const id = textOf(entry.id);
  if (id === "") return [];
  const timeText = textOf(entry.addtime);
  const parent = decodeEntities(textOf(entry.pcontent));
  const parentUser = decodeEntities(textOf(entry.puser));
  const images = (entry.images ?? []).map((image) => textOf(image.url)).filter((url) => url !== "");
  return [
    {
      id,
      text: decodeEntities(textOf(entry.content)),
      user: {
        name: decodeEntities(textOf(entry.user_name)),
        ...compact({ id: textOf(entry.user_id), avatar: textOf(entry.user_pic) }),
      },
      ...compact({
        time: unixMs(timeText),
        timeText,
        location: textOf(entry.location),
        likes: numberOf(partOf(entry.like)?.likenum),
        replyCount: numberOf(entry.reply_num),
      }),
      ...(images.length > 0 ? { images } : {}),
      ...(parent === "" ? {} : { replies: [{ id: `${id}/parent`, text: parent, user: { name: parentUser } }] }),
    },
  ];
}

/** "2020-01-02 03:04:05", in the platform's time zone. */
function unixMs(text: string): number | undefined {
  const match = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)$/.exec(text);
  const time = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}+08:00`);
  return Number.isNaN(time) ? undefined : time;
}

import { Type } from "@sinclair/typebox";
import { AppError } from "../../core/errors.ts";
import type { Comment, Page } from "../../core/types.ts";
import { decode } from "../decode.ts";
import { decodeEntities } from "../lrc.ts";
import { idOf, listOf, numberOf, positive, present, recordOf, textOf } from "../read.ts";
import type { Call, CommentRequest } from "../source.ts";
import { DALVIK_USER_AGENT, type KwClient, numericRid } from "./client.ts";

const Reply = Type.Object({ code: Type.Union([Type.String(), Type.Integer()]) });
const FIELDS = {
  hot: { type: "get_rec_comment", list: "hot_comments", total: "hot_comments_counts" },
  new: { type: "get_comment", list: "comments", total: "comments_counts" },
} as const;
const Amount = Type.Union([Type.Integer(), Type.String({ pattern: "^\\d+$" })]);

export async function fetchComments(client: KwClient, request: CommentRequest, call: Call): Promise<Page<Comment>> {
  const { songId, page, size, sort } = request;
  const { type, list, total } = FIELDS[sort];
  const address = `http://ncomment.kuwo.cn/com.s?f=web&type=${type}&aapiver=1&prod=kwplayer_ar_10.5.2.0&digest=15&sid=${numericRid(songId)}&start=${(page - 1) * size}&msgflag=1&count=${size}&newver=3&uid=0`;
  const got = await client.get(address, { "User-Agent": DALVIK_USER_AGENT }, call);
  const reply = decode(Reply, got.json(), "kw");
  if (String(reply.code) !== "200") {
    throw new AppError("upstream_refused", "酷我: 评论获取失败", { upstreamCode: reply.code });
  }
  const found = decode(Type.Object({ [total]: Amount }), recordOf(reply), "kw");
  return { total: Number(found[total]), page, size, list: listOf(recordOf(reply)[list]).flatMap(toComment) };
}

function toComment(value: unknown): Comment[] {
  const fields = recordOf(value);
  const [id, name] = [idOf(fields["id"]), textOf(fields["u_name"])];
  if (id === undefined || name === undefined) return [];
  const { seconds, written } = timeOf(fields["time"]);
  const picture = textOf(fields["mpic"]);
  const replies = listOf(fields["child_comments"]).flatMap(toComment);
  return [
    {
      id,
      text: decodeEntities(textOf(fields["msg"]) ?? ""),
      user: {
        name: decodeEntities(decoded(name)),
        ...present({ id: idOf(fields["u_id"]), avatar: textOf(fields["u_pic"]) }),
      },
      ...present({
        time: seconds === undefined ? undefined : seconds * 1000,
        timeText: written,
        likes: numberOf(fields["like_num"]),
        images: picture === undefined ? undefined : [picture],
        replies: replies.length === 0 ? undefined : replies,
      }),
    },
  ];
}

/** Seconds, or a date as the site shows it. */
function timeOf(value: unknown): { seconds?: number; written?: string } {
  const seconds = positive(value);
  const written = textOf(value);
  if (seconds !== undefined) return { seconds };
  return written === undefined ? {} : { written };
}

/** Names come encoded for an address. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

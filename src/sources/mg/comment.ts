import { type Static, Type } from "@sinclair/typebox";
import { LRUCache } from "lru-cache";
import { AppError } from "../../core/errors.ts";
import type { Comment, Page } from "../../core/types.ts";
import { decode } from "../decode.ts";
import type { Call, CommentRequest } from "../source.ts";
import { absolute, IPHONE_HEADERS, kindOfId, Loose, type MgClient, NAME, textOf } from "./client.ts";
import type { MgSongs } from "./song.ts";

const COMMENTS = "https://app.c.nf.migu.cn/MIGUM3.0/user/comment/stack/v1.0";

const nullable = <T extends ReturnType<typeof Type.Object>>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));
const User = nullable(Type.Object({ userId: Loose, nickName: Loose, middleIcon: Loose, smallIcon: Loose }));
type UserItem = Static<typeof User> | undefined;
const Reply = Type.Object({ replyId: Loose, replyInfo: Loose, replyTime: Loose, user: User });
const Item = Type.Object({
  commentId: Type.Union([Type.String(), Type.Number()]),
  commentInfo: Loose,
  commentTime: Loose,
  user: User,
  opNumItem: nullable(Type.Object({ thumbNum: Loose })),
  replyTotalCount: Loose,
  replyComments: Type.Optional(Type.Union([Type.Array(Reply), Type.Null()])),
});
const Items = Type.Optional(Type.Union([Type.Array(Item), Type.Null()]));
const CommentReply = Type.Object({
  data: Type.Object({ commentNums: Loose, cfgHotCount: Loose, comments: Items, hotComments: Items }),
});
type Data = Static<typeof CommentReply>["data"];

/** Pages are chained by the last comment's id: so many may be walked for one request that jumps ahead. */
const MAX_WALK = 10;
const MAX_CURSORS = 2000;

export function createComments(client: MgClient, songs: MgSongs) {
  /** `songId size page` -> id of the comment before that page. */
  const cursors = new LRUCache<string, string>({ max: MAX_CURSORS, ttl: 30 * 60_000 });

  return async function comments(request: CommentRequest, call: Call): Promise<Page<Comment>> {
    const songId =
      kindOfId(request.songId) === "songId" ? request.songId : (await songs.find(request.songId, call)).song.songId;
    const { page, size } = request;
    const hot = request.sort === "hot";
    const data = hot
      ? await ask(songId, size, `queryType=2&hotCommentStart=${size * (page - 1)}`, call)
      : await newest(songId, page, size, call);
    const items = (hot ? data.hotComments : data.comments) ?? [];
    const total = Number(textOf(hot ? data.cfgHotCount : data.commentNums)) || 0;
    return { total, page, size, list: items.map(toComment) };
  };

  async function newest(songId: string, page: number, size: number, call: Call): Promise<Data> {
    const keyOf = (number: number) => `${songId} ${size} ${number}`;
    let at = page;
    while (at > 1 && cursors.get(keyOf(at)) === undefined) at--;
    if (page - at >= MAX_WALK) throw new AppError("invalid_request", `${NAME}: 评论需要逐页读取，请从前面的页开始`);
    for (; ; at++) {
      const last = at === 1 ? "" : (cursors.get(keyOf(at)) ?? "");
      const data = await ask(songId, size, `queryType=1&commentId=${encodeURIComponent(last)}`, call);
      const next = data.comments?.at(-1)?.commentId;
      if (next !== undefined) cursors.set(keyOf(at + 1), String(next));
      // Past the end every further page is as empty as this one.
      if (at >= page || next === undefined) return data;
    }
  }

  async function ask(songId: string, size: number, which: string, call: Call): Promise<Data> {
    const url = `${COMMENTS}?pageSize=${size}&resourceId=${songId}&resourceType=2&${which}`;
    return decode(CommentReply, await client.app({ url, headers: IPHONE_HEADERS }, call), "mg").data;
  }
}

function toComment(item: Static<typeof Item>): Comment {
  const likes = textOf(item.opNumItem?.thumbNum);
  const replies = (item.replyComments ?? []).map((reply) =>
    written(textOf(reply.replyId), reply.replyInfo, reply.replyTime, reply.user),
  );
  const replyCount = Number(textOf(item.replyTotalCount)) || 0;
  return {
    ...written(textOf(item.commentId), item.commentInfo, item.commentTime, item.user),
    ...(likes === "" ? {} : { likes: Number(likes) || 0 }),
    ...(replyCount > 0 ? { replyCount } : {}),
    ...(replies.length > 0 ? { replies } : {}),
  };
}

function written(id: string, text: unknown, time: unknown, user: UserItem): Comment {
  const avatar = textOf(user?.middleIcon) || textOf(user?.smallIcon);
  const userId = textOf(user?.userId);
  const at = timeOf(textOf(time));
  return {
    id,
    text: textOf(text),
    user: {
      name: textOf(user?.nickName),
      ...(userId === "" ? {} : { id: userId }),
      ...(avatar === "" ? {} : { avatar: absolute(avatar) }),
    },
    ...(textOf(time) === "" ? {} : { timeText: textOf(time) }),
    ...(at === undefined ? {} : { time: at }),
  };
}

/** `yyyy-mm-dd hh:mm:ss` of China. */
function timeOf(text: string): number | undefined {
  const match = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})/.exec(text);
  const ms = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}+08:00`);
  return Number.isNaN(ms) ? undefined : ms;
}

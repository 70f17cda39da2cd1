import { type Static, Type } from "@sinclair/typebox";
import type { Comment, Page } from "../../core/types.ts";
import { firstAnswer } from "../attempts.ts";
import { decode } from "../decode.ts";
import type { Call, CommentRequest, SourceDeps } from "../source.ts";
import { checkId, maybe, type WyClient } from "./client.ts";

const User = maybe(
  Type.Object({
    userId: maybe(Type.Number()),
    nickname: maybe(Type.String()),
    avatarUrl: maybe(Type.String()),
  }),
);
const Replied = Type.Object({
  beRepliedCommentId: maybe(Type.Number()),
  content: maybe(Type.String()),
  user: User,
  ipLocation: maybe(Type.Object({ location: maybe(Type.String()) })),
});
const Item = Type.Composite([
  Replied,
  Type.Object({
    commentId: Type.Number(),
    time: maybe(Type.Number()),
    timeStr: maybe(Type.String()),
    likedCount: maybe(Type.Number()),
    replyCount: maybe(Type.Number()),
    beReplied: maybe(Type.Array(Replied)),
  }),
]);
const Newer = Type.Object({
  data: Type.Object({ comments: maybe(Type.Array(Item)), totalCount: maybe(Type.Number()) }),
});
const HotReply = Type.Object({ hotComments: maybe(Type.Array(Item)), total: maybe(Type.Number()) });

interface Answer {
  items: Static<typeof Item>[];
  total: number;
}

/** Comments on a song. Newest and hot are two interfaces each: one for eapi, and the web page's own. */
export function createComments(client: WyClient, deps: Pick<SourceDeps<unknown>, "now">) {
  return async function comments(request: CommentRequest, call: Call): Promise<Page<Comment>> {
    const thread = `R_SO_4_${checkId(request.songId)}`;
    const ways = request.sort === "hot" ? hotWays(thread, request, call) : newWays(thread, request, call);
    const { items, total } = await firstAnswer(ways, call, deps);
    return { total, page: request.page, size: request.size, list: items.map(toComment) };
  };

  function hotWays(thread: string, { page, size }: CommentRequest, call: Call) {
    const offset = size * (page - 1);
    const newer = { threadId: thread, pageNo: page, pageSize: size, showInner: true, sortType: 2 };
    const cursor = `normalHot#${offset}`;
    const older = { rid: thread, limit: size, offset, beforeTime: String(deps.now()) };
    return [
      { name: "eapi", run: () => newerAnswer(client.eapi("/api/v2/resource/comments", { ...newer, cursor }, call)) },
      {
        name: "weapi",
        run: async (): Promise<Answer> => {
          const { body } = await client.weapi(`/weapi/v1/resource/hotcomments/${thread}`, older, call);
          const { hotComments, total } = decode(HotReply, body, "wy");
          return { items: hotComments ?? [], total: total ?? 0 };
        },
      },
    ];
  }

  function newWays(thread: string, { page, size }: CommentRequest, call: Call) {
    const payload = {
      cursor: String(deps.now()),
      offset: 0,
      orderType: 1,
      pageNo: page,
      pageSize: size,
      rid: thread,
      threadId: thread,
    };
    const path = "comment/resource/comments/get";
    return [
      { name: "eapi", run: () => newerAnswer(client.eapi(`/api/${path}`, payload, call)) },
      { name: "weapi", run: () => newerAnswer(client.weapi(`/weapi/${path}`, payload, call)) },
    ];
  }
}

async function newerAnswer(asked: Promise<{ body: unknown }>): Promise<Answer> {
  const { comments, totalCount } = decode(Newer, (await asked).body, "wy").data;
  return { items: comments ?? [], total: totalCount ?? 0 };
}

/** A reply is shown below what it replies to, as LX does. */
function toComment(item: Static<typeof Item>): Comment {
  const own = { ...written(item, String(item.commentId)), ...measured(item) };
  const [parent] = item.beReplied ?? [];
  if (parent === undefined) return own;
  return { ...written(parent, String(parent.beRepliedCommentId ?? `${item.commentId}-parent`)), replies: [own] };
}

function written(item: Static<typeof Replied>, id: string): Comment {
  const { userId, nickname, avatarUrl } = item.user ?? {};
  return {
    id,
    text: item.content ?? "",
    user: {
      name: nickname ?? "",
      ...(userId ? { id: String(userId) } : {}),
      ...(avatarUrl ? { avatar: avatarUrl } : {}),
    },
    ...(item.ipLocation?.location ? { location: item.ipLocation.location } : {}),
  };
}

function measured(item: Static<typeof Item>): Partial<Comment> {
  return {
    ...(item.time ? { time: item.time } : {}),
    ...(item.timeStr ? { timeText: item.timeStr } : {}),
    ...(typeof item.likedCount === "number" ? { likes: item.likedCount } : {}),
    ...(item.replyCount ? { replyCount: item.replyCount } : {}),
  };
}

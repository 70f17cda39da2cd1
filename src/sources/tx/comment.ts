import { Type } from "@sinclair/typebox";
import type { Comment, Page } from "../../core/types.ts";
import { decodeEntities } from "../lrc.ts";
import { idOf, listOf, numberOf, positive, present, recordOf, textOf } from "../read.ts";
import type { Call, CommentRequest } from "../source.ts";
import { GUEST_COMM, type TxClient } from "./client.ts";
import { numberFor } from "./lyric.ts";
import { SONG_NOT_FOUND } from "./song.ts";

const CommentData = Type.Object({
  CommentList: Type.Object({ Total: Type.Integer(), Comments: Type.Optional(Type.Unknown()) }),
});

/** Comments on a song, by mid or number. */
export async function fetchComments(client: TxClient, request: CommentRequest, call: Call): Promise<Page<Comment>> {
  const { songId, page, size, sort } = request;
  const id = await numberFor(client, songId, call, undefined, SONG_NOT_FOUND);
  const param = {
    BizType: 1,
    BizId: String(id),
    LastCommentSeqNo: "",
    PageSize: size,
    PageNum: page - 1,
    ...(sort === "hot" ? { HotType: 1 } : { HashTagID: "", SelfSeeEnable: 1 }),
    WithAirborne: 0,
    PicEnable: 1,
  };
  const method = sort === "hot" ? "GetHotCommentList" : "GetNewCommentList";
  const { CommentList } = await client.ask(
    { comm: GUEST_COMM, req: { module: "music.globalComment.CommentRead", method, param } },
    "req",
    CommentData,
    call,
  );
  return { total: CommentList.Total, page, size, list: listOf(CommentList.Comments).flatMap(toComment) };
}

function toComment(value: unknown): Comment[] {
  const fields = recordOf(value);
  const id = idOf(fields["CmId"]);
  const nick = textOf(fields["Nick"]);
  if (id === undefined || nick === undefined) return [];
  const seconds = positive(fields["PubTime"]);
  const picture = textOf(fields["Pic"]);
  const replies = listOf(fields["SubComments"]).flatMap(toComment);
  return [
    {
      id,
      text: textIn(textOf(fields["Content"]) ?? ""),
      user: {
        name: decodeEntities(nick),
        ...present({ id: idOf(fields["EncryptUin"]), avatar: textOf(fields["Avatar"]) }),
      },
      ...present({
        time: seconds === undefined ? undefined : seconds * 1000,
        location: textOf(fields["Location"]),
        likes: numberOf(fields["PraiseNum"]),
        images: picture === undefined ? undefined : [picture],
        replies: replies.length === 0 ? undefined : replies,
        replyCount: numberOf(fields["ReplyCnt"]),
      }),
    },
  ];
}

/** Line breaks come as the two characters `\n`, the platform's own pictures as `[em]e400846[/em]`. */
function textIn(content: string): string {
  return decodeEntities(content.replaceAll("\\n", "\n").replace(/\[em\]e\d+\[\/em\]/g, "[表情]"));
}

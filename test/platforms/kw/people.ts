import { json, type PlatformRequest, type World } from "../world.ts";
import { byRid } from "./songs.ts";

/** `com.s`: hot and new come under different names. */
export function comments(request: PlatformRequest, world: World): Response {
  const { params } = request;
  const app = request.headers.get("user-agent")?.startsWith("Dalvik/");
  if (!app || params.get("f") !== "web" || params.get("digest") !== "15")
    return json({ code: "501", msg: "param error" });
  const total = byRid(world, params.get("sid")) === undefined ? 0 : 25;
  const [start, count] = [Number(params.get("start")), Number(params.get("count"))];
  const list = Array.from({ length: Math.max(0, Math.min(count, total - start)) }, (_, at) => comment(start + at));
  switch (params.get("type")) {
    case "get_comment":
      return json({ code: "200", comments: list, comments_counts: total });
    case "get_rec_comment":
      return json({ code: "200", hot_comments: list, hot_comments_counts: String(total) });
    default:
      return json({ code: "501" });
  }
}

function comment(index: number): Record<string, unknown> {
  return {
    id: String(9000 + index),
    msg: `第 ${index} 条 &amp; 好听`,
    time: String(1_700_000_000 + index),
    u_id: `77${index}`,
    u_name: encodeURIComponent(`听众 ${index}`),
    u_pic: "http://img3.kuwo.cn/u.jpg",
    like_num: String(100 - index),
    mpic: index === 0 ? "http://img3.kuwo.cn/m.jpg" : "",
    child_comments:
      index === 0 ? [{ id: "1", msg: "同感", time: "2023-11-15", u_id: "1", u_name: "路人", like_num: "0" }] : [],
  };
}

/** `rid_pic`: the body is the address. */
export function coverAddress(request: PlatformRequest, world: World): Response {
  const song = byRid(world, request.params.get("rid"));
  if (request.params.get("type") !== "rid_pic") return new Response("", { status: 400 });
  return new Response(song === undefined ? "NO_PIC" : `http://img1.kuwo.cn/star/albumcover/500/${song.album.id}.jpg`);
}

/** The site's service knows the first song's video only, the older one all of free songs. */
export function mv(generation: "site" | "older") {
  return (request: PlatformRequest, world: World): Response => {
    const { params } = request;
    const rid = (params.get("rid") ?? "").replace(/^MUSIC_/, "");
    const song = byRid(world, rid);
    if (params.get("type") !== "convert_url" || params.get("format") !== "mp4|mkv")
      return new Response("", { status: 400 });
    const has = song?.right === "free" && (generation === "older" || song === world.songs[0]);
    return new Response(has ? `http://mv.sycdn.kuwo.cn/${generation}/${rid}.mp4` : "res not found");
  };
}

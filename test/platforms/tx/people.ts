import type { Answer, Asked } from "./answer.ts";
import { byId } from "./songs.ts";
import { accountOf } from "./vkey.ts";

/** Comments: hot and new differ in what they must be asked with. */
export function comments(kind: "hot" | "new") {
  return ({ param, world }: Asked): Answer => {
    const right = kind === "hot" ? param["HotType"] === 1 : param["HashTagID"] === "" && param["SelfSeeEnable"] === 1;
    if (!right || param["BizType"] !== 1 || typeof param["BizId"] !== "string") return { code: 10_001 };
    const song = byId(world, param["BizId"]);
    const size = Number(param["PageSize"]);
    const first = Number(param["PageNum"]) * size;
    const total = song === undefined ? 0 : 45;
    const list = Array.from({ length: Math.max(0, Math.min(size, total - first)) }, (_, at) =>
      comment(kind, first + at),
    );
    return { code: 0, data: { CommentList: { Total: total, HasMore: first + size < total ? 1 : 0, Comments: list } } };
  };
}

function comment(kind: string, index: number): Record<string, unknown> {
  return {
    CmId: `${kind}_${index}`,
    SeqNo: String(1000 - index),
    Content: `第 ${index} 条\\n好听[em]e400846[/em] &amp; 感动`,
    PubTime: 1_700_000_000 + index,
    Nick: `听众${index}`,
    EncryptUin: `enc${index}`,
    Avatar: "http://thirdqq.qlogo.cn/1",
    PraiseNum: 100 - index,
    Pic: index === 0 ? "http://y.gtimg.cn/c.jpg" : "",
    Location: index === 0 ? "广东" : "",
    ReplyCnt: index === 0 ? 1 : 0,
    SubComments:
      index === 0 ? [{ CmId: "sub_0", Content: "同感", PubTime: 1_700_000_100, Nick: "路人", PraiseNum: 1 }] : [],
  };
}

export function mvInfo({ param, world }: Asked): Answer {
  const [vid] = Array.isArray(param["vidlist"]) ? param["vidlist"] : [];
  const song = world.songs.find((item) => item.ids.tx.vid === vid);
  if (song === undefined) return { code: 0, data: {} };
  const info = {
    vid,
    name: song.name,
    desc: "介绍",
    cover_pic: "http://y.qq.com/music/photo_new/T015R640x360M101003VlbR72nDZ1y.jpg",
    duration: song.durationSeconds,
    singers: song.artists.map((artist) => ({ id: Number(artist.id), mid: artist.mid, name: artist.name })),
    pubdate: 1_500_000_000,
    playcnt: 5,
  };
  return { code: 0, data: { [String(vid)]: info } };
}

/** The older service has files for the first song only, the newer for all: both ways get used. */
export function mvUrls(generation: "older" | "newer") {
  return ({ param, world }: Asked): Answer => {
    const [vid] = Array.isArray(param["vids"]) ? param["vids"] : [];
    const right = generation === "older" ? param["request_typet"] === 10_001 : param["request_type"] === 10_003;
    const song = world.songs.find((item) => item.ids.tx.vid === vid);
    if (!right) return { code: 10_001 };
    const served = song !== undefined && song.right !== "none" && (generation === "newer" || song === world.songs[0]);
    const file = (filetype: number, has: boolean) => ({
      filetype,
      fileSize: has ? filetype * 1_000_000 : 0,
      url: has ? [`http://mv.music.tc.qq.com/${vid}.f${filetype}.mp4?vkey=1`] : [],
      freeflow_url: has ? [`http://mv6.music.tc.qq.com/${vid}.f${filetype}.mp4?vkey=2`] : [],
      code: 0,
    });
    const mp4 = served
      ? [file(0, false), file(10, true), file(20, true), file(30, true), file(40, generation === "newer")]
      : [];
    return { code: 0, data: { [String(vid)]: { mp4, hls: [] } } };
  };
}

/** `Login`: all three forms. A new key and refresh key for an account that is not gone. */
export function login({ param, comm, world }: Asked): Answer {
  const musickey = String(param["musickey"] ?? "");
  const account = world.accounts.find((item) => item.source === "tx" && item.token === musickey);
  if (account === undefined || account.id !== String(param["str_musicid"] ?? param["musicid"])) return { code: 1000 };
  if (account.state === "banned") return { code: 20_450 };
  if (account.state === "expired") return { code: 1000 };
  if (!account.refreshKey || param["refresh_key"] !== account.refreshKey) return { code: 2000 };
  const type = musickey.startsWith("W_X") ? 1 : 2;
  if (Number(comm["tmeLoginType"]) !== type || comm["authst"] !== musickey) return { code: 10_001 };
  const newer = "openid" in param;
  if (newer) {
    const wanted =
      type === 1
        ? ["openid", "refresh_token", "unionid", "str_musicid"]
        : ["openid", "access_token", "expired_in", "musicid"];
    if (comm["ct"] !== 11 || param["loginMode"] !== 2 || wanted.some((name) => !(name in param)))
      return { code: 10_001 };
    if (type === 2 && typeof param["musicid"] !== "number") return { code: 10_001 };
  } else if (comm["fPersonality"] !== "0" || comm["cv"] !== "12080008") return { code: 10_001 };
  account.requests++;
  account.token = `${musickey.split("_NEW")[0]}_NEW${account.requests}`;
  account.refreshKey = `R${account.requests}`;
  return {
    code: 0,
    data: {
      musickey: account.token,
      musicid: Number(account.id),
      str_musicid: account.id,
      refresh_key: account.refreshKey,
      openid: "OPENID",
      unionid: type === 1 ? "UNIONID" : "",
      access_token: "ACCESS",
      refresh_token: "REFRESH",
      expired_at: 1_800_000_000,
      musickeyCreateTime: 1_795_000_000,
      keyExpiresIn: 259_200,
    },
  };
}

export function userInfo({ comm, world }: Asked): Answer {
  const account = accountOf(world, comm);
  if (account === "guest" || account === "bad") return { code: 1000 };
  return account.state === "banned" ? { code: 20_450 } : { code: 0, data: { nick: `用户${account.id}` } };
}

export function vip({ comm, world }: Asked): Answer {
  const account = accountOf(world, comm);
  if (account === "guest" || account === "bad") return { code: 1000 };
  const member = account.state === "member" ? 1 : 0;
  return { code: 0, data: { identity: { HugeVip: 0, LMFlag: member, vip: member } } };
}

import { decryptQuery } from "../../../src/sources/kw/crypto.ts";
import { json, type PlatformRequest, type World } from "../world.ts";
import { offer } from "./songs.ts";

const HEADERS = {
  "user-agent": "Dart/2.14 (dart:io)",
  channel: "qq",
  plat: "ar",
  net: "wifi",
  ver: "3.1.2",
};

/** `bd-api.kuwo.cn/api/service/music/downloadInfo/{id}`: the account is in query and headers, and both must agree. */
export function bdApi(request: PlatformRequest, world: World): Response {
  const wrong = Object.entries(HEADERS).some(([name, value]) => request.headers.get(name) !== value);
  const uid = request.params.get("uid") ?? "";
  if (wrong || request.headers.get("uid") !== uid || request.headers.get("devid") === null) {
    return json({ code: 400, msg: "参数错误" });
  }
  if (request.params.get("isMv") !== "0") return json({ code: 400, msg: "参数错误" });
  const account = accountOf(world, uid, request.params.get("token") ?? "");
  if (account === "bad") return json({ code: 401, msg: "请先登录" });
  const rid = decodeURIComponent(request.path.split("/").at(-1) ?? "");
  const found = offer(
    world,
    request,
    { rid, br: request.params.get("br") ?? "", format: request.params.get("format") ?? "" },
    account,
  );
  if (found === undefined) return json({ code: 404, msg: "歌曲不存在" });
  const { url, bitrate, format, duration, size } = found;
  return json({
    code: 200,
    data: { url, duration, audioInfo: { bitrate: String(bitrate), format, level: "p", size: String(size) } },
    msg: "success",
  });
}

function accountOf(world: World, uid: string, token: string) {
  if (token === "" && (uid === "0" || uid === "")) return "guest" as const;
  const account = world.accounts.find((item) => item.source === "kw" && item.id === uid && item.token === token);
  if (account !== undefined) account.requests++;
  if (account === undefined || account.state === "expired" || account.state === "banned") return "bad" as const;
  return account;
}

/** `mobi.s`, with the parameters in the open or under the app's DES in `q`. Knows no accounts. */
export function mobi(request: PlatformRequest, world: World): Response {
  let params = request.params;
  const q = params.get("q");
  if (q !== null) {
    if (params.get("f") !== "kuwo" || !/^[A-Za-z0-9+/]+=*$/.test(q)) return new Response("", { status: 403 });
    try {
      params = new URLSearchParams(decryptQuery(q));
    } catch {
      return new Response("", { status: 403 });
    }
  } else if (params.get("f") !== "web" || !/^\d+$/.test(params.get("user") ?? "") || !params.get("source")) {
    return new Response("", { status: 403 });
  }
  const type = params.get("type");
  const rid = (params.get("rid") ?? "").replace(/^MUSIC_/, "");
  const br = params.get("br") ?? params.get("quality") ?? "";
  const format = params.get("format") ?? params.get("ext") ?? "";
  if (type !== "convert_url_with_sign" && type !== "convert_url2") return new Response("", { status: 403 });
  const found = offer(world, request, { rid, br, format }, "guest");
  if (type === "convert_url2") {
    if (found === undefined) return new Response("res not found", { status: 404 });
    const lines = { format: found.format, bitrate: found.bitrate, url: found.url, sig: 1, rid, type: 0 };
    return new Response(
      Object.entries(lines)
        .map(([name, value]) => `${name}=${value}\r\n`)
        .join(""),
    );
  }
  if (found === undefined) return json({ code: 404, msg: "res not found" });
  const { url, bitrate, ekey } = found;
  return json({
    code: 200,
    locationid: "1",
    data: {
      bitrate,
      user: "0",
      sig: "1",
      type: 0,
      format: found.format,
      p2p_audiosourceid: "",
      rid: Number(rid),
      url,
      surl: url,
      ...(ekey === undefined ? {} : { ekey }),
    },
    msg: "success",
  });
}

import type { CatalogSong, EmulatedAccount, PlatformRequest, World } from "../world.ts";
import type { Answer, Asked } from "./answer.ts";
import { byMid, readFileName } from "./songs.ts";

const CDN = "ws.stream.qqmusic.qq.com";

/** Which account asks: by musickey and number together. "bad" = a key that the platform does not know any more. */
export function accountOf(world: World, comm: Record<string, unknown>): EmulatedAccount | "guest" | "bad" {
  const authst = String(comm["authst"] ?? "");
  if (authst === "") return "guest";
  const account = world.accounts.find((item) => item.source === "tx" && item.token === authst);
  if (account === undefined || account.id !== String(comm["qq"])) return "bad";
  account.requests++;
  return account.state === "expired" ? "bad" : account;
}

/** `UrlGetVkey`: refusals are told by `result` with an empty `purl`, never by the code of the whole. */
export function vkey({ param, comm, request, world }: Asked): Answer {
  const names = param["filename"];
  const mids = param["songmid"];
  if (!Array.isArray(names) || !Array.isArray(mids) || names.length !== mids.length) return { code: 500_001 };
  if (typeof param["guid"] !== "string" || !/^[0-9a-fA-F]{1,32}$/.test(param["guid"])) return { code: 500_001 };
  const account = accountOf(world, comm);
  if (account === "bad") return { code: 1000 };
  if (world.fault("tx", "verify", request)) return { code: 2001, data: { feedbackURL: "https://c.y.qq.com/verify" } };
  const items = names.map((name, index) => item(String(name), byMid(world, mids[index]), account, request, world));
  return {
    code: 0,
    data: { uin: "", expiration: 80_400, sip: [`${world.origin}/http/${CDN}/`], midurlinfo: items },
  };
}

function item(
  name: string,
  song: CatalogSong | undefined,
  account: EmulatedAccount | "guest",
  request: PlatformRequest,
  world: World,
) {
  const refuse = (result: number) => ({
    songmid: song?.ids.tx.mid ?? "",
    filename: name,
    purl: "",
    vkey: "",
    ekey: "",
    result,
  });
  const file = readFileName(name);
  if (song === undefined || file === undefined) return refuse(104_003);
  if (file.mediaMid !== song.ids.tx.mediaMid) return refuse(104_004);
  if (account !== "guest" && account.state === "banned") return refuse(104_003);
  const member = account !== "guest" && account.state === "member";
  if (song.right === "none" || (song.right === "member" && !member)) {
    if (!world.fault("tx", "trial", request)) return refuse(104_003);
    return {
      ...refuse(0),
      filename: `RS02${file.mediaMid}.mp3`,
      purl: `RS02${file.mediaMid}.mp3?vkey=T&fromtag=120002`,
    };
  }
  if (!song.qualities.includes(file.quality)) return refuse(104_003);
  if (world.fault("tx", "trial", request)) {
    return { ...refuse(0), purl: `RS02${file.mediaMid}.mp3?guid=1&vkey=TRIAL` };
  }
  if (world.fault("tx", "encrypted", request)) {
    return { ...refuse(0), purl: `F0M0${file.mediaMid}.mflac?guid=1&vkey=ENC`, ekey: "ZWtleQ==" };
  }
  if (world.fault("tx", "lower", request)) return { ...refuse(0), purl: `C400${file.mediaMid}.m4a?guid=1&vkey=LOW` };
  world.audioUrl(CDN, `/${name}`, song, file.quality);
  return { ...refuse(0), purl: `${name}?guid=114514&vkey=6F6ABC60A8D75F65928C527E6E573357&uin=&fromtag=120002` };
}

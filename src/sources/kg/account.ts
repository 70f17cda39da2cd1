import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { AppError, isAppError } from "../../core/errors.ts";
import { decode } from "../decode.ts";
import type { Account, AccountAbility, AccountState, Call } from "../source.ts";
import { fetchBoardItems } from "./board.ts";
import { ANDROID_HEADERS, address, type KgClient, LITE_APPID, NEWEST_HEADERS, refusal } from "./client.ts";
import { Loose, numberOf, Part, partOf, textOf } from "./fields.ts";
import { DEFAULT_LOGIN, refreshToken } from "./login.ts";
import { searchSongs } from "./search.ts";

/** `module.kg.user` as far as it makes an account. */
const User = Type.Object({
  token: Type.String(),
  userid: Type.Union([Type.String(), Type.Number()]),
  mid: Type.Optional(Type.Union([Type.String(), Type.Number()])),
  refresh_login: Type.Optional(Type.Object({ login_url: Type.Optional(Type.String()) })),
  lite_sign_in: Type.Optional(
    Type.Object({
      mixsongmid: Type.Optional(Type.Object({ value: Type.Optional(Type.Union([Type.String(), Type.Number()])) })),
    }),
  ),
});

export function createAccounts(client: KgClient): AccountAbility {
  return {
    fromConfig(user) {
      if (!Value.Check(User, user)) return undefined;
      const userid = String(user.userid).trim();
      const token = user.token.trim();
      if (token === "" || !/^[1-9]\d*$/.test(userid)) return undefined;
      return {
        id: `kg:${userid}`,
        credentials: {
          userid,
          token,
          mid: String(user.mid ?? client.config.user.mid),
          loginUrl: user.refresh_login?.login_url || DEFAULT_LOGIN,
          mixsongid: String(user.lite_sign_in?.mixsongmid?.value ?? "auto"),
        },
      };
    },
    refresh: (account, call) => refreshToken(client, account, call),
    check: (account, call) => check(client, account, call),
    signIn: (account, call) => signIn(client, account, call),
  };
}

const VipReply = Type.Object({
  status: Loose,
  error_code: Loose,
  data: Part(
    Type.Object({
      is_vip: Loose,
      vip_type: Loose,
      vip_end_time: Loose,
      nickname: Loose,
      busi_vip: Type.Optional(
        Type.Union([Type.Null(), Type.Array(Type.Object({ is_vip: Loose, product_type: Loose, vip_end_time: Loose }))]),
      ),
    }),
  ),
});

/** GET kugouvip/v1/get_union_vip: says whether the token is good, and which membership it has until when. */
async function check(client: KgClient, account: Account, call: Call): Promise<AccountState> {
  const who = client.who({ account });
  const params = client.signed([
    ["busi_type", "concept"],
    ["dfid", who.dfid],
    ["mid", who.mid],
    ["uuid", "-"],
    ["appid", client.config.client.appid],
    ["clientver", client.edition.newestClientver],
    ["clienttime", client.seconds()],
    ["token", who.token],
    ["userid", who.userid],
  ]);
  const url = address("https://kugouvip.kugou.com/v1/get_union_vip", params);
  const reply = decode(VipReply, await client.json({ url, headers: { ...NEWEST_HEADERS } }, call), "kg");
  const data = partOf(reply.data);
  if (numberOf(reply.status) !== 1 || data === undefined) {
    const refused = refusal([reply.error_code, reply.status], "酷狗账号状态查询失败");
    if (refused.kind === "upstream_needs_login") return { state: "expired" };
    throw refused;
  }
  const running = (data.busi_vip ?? []).find((item) => numberOf(item.is_vip) === 1);
  const member = numberOf(data.is_vip) === 1 || running !== undefined;
  const ends = dateOf(textOf(running?.vip_end_time) || textOf(data.vip_end_time));
  const vipType = numberOf(data.vip_type);
  if (vipType !== undefined && vipType > 0) call.learn?.({ vipType: String(vipType) });
  const nickname = textOf(data.nickname);
  return {
    state: "valid",
    ...(nickname === "" ? {} : { nickname }),
    ...(member
      ? { membership: running === undefined ? "VIP" : textOf(running.product_type).toUpperCase() || "VIP" }
      : {}),
    ...(member && ends !== undefined ? { expiresAt: ends } : {}),
  };
}

/** "2026-12-31 23:59:59" in the platform's time zone, or Unix seconds. */
function dateOf(text: string): number | undefined {
  if (/^\d{9,10}$/.test(text)) return Number(text) * 1000;
  const match = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)/.exec(text);
  const time = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}+08:00`);
  return Number.isNaN(time) ? undefined : time;
}

const SignReply = Type.Object({ status: Loose, error_code: Loose, errcode: Loose });
const ALREADY_SIGNED = 130012;
const TOP_500 = "8888";

/** The lite edition's daily sign-in: reports one song as heard. @throws AppError `unsupported` for other editions */
async function signIn(client: KgClient, account: Account, call: Call): Promise<void> {
  if (client.config.client.appid !== LITE_APPID) {
    throw new AppError("unsupported", "签到仅适用于酷狗概念版 (appid 3116)");
  }
  const wanted = account.credentials["mixsongid"] ?? "auto";
  const mixsongid = /^\d+$/.test(wanted) ? wanted : await pickSong(client, call);
  const first = await report(client, "/v2/report/listen_song", mixsongid, account, call).catch((error: unknown) => {
    if (!isAppError(error) || error.kind === "upstream_needs_login") throw error;
    return error;
  });
  if (first === undefined) return;
  call.step?.("kg newer request", { because: first.upstreamCode ?? first.kind });
  await report(client, "/youth/v2/report/listen_song", mixsongid, account, call).catch(() => {
    throw first;
  });
}

/** Some song of the TOP 500; the board does not name its mixsongid, the search does. */
async function pickSong(client: KgClient, call: Call): Promise<string> {
  const { items } = await fetchBoardItems(client, TOP_500, { page: 1, size: 100 }, call);
  const item = items[Math.floor(client.deps.random() * items.length)];
  const query = textOf(item?.filename) || textOf(item?.songname);
  const found = query === "" ? undefined : await searchSongs(client, { query, page: 1, size: 1 }, call);
  const id = found?.list[0]?.ids["albumAudioId"];
  if (id === undefined) throw new AppError("upstream_not_found", "签到失败: 没有可上报的歌曲");
  return id;
}

async function report(
  client: KgClient,
  path: string,
  mixsongid: string,
  account: Account,
  call: Call,
): Promise<undefined> {
  const who = client.who({ account });
  const { appid, clientver } = client.config.client;
  const body = `{"mixsongid":${mixsongid}}`;
  const params = client.signed(
    [
      ["userid", who.userid],
      ["token", who.token],
      ["appid", appid],
      ["clientver", clientver],
      ["clienttime", client.seconds()],
      ["mid", who.mid],
      ["uuid", client.letters(32).replace(/[g-z]/g, "0")],
      ["dfid", "-"],
    ],
    body,
  );
  const headers = {
    ...ANDROID_HEADERS,
    "User-Agent": `Android712-AndroidPhone-${clientver}-18-0-NetMusic-wifi`,
    "x-router": "youth.kugou.com",
  };
  const url = address(`https://gateway.kugou.com${path}`, params);
  const reply = decode(SignReply, await client.json({ url, method: "POST", headers, body }, call), "kg");
  const code = numberOf(reply.error_code ?? reply.errcode);
  if (numberOf(reply.status) === 1 || code === ALREADY_SIGNED) return undefined;
  throw refusal([code, reply.status], "签到失败");
}

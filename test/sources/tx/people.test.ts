import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { txSection, txUser } from "../../../src/config/sections/sources.ts";
import type { Account } from "../../../src/sources/source.ts";
import { createTx } from "../../../src/sources/tx/index.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { txPlatform } from "../../platforms/tx.ts";
import { accountWith, failure, platformFor } from "../harness.ts";

const world = platformFor(txPlatform, txSection);
const source = () => createTx(world.deps());
const plain = songByKey("plain");
const sent = (index = 0) => JSON.parse(world.requests()[index]?.text ?? "{}");
const none = Promise.reject(new Error("no such ability"));
none.catch(() => undefined);

describe("comments", () => {
  test.each([
    {
      sort: "hot" as const,
      method: "GetHotCommentList",
      extra: { HotType: 1 },
    },
    {
      sort: "new" as const,
      method: "GetNewCommentList",
      extra: { HashTagID: "", SelfSeeEnable: 1 },
    },
  ])("$sort", async ({ sort, method, extra }) => {
    const found = await source().comments?.({ songId: plain.ids.tx.id, sort, page: 3, size: 20 }, {});
    expect(sent().req).toEqual({
      module: "music.globalComment.CommentRead",
      method,
      param: {
        BizType: 1,
        BizId: plain.ids.tx.id,
        LastCommentSeqNo: "",
        PageSize: 20,
        PageNum: 2,
        ...extra,
        WithAirborne: 0,
        PicEnable: 1,
      },
    });
    expect(found).toMatchObject({ total: 45, page: 3, size: 20 });
    expect(found?.list.map((comment) => comment.id)).toEqual([40, 41, 42, 43, 44].map((index) => `${sort}_${index}`));
  });

  test("text, person, picture and replies", async () => {
    const found = await source().comments?.({ songId: plain.ids.tx.mid, sort: "hot", page: 1, size: 2 }, {});
    expect(found?.list[0]).toEqual({
      id: "hot_0",
      text: "第 0 条\n好听[表情] & 感动",
      time: 1_700_000_000_000,
      location: "广东",
      user: { id: "enc0", name: "听众0", avatar: "http://thirdqq.qlogo.cn/1" },
      likes: 100,
      images: ["http://y.gtimg.cn/c.jpg"],
      replies: [{ id: "sub_0", text: "同感", time: 1_700_000_100_000, user: { name: "路人" }, likes: 1 }],
      replyCount: 1,
    });
  });

  test("of a song that does not exist", async () => {
    const asked = source().comments?.({ songId: "nosong9MnYb0qx", sort: "hot", page: 1, size: 2 }, {});
    expect((await failure(asked ?? none)).kind).toBe("upstream_not_found");
  });
});

describe("mv", () => {
  test("description and files", async () => {
    expect(await source().mv?.(plain.ids.tx.vid, {})).toEqual({
      source: "tx",
      id: plain.ids.tx.vid,
      name: plain.name,
      intro: "介绍",
      artists: [{ id: "350001", mid: "0025NhlN2y0001", name: "测试歌手" }],
      durationSeconds: 12,
      cover: "http://y.qq.com/music/photo_new/T015R640x360M101003VlbR72nDZ1y.jpg",
      sizableCover: "http://y.qq.com/music/photo_new/T015R{size}M101003VlbR72nDZ1y.jpg",
      files: {
        "240p": { url: `http://mv.music.tc.qq.com/${plain.ids.tx.vid}.f10.mp4?vkey=1`, size: 10_000_000 },
        "480p": { url: `http://mv.music.tc.qq.com/${plain.ids.tx.vid}.f20.mp4?vkey=1`, size: 20_000_000 },
        "720p": { url: `http://mv.music.tc.qq.com/${plain.ids.tx.vid}.f30.mp4?vkey=1`, size: 30_000_000 },
      },
      ids: {},
    });
  });

  test("files that the older service does not have come from the newer", async () => {
    const mv = await source().mv?.(songByKey("member").ids.tx.vid, {});
    expect(Object.keys(mv?.files ?? {})).toEqual(["240p", "480p", "720p", "1080p"]);
    expect(sent(2).req).toEqual({
      module: "music.stream.MvUrlProxy",
      method: "GetMvUrls",
      param: {
        vids: [songByKey("member").ids.tx.vid],
        request_type: 10_003,
        guid: "114514",
        videoformat: 1,
        format: 265,
        dolby: 1,
        use_new_domain: 1,
        use_ipv6: 1,
      },
    });
  });

  test.each([
    ["no such mv", "g0010vl9999", "upstream_not_found"],
    ["no file in any service", songByKey("gone").ids.tx.vid, "upstream_refused"],
    ["no possible id", "../../x", "invalid_request"],
  ])("%s", async (_name, id, kind) => expect((await failure(source().mv?.(id, {}) ?? none)).kind).toBe(kind as never));
});

describe("accounts", () => {
  const accounts = () => {
    const found = source().accounts;
    if (found?.refresh === undefined || found.check === undefined) throw new Error("no accounts");
    return { fromConfig: found.fromConfig, refresh: found.refresh, check: found.check };
  };
  const me = (credentials: Record<string, string>): Account => accountWith("tx", { uin: "10001", ...credentials });

  test("from the config: keys, and a number that old cookies write with an o", () => {
    const user = { ...Value.Create(txUser), qqmusic_key: "Q_H_L_KEY", uin: "o010001", refresh_key: "R" };
    expect(accounts().fromConfig(user)).toEqual({
      id: "tx:10001",
      credentials: { qqmusic_key: "Q_H_L_KEY", uin: "10001", refresh_key: "R" },
    });
    expect(accounts().fromConfig(Value.Create(txUser))).toBeUndefined();
    expect(accounts().fromConfig({ qqmusic_key: 1 })).toBeUndefined();
  });

  test.each([
    {
      name: "short, QQ",
      credentials: { qqmusic_key: "Q_H_L_KEY", refresh_key: "R" },
      comm: {
        fPersonality: "0",
        tmeLoginType: "2",
        qq: "10001",
        authst: "Q_H_L_KEY",
        ct: "11",
        cv: "12080008",
        v: "12080008",
        tmeAppID: "qqmusic",
      },
      param: { str_musicid: "10001", musickey: "Q_H_L_KEY", refresh_key: "R" },
    },
    {
      name: "short, WeChat",
      credentials: { qqmusic_key: "W_X_KEY", refresh_key: "R" },
      comm: {
        fPersonality: "0",
        tmeLoginType: "1",
        qq: "10001",
        authst: "W_X_KEY",
        ct: "11",
        cv: "12080008",
        v: "12080008",
        tmeAppID: "qqmusic",
      },
      param: { str_musicid: "10001", musickey: "W_X_KEY", refresh_key: "R" },
    },
    {
      name: "newer, WeChat",
      credentials: { qqmusic_key: "W_X_KEY", refresh_key: "R", openid: "O", refresh_token: "T", unionid: "U" },
      comm: { ct: 11, tmeLoginType: 1, qq: "10001", authst: "W_X_KEY" },
      param: {
        openid: "O",
        refresh_token: "T",
        str_musicid: "10001",
        musickey: "W_X_KEY",
        unionid: "U",
        refresh_key: "R",
        loginMode: 2,
      },
    },
    {
      name: "newer, QQ",
      credentials: {
        qqmusic_key: "Q_H_L_KEY",
        refresh_key: "R",
        openid: "O",
        refresh_token: "T",
        access_token: "A",
        expired_in: "7776000",
      },
      comm: { ct: 11, tmeLoginType: 2, qq: "10001", authst: "Q_H_L_KEY" },
      param: {
        openid: "O",
        access_token: "A",
        refresh_token: "T",
        expired_in: 7_776_000,
        musicid: 10_001,
        musickey: "Q_H_L_KEY",
        refresh_key: "R",
        loginMode: 2,
      },
    },
  ])("refresh: $name", async ({ credentials, comm, param }) => {
    const theirs = world.account("member", { token: credentials.qqmusic_key, refreshKey: "R" });
    const fresh = await accounts().refresh(me(credentials), {});
    expect(sent().comm).toMatchObject(comm);
    expect(sent().req1).toEqual({ module: "music.login.LoginServer", method: "Login", param });
    expect(fresh).toMatchObject({
      qqmusic_key: theirs.token,
      uin: "10001",
      refresh_key: "R1",
      openid: "OPENID",
      access_token: "ACCESS",
      refresh_token: "REFRESH",
      expired_at: "1800000000",
      musickeyCreateTime: "1795000000",
      keyExpiresIn: "259200",
    });
    expect(theirs.token).not.toBe(credentials.qqmusic_key);
    // What a refresh taught is enough for the next one, by the newer form.
    const again = await accounts().refresh(me(fresh), {});
    expect(again["qqmusic_key"]).toBe(theirs.token);
    expect(sent(1).req1.param.openid).toBe("OPENID");
  });

  test.each([
    { name: "expired", state: "expired", refreshKey: "R", kind: "upstream_needs_login", code: 1000 },
    { name: "no refresh key fits", state: "member", refreshKey: "OTHER", kind: "upstream_needs_login", code: 2000 },
    { name: "banned", state: "banned", refreshKey: "R", kind: "upstream_needs_login", code: 20_450 },
  ] as const)("refresh refused: $name", async ({ state, refreshKey, kind, code }) => {
    world.account(state, { token: "Q_H_L_KEY", refreshKey });
    const error = await failure(accounts().refresh(me({ qqmusic_key: "Q_H_L_KEY", refresh_key: "R" }), {}));
    expect([error.kind, error.upstreamCode]).toEqual([kind, code]);
  });

  test("a refresh is never sent twice", async () => {
    world.account("member", { token: "Q_H_L_KEY", refreshKey: "R" });
    world.fault("reset");
    await failure(accounts().refresh(me({ qqmusic_key: "Q_H_L_KEY", refresh_key: "R" }), {}));
    expect(world.requests()).toHaveLength(1);
  });

  test.each([
    {
      state: "member" as const,
      want: { state: "valid" as const, nickname: "用户10001", membership: "VIP", expiresAt: 1_795_259_200_000 },
    },
    { state: "guest" as const, want: { state: "valid" as const, nickname: "用户10001", expiresAt: 1_795_259_200_000 } },
    { state: "expired" as const, want: { state: "expired" as const } },
    { state: "banned" as const, want: { state: "banned" as const } },
  ])("check: $state", async ({ state, want }) => {
    world.account(state, { token: "Q_H_L_KEY" });
    const account = me({ qqmusic_key: "Q_H_L_KEY", musickeyCreateTime: "1795000000", keyExpiresIn: "259200" });
    expect(await accounts().check(account, {})).toEqual(want);
  });
});

import { describe, expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { kwSection, kwUser } from "../../../src/config/sections/sources.ts";
import { createKw } from "../../../src/sources/kw/index.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { kwPlatform } from "../../platforms/kw.ts";
import { failure, NOW, platformFor } from "../harness.ts";

const world = platformFor(kwPlatform, kwSection);
const source = () => createKw(world.deps());
const none = Promise.reject(new Error("no such ability"));
none.catch(() => undefined);
const PLAIN = songByKey("plain").ids.kw.id;
const address = (index = 0) => {
  const { scheme, host, path, query } = world.requests()[index] ?? {};
  return `${scheme}://${host}${path}?${query}`;
};

describe("comments", () => {
  test.each([
    { sort: "hot" as const, type: "get_rec_comment" },
    { sort: "new" as const, type: "get_comment" },
  ])("$sort", async ({ sort, type }) => {
    const found = await source().comments?.({ songId: PLAIN, sort, page: 2, size: 20 }, {});
    expect(address()).toBe(
      `http://ncomment.kuwo.cn/com.s?f=web&type=${type}&aapiver=1&prod=kwplayer_ar_10.5.2.0&digest=15&sid=${PLAIN}&start=20&msgflag=1&count=20&newver=3&uid=0`,
    );
    expect(found).toMatchObject({ total: 25, page: 2, size: 20 });
    expect(found?.list.map((comment) => comment.id)).toEqual(["9020", "9021", "9022", "9023", "9024"]);
  });

  test("text, person, picture and replies", async () => {
    const found = await source().comments?.({ songId: PLAIN, sort: "new", page: 1, size: 1 }, {});
    expect(found?.list).toEqual([
      {
        id: "9000",
        text: "第 0 条 & 好听",
        time: 1_700_000_000_000,
        user: { id: "770", name: "听众 0", avatar: "http://img3.kuwo.cn/u.jpg" },
        likes: 100,
        images: ["http://img3.kuwo.cn/m.jpg"],
        replies: [{ id: "1", text: "同感", timeText: "2023-11-15", user: { id: "1", name: "路人" }, likes: 0 }],
      },
    ]);
  });
});

describe("mv", () => {
  test("from the site's service", async () => {
    expect(await source().mv?.(PLAIN, {})).toEqual({
      source: "kw",
      id: PLAIN,
      name: "晴天",
      artists: [{ id: "350001", name: "测试歌手" }],
      durationSeconds: 12,
      files: { mp4: { url: `http://mv.sycdn.kuwo.cn/site/${PLAIN}.mp4` } },
      ids: {},
    });
    expect(address(1)).toBe(
      `http://www.kuwo.cn/url?rid=${PLAIN}&response=url&format=mp4%7Cmkv&type=convert_url&t=${NOW}&httpsStatus=1`,
    );
  });

  test("else from the older one", async () => {
    const id = songByKey("instrumental").ids.kw.id;
    expect((await source().mv?.(id, {}))?.files).toEqual({ mp4: { url: `http://mv.sycdn.kuwo.cn/older/${id}.mp4` } });
    expect(address(2)).toBe(
      `http://antiserver.kuwo.cn/anti.s?response=url&format=mp4%7Cmkv&type=convert_url&rid=MUSIC_${id}`,
    );
  });

  test.each([
    ["a song without one", songByKey("member").ids.kw.id, "upstream_not_found", "mv不存在"],
    ["no such song", "999", "upstream_not_found", "mv不存在"],
    ["no possible id", "x", "invalid_request", "酷我: 歌曲 id 不正确"],
  ])("%s", async (_name, id, kind, message) => {
    const error = await failure(source().mv?.(id, {}) ?? none);
    expect([error.kind as string, error.message]).toEqual([kind, message]);
  });
});

test("accounts from the config; nothing is known that would renew one", () => {
  const { accounts } = source();
  const user = { ...Value.Create(kwUser), uid: "10001", token: "T", device_id: "d" };
  expect(accounts?.fromConfig(user)).toEqual({
    id: "kw:10001",
    credentials: { uid: "10001", token: "T", device_id: "d" },
  });
  expect(accounts?.fromConfig(Value.Create(kwUser))).toBeUndefined();
  expect(accounts?.fromConfig("x")).toBeUndefined();
  expect(accounts?.refresh).toBeUndefined();
});

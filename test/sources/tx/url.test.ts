import { describe, expect, test } from "bun:test";
import { txSection } from "../../../src/config/sections/sources.ts";
import { QUALITIES } from "../../../src/core/types.ts";
import { createTx } from "../../../src/sources/tx/index.ts";
import { SONGS, songByKey } from "../../platforms/catalog.ts";
import { txPlatform } from "../../platforms/tx.ts";
import { accountWith, failure, platformFor, steps } from "../harness.ts";

const everything = { ...songByKey("plain"), qualities: [...QUALITIES] };
const songs = [everything, ...SONGS.slice(1)];
const world = platformFor(txPlatform, txSection, songs);
const PLAIN = everything.ids.tx.mid;
const MEMBER = songByKey("member").ids.tx.mid;

const ask = (
  songId: string,
  quality: (typeof QUALITIES)[number],
  call = {},
  change?: Parameters<typeof world.deps>[0],
) => createTx(world.deps(change)).url?.({ songId, quality }, call) ?? Promise.reject(new Error("no url"));
const me = accountWith("tx", { qqmusic_key: "Q_H_L_KEY", uin: "10001", refresh_key: "R" });

describe("what is asked and given", () => {
  test.each([
    ["128k", "M500", "mp3"],
    ["192k", "O600", "ogg"],
    ["320k", "M800", "mp3"],
    ["flac", "F000", "flac"],
    ["flac24bit", "RS01", "flac"],
    ["hires", "RS01", "flac"],
    ["atmos", "Q000", "flac"],
    ["atmos_plus", "Q001", "flac"],
    ["dolby", "D004", "mp4"],
    ["master", "AI00", "flac"],
  ] as const)("%s is %s….%s", async (quality, prefix, extension) => {
    const found = await ask(PLAIN, quality);
    expect(found.url).toStartWith(`http://ws.stream.qqmusic.qq.com/${prefix}M039MnYb0q0001.${extension}?`);
    expect(found).toMatchObject({ quality, extension, lifetimeSeconds: 80_400 });
    expect(JSON.parse(world.requests()[1]?.text ?? "{}").req.param.filename).toEqual([
      `${prefix}M039MnYb0q0001.${extension}`,
    ]);
  });

  test("sky is not one of this platform's", async () => {
    expect((await failure(ask(PLAIN, "sky"))).kind).toBe("unsupported");
    expect(world.requests()).toEqual([]);
  });

  test("the account's number and key go into the request, guid from the config", async () => {
    world.account("member", { token: "Q_H_L_KEY" });
    await ask(MEMBER, "128k", { account: me }, (config) => {
      config.vkeyserver.guid = "ABCDEF0123";
    });
    const body = JSON.parse(world.requests()[1]?.text ?? "{}");
    expect(body.comm).toEqual({ qq: "10001", authst: "Q_H_L_KEY", ct: "26", cv: "2010101", v: "2010101" });
    expect(body.req.param).toMatchObject({ uin: "10001", guid: "ABCDEF0123", loginflag: 1, platform: "20" });
  });

  test.each([
    { name: "another one", cdnaddr: "https://cdn.example/a", start: "https://cdn.example/a/M500" },
    { name: "the platform's own when empty", cdnaddr: "", start: "/http/ws.stream.qqmusic.qq.com/M500" },
  ])("prefix of addresses: $name", async ({ cdnaddr, start }) => {
    const found = await ask(PLAIN, "128k", {}, (config) => {
      config.cdnaddr = cdnaddr;
    });
    expect(found.url.replace(world.world.origin, "")).toStartWith(start);
  });

  test.each(["../../etc/passwd", "M0/../x", "x", ""])(
    "a media id %p from outside is not believed",
    async (mediaMid) => {
      const song = { source: "tx", songId: PLAIN, name: "", artists: [], qualities: {}, ids: { mediaMid } } as const;
      await createTx(world.deps()).url?.({ songId: PLAIN, quality: "128k", song: { ...song, artists: [] } }, {});
      expect(world.requests()).toHaveLength(2);
    },
  );
});

describe("what is refused", () => {
  test.each([
    { name: "member song, guest", song: "member", state: undefined, kind: "upstream_needs_purchase", code: 104_003 },
    {
      name: "member song, guest account",
      song: "member",
      state: "guest",
      kind: "upstream_needs_purchase",
      code: 104_003,
    },
    { name: "expired account", song: "plain", state: "expired", kind: "upstream_needs_login", code: 1000 },
    { name: "banned account", song: "plain", state: "banned", kind: "upstream_needs_purchase", code: 104_003 },
    { name: "off the shelf", song: "gone", state: undefined, kind: "upstream_no_copyright", code: undefined },
  ] as const)("$name -> $kind", async ({ song, state, kind, code }) => {
    if (state !== undefined) world.account(state, { token: "Q_H_L_KEY" });
    const error = await failure(ask(songByKey(song).ids.tx.mid, "128k", state === undefined ? {} : { account: me }));
    expect([error.kind, error.upstreamCode]).toEqual([kind, code]);
    expect(error.message).toMatch(/^QQ音乐: \p{Script=Han}/u);
    expect(JSON.stringify([error.message, error.detail])).not.toContain("Q_H_L_KEY");
  });

  test("a quality that does not exist", async () => {
    expect((await failure(ask(songByKey("low").ids.tx.mid, "flac"))).kind).toBe("upstream_needs_purchase");
  });

  test.each([
    { fault: "trial", message: "QQ音乐: 平台只提供试听片段" },
    { fault: "encrypted", message: "QQ音乐: 平台只提供加密文件" },
    { fault: "lower", message: "QQ音乐: 平台只提供其他音质" },
  ] as const)("$fault", async ({ fault, message }) => {
    world.fault(fault);
    const error = await failure(ask(PLAIN, "320k"));
    expect([error.kind, error.message]).toEqual(["upstream_quality", message]);
  });

  test("verification", async () => {
    world.fault("verify");
    const error = await failure(ask(PLAIN, "128k"));
    expect([error.kind, error.upstreamCode]).toEqual(["upstream_verify", 2001]);
    expect(world.requests()).toHaveLength(2);
  });

  test.each(["", "a/b", "a b", "中", "x".repeat(33), "a\u0000"])("an id like %p is never sent", async (songId) => {
    expect((await failure(ask(songId, "128k"))).kind).toBe("invalid_request");
    expect(world.requests()).toEqual([]);
  });
});

describe("second attempt", () => {
  const wrongFile = { songId: PLAIN, quality: "128k" as const };
  const song = {
    source: "tx" as const,
    songId: PLAIN,
    name: "",
    artists: [],
    qualities: {},
    ids: { mediaMid: "M039OTHER" },
  };

  test("a key that could not be made is asked for once more, as the newer client does", async () => {
    const { call, names } = steps();
    const error = await failure(createTx(world.deps()).url?.({ ...wrongFile, song }, call) ?? Promise.resolve());
    expect(error.upstreamCode).toBe(104_004);
    expect(names()).toEqual(["tx.request", "tx.vkey", "tx.second_attempt", "tx.request", "tx.vkey"]);
    const [first, second] = world.requests().map((request) => JSON.parse(request.text).req.param);
    expect(second).toEqual({ ...first, uin: "10086", ctx: 0, downloadfrom: 1, referer: "y.qq.com", scene: 0 });
  });

  test("unless it is switched off", async () => {
    const deps = world.deps((config) => {
      config.newer_request = false;
    });
    await failure(createTx(deps).url?.({ ...wrongFile, song }, {}) ?? Promise.resolve());
    expect(world.requests()).toHaveLength(1);
  });
});

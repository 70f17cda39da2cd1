import { afterAll, afterEach, describe, expect, test } from "bun:test";
import type { Quality } from "../../../src/core/types.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { KG_BOARD, KG_PLAYLIST, KG_SHORT_LINK } from "../../platforms/kg.ts";
import { fileHash } from "../../platforms/kugou/wire.ts";
import { expectKind, type Kg, kgConfig, startKg, stubKg } from "./harness.ts";

const { kg, emulator, world } = startKg();
const plain = songByKey("plain");
const hash = plain.ids.kg.hash;
const page = { page: 1, size: 30 };

afterEach(() => emulator.reset());
afterAll(() => emulator.stop());

const pathsAsked = () => emulator.requestsTo("kg").map((request) => `${request.method} ${request.host}${request.path}`);

describe("addresses", () => {
  test.each([
    ["128k", "mp3"],
    ["320k", "mp3"],
    ["flac", "flac"],
    ["flac24bit", "flac"],
    ["hires", "flac"],
  ] as [Quality, string][])("%s is what it says, and plays", async (quality, extension) => {
    const found = await kg.url({ songId: hash.toUpperCase(), quality }, {});
    expect(found).toMatchObject({ quality, extension, lifetimeSeconds: 86_400 });
    const audio = await fetch(found.url);
    const bytes = await audio.arrayBuffer();
    expect({ type: audio.headers.get("content-type"), size: bytes.byteLength }).toEqual({
      type: extension === "mp3" ? "audio/mpeg" : "audio/flac",
      size: found.size ?? 0,
    });
  });

  test.each([
    { key: "gone", quality: "128k", kind: "upstream_no_copyright", message: "该歌曲在酷狗没有版权，请换源播放" },
    {
      key: "member",
      quality: "320k",
      kind: "upstream_needs_purchase",
      message: "链接获取失败，请检查账号是否有会员或数字专辑是否购买",
    },
    { key: "low", quality: "flac", kind: "upstream_quality", message: "获取歌曲信息失败" },
    { key: "plain", quality: "dolby", kind: "unsupported", message: "酷狗没有这种音质" },
  ] as { key: string; quality: Quality; kind: string; message: string }[])(
    "$key in $quality -> $kind",
    async ({ key, quality, kind, message }) => {
      await expectKind(kg.url({ songId: songByKey(key).ids.kg.hash, quality }, {}), kind, message);
    },
  );

  test.each(["../../etc/passwd", "", "41F4", "%zz", "g".repeat(32), `${hash}0`, "\0".repeat(32)])(
    "the id %j is refused before anybody is asked",
    async (songId) => {
      await expectKind(kg.url({ songId, quality: "128k" }, {}), "invalid_request");
      expect(pathsAsked()).toEqual([]);
    },
  );

  test.each([
    { fault: "trial", quality: "128k", kind: "upstream_quality", message: "酷狗只提供试听片段，需要会员或购买" },
    { fault: "encrypted", quality: "128k", kind: "upstream_quality", message: "酷狗只提供加密文件，无法播放" },
    { fault: "lower", quality: "flac", kind: "upstream_quality", message: "酷狗没有提供所请求的音质" },
  ] as const)("$fault is refused", async ({ fault, quality, kind, message }) => {
    world.faults.push({ source: "kg", kind: fault });
    await expectKind(kg.url({ songId: hash, quality }, {}), kind, message);
  });

  test("a lower file behind an effect's name is refused", async () => {
    const song = songByKey("odd");
    song.qualities.push("master");
    try {
      world.faults.push({ source: "kg", kind: "lower" });
      await expectKind(kg.url({ songId: song.ids.kg.hash, quality: "master" }, {}), "upstream_needs_purchase");
      world.faults.length = 0;
      const found = await kg.url({ songId: song.ids.kg.hash, quality: "master" }, {});
      expect(found).toMatchObject({ quality: "master", extension: "flac" });
    } finally {
      song.qualities.pop();
    }
  });

  test("what is known of the song saves its request", async () => {
    const song = await kg.info(hash, {});
    const fresh = startKg();
    await fresh.kg.url({ songId: hash, quality: "320k", song }, {});
    expect(fresh.emulator.requestsTo("kg").map((request) => request.path)).toEqual(["/v5/url"]);
    await fresh.emulator.stop();
  });
});

describe("device", () => {
  test("asked for by 20028, registered once, and used from then on", async () => {
    const strict = startKg({ requireDevice: true });
    const learned: Record<string, string>[] = [];
    const call = { learn: (found: Record<string, string>) => void learned.push(found) };
    await Promise.all([1, 2, 3].map(() => strict.kg.url({ songId: hash, quality: "128k" }, call)));
    const asked = strict.emulator.requestsTo("kg");
    expect(asked.filter((request) => request.path.endsWith("r_register_dev"))).toHaveLength(1);
    expect(learned).toEqual([{ dfid: expect.stringMatching(/^[0-9a-f]{24}$/) }]);
    const [dfid = ""] = learned.map((found) => found["dfid"]);
    const tries = asked.filter((request) => request.path === "/v5/url").map((request) => request.params.get("dfid"));
    expect(tries.toSorted()).toEqual(["-", "-", "-", dfid, dfid, dfid].toSorted());
    // A remembered id goes out at once.
    const account = { id: "kg:0", label: "游客", credentials: { dfid, mid: "114514" } };
    strict.emulator.reset();
    await strict.kg.url({ songId: hash, quality: "128k" }, { account });
    expect(strict.emulator.requestsTo("kg").map((request) => request.params.get("dfid"))).toEqual([dfid]);
    await strict.emulator.stop();
  });

  test("the newest request goes out as documented", async () => {
    const strict = startKg({ requireDevice: true });
    await strict.kg.url({ songId: hash, quality: "flac" }, {});
    const last = strict.emulator.requestsTo("kg").at(-1);
    expect(last?.headers.get("x-router")).toBe("trackercdn.kugou.com");
    expect(last?.headers.get("user-agent")).toBe("Android15-1070-11083-46-0-DiscoveryDRADProtocol-wifi");
    expect(Object.fromEntries(last?.params ?? [])).toMatchObject({
      cmd: "26",
      cdnBackup: "1",
      kcard: "0",
      uuid: "-",
      version: "11430",
      IsFreePart: "0",
      clientver: "20489",
      hash: fileHash(plain, "flac"),
    });
    await strict.emulator.stop();
  });

  test("a platform that registers nobody is not asked at every song", async () => {
    const strict = startKg({
      requireDevice: true,
      config: kgConfig((config) => {
        config.client.public_key = "";
      }),
    });
    for (const _ of [1, 2, 3])
      await expectKind(strict.kg.url({ songId: hash, quality: "128k" }, {}), "upstream_verify");
    const asked = strict.emulator.requestsTo("kg").filter((request) => request.path.endsWith("r_register_dev"));
    expect(asked).toHaveLength(1);
    await strict.emulator.stop();
  });
});

describe("who asks", () => {
  const account = (id: string, token: string) => ({
    id: `kg:${id}`,
    label: "账号 1",
    credentials: { userid: id, token, mid: "99", vipType: "3" },
  });
  world.accounts.push(
    { source: "kg", id: "1001", token: "good", state: "member", requests: 0 },
    { source: "kg", id: "1002", token: "plain", state: "guest", requests: 0 },
    { source: "kg", id: "1003", token: "old", state: "expired", requests: 0 },
    { source: "kg", id: "1004", token: "bad", state: "banned", requests: 0 },
  );
  const song = songByKey("member").ids.kg.hash;

  test("a member is served, as itself", async () => {
    const found = await kg.url({ songId: song, quality: "flac" }, { account: account("1001", "good") });
    expect(found.quality).toBe("flac");
    const params = emulator.requestsTo("kg").at(-1)?.params;
    expect([params?.get("userid"), params?.get("token"), params?.get("mid"), params?.get("vipType")]).toEqual([
      "1001",
      "good",
      "99",
      "3",
    ]);
  });

  test.each([
    { name: "an account without membership", id: "1002", token: "plain", kind: "upstream_needs_purchase" },
    { name: "an expired account", id: "1003", token: "old", kind: "upstream_needs_login" },
    { name: "a banned account", id: "1004", token: "bad", kind: "upstream_needs_login" },
    { name: "a wrong token", id: "1001", token: "stolen", kind: "upstream_needs_login" },
  ])("$name -> $kind", async ({ id, token, kind }) => {
    await expectKind(kg.url({ songId: song, quality: "320k" }, { account: account(id, token) }), kind);
  });

  test("wrong constants are told apart", async () => {
    const wrongKey = startKg({
      config: kgConfig((config) => {
        config.client.pidversionsecret = "x";
      }),
    });
    await expectKind(
      wrongKey.kg.url({ songId: hash, quality: "128k" }, {}),
      "upstream_refused",
      "酷狗拒绝了请求: 密钥错误",
    );
    const wrongSecret = startKg({
      config: kgConfig((config) => {
        config.client.signatureKey = "x";
      }),
    });
    await expectKind(
      wrongSecret.kg.url({ songId: hash, quality: "128k" }, {}),
      "upstream_refused",
      "酷狗拒绝了请求: 参数错误",
    );
    await Promise.all([wrongKey.emulator.stop(), wrongSecret.emulator.stop()]);
  });

  test("20028 whoever asks: the account must rest", async () => {
    world.faults.push({ source: "kg", kind: "verify" });
    await expectKind(
      kg.url({ songId: hash, quality: "128k" }, { account: account("1001", "good") }),
      "upstream_verify",
    );
  });

  test("extra parameters of the config are sent, and replace none of ours", async () => {
    const extra = startKg({
      config: kgConfig((config) => {
        config.tracker.extra_params = { page_id: 151369488, hash: "evil", o: { a: 1 } };
      }),
    });
    await extra.kg.url({ songId: hash, quality: "128k" }, {});
    const params = extra.emulator.requestsTo("kg").at(-1)?.params;
    expect([params?.get("page_id"), params?.getAll("hash"), params?.get("o")]).toEqual([
      "151369488",
      [fileHash(plain, "128k")],
      '{"a":1}',
    ]);
    await extra.emulator.stop();
  });
});

describe("lyric", () => {
  test("words, translation and romanisation of the catalogue's song", async () => {
    const lyric = await kg.lyric(hash, {});
    expect(lyric.lyric).toContain("[00:05.500]从出生那年就飘着");
    expect(lyric.tlyric).toContain("[00:02.000]The little yellow flower of the story");
    expect(lyric.rlyric).toContain("[00:02.000]gu shi de xiao huang hua");
    expect(lyric.lxlyric).toContain("[00:02.000]<0,1000>故事<1000,1000>的<2000,1000>小黄花");
    expect(lyric.lyric).not.toContain("[id:");
    expect(pathsAsked().slice(-2)).toEqual(["GET lyrics.kugou.com/search", "GET lyrics.kugou.com/download"]);
  });

  test("where no format gives plain LRC, the named format gives the words", async () => {
    world.faults.push({ source: "kg", kind: "lower", match: /download/, times: 1 });
    const lyric = await kg.lyric(hash, {});
    expect(lyric.lxlyric).toContain("<0,1000>故事");
    const [first, second] = emulator.requestsTo("kg").filter((request) => request.path === "/download");
    expect([first?.params.get("fmt"), second?.params.get("fmt"), second?.params.get("charset")]).toEqual([
      null,
      "krc",
      "utf8",
    ]);
  });

  test("a fault at the first way is the second one's chance", async () => {
    world.faults.push({ source: "kg", kind: "reshaped", match: /download/, times: 1 });
    expect((await kg.lyric(hash, {})).lxlyric).toContain("<0,1000>故事");
  });

  test("a song without one", async () => {
    const song = songByKey("instrumental").ids.kg.hash;
    await expectKind(kg.lyric(song, {}), "upstream_not_found", "歌词获取失败: 当前歌曲无歌词");
  });
});

describe("song, cover, mv", () => {
  test("details that cannot be had do not cost the song", async () => {
    world.faults.push({ source: "kg", kind: "http500", match: /expendablekmrcdn|mobilecdnbj/ });
    const song = await kg.info(songByKey("member").ids.kg.hash, {});
    expect(song).toMatchObject({ name: "会员歌 (Live)", originalName: "会员歌", nameExtra: "(Live)" });
    expect(song.artists).toEqual([{ name: "测试歌手" }]);
    expect(song.mvId).toBeUndefined();
  });

  test("an unknown song", async () => {
    await expectKind(kg.info("0".repeat(32), {}), "upstream_not_found", "获取歌曲信息失败，请检查歌曲是否存在");
  });

  test("the cover, and the shop's picture where the song names none", async () => {
    const own = await kg.cover(hash, {});
    expect(own).toBe("http://imge.kugou.com/stdmusic/1080/20211231/12340001.jpg");
    const song = await kg.info(hash, {});
    const { cover: _, sizableCover: __, ...bare } = song;
    expect(await kg.cover(hash, {}, bare)).toBe(own);
    const { fetchCover } = await import("../../../src/sources/kg/cover.ts");
    const { createClient } = await import("../../../src/sources/kg/client.ts");
    const { createHttpClient } = await import("../../../src/net/fetch.ts");
    const { silentLogger } = await import("../../../src/ops/log.ts");
    const http = createHttpClient({ deadlineMs: 5000, maxBytes: 1 << 20, retries: 0, gateway: emulator.origin });
    const client = createClient({ config: kgConfig(), http, log: silentLogger, now: Date.now, random: Math.random });
    expect(await fetchCover(client, bare, {})).toBe("http://imge.kugou.com/stdmusic/480/20211231/12340001.jpg");
    await expectKind(fetchCover(client, { ...bare, songId: "0".repeat(32) }, {}), "upstream_not_found");
  });

  test("mv: info and files", async () => {
    const mv = await kg.mv(plain.ids.kg.mvHash, {});
    expect(mv).toMatchObject({ name: "晴天 (官方版)", nameExtra: "官方版", durationSeconds: 12.5 });
    expect(Object.keys(mv.files)).toEqual(["270p", "720p"]);
    await expectKind(kg.mv("0".repeat(32), {}), "upstream_not_found", "mv不存在");
  });
});

describe("search", () => {
  test("songs with qualities, ids and variants", async () => {
    const found = await kg.searchSongs({ query: "会员歌", ...page }, {});
    expect(found.total).toBe(1);
    const [song] = found.list;
    expect(song).toMatchObject({
      songId: fileHash(songByKey("member"), "128k"),
      name: "会员歌 (Live)",
      tag: "VIP",
      isOriginal: true,
      artists: [{ id: "350002", name: "测试歌手" }],
      ids: { audioId: "12340002", albumAudioId: "45290002" },
    });
    expect(Object.keys(song?.qualities ?? {})).toEqual(["128k", "320k", "flac"]);
    expect(song?.variants?.map((item) => item.name)).toEqual(["会员歌 (伴奏)"]);
    // What a search finds can be played.
    expect(await kg.url({ songId: song?.songId ?? "", quality: "128k", song }, {}).catch((error) => error.kind)).toBe(
      "upstream_needs_purchase",
    );
  });

  test("nothing found is an empty page", async () => {
    expect(await kg.searchSongs({ query: "没有这首", ...page }, {})).toEqual({ total: 0, page: 1, size: 30, list: [] });
  });

  test.each([
    { type: "playlist", query: "周末", wanted: { id: KG_PLAYLIST.special, name: "周末的歌单", author: "测试用户" } },
    {
      type: "album",
      query: "下架歌",
      wanted: { id: "820003", name: "测试专辑", author: "测试歌手", publishDate: "2003-07-31" },
    },
    { type: "artist", query: "AC/DC", wanted: { id: "350006", name: "AC/DC", songCount: 1 } },
  ] as const)("$type", async ({ type, query, wanted }) => {
    const found = await kg.searchCollections(type, { query, ...page }, {});
    expect(found.list).toHaveLength(1);
    expect(found.list[0]).toMatchObject({ source: "kg", type, ...wanted });
  });

  test("suggestions and hot words", async () => {
    expect(await kg.suggest("晴", {})).toEqual(["晴天"]);
    const hot = await kg.hot({});
    expect(hot.slice(0, 2)).toEqual(["晴天", "会员歌"]);
    expect(new Set(hot).size).toBe(hot.length);
    expect(emulator.requestsTo("kg").at(-1)?.query).toBe(
      "appid=1005&clientver=10026&plat=0&signature=ee44edb9d7155821412d220bcaf509dd",
    );
  });
});

describe("lists", () => {
  const names = ["晴天", "会员歌 (Live)", "下架歌", "只有低音质", "纯音乐", "Rock&Roll=Life “引号” </script>"];

  test.each([
    { name: "number", id: KG_PLAYLIST.special },
    { name: "page of the number", id: `https://www.kugou.com/yy/special/single/${KG_PLAYLIST.special}.html` },
    { name: "global id", id: KG_PLAYLIST.global },
    {
      name: "share page of the global id",
      id: `https://m.kugou.com/share/zlist.html?global_collection_id=${KG_PLAYLIST.global}&u=1`,
    },
    { name: "gcid", id: KG_PLAYLIST.gcid },
    { name: "gcid page", id: `https://www.kugou.com/songlist/${KG_PLAYLIST.gcid}/` },
    { name: "pasted text with a short link", id: `分享歌单《测试》 ${KG_SHORT_LINK} （来自酷狗）` },
  ])("playlist by $name", async ({ id }) => {
    const { info, songs } = await kg.playlist(id, page, {});
    expect(info).toMatchObject({ type: "playlist", name: "测试歌单", author: "测试用户", description: "一个&歌单" });
    expect(songs.total).toBe(6);
    expect(songs.list.map((song) => song.name)).toEqual(names);
  });

  test("pages of a playlist do not overlap", async () => {
    const second = await kg.playlist(KG_PLAYLIST.global, { page: 2, size: 4 }, {});
    expect(second.songs).toMatchObject({ total: 6, page: 2, size: 4 });
    expect(second.songs.list.map((song) => song.name)).toEqual(names.slice(4));
  });

  test("a song that only the list knows is not lost", async () => {
    const items = [
      { hash: hash.toUpperCase() },
      { hash: "F".repeat(32), filename: "某人 - 新歌 - 现场" },
      { hash: "" },
    ];
    const { kg: stub } = stubKg(
      {
        "GET mobiles.kugou.com /api/v3/album/song": { status: 1, data: { total: 3, info: items } },
        "GET mobilecdn.kugou.com /api/v3/album/info": { status: 0 },
        "POST gateway.kugou.com /v3/album_audio/audio": { error_code: 0, data: [[], []] },
      },
      0,
    );
    const { info, songs } = await stub.album("1", page, {});
    expect(info).toEqual({ source: "kg", type: "album", id: "1", name: "" });
    expect(songs.list).toEqual([
      {
        source: "kg",
        songId: "f".repeat(32),
        name: "新歌 - 现场",
        artists: [{ name: "某人" }],
        qualities: { "128k": { hash: "F".repeat(32) } },
        ids: { hash: "F".repeat(32) },
      },
    ]);
  });

  test.each([
    { name: "another host", id: "https://evil.test/songlist/x" },
    { name: "a host that only looks like theirs", id: "https://kugou.com.evil.test/s/1" },
    { name: "credentials in the address", id: "https://t1.kugou.com@evil.test/6vB" },
    { name: "words", id: "周杰伦的歌单" },
    { name: "nothing", id: "" },
  ])("$name is no playlist, and nobody is asked", async ({ id }) => {
    await expectKind(kg.playlist(id, page, {}), "invalid_request");
    expect(world.requests).toEqual([]);
  });

  test.each([
    { name: "special", id: "99999" },
    { name: "global", id: "collection_3_404_1_0" },
    { name: "gcid", id: "gcid_unknown1" },
  ])("an unknown $name id is an error", async ({ id }) => {
    const kind = id.startsWith("gcid") ? "upstream_not_found" : "upstream_refused";
    await expectKind(kg.playlist(id, page, {}), kind);
  });

  test("album by number and by page", async () => {
    for (const id of [plain.album.id, `https://www.kugou.com/album/${plain.album.id}.html`]) {
      const { info, songs } = await kg.album(id, page, {});
      expect(info).toMatchObject({ type: "album", id: plain.album.id, name: "测试专辑", author: "测试歌手" });
      expect(songs.list).toHaveLength(1);
      expect(songs.list[0]).toMatchObject({ songId: hash, name: "晴天", bpm: 82 });
    }
    await expectKind(kg.album("404", page, {}), "upstream_refused");
    await expectKind(kg.album("专辑", page, {}), "invalid_request");
  });

  test("boards and a board's songs", async () => {
    expect(await kg.boards({})).toEqual([
      {
        source: "kg",
        id: KG_BOARD,
        name: "酷狗TOP500",
        cover: "http://imge.kugou.com/mcommon/1080/1.png",
        updateText: "每天",
      },
    ]);
    const board = await kg.board(KG_BOARD, { page: 1, size: 2 }, {});
    expect(board.total).toBe(6);
    expect(board.list[0]).toMatchObject({
      name: "晴天",
      artists: [{ id: "350001", name: "测试歌手" }],
      album: { id: "820001", name: "测试专辑" },
      qualities: { flac24bit: { hash: fileHash(plain, "flac24bit").toUpperCase() } },
    });
    await expectKind(kg.board("404", page, {}), "upstream_refused");
    await expectKind(kg.board("../x", page, {}), "invalid_request");
  });

  test.each(["hot", "new"] as const)("comments: %s", async (sort) => {
    const found = await kg.comments({ songId: hash, sort, ...page }, {});
    expect(found.total).toBe(2);
    expect(found.list[0]).toEqual({
      id: sort === "hot" ? "9001" : "9002",
      text: sort === "hot" ? "最热&评论" : "最新评论",
      time: Date.UTC(2020, 0, 1, 19, 4, 5),
      timeText: "2020-01-02 03:04:05",
      location: "山东",
      user: { id: "77", name: "听众", avatar: "http://imge.kugou.com/kugouicon/165/1.jpg" },
      likes: sort === "hot" ? 999 : 1,
      replyCount: 2,
      images: ["http://imge.kugou.com/cmt/1.jpg"],
      replies: [{ id: `${sort === "hot" ? "9001" : "9002"}/parent`, text: "上一条", user: { name: "另一人" } }],
    });
    expect(found.list[1]).toEqual({ id: "9003", text: "第二条", user: { name: "匿名" } });
    const none = await kg.comments({ songId: "0".repeat(32), sort, ...page }, {});
    expect(none.list).toEqual([]);
  });
});

const ABILITIES: Record<string, (source: Kg) => Promise<unknown>> = {
  url: (source) => source.url({ songId: hash, quality: "128k" }, {}),
  info: (source) => source.info(hash, {}),
  lyric: (source) => source.lyric(hash, {}),
  cover: (source) => source.cover(hash, {}),
  searchSongs: (source) => source.searchSongs({ query: "晴天", ...page }, {}),
  "searchCollections playlist": (source) => source.searchCollections("playlist", { query: "晴天", ...page }, {}),
  "searchCollections album": (source) => source.searchCollections("album", { query: "晴天", ...page }, {}),
  "searchCollections artist": (source) => source.searchCollections("artist", { query: "测试", ...page }, {}),
  suggest: (source) => source.suggest("晴", {}),
  hot: (source) => source.hot({}),
  "playlist special": (source) => source.playlist(KG_PLAYLIST.special, page, {}),
  "playlist global": (source) => source.playlist(KG_PLAYLIST.global, page, {}),
  "playlist gcid": (source) => source.playlist(KG_PLAYLIST.gcid, page, {}),
  album: (source) => source.album(plain.album.id, page, {}),
  boards: (source) => source.boards({}),
  board: (source) => source.board(KG_BOARD, page, {}),
  comments: (source) => source.comments({ songId: hash, sort: "hot", ...page }, {}),
  mv: (source) => source.mv(plain.ids.kg.mvHash, {}),
};

describe.each(Object.entries(ABILITIES))("%s when the platform fails", (_name, ask) => {
  test.each([
    { fault: "reshaped", kinds: ["upstream_changed"] },
    { fault: "garbage", kinds: ["upstream_changed"] },
    { fault: "empty", kinds: ["upstream_changed"] },
    { fault: "html", kinds: ["upstream_changed"] },
    { fault: "http500", kinds: ["upstream_unreachable"] },
    { fault: "reset", kinds: ["upstream_unreachable"] },
  ] as const)("$fault -> $kinds", async ({ fault, kinds }) => {
    const broken = startKg();
    broken.world.faults.push({ source: "kg", kind: fault });
    try {
      const error = await ask(broken.kg).then(
        (value) => ({ kind: `none: ${JSON.stringify(value)}` }),
        (thrown: { kind: string }) => thrown,
      );
      expect(kinds as readonly string[]).toContain(error.kind);
    } finally {
      await broken.emulator.stop();
    }
  });

  test("slow -> upstream_unreachable at the deadline", async () => {
    const slow = startKg({ deadlineMs: 60 });
    slow.world.faults.push({ source: "kg", kind: "slow", delayMs: 300 });
    try {
      await expectKind(ask(slow.kg), "upstream_unreachable", "平台响应超时，请稍后重试");
    } finally {
      await slow.emulator.stop();
    }
  });
});

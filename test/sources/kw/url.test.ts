import { describe, expect, test } from "bun:test";
import { kwSection } from "../../../src/config/sections/sources.ts";
import { decryptQuery } from "../../../src/sources/kw/crypto.ts";
import { createKw } from "../../../src/sources/kw/index.ts";
import golden from "../../fixtures/kw/golden.json";
import { SONGS, songByKey } from "../../platforms/catalog.ts";
import { kwPlatform } from "../../platforms/kw.ts";
import { accountWith, failure, platformFor, steps } from "../harness.ts";

const known = { ...songByKey("plain"), key: "known", ids: { ...songByKey("plain").ids, kw: { id: "228908" } } };
const world = platformFor(kwPlatform, kwSection, [...SONGS, known]);
const PLAIN = songByKey("plain").ids.kw.id;
const MEMBER = songByKey("member").ids.kw.id;
type Deps = Parameters<typeof world.deps>[0];
type Quality = "128k" | "192k" | "320k" | "flac" | "flac24bit" | "hires" | "master";

const ask = (songId: string, quality: Quality, call = {}, change?: Deps) =>
  createKw(world.deps(change)).url?.({ songId, quality }, call) ?? Promise.reject(new Error("no url"));
const me = accountWith("kw", { uid: "10001", token: "TOKEN", device_id: "dev1" });
const proto =
  (name: "bd-api" | "kuwodes" | "mobi"): Deps =>
  (config) => {
    config.proto = name;
    config.mobi.second_attempt = false;
  };

describe("the original's request", () => {
  test.each([
    ["gcsp/02-ok-kw", "228908"],
    ["basic/28-space-id", "22 8908"],
    ["basic/29-unicode-id", "中"],
  ])("%s", async (row, songId) => {
    const want = golden.find((item) => item.id === row)?.upstream[0];
    await ask(songId, "128k").catch(() => undefined);
    const made = world.only();
    expect([made.scheme, made.method, made.host, made.path, `?${made.query}`, made.text]).toEqual([
      want?.scheme ?? "",
      want?.method ?? "",
      want?.host ?? "",
      want?.path ?? "",
      want?.query ?? "",
      want?.body ?? "",
    ]);
    const sent = Object.fromEntries(Object.keys(want?.headers ?? {}).map((name) => [name, made.headers.get(name)]));
    expect(sent as Record<string, string | null>).toEqual(want?.headers ?? {});
  });

  test("with an account: in query and headers", async () => {
    world.account("member");
    await ask(MEMBER, "flac", { account: me });
    const { query, headers } = world.only();
    expect(query).toBe("isMv=0&format=flac&br=2000kflac&uid=10001&token=TOKEN");
    expect([headers.get("uid"), headers.get("devId")]).toEqual(["10001", "dev1"]);
  });
});

describe.each(["bd-api", "kuwodes", "mobi"] as const)("%s", (name) => {
  test.each([
    ["128k", "128kmp3", "mp3", 128],
    ["192k", "192kmp3", "mp3", 192],
    ["320k", "320kmp3", "mp3", 320],
    ["flac", "2000kflac", "flac", 2000],
    ["flac24bit", "4000kflac", "flac", 4000],
    ["hires", "4000kflac", "flac", 4000],
  ] as const)("%s", async (quality, br, extension, bitrate) => {
    const found = await ask(PLAIN, quality, {}, proto(name));
    expect(found).toEqual({
      url: `${world.world.origin}/http/er-sycdn.kuwo.cn/3ffb59b5e84a443b17b24da4eb45640d/6657/resource/n2/${PLAIN}_${bitrate}.${extension}`,
      quality,
      extension,
      lifetimeSeconds: 3600,
    });
    const { query, params } = world.only();
    expect(name === "kuwodes" ? decryptQuery(params.get("q") ?? "") : query).toContain(br);
  });

  test.each([
    {
      name: "a spoken notice (bitrate 1)",
      fault: "trial",
      kind: "upstream_needs_purchase",
      message: "酷我: 需要会员或购买",
    },
    { name: "an encrypted file", fault: "encrypted", kind: "upstream_quality", message: "酷我: 平台只提供加密文件" },
    { name: "a lowered one", fault: "lower", kind: "upstream_quality", message: "酷我: 平台只提供其他音质（48k aac）" },
  ] as const)("refuses $name", async ({ fault, kind, message }) => {
    world.fault(fault);
    const error = await failure(ask(PLAIN, "320k", {}, proto(name)));
    expect([error.kind, error.message]).toEqual([kind, message]);
  });

  test.each([
    { name: "a member's song", key: "member", kind: "upstream_needs_purchase" },
    { name: "a song without copyright", key: "gone", kind: "upstream_not_found" },
    { name: "a quality that does not exist", key: "low", kind: "upstream_quality" },
  ] as const)("refuses $name", async ({ key, kind }) => {
    expect((await failure(ask(songByKey(key).ids.kw.id, "320k", {}, proto(name)))).kind).toBe(kind);
  });
});

describe("kuwodes by template", () => {
  const des =
    (change: Record<string, unknown>): Deps =>
    (config) => {
      proto("kuwodes")?.(config);
      Object.assign(config.des, change);
    };

  test("the default", async () => {
    await ask(PLAIN, "128k", {}, proto("kuwodes"));
    const { scheme, host, path, query, params, headers } = world.only();
    expect(`${scheme}://${host}${path}`).toBe("https://nmobi.kuwo.cn/mobi.s");
    expect(query).toMatch(/^f=kuwo&q=[A-Za-z0-9%]+$/);
    expect(decryptQuery(params.get("q") ?? "")).toBe(`type=convert_url_with_sign&rid=${PLAIN}&quality=128kmp3&ext=mp3`);
    expect(headers.get("user-agent")).toBe("okhttp/3.10.0");
  });

  test("every placeholder, another host and path, in the open", async () => {
    await ask(
      PLAIN,
      "hires",
      {},
      des({
        need_encrypt: false,
        f: "web",
        host: "mobi.kuwo.cn",
        path: "/mobi.s",
        params:
          "user=0&source=x&type=convert_url_with_sign&rid={songId}&br={map_quality}&format={ext}&raw={raw_quality}&{other}",
        headers: { "User-Agent": "me", "X-Own": "1" },
      }),
    );
    const { host, query, headers } = world.only();
    expect(host).toBe("mobi.kuwo.cn");
    expect(query).toBe(
      `f=web&user=0&source=x&type=convert_url_with_sign&rid=${PLAIN}&br=4000kflac&format=flac&raw=hires&{other}`.replace(
        /[{}]/g,
        (brace) => (query.includes("%7B") ? encodeURIComponent(brace) : brace),
      ),
    );
    expect([headers.get("user-agent"), headers.get("x-own")]).toEqual(["me", "1"]);
  });

  test("a reply of lines", async () => {
    const params = "type=convert_url2&rid={songId}&br={map_quality}&format={ext}";
    const found = await ask(PLAIN, "320k", {}, des({ response_type: "text", params }));
    expect(found.url).toEndWith(`/${PLAIN}_320.mp3`);
    expect(
      (await failure(ask(songByKey("gone").ids.kw.id, "320k", {}, des({ response_type: "text", params })))).kind,
    ).toBe("upstream_changed");
  });

  test("other places in the reply", async () => {
    const found = await ask(PLAIN, "320k", {}, des({ url_json_path: "data.surl", bitrate_json_path: "data.bitrate" }));
    expect(found.url).toEndWith(`/${PLAIN}_320.mp3`);
    const error = await failure(ask(PLAIN, "320k", {}, des({ url_json_path: "a.b", bitrate_json_path: "a.c" })));
    expect(error.kind).toBe("upstream_changed");
  });

  test("an id cannot add parameters", async () => {
    await failure(ask("1&rid=2280001", "128k", {}, proto("kuwodes")));
    expect(decryptQuery(world.only().params.get("q") ?? "")).toContain("rid=1%26rid%3D2280001&");
  });
});

describe("mobi", () => {
  test("the exact request", async () => {
    await ask(PLAIN, "flac", {}, (config) => {
      proto("mobi")?.(config);
      config.mobi.user = "359";
      config.mobi.source = "kwplayer_x.apk";
    });
    const { scheme, host, path, query, headers } = world.only();
    expect(`${scheme}://${host}${path}?${query}`).toBe(
      `http://mobi.kuwo.cn/mobi.s?f=web&user=359&source=kwplayer_x.apk&type=convert_url_with_sign&br=2000kflac&format=flac&sig=0&rid=${PLAIN}&network=WIFI`,
    );
    expect(headers.get("user-agent")).toBe("okhttp/3.10.0");
  });
});

describe("second attempt", () => {
  const bdDown = { match: /bd-api/ };

  test("when the chosen service fails", async () => {
    world.fault("http500", bdDown);
    const { call, names } = steps();
    expect((await ask(PLAIN, "128k", call)).quality).toBe("128k");
    expect(world.requests().map((request) => request.host)).toEqual(["bd-api.kuwo.cn", "mobi.kuwo.cn"]);
    expect(names()).toContain("kw.second_attempt");
  });

  test("when there is no account and the service wants one", async () => {
    const deps = world.deps();
    // As the service may answer a guest.
    const http: typeof deps.http = async (request) => {
      const reply = await deps.http(request);
      return request.url.includes("bd-api") ? { ...reply, json: () => ({ code: 401 }) } : reply;
    };
    expect((await createKw({ ...deps, http }).url?.({ songId: PLAIN, quality: "128k" }, {}))?.quality).toBe("128k");
  });

  test.each([
    { name: "a purchase is asked for", key: "member", change: undefined },
    { name: "the song is not there", key: "gone", change: undefined },
    { name: "the quality is not there", key: "low", change: undefined },
    {
      name: "it is switched off",
      key: "plain",
      change: ((config) => {
        config.mobi.second_attempt = false;
      }) satisfies Deps,
    },
  ])("not when $name", async ({ key, change }) => {
    if (change !== undefined) world.fault("http500", bdDown);
    await failure(ask(songByKey(key).ids.kw.id, "320k", {}, change));
    expect(world.requests().map((request) => request.host)).toEqual(["bd-api.kuwo.cn"]);
  });

  test("not with an account that has expired: its owner must know", async () => {
    world.account("expired");
    const error = await failure(ask(PLAIN, "128k", { account: me }));
    expect([error.kind, error.upstreamCode]).toEqual(["upstream_needs_login", 401]);
    expect(world.requests()).toHaveLength(1);
  });

  test("when it fails too, the first failure is the answer", async () => {
    world.fault("http500");
    const error = await failure(ask(PLAIN, "128k"));
    expect([error.kind, error.upstreamCode]).toEqual(["upstream_unreachable", 500]);
    expect(world.requests()).toHaveLength(2);
  });
});

describe("replies that lie", () => {
  const reply = (data: Record<string, unknown>) => {
    const deps = world.deps(proto("mobi"));
    const http = async () => ({
      status: 200,
      headers: new Headers(),
      bytes: new Uint8Array(),
      text: () => "",
      json: () => ({ code: 200, data }),
    });
    return createKw({ ...deps, http }).url?.({ songId: "228908", quality: "128k" }, {}) ?? Promise.reject(new Error());
  };
  const good = { url: "http://x.kuwo.cn/a.mp3?bitrate$128&from=vip", bitrate: 128, format: "mp3", rid: 228_908 };

  test("a good one, without what follows the file", async () => {
    expect((await reply(good)).url).toBe("http://x.kuwo.cn/a.mp3");
  });

  test.each([
    ["another song", { rid: 1 }, "upstream_quality"],
    ["a key for an encrypted file", { ekey: "AAAA" }, "upstream_quality"],
    ["an encrypted bit rate", { bitrate: 20_201 }, "upstream_quality"],
    ["an encrypted format", { format: "mgg" }, "upstream_quality"],
    ["an encrypted file name", { url: "http://x.kuwo.cn/a.kwm" }, "upstream_quality"],
    ["another format", { format: "aac" }, "upstream_quality"],
    ["another file", { url: "http://x.kuwo.cn/a.aac" }, "upstream_quality"],
    ["another bit rate", { bitrate: "320" }, "upstream_quality"],
    ["the notice with an honest bit rate", { url: "http://x.kuwo.cn/n/2272659253.mp3" }, "upstream_needs_purchase"],
    ["no address", { url: "" }, "upstream_refused"],
    ["an address of another kind", { url: "file:///etc/passwd" }, "upstream_refused"],
    ["no bit rate", { bitrate: undefined }, "upstream_changed"],
  ])("%s", async (_name, change, kind) => {
    expect((await failure(reply({ ...good, ...change }))).kind).toBe(kind as never);
  });
});

test.each(["", "MUSIC_", "a/b", "x".repeat(65), "a\u0000", "\ud800"])("an id like %p is never sent", async (songId) => {
  expect((await failure(ask(songId, "128k"))).kind).toBe("invalid_request");
  expect(world.requests()).toEqual([]);
});

test("master is not one of this platform's", async () => {
  expect((await failure(ask(PLAIN, "master"))).kind).toBe("unsupported");
});

test("the prefix of an id is taken off", async () => {
  expect(createKw(world.deps()).normalizeId("MUSIC_228908")).toBe("228908");
  await ask("MUSIC_228908", "128k");
  expect(world.only().path).toEndWith("/228908");
});

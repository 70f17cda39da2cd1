import { describe, expect, test } from "bun:test";
import { deflateSync, inflateSync } from "node:zlib";
import { AppError } from "../../src/core/errors.ts";
import type { Quality, SourceId } from "../../src/core/types.ts";
import { type GcspSettings, gcspRoutes } from "../../src/http/routes/gcsp.ts";
import { composeRoutes } from "../../src/http/routes/index.ts";
import { silentLogger } from "../../src/ops/log.ts";
import vectors from "../fixtures/gcsp.json";

const settings: GcspSettings = {
  enable: true,
  path: "/client/cgi-bin/api.fcg",
  enable_verify: false,
  package_md5: "",
  salt_1: vectors.salt_1,
  salt_2: vectors.salt_2,
};

function routes(change: Partial<GcspSettings> = {}, now = 1_700_000_005_000) {
  const asked: [SourceId, string, Quality][] = [];
  const app = composeRoutes(
    [
      gcspRoutes({
        settings: () => ({ ...settings, ...change }),
        now: () => now,
        url: async (source, songId, quality) => {
          if (songId === "vip") throw new AppError("upstream_needs_purchase", "酷狗: 需要会员");
          asked.push([source, songId, quality]);
          return "http://audio.test/a.mp3";
        },
      }),
    ],
    silentLogger,
  );
  const post = (body: Uint8Array<ArrayBuffer> | string) =>
    app.handle(new Request(`http://localhost${settings.path}`, { method: "POST", body }));
  const reply = async (body: Uint8Array<ArrayBuffer> | string) =>
    JSON.parse(inflateSync(new Uint8Array(await (await post(body)).arrayBuffer())).toString());
  return { asked, post, reply };
}

const pack = (message: object) => new Uint8Array(deflateSync(Buffer.from(JSON.stringify(message)).toString("hex")));
const wanted = (platform: string, t1: string, t2: string) => pack({ text_1: JSON.stringify({ platform, t1, t2 }) });

describe("what is asked", () => {
  test.each([
    ["kugou", "mp3", "kg", "128k"],
    ["kuwo", "hq", "kw", "320k"],
    ["qq", "sq", "tx", "flac"],
    ["wyy", "mp3", "wy", "128k"],
    ["mgu", "sq", "mg", "flac"],
  ])("%s %s", async (platform, t2, source, quality) => {
    const { reply, asked } = routes();
    const url = "http://audio.test/a.mp3";
    const data = platform === "kuwo" ? { bitrate: "123", url } : url;
    expect(await reply(wanted(platform, "id1", t2))).toEqual({
      code: "200",
      error_msg: "success",
      data,
    });
    expect(asked).toEqual([[source as SourceId, "id1", quality as Quality]]);
  });
});

describe("what is refused", () => {
  test.each([
    ["unknown platform", wanted("xx", "1", "mp3")],
    ["unknown quality", wanted("qq", "1", "8d")],
    ["garbage", new TextEncoder().encode("garbage")],
    ["empty", ""],
    ["not JSON inside", new Uint8Array(deflateSync(Buffer.from("{").toString("hex")))],
    ["a bomb", new Uint8Array(deflateSync("00".repeat(2_000_000)))],
    ["no text_1", pack({ a: 1 })],
    ["a platform's no", wanted("kugou", "vip", "mp3")],
  ])("%s", async (_name, body) => {
    expect(await routes().reply(body)).toMatchObject({ code: "403", data: null });
  });

  test("over 5 KiB", async () => {
    expect((await routes().post("x".repeat(5 * 1024 + 1))).status).toBe(413);
  });

  test("switched off", async () => {
    expect((await routes({ enable: false }).post("x")).status).toBe(404);
  });
});

describe("verification", () => {
  test.each(vectors.cases.map((item) => ({ name: item.data.text_1, item })))("$name", async ({ item }) => {
    const on = { enable_verify: true, package_md5: item.package_md5 };
    const body = new Uint8Array(Buffer.from(item.request_body_base64, "base64"));
    expect((await routes(on).reply(body)).code).toBe("200");
    expect((await routes(on, 1_700_000_099_000).reply(body)).error_msg).toContain("系统时间");
    expect((await routes(on).reply(pack({ ...item.data, sign_2: "0".repeat(32) }))).error_msg).toContain(
      "应用是否被修改",
    );
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { eapiParams, linuxapiParams, randomKey, weapiParams } from "../../../src/sources/wy/crypto.ts";
import { createWy } from "../../../src/sources/wy/index.ts";
import { songByKey } from "../../platforms/catalog.ts";
import { startEmulator } from "../../platforms/emulator.ts";
import { wyPlatform } from "../../platforms/wy.ts";
import { openEapi } from "../../platforms/wy-crypto.ts";
import { account, configOf, depsOn, failureOf } from "../start.ts";

/** Other people's clients, as judges of ours and of the emulator. */

interface NcmCrypto {
  weapi(object: object): { params: string; encSecKey: string };
  linuxapi(object: object): { eparams: string };
  eapi(path: string, object: object): { params: string };
}
interface NcmServer {
  serveNcmApi(options: object): Promise<{ server: { address(): AddressInfo; close(): void } }>;
}

interface Meting {
  format(on: boolean): Meting;
  song(id: string): Promise<string>;
  search(word: string): Promise<string>;
  album(id: string): Promise<string>;
}

const require = createRequire(import.meta.url);
// It has no types of its own.
const metingName: string = "@meting/core";
const metingModule: { default: new (site: string) => Meting } = await import(metingName);
const theirs: NcmCrypto = require("NeteaseCloudMusicApi/util/crypto.js");
const emulator = startEmulator([wyPlatform]);
emulator.world.accounts.push({ source: "wy", id: "1", token: "t", state: "member", requests: 0 });
const folder = mkdtempSync(join(tmpdir(), "lx-ncm-"));
let ncm: Awaited<ReturnType<NcmServer["serveNcmApi"]>> | undefined;
const quiet = spyOn(console, "log");

beforeAll(async () => {
  quiet.mockImplementation(() => {});
  // Their client reads a guest's token from the temporary folder, and its hosts from a file of constants.
  writeFileSync(join(folder, "anonymous_token"), "");
  const before = process.env.TMPDIR;
  process.env.TMPDIR = folder;
  const constants: { APP_CONF: Record<string, unknown> } = require("NeteaseCloudMusicApi/util/config.json");
  constants.APP_CONF["apiDomain"] = `${emulator.origin}/https/interface.music.163.com`;
  constants.APP_CONF["domain"] = `${emulator.origin}/https/music.163.com`;
  const server: NcmServer = require("NeteaseCloudMusicApi/server.js");
  const module: unknown = require("NeteaseCloudMusicApi/module/song_url_v1.js");
  ncm = await server.serveNcmApi({ port: "0", host: "127.0.0.1", moduleDefs: [{ route: "/song/url/v1", module }] });
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
});
afterAll(async () => {
  quiet.mockRestore();
  ncm?.server.close();
  rmSync(folder, { recursive: true, force: true });
  await emulator.stop();
});
beforeEach(() => emulator.reset());

const payload = fc.dictionary(
  fc.stringMatching(/^[a-zA-Z_]{1,8}$/),
  fc.oneof(fc.string(), fc.integer(), fc.boolean()),
  {
    noNullPrototype: true,
  },
);

test("NeteaseCloudMusicApi builds the same eapi and linuxapi parameters", () => {
  fc.assert(
    fc.property(fc.stringMatching(/^\/api\/[a-z/]{1,20}$/), payload, (path, object) => {
      expect(eapiParams(path, JSON.stringify(object))).toBe(theirs.eapi(path, object).params);
      expect(linuxapiParams(JSON.stringify(object))).toBe(theirs.linuxapi(object).eparams);
    }),
    { numRuns: 50 },
  );
});

test("NeteaseCloudMusicApi builds the same weapi parameters under the same second key", () => {
  const random = spyOn(Math, "random").mockImplementation(() => 0);
  try {
    const key = randomKey(() => 0);
    for (const object of [{}, { s: "中文/", csrf_token: "" }, { ids: "[1]", n: 3 }]) {
      expect(weapiParams(JSON.stringify(object), key)).toEqual(theirs.weapi(object));
    }
  } finally {
    random.mockRestore();
  }
});

test("through a real NeteaseCloudMusicApi server: the same song, the same refusals", async () => {
  const api_url = `http://127.0.0.1:${ncm?.server.address().port}`;
  // The server is the operator's own, and is asked directly.
  const deps = { ...depsOn(emulator, configOf("wy", { proto: "ncmapi", ncmapi: { api_url } })) };
  const direct = createWy({ ...deps, http: directly() });
  const own = createWy(depsOn(emulator, configOf("wy")));
  const who = { account: account("wy", { cookie: "MUSIC_U=t; os=pc" }) };
  const songId = songByKey("plain").ids.wy.id;
  const answer = await direct.url?.({ songId, quality: "hires" }, who);
  expect(answer).toEqual((await own.url?.({ songId, quality: "hires" }, who)) as never);
  const [theirRequest] = emulator.requestsTo("wy");
  const inner = openEapi(new URLSearchParams(theirRequest?.text).get("params") ?? "");
  expect(JSON.parse(inner?.text ?? "{}")).toMatchObject({ ids: `[${songId}]`, level: "hires", encodeType: "flac" });

  for (const [key, quality] of [
    ["member", "128k"],
    ["gone", "128k"],
    ["low", "320k"],
  ] as const) {
    const request = { songId: songByKey(key).ids.wy.id, quality };
    const failure = await failureOf(direct.url?.(request, {}) ?? Promise.reject());
    expect(failure).toEqual(await failureOf(own.url?.(request, {}) ?? Promise.reject()));
  }
});

function directly(): ReturnType<typeof depsOn>["http"] {
  return async ({ url, redirect }) => {
    const response = await fetch(url, { redirect: redirect ?? "follow" });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const text = () => new TextDecoder().decode(bytes);
    return { status: response.status, headers: response.headers, bytes, text, json: () => JSON.parse(text()) };
  };
}

const calls: { name: string; run: (meting: Meting) => Promise<string>; expected: RegExp }[] = [
  { name: "song", run: (meting) => meting.song("33890001"), expected: /"name":"晴天"/ },
  { name: "search", run: (meting) => meting.search("晴"), expected: /"name":"晴天"/ },
  { name: "album", run: (meting) => meting.album("820001"), expected: /"name":"晴天"/ },
];
const realFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = realFetch;
});

test.each(calls)("@meting/core reads the emulator: $name; its request is ours for the same payload", async (row) => {
  let sent: { url: string; params: string } | undefined;
  const rerouted = async (input: string | URL | Request, init?: RequestInit) => {
    const url = String(input).replace("http://music.163.com/", "http://interface.music.163.com/");
    sent = { url: String(input), params: new URLSearchParams(String(init?.body)).get("params") ?? "" };
    return realFetch(url.replace("http://", `${emulator.origin}/https/`), init);
  };
  globalThis.fetch = Object.assign(rerouted, { preconnect: realFetch.preconnect });
  const meting = new metingModule.default("netease");
  meting.format(true);
  expect(await row.run(meting)).toMatch(row.expected);
  const inner = openEapi(sent?.params ?? "");
  expect(eapiParams(inner?.path ?? "", inner?.text ?? "")).toBe(sent?.params ?? "");
  expect(sent?.url).toBe(`http://music.163.com${inner?.path.replace("/api/", "/eapi/")}`);
});

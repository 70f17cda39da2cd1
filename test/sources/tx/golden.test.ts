import { expect, test } from "bun:test";
import { txSection } from "../../../src/config/sections/sources.ts";
import type { Song } from "../../../src/core/types.ts";
import { createTx } from "../../../src/sources/tx/index.ts";
import golden from "../../fixtures/tx/golden.json";
import { songByKey } from "../../platforms/catalog.ts";
import { txPlatform } from "../../platforms/tx.ts";
import type { PlatformRequest } from "../../platforms/world.ts";
import { failure, platformFor } from "../harness.ts";

const plain = songByKey("plain");
const ids = { mid: "0039MnYb0qxYhV", id: "97773", mediaMid: "M039MnYb0qxYhV", vid: "g0010vl3mem" };
const songs = [
  {
    ...plain,
    artists: [{ id: "4558", mid: "0025NhlN2yWrP4", name: "周杰伦" }],
    album: { id: "8220", mid: "000MkMni19ClKG", name: "叶惠美" },
    durationSeconds: 269,
    qualities: ["128k" as const],
    ids: { ...plain.ids, tx: ids },
  },
];
const world = platformFor(txPlatform, txSection, songs);
const source = () => createTx(world.deps());

interface Recorded {
  scheme: string;
  host: string;
  method: string;
  path: string;
  body: string;
  headers: Record<string, string>;
  verify: { what: string; want?: string }[];
}

function recorded(id: string): Recorded[] {
  const row = golden.find((item) => item.id === id);
  return (row?.upstream ?? []).filter((item) => item.host === "u.y.qq.com") as Recorded[];
}

/** Everything but the User-Agent, which was drawn by chance, and the sign, which was right on a first call only. */
function expectSame(made: PlatformRequest[], wanted: (Recorded | undefined)[]) {
  expect(made.length).toBe(wanted.length);
  for (const [index, request] of made.entries()) {
    const want = wanted[index];
    const sign = want?.verify.find((item) => item.what === "tx.zzc sign")?.want;
    expect([request.scheme, request.method, request.host, request.path]).toEqual([
      want?.scheme ?? "",
      want?.method ?? "",
      want?.host ?? "",
      want?.path ?? "",
    ]);
    expect(`?${request.query}`).toBe(`?format=json&sign=${sign}`);
    expect(request.text).toBe(want?.body ?? "");
    expect(request.headers.get("content-type")).toBe(want?.headers["content-type"] ?? "");
  }
}

const cached: Song = {
  source: "tx",
  songId: ids.mid,
  name: "晴天",
  artists: [],
  qualities: {},
  ids: { mediaMid: ids.mediaMid },
};

test("tx/01: an address asks for the song, then for the key", async () => {
  const found = await source().url?.({ songId: ids.mid, quality: "128k" }, {});
  expectSame(world.requests(), recorded("tx/01-url-128k").slice(0, 2));
  expect(found).toEqual({
    url: golden[0]?.response.json.data as string,
    quality: "128k",
    lifetimeSeconds: 80_400,
    extension: "mp3",
  });
});

test("tx/01: lyrics by mid ask for the song, then for the lyric", async () => {
  await source().lyric?.(ids.mid, {});
  expectSame(world.requests(), recorded("tx/01-url-128k").slice(2, 4));
});

test("tx/03: a known song goes straight to the key, and a refusal is not worked around", async () => {
  const error = await failure(
    source().url?.({ songId: ids.mid, quality: "320k", song: cached }, {}) ?? Promise.resolve(),
  );
  expectSame(world.requests(), recorded("tx/03-url-320k-novip"));
  expect([error.kind, error.upstreamCode]).toEqual(["upstream_needs_purchase", 104_003]);
});

test.each([
  ["tx/05-url-nosong", "nosong9MnYb0qx"],
  ["tx/07-url-numeric-id", "97773"],
])("%s", async (row, songId) => {
  const error = await failure(source().url?.({ songId, quality: "128k" }, {}) ?? Promise.resolve());
  expectSame(world.requests(), recorded(row));
  expect([error.kind, error.message]).toEqual(["upstream_not_found", "获取音乐信息失败"]);
});

test("tx/11 and tx/17: the original's messages for a song that does not exist", async () => {
  const [info, lyric] = [source().info?.("nosong9MnYb0qx", {}), source().lyric?.("nosong9MnYb0qx", {})];
  expect((await failure(info ?? Promise.resolve())).message).toBe("获取音乐信息失败");
  expect((await failure(lyric ?? Promise.resolve())).message).toBe("歌曲信息获取失败");
});

test("tx/15: lyrics by number need no song", async () => {
  await source().lyric?.("97773", {});
  expectSame(world.requests(), recorded("tx/15-lyric-numeric"));
});

test("tx/19: an mv asks for its description, then for its files", async () => {
  const mv = await source().mv?.(ids.vid, {});
  expectSame(world.requests(), recorded("tx/19-mv"));
  expect(Object.keys(mv?.files ?? {})).toEqual(["240p", "480p", "720p"]);
});

test("tx/09: a song carries all that the original's answer holds", async () => {
  const row = golden.find((item) => item.id === "tx/09-info-cached");
  const want = row?.response.json.data as Record<string, unknown>;
  const song = await source().info?.(ids.mid, {});
  expect({
    name_ori: song?.originalName,
    name_extra: song?.nameExtra,
    singer_list: song?.artists.map((artist) => ({ ...artist, id: Number(artist.id) })),
    length: song?.durationSeconds,
    media_mid: song?.ids["mediaMid"],
    songmid: song?.songId,
    album_id: Number(song?.album?.id),
    album_mid: song?.ids["albumMid"],
    language: song?.language,
    sizable_cover: song?.sizableCover,
    publish_date: song?.publishDate,
    mvid: song?.mvId,
    genre: song?.genre,
    kmid: song?.ids["kmid"],
    kid: Number(song?.ids["kid"]),
    bpm: song?.bpm,
  } as Record<string, unknown>).toEqual(
    Object.fromEntries(
      Object.entries(want).filter(
        ([name]) => !["name", "singer", "format_length", "file_info", "album", "cover"].includes(name),
      ),
    ),
  );
  const picture = (golden[0]?.upstream ?? []).find((item) => item.host === "y.qq.com");
  expect(song?.cover).toBe(`https://y.qq.com${picture?.path}`);
});

import { afterEach, expect, test } from "bun:test";
import { readTags } from "../../src/audio/tags.ts";
import { AppError } from "../../src/core/errors.ts";
import type { Lyric, Song } from "../../src/core/types.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createAudioKeeping, type KeepAudioDeps } from "../../src/resolve/keep-audio.ts";
import { type Rig, startRig } from "../audio/rig.ts";
import { sample } from "../audio/samples.ts";
import { makeAudio } from "../platforms/audio.ts";

let rig: Rig;
afterEach(() => rig.close());

const SONG: Song = {
  source: "tx",
  songId: "0039MnYb0qxYhV",
  name: "晴天",
  artists: [{ name: "周杰伦" }, { name: "AC/DC" }],
  album: { id: "1", name: "叶惠美" },
  durationSeconds: 4,
  publishDate: "2003-07-31",
  qualities: {},
  ids: { mediaMid: "M1" },
};
const LYRIC: Lyric = { lyric: "[00:01.00]故事", tlyric: "[00:01.00]story", rlyric: "", lxlyric: "" };
const cached = <T>(value: T) => Promise.resolve({ value, status: "hit" as const, expiresAt: Number.POSITIVE_INFINITY });
const no = () => Promise.reject(new AppError("upstream_unreachable", "no"));

async function keeping(changes: Partial<KeepAudioDeps["catalog"]> = {}) {
  const png = await Bun.file(
    await sample("cover.png", ["-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1"]),
  ).bytes();
  const catalog: KeepAudioDeps["catalog"] = {
    info: () => cached(SONG),
    lyric: () => cached(LYRIC),
    cover: () => cached(rig.origin.put("/cover", png)),
    ...changes,
  };
  return createAudioKeeping({ audio: rig.cache, catalog, log: silentLogger });
}

const request = { source: "tx", songId: SONG.songId, quality: "128k", client: "c", bypass: false } as const;

async function resolve(it: Awaited<ReturnType<typeof keeping>>, seconds = 4) {
  const audio = await makeAudio({ format: "mp3", seconds, tone: 440, bitrate: 128 });
  const url = rig.origin.put(`/a${seconds}`, await Bun.file(audio.path).bytes());
  it.resolved(request, { url, quality: "128k", route: "tx" });
  const { downloading, waiting } = rig.cache.stats();
  expect(downloading + waiting).toBe(1);
  // The same download, joined.
  return rig.cache.fetch({ ...request, url, route: "tx" });
}

test("what was resolved is kept with all its tags, and found the next time", async () => {
  rig = await startRig();
  const it = await keeping();
  expect(it.finder(request)).toBeUndefined();
  await resolve(it);
  expect(it.finder(request)).toEqual({ address: "/cache/tx_0039MnYb0qxYhV_128k.mp3", quality: "128k", kind: "audio" });
  const file = rig.cache.find("tx", SONG.songId, "128k");
  expect(file).toMatchObject({ title: "晴天", artist: "周杰伦/AC/DC", lengthProven: true, tagged: true });
  const { cover, ...tags } = readTags(file?.path ?? "", "mp3").tags;
  expect(tags).toMatchObject({ title: "晴天", artists: ["周杰伦", "AC/DC"], album: "叶惠美", year: 2003 });
  expect(tags).toMatchObject({ lyric: LYRIC.lyric, translation: LYRIC.tlyric, ids: { LX_MEDIA_MID: "M1" } });
  expect(cover?.length).toBeGreaterThan(100);
  expect(rig.cache.findCover("tx", SONG.songId)?.name).toBe("tx_0039MnYb0qxYhV_cover.png");
});

test("without lyric and cover the rest is written; without the song the audio is kept bare", async () => {
  rig = await startRig();
  await resolve(await keeping({ lyric: no, cover: no }));
  const file = rig.cache.find("tx", SONG.songId, "128k");
  expect(readTags(file?.path ?? "", "mp3").tags).toMatchObject({ title: "晴天" });
  await rig.cache.delete(file?.name ?? "");
  const it = await keeping({ info: no });
  await resolve(it);
  expect(rig.cache.find("tx", SONG.songId, "128k")).toMatchObject({ tagged: false, lengthProven: false });
  expect(await it.tagsOf("tx", SONG.songId)).toBeUndefined();
});

test("a fake marks its route", async () => {
  rig = await startRig();
  const it = await keeping();
  expect(await resolve(it, 30)).toMatchObject({ kind: "refused", fault: "duration" });
  expect(it.finder(request)).toBeUndefined();
  expect([...it.avoid("tx", SONG.songId, "128k")]).toEqual(["tx"]);
  expect([...it.avoid("tx", SONG.songId, "320k")]).toEqual([]);
});

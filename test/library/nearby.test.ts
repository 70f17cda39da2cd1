import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { Quality } from "../../src/core/types.ts";
import { findNearby, qualityOfTrack } from "../../src/library/nearby.ts";
import { openLibrary, type TestLibrary, temporaryFolder, writeFlac, writeMp3 } from "./shelf.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let own: TestLibrary;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeMp3(join(folder.path, "audio/周杰伦 - 晴天.mp3"), { title: "晴天", artist: "周杰伦", album: "叶惠美" });
  await writeFlac(join(folder.path, "audio/lossless.flac"), { title: "七里香", artist: "周杰伦" });
  await writeMp3(join(folder.path, "audio/kw_77_128k.mp3"), undefined);
  own = await openLibrary(folder.path);
  await own.library.scan();
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const info = (name: string, singer: string, interval: string | null = "00:01") => ({
  name,
  singer,
  interval,
  albumName: "",
});

test.each<[string, string, Quality, ReturnType<typeof info> | undefined, boolean, string | undefined]>([
  ["by name and artist", "1", "128k", info("晴天", "周杰倫"), false, "128k"],
  ["better than asked", "1", "320k", info("七里香", "周杰伦"), false, "flac"],
  ["lower than asked", "1", "320k", info("晴天", "周杰伦"), false, undefined],
  ["lower, when allowed", "1", "320k", info("晴天", "周杰伦"), true, "128k"],
  ["another version", "1", "128k", info("晴天 (Live)", "周杰伦"), true, undefined],
  ["another singer", "1", "128k", info("晴天", "谁"), true, undefined],
  ["another length", "1", "128k", info("晴天", "周杰伦", "04:29"), true, undefined],
  ["stored under its id", "77", "128k", undefined, false, "128k"],
  ["unknown, without info", "1", "128k", undefined, true, undefined],
])("%s", (_name, songId, quality, known, downgrade, expected) => {
  const found = findNearby(own.library, { source: "kw", songId, quality, info: known }, downgrade);
  expect<string | undefined>(found?.quality).toBe(expected);
  if (found !== undefined) expect(found.address).toStartWith("/local/u?q=");
});

test.each<[Parameters<typeof qualityOfTrack>[0], Quality]>([
  [{ lossless: true, bitrate: 900, sampleRate: 44_100, bitsPerSample: 16 }, "flac"],
  [{ lossless: true, bitrate: 1800, sampleRate: 48_000, bitsPerSample: 24 }, "flac24bit"],
  [{ lossless: true, bitrate: 4000, sampleRate: 96_000, bitsPerSample: 24 }, "hires"],
  [{ lossless: false, bitrate: 320, sampleRate: 44_100, bitsPerSample: undefined }, "320k"],
  [{ lossless: false, bitrate: 192, sampleRate: 44_100, bitsPerSample: undefined }, "192k"],
  [{ lossless: false, bitrate: 96, sampleRate: 44_100, bitsPerSample: undefined }, "128k"],
  [{ lossless: false, bitrate: undefined, sampleRate: undefined, bitsPerSample: undefined }, "128k"],
])("%j is %s", (track, quality) => {
  expect(qualityOfTrack(track)).toBe(quality);
});

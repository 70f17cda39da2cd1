import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { coverForTag, pictureType } from "../../src/audio/picture.ts";
import { type TagFormat, tagFormat } from "../../src/audio/tag-format.ts";
import { readTags, writeTags } from "../../src/audio/tags.ts";
import type { Id3Version } from "../../src/audio/tags-id3.ts";
import { cleanTags, type TrackTags } from "../../src/audio/track-tags.ts";
import { type AudioSpec, makeAudio } from "../platforms/audio.ts";
import { run } from "./run.ts";

let folder = "";
let jpeg: Uint8Array = new Uint8Array();
let png: Uint8Array = new Uint8Array();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-tags-"));
  const source = join(folder, "c.png");
  await run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x320", "-frames:v", "1", source]);
  png = await Bun.file(source).bytes();
  jpeg = await new Bun.Image(png).jpeg().bytes();
});
afterAll(() => rm(folder, { recursive: true }));

const FULL: TrackTags = {
  title: "晴天 🌞 (Live) 👨‍👩‍👧",
  artists: ["周杰伦", "AC/DC", "甲、乙; 丙"],
  album: "叶惠美 💿",
  albumArtists: ["群星"],
  track: 3,
  disc: 2,
  year: 2003,
  genres: ["流行", "摇滚"],
  lyric: Array.from({ length: 3000 }, (_, n) => `[${String(n % 60).padStart(2, "0")}:00.00]故事的小黄花 🌻 ${n}`).join(
    "\n",
  ),
  translation: "[00:01.00]The little yellow flower 🌼\n[00:02.00]둘째 줄",
  ids: { LX_SOURCE: "tx", LX_SONG_ID: "0039MnYb0qxYhV", LX_ALBUM_ID: "000MkMni19ClKG" },
};

interface Format {
  name: string;
  spec: AudioSpec;
  id3Version: Id3Version;
}
const FORMATS: Format[] = [
  { name: "MP3, ID3v2.3", spec: { format: "mp3", seconds: 4, tone: 440, bitrate: 128 }, id3Version: "2.3" },
  { name: "MP3, ID3v2.4", spec: { format: "mp3", seconds: 4, tone: 440, bitrate: 128 }, id3Version: "2.4" },
  { name: "FLAC", spec: { format: "flac", seconds: 4, tone: 440 }, id3Version: "2.4" },
  { name: "M4A", spec: { format: "m4a", seconds: 4, tone: 440, bitrate: 128 }, id3Version: "2.4" },
  { name: "Ogg Vorbis", spec: { format: "ogg", seconds: 4, tone: 440 }, id3Version: "2.4" },
  { name: "Opus", spec: { format: "opus", seconds: 4, tone: 440 }, id3Version: "2.4" },
];

/** A fresh copy of the format's audio. */
async function copyOf({ spec }: Format): Promise<{ path: string; original: string; format: TagFormat }> {
  const audio = await makeAudio(spec);
  const path = join(folder, `${crypto.randomUUID()}.${spec.format}`);
  await copyFile(audio.path, path);
  const format = tagFormat(path);
  if (format === undefined) throw new Error(path);
  return { path, original: audio.path, format };
}

const md5 = async (path: string, codec: string[]) =>
  (await run(["ffmpeg", "-v", "error", "-i", path, "-map", "0:a", ...codec, "-f", "md5", "-"])).trim();

async function mutagen(path: string): Promise<Record<string, unknown>> {
  const [tags] = JSON.parse(await run(["/usr/bin/python3", join(import.meta.dir, "read_tags.py"), path]));
  return tags;
}

describe.each(FORMATS)("$name", (row) => {
  test("mutagen reads every tag, and the audio is what it was", async () => {
    const { path, original, format } = await copyOf(row);
    expect(new TextEncoder().encode(FULL.lyric).length).toBeGreaterThan(100_000);
    writeTags(path, format, { ...FULL, cover: jpeg }, { id3Version: row.id3Version });
    const seen = await mutagen(path);
    expect(seen).toMatchObject({
      title: [FULL.title],
      artists: FULL.artists,
      album: [FULL.album],
      albumArtists: FULL.albumArtists,
      track: ["3"],
      disc: ["2"],
      year: ["2003"],
      lyric: FULL.lyric,
      translation: FULL.translation,
      cover: Buffer.from(jpeg).toString("hex"),
      mime: "image/jpeg",
      pictures: 1,
      ids: FULL.ids,
    });
    if (format === "mp3") expect(seen["version"]).toEqual([2, row.id3Version === "2.4" ? 4 : 3]);
    expect(await md5(path, ["-c", "copy"])).toBe(await md5(original, ["-c", "copy"]));
    expect(await md5(path, [])).toBe(await md5(original, []));
  });

  test("ffprobe reads title, artist, album, and sees a cover", async () => {
    const { path, format } = await copyOf(row);
    writeTags(path, format, { ...FULL, artists: ["周杰伦"], cover: jpeg }, { id3Version: row.id3Version });
    const probed = JSON.parse(
      await run(["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams", path]),
    );
    const tags = { ...probed.streams[0].tags, ...probed.format.tags };
    const byName = Object.fromEntries(Object.entries(tags).map(([name, value]) => [name.toLowerCase(), value]));
    expect(byName).toMatchObject({ title: FULL.title, artist: "周杰伦", album: FULL.album });
    const cover = probed.streams.find((stream: { codec_name: string }) => stream.codec_name === "mjpeg");
    expect(cover).toMatchObject({ width: 320, height: 320 });
  });

  test("written again: the new values, one picture, no trace of the old", async () => {
    const { path, format } = await copyOf(row);
    const options = { id3Version: row.id3Version };
    writeTags(path, format, { ...FULL, cover: jpeg }, options);
    const size = Bun.file(path).size;
    const next: TrackTags = { title: "二", artists: ["一人"], lyric: "短", translation: "t", cover: png };
    writeTags(path, format, next, options);
    const seen = await mutagen(path);
    expect(seen).toMatchObject({ title: ["二"], artists: ["一人"], lyric: "短", translation: "t", pictures: 1 });
    expect(seen).toMatchObject({ mime: "image/png", album: [FULL.album], ids: FULL.ids });
    expect(Bun.file(path).size).toBeLessThanOrEqual(size + png.length);
  });

  test("our reader gives back what was written", async () => {
    const { path, format } = await copyOf(row);
    writeTags(path, format, { ...FULL, cover: jpeg }, { id3Version: row.id3Version });
    const { tags, sound } = readTags(path, format);
    const { cover, ...rest } = tags;
    expect(rest).toMatchObject(FULL);
    expect(Buffer.from(cover ?? []).equals(jpeg)).toBe(true);
    expect(sound.duration).toBeGreaterThan(3.9);
    expect(sound.duration).toBeLessThan(4.2);
  });

  test("any text survives", async () => {
    const { path, format } = await copyOf(row);
    const words = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(words, fc.array(words, { minLength: 1, maxLength: 4 }), words, (title, artists, lyric) => {
        const wanted = cleanTags({ title, artists, lyric });
        if (wanted.title === undefined || wanted.artists === undefined || wanted.lyric === undefined) return;
        // In ID3v2.3 "/" stands between artists: one in a name cannot be told from that.
        const between = row.id3Version === "2.3" ? "/" : "\0";
        if (between === "/" && wanted.artists.some((name) => /^\/|\/$|\/\s|\s\//.test(name))) return;
        writeTags(path, format, wanted, { id3Version: row.id3Version });
        const { tags } = readTags(path, format);
        expect(tags.title).toBe(wanted.title);
        expect(tags.lyric).toBe(wanted.lyric);
        expect(tags.artists?.join(between)).toBe(wanted.artists.join(between));
      }),
      { numRuns: 30 },
    );
  });
});

test("metaflac accepts the file and shows every comment", async () => {
  const { path, format } = await copyOf(FORMATS[2] as Format);
  writeTags(path, format, { ...FULL, cover: jpeg }, { id3Version: "2.4" });
  await run(["flac", "-t", "-s", path]);
  const lines = (await run(["metaflac", "--no-utf8-convert", "--export-tags-to=-", path])).split("\n");
  for (const wanted of [`TITLE=${FULL.title}`, "ARTIST=周杰伦", "ARTIST=AC/DC", "TRACKNUMBER=3", "LX_SOURCE=tx"]) {
    expect(lines).toContain(wanted);
  }
  expect(await run(["metaflac", "--list", "--block-type=PICTURE", path])).toContain("image/jpeg");
});

test.each(["2.3", "2.4"] as const)("eyeD3 reads ID3v%s", async (id3Version) => {
  const { path, format } = await copyOf(FORMATS[0] as Format);
  writeTags(path, format, { ...FULL, artists: ["周杰伦"], cover: jpeg }, { id3Version });
  const text = await run(["eyeD3", "--no-color", path], { PYTHONIOENCODING: "utf-8", LC_ALL: "C.UTF-8" });
  for (const wanted of [`ID3 v${id3Version}`, "晴天 🌞", "artist: 周杰伦", "叶惠美", "FRONT_COVER", "小黄花 🌻 2999"]) {
    expect(text).toContain(wanted);
  }
});

test("ID3v1 and APE tags that say something else are gone afterwards", async () => {
  const { path, format } = await copyOf(FORMATS[0] as Format);
  const id3v1 = Buffer.alloc(128);
  id3v1.write("TAGold title");
  await Bun.write(path, Buffer.concat([await Bun.file(path).bytes(), id3v1]));
  writeTags(path, format, { title: "新" }, { id3Version: "2.4" });
  expect((await Bun.file(path).bytes()).subarray(-128, -125).toString()).not.toBe(id3v1.subarray(0, 3).toString());
  expect(await mutagen(path)).toMatchObject({ title: ["新"] });
});

describe("covers", () => {
  test.each([
    { name: "JPEG", bytes: () => jpeg, type: "image/jpeg" },
    { name: "PNG", bytes: () => png, type: "image/png" },
    { name: "HTML sent as a picture", bytes: () => new TextEncoder().encode("<html>"), type: undefined },
    { name: "nothing", bytes: () => new Uint8Array(), type: undefined },
  ])("$name is $type", ({ bytes, type }) => expect(pictureType(bytes())).toBe(type as never));

  test("only a huge one is made smaller, and WebP becomes JPEG", async () => {
    expect(await coverForTag(jpeg)).toBe(jpeg);
    const big = await new Bun.Image(png).resize(3200, 3200).jpeg().bytes();
    const small = await coverForTag(big);
    expect(await new Bun.Image(small ?? new Uint8Array()).metadata()).toMatchObject({ width: 1400, height: 1400 });
    const webp = await coverForTag(await new Bun.Image(png).webp().bytes());
    expect(pictureType(webp ?? new Uint8Array())).toBe("image/jpeg");
    expect(await coverForTag(new TextEncoder().encode("<html>"))).toBeUndefined();
  });
});

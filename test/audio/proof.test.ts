import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { decodeFrame, flacFrame } from "../../src/audio/flac-decoder.ts";
import { readFlac } from "../../src/audio/flac-file.ts";
import { measure } from "../../src/audio/measure.ts";
import { type Claim, type Fault, judge } from "../../src/audio/proof.ts";
import { sniff } from "../../src/audio/sniff.ts";
import type { Quality } from "../../src/core/types.ts";
import { makeAudio } from "../platforms/audio.ts";
import { run } from "./run.ts";
import { noise, sample, silence } from "./samples.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-proof-"));
});
afterAll(() => rm(folder, { recursive: true }));

const mp3 = (kbps: number, seconds = 12) =>
  makeAudio({ format: "mp3", seconds, tone: 440, bitrate: kbps }).then((audio) => audio.path);
const flac = (seconds = 12) => sample(`cd-${seconds}.flac`, [...noise(seconds), "-sample_fmt", "s16"]);
const from = async (name: string, source: string | Promise<string>, ...rest: string[]) =>
  sample(name, ["-i", await source, ...rest]);
/** The first bytes of a file, or a file of these bytes. */
async function cut(source: string | Promise<string>, share: number): Promise<string> {
  const bytes = await Bun.file(await source).bytes();
  return bytesFile(bytes.subarray(0, Math.floor(bytes.length * share)));
}
async function bytesFile(bytes: Uint8Array | string): Promise<string> {
  const path = join(folder, crypto.randomUUID());
  await Bun.write(path, bytes);
  return path;
}
const withId3 = async (source: string | Promise<string>) =>
  bytesFile(
    Buffer.concat([
      Buffer.from([0x49, 0x44, 0x33, 4, 0, 0, 0, 0, 1, 0]),
      Buffer.alloc(128),
      await Bun.file(await source).bytes(),
    ]),
  );
const fakeFlac = (kbps: number) =>
  from(`fake-${kbps}.flac`, from(`noise-${kbps}.mp3`, flac(), "-b:a", `${kbps}k`), "-sample_fmt", "s16");

interface Row {
  name: string;
  file: () => Promise<string>;
  quality: Quality;
  /** The song's length; null = not known. Default 12. */
  seconds?: number | null;
  fault?: Fault;
}

const GOOD: Row[] = [
  { name: "MP3 128k", file: () => mp3(128), quality: "128k" },
  { name: "MP3 192k", file: () => mp3(192), quality: "192k" },
  { name: "MP3 320k", file: () => mp3(320), quality: "320k" },
  { name: "MP3 320k sold as 128k", file: () => mp3(320), quality: "128k" },
  { name: "MP3 with a tag in front", file: () => withId3(mp3(128)), quality: "128k" },
  {
    name: "MP3 MPEG-2 22 kHz mono",
    file: () => from("low.mp3", flac(), "-ar", "22050", "-ac", "1", "-b:a", "96k"),
    quality: "128k",
  },
  { name: "AAC in MP4", file: () => from("a.m4a", flac(), "-c:a", "aac", "-b:a", "128k"), quality: "128k" },
  { name: "AAC 192 sold as 320k", file: () => from("b.m4a", flac(), "-c:a", "aac", "-b:a", "192k"), quality: "320k" },
  {
    name: "AAC without a container",
    file: () => from("a.aac", flac(), "-c:a", "aac", "-b:a", "128k"),
    quality: "128k",
  },
  { name: "Ogg Vorbis", file: () => from("a.ogg", flac(), "-b:a", "192k"), quality: "192k" },
  { name: "Opus", file: () => from("a.opus", flac(), "-b:a", "128k"), quality: "128k" },
  { name: "E-AC-3 as Dolby", file: () => from("d.mp4", flac(), "-c:a", "eac3", "-b:a", "256k"), quality: "dolby" },
  { name: "FLAC 16 bit", file: () => flac(), quality: "flac" },
  { name: "FLAC with an ID3 tag in front", file: () => withId3(flac()), quality: "flac" },
  {
    name: "FLAC of two tones",
    file: () => makeAudio({ format: "flac", seconds: 12, tone: 440 }).then((a) => a.path),
    quality: "flac",
  },
  {
    name: "FLAC with soft treble",
    file: () => from("soft.flac", flac(), "-af", "lowpass=f=6000:p=1"),
    quality: "flac",
  },
  { name: "FLAC made of 320k: cannot be told", file: () => fakeFlac(320), quality: "flac" },
  {
    name: "FLAC that starts with silence",
    file: () => from("late.flac", flac(), "-af", "volume=0:enable='lt(t,5)'", "-sample_fmt", "s16"),
    quality: "flac",
  },
  { name: "ALAC", file: () => from("alac.m4a", flac(), "-c:a", "alac"), quality: "flac" },
  { name: "WAV", file: () => from("a.wav", flac()), quality: "flac" },
  {
    name: "FLAC 24 bit",
    file: () => sample("true24.flac", [...noise(12), "-sample_fmt", "s32"]),
    quality: "flac24bit",
  },
  {
    name: "FLAC 24/96",
    file: () => sample("true96.flac", [...noise(12, 96_000), "-sample_fmt", "s32"]),
    quality: "hires",
  },
  { name: "a little longer than the song", file: () => mp3(128, 14), quality: "128k" },
  { name: "a little shorter than the song", file: () => mp3(128, 10), quality: "128k" },
  { name: "length of the song not known", file: () => mp3(128), quality: "128k", seconds: null },
];

const BAD: Row[] = [
  {
    name: "HTML",
    file: () => bytesFile("\ufeff \n<!DOCTYPE html><title>403</title>"),
    quality: "128k",
    fault: "not_audio",
  },
  { name: "JSON", file: () => bytesFile('{"code":403,"msg":"no"}'), quality: "128k", fault: "not_audio" },
  {
    name: "XML of a CDN",
    file: () => bytesFile('<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
    quality: "128k",
    fault: "not_audio",
  },
  {
    name: "an HLS playlist",
    file: () => bytesFile("#EXTM3U\n#EXT-X-VERSION:3\n"),
    quality: "128k",
    fault: "not_audio",
  },
  { name: "plain text", file: () => bytesFile("Too many requests"), quality: "128k", fault: "not_audio" },
  {
    name: "a picture",
    file: () => bytesFile(Uint8Array.of(0xff, 0xd8, 0xff, 0xe0, 0, 16)),
    quality: "128k",
    fault: "not_audio",
  },
  { name: "nothing", file: () => bytesFile(""), quality: "128k", fault: "not_audio" },
  {
    name: "random bytes",
    file: () => bytesFile(new Uint8Array(50_000).map((_, i) => ((i * i * 7 + (i >> 3)) & 0x7f) | 1)),
    quality: "128k",
    fault: "broken",
  },
  {
    name: "an encrypted file",
    file: () => bytesFile(`CTENFDAM${"\u0001".repeat(100)}`),
    quality: "128k",
    fault: "encrypted",
  },
  { name: "MP3 cut in the middle", file: () => cut(mp3(320), 0.5), quality: "320k", fault: "truncated" },
  { name: "FLAC cut in the middle", file: () => cut(flac(), 0.5), quality: "flac", fault: "truncated" },
  { name: "FLAC without its last bytes", file: () => cut(flac(), 0.9999), quality: "flac", fault: "truncated" },
  {
    name: "M4A cut, index at the end",
    file: () => cut(from("a.m4a", flac(), "-c:a", "aac", "-b:a", "128k"), 0.5),
    quality: "128k",
    fault: "truncated",
  },
  {
    name: "M4A cut, index in front",
    file: () => cut(from("f.m4a", flac(), "-c:a", "aac", "-b:a", "128k", "-movflags", "faststart"), 0.5),
    quality: "128k",
    fault: "truncated",
  },
  { name: "Ogg cut", file: () => cut(from("a.ogg", flac(), "-b:a", "192k"), 0.5), quality: "192k", fault: "truncated" },
  { name: "a trial of 30 s", file: () => mp3(128, 30), quality: "128k", seconds: 240, fault: "trial" },
  { name: "a trial of 60 s in FLAC", file: () => flac(60), quality: "flac", seconds: 269, fault: "trial" },
  {
    name: "a trial, length of the song not known",
    file: () => mp3(128, 30),
    quality: "128k",
    seconds: null,
    fault: "trial",
  },
  { name: "another song: longer", file: () => mp3(128, 30), quality: "128k", seconds: 12, fault: "duration" },
  { name: "another song: shorter", file: () => mp3(128, 120), quality: "128k", seconds: 200, fault: "duration" },
  { name: "MP3 called FLAC", file: () => mp3(320), quality: "flac", fault: "codec" },
  {
    name: "AAC called FLAC",
    file: () => from("a.m4a", flac(), "-c:a", "aac", "-b:a", "128k"),
    quality: "flac",
    fault: "codec",
  },
  { name: "16 bit called hi-res", file: () => flac(), quality: "hires", fault: "codec" },
  { name: "128k sold as 320k", file: () => mp3(128), quality: "320k", fault: "bitrate" },
  { name: "192k sold as 320k", file: () => mp3(192), quality: "320k", fault: "bitrate" },
  {
    name: "MP3 of variable rate, 150k, sold as 320k",
    file: () => from("v0.mp3", flac(), "-q:a", "0"),
    quality: "320k",
    fault: "bitrate",
  },
  { name: "128k sold as 192k", file: () => mp3(128), quality: "192k", fault: "bitrate" },
  {
    name: "AAC 96 sold as 320k",
    file: () => from("c.m4a", flac(), "-c:a", "aac", "-b:a", "96k"),
    quality: "320k",
    fault: "bitrate",
  },
  {
    name: "silent MP3 of 320k",
    file: () => sample("silent.mp3", [...silence(12), "-b:a", "320k"]),
    quality: "320k",
    fault: "silence",
  },
  { name: "silent FLAC", file: () => sample("silent.flac", silence(12)), quality: "flac", fault: "silence" },
  {
    name: "silent AAC",
    file: () => sample("silent.m4a", [...silence(12), "-b:a", "128k"]),
    quality: "128k",
    fault: "silence",
  },
  { name: "silent Ogg", file: () => sample("silent.ogg", silence(12)), quality: "128k", fault: "silence" },
  { name: "FLAC made of MP3 128k", file: () => fakeFlac(128), quality: "flac", fault: "transcoded" },
  {
    name: "FLAC made of AAC 128k",
    file: () => from("fake-aac.flac", from("a.m4a", flac(), "-c:a", "aac", "-b:a", "128k"), "-sample_fmt", "s16"),
    quality: "flac",
    fault: "transcoded",
  },
  {
    name: "hi-res made of MP3 128k",
    file: () => from("fake-hires.flac", fakeFlac(128), "-ar", "96000", "-sample_fmt", "s32"),
    quality: "hires",
    fault: "transcoded",
  },
  {
    name: "hi-res stretched from 44.1 kHz",
    file: () => from("stretched.flac", flac(), "-ar", "96000", "-sample_fmt", "s32"),
    quality: "hires",
    fault: "upsampled",
  },
  {
    name: "24 bit padded from 16",
    file: () => from("padded.flac", flac(), "-sample_fmt", "s32"),
    quality: "flac24bit",
    fault: "upsampled",
  },
];

async function verdict(row: Row) {
  const claim: Claim = {
    quality: row.quality,
    durationSeconds: row.seconds === null ? undefined : (row.seconds ?? 12),
  };
  return judge(await measure(await row.file()), claim, { toleranceSeconds: 3, spectrum: true });
}

describe("good files are kept", () => {
  test.each(GOOD)("$name", async (row) => expect(await verdict(row)).toEqual({ ok: true }));
});

describe("bad files are refused, with the reason", () => {
  test.each(BAD)("$name as $quality -> $fault", async (row) => {
    expect(await verdict(row)).toMatchObject({ ok: false, fault: row.fault as Fault, message: expect.any(String) });
  });
});

test("without the spectrum check, only what the headers show is refused", async () => {
  const measured = await measure(await fakeFlac(128));
  expect(judge(measured, { quality: "flac", durationSeconds: 12 }, { toleranceSeconds: 3, spectrum: false })).toEqual({
    ok: true,
  });
});

describe("the FLAC decoder gives what flac gives", () => {
  test.each([
    { name: "16 bit stereo", file: () => flac(), bytes: 2 },
    { name: "24 bit", file: () => sample("true24.flac", [...noise(12), "-sample_fmt", "s32"]), bytes: 3 },
    { name: "fast, fixed predictors", file: () => from("fast.flac", flac(), "-compression_level", "0"), bytes: 2 },
    { name: "slow, long predictors", file: () => from("slow.flac", flac(), "-compression_level", "12"), bytes: 2 },
    { name: "padded to 24 bit", file: () => from("padded.flac", flac(), "-sample_fmt", "s32"), bytes: 3 },
    { name: "silence", file: () => sample("silent.flac", silence(12)), bytes: 2 },
  ])("$name", async ({ file, bytes }) => {
    const path = await file();
    const raw = join(folder, "raw");
    await run(["flac", "-d", "-s", "-f", "--force-raw-format", "--endian=little", "--sign=signed", "-o", raw, path]);
    const expected = await Bun.file(raw).bytes();
    const encoded = await Bun.file(path).bytes();
    const handle = await open(path);
    const facts = await readFlac(handle, 0, encoded.length);
    await handle.close();
    if (facts === undefined) throw new Error("not read");
    let [frames, at] = [0, 0];
    while (at < encoded.length) {
      const frame = flacFrame(encoded, at, facts.info);
      const decoded = frame === undefined ? undefined : decodeFrame(encoded, at, frame);
      if (frame === undefined || decoded === undefined) {
        if (frames > 0) throw new Error(`frame ${frames} at ${at}`);
        at++;
        continue;
      }
      const mine = new Uint8Array(frame.blockSize * frame.channels * bytes);
      for (let index = 0, out = 0; index < frame.blockSize; index++) {
        for (const channel of decoded.channels) {
          const value = channel[index] ?? 0;
          for (let byte = 0; byte < bytes; byte++) mine[out++] = (value >> (8 * byte)) & 0xff;
        }
      }
      const start = frame.sample * frame.channels * bytes;
      if (!Buffer.from(mine).equals(expected.subarray(start, start + mine.length)))
        throw new Error(`frame ${frames} differs`);
      at = decoded.end;
      frames++;
    }
    expect(frames).toBeGreaterThan(50);
  });
});

test("broken bytes never make the reader throw or hang", async () => {
  const originals = await Promise.all([
    mp3(128),
    flac(),
    from("a.m4a", flac(), "-c:a", "aac", "-b:a", "128k"),
    from("a.ogg", flac(), "-b:a", "192k"),
  ]);
  const files = await Promise.all(originals.map((path) => Bun.file(path).slice(0, 200_000).bytes()));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...files),
      fc.array(fc.tuple(fc.nat(199_999), fc.nat(255)), { maxLength: 60 }),
      fc.nat(200_000),
      async (file, hits, length) => {
        const bytes = file.slice(0, length);
        for (const [at, value] of hits) if (at < bytes.length) bytes[at] = value;
        const measured = await measure(await bytesFile(bytes));
        expect(["audio", "broken", "cut", "unknown", "not_audio", "encrypted"]).toContain(measured.kind);
      },
    ),
    { numRuns: 40 },
  );
});

test("any first bytes are told apart without a throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void sniff(bytes)));
});

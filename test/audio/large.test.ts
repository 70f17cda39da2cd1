import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, mkdtemp, open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc8, crc16 } from "../../src/audio/flac-bits.ts";
import { measure } from "../../src/audio/measure.ts";
import { run } from "./run.ts";
import { sample } from "./samples.ts";

const HEAVY = process.env["LX_TEST_HEAVY"] === "1";
const TARGET_BYTES = (HEAVY ? 500 : 100) << 20;

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-large-"));
});
afterAll(() => rm(folder, { recursive: true }));

/**
 * White noise as FLAC frames of plain samples: cheap to make, and as large as wanted. Frame numbers of four bytes keep
 * the header's length the same.
 * @see https://www.rfc-editor.org/rfc/rfc9639#name-frame-structure
 */
async function largeFlac(path: string): Promise<void> {
  const block = 4096;
  const sound = crypto.getRandomValues(new Uint8Array(block * 2));
  const frameBytes = 2 + 2 + 4 + 1 + 2 * (1 + sound.length) + 2;
  const frames = Math.ceil(TARGET_BYTES / frameBytes);
  const info = new Uint8Array(42);
  const view = new DataView(info.buffer);
  info.set([0x66, 0x4c, 0x61, 0x43, 0x80, 0, 0, 34]);
  view.setUint16(8, block);
  view.setUint16(10, block);
  view.setBigUint64(18, (44_100n << 44n) | (1n << 41n) | (15n << 36n) | BigInt(frames * block));
  const file = await open(path, "w");
  await file.write(info);
  const frame = new Uint8Array(frameBytes);
  for (let number = 0, offset = info.length; number < frames; number++, offset += frameBytes) {
    frame.set([0xff, 0xf8, 0xc9, 0x18]);
    frame.set(
      [0xf0 | (number >> 18), 0x80 | ((number >> 12) & 63), 0x80 | ((number >> 6) & 63), 0x80 | (number & 63)],
      4,
    );
    frame[8] = crc8(frame, 0, 8);
    frame[9] = 0x02;
    frame.set(sound, 10);
    frame[10 + sound.length] = 0x02;
    frame.set(sound, 11 + sound.length);
    new DataView(frame.buffer).setUint16(frameBytes - 2, crc16(frame, 0, frameBytes - 2));
    await file.write(frame, 0, frameBytes, offset);
  }
  await file.close();
}

test(
  "a large FLAC is tagged and proved in little memory, and its sound stays as it was",
  async () => {
    const path = join(folder, "large.flac");
    await largeFlac(path);
    expect((await stat(path)).size).toBeGreaterThan(TARGET_BYTES);
    const original = join(folder, "original.flac");
    await copyFile(path, original);
    const cover = await sample("cover.png", ["-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1"]);
    const child = [process.execPath, join(import.meta.dir, "large-child.ts"), path, cover];
    const { peak } = JSON.parse(await run(child));
    expect(peak).toBeLessThan(120 << 20);
    expect(await md5(path)).toBe(await md5(original));
    expect(await measure(path)).toMatchObject({ kind: "audio", facts: { codec: "FLAC", truncated: false } });
    expect(await run(["metaflac", "--show-tag=TITLE", path])).toContain("晴天");
  },
  HEAVY ? 300_000 : 60_000,
);

const md5 = (path: string) => run(["ffmpeg", "-v", "error", "-i", path, "-map", "0:a", "-c", "copy", "-f", "md5", "-"]);

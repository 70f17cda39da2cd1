import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTags } from "../../src/audio/tags.ts";
import { makeAudio } from "../platforms/audio.ts";
import { type Origin, startOrigin } from "./origin.ts";
import { startRig } from "./rig.ts";

const ROUNDS = process.env["LX_TEST_HEAVY"] === "1" ? 100 : 16;
const SONGS = 6;

let origin: Origin;
let folder = "";
const frames = new Map<string, string>();
const pairs: string[] = [];

/** The hash of the audio without its ID3 tag: tagging must not change it. */
function framesHash(bytes: Uint8Array): string {
  const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(6, 10);
  const start = bytes[0] === 0x49 && bytes[1] === 0x44 ? 10 + ((a << 21) | (b << 14) | (c << 7) | d) : 0;
  return new Bun.CryptoHasher("sha1").update(bytes.subarray(start)).digest("hex");
}

beforeAll(async () => {
  origin = startOrigin();
  folder = await mkdtemp(join(tmpdir(), "lx-kill-"));
  for (let index = 0; index < SONGS; index++) {
    const audio = await makeAudio({ format: "mp3", seconds: 4, tone: 300 + 50 * index, bitrate: 128 });
    const bytes = await Bun.file(audio.path).bytes();
    frames.set(`s${index}`, framesHash(bytes));
    pairs.push(`s${index}=${origin.put(`/s${index}`, bytes)}`);
  }
});
afterAll(async () => {
  await origin.stop();
  await rm(folder, { recursive: true });
});

/** Runs the child and kills it some milliseconds after it has begun. */
async function killedAfter(dir: string, ms: number, mode: string): Promise<void> {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "kill-child.ts"), dir, ...pairs], {
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, TREE_MODE: mode },
  });
  const reader = child.stdout.getReader();
  await reader.read();
  await Bun.sleep(ms);
  child.kill("SIGKILL");
  await child.exited;
}

test.each(["off", "beside", "instead"] as const)(
  "killed at any moment, tree %s: whatever is served is whole, and tagged when it says so",
  async (mode) => {
    const dir = join(folder, mode);
    const rounds = mode === "off" ? ROUNDS : Math.ceil(ROUNDS / 4);
    let [served, tagged] = [0, 0];
    const killAfter = async (ms: number) => {
      // startRig makes the folder on the first round, and reopens what the killed one left on the others.
      await (await startRig({ tree: { mode } }, { dir })).closeKeepingFiles();
      await killedAfter(dir, ms, mode);
      const rig = await startRig({ tree: { mode } }, { dir });
      const left = (await readdir(dir, { recursive: true })).filter((name) => name.endsWith(".tmp"));
      expect(left).toEqual([]);
      for (const file of rig.cache.list()) {
        const bytes = await Bun.file(file.path).bytes();
        expect(`${file.songId} ${framesHash(bytes)}`).toBe(`${file.songId} ${frames.get(file.songId)}`);
        expect(bytes.length).toBe(file.size);
        served++;
        if (!file.tagged) continue;
        tagged++;
        expect(readTags(file.path, "mp3").tags.title).toBe(`歌 ${file.songId}`);
      }
      await rig.closeKeepingFiles();
    };
    for (let round = 0; round < rounds; round++) await killAfter(1 + ((round * 37) % 180));
    // On a busy machine the child may never have come that far.
    for (let ms = 300; tagged === 0 && ms < 20_000; ms *= 2) await killAfter(ms);
    expect(served).toBeGreaterThan(0);
    expect(tagged).toBeGreaterThan(0);
  },
  120_000 + ROUNDS * 2000,
);

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeAudio } from "../platforms/audio.ts";
import { type Origin, startOrigin } from "./origin.ts";
import { run } from "./run.ts";

let origin: Origin;
let dir = "";
beforeAll(async () => {
  origin = startOrigin();
  dir = await mkdtemp(join(tmpdir(), "lx-full-"));
  await mkdir(join(dir, "cache_audio"));
});
afterAll(async () => {
  await origin.stop();
  await rm(dir, { recursive: true });
});

/**
 * A small tmpfs in a mount namespace of the child's own; where namespaces are forbidden, a limit of the file size,
 * which fails in the middle of a write as well.
 */
async function onSmallDisk(command: string[]): Promise<string> {
  const mount = 'mount -t tmpfs -o size=300k none "$0/cache_audio"';
  const run_ = (first: string) => ["sh", "-c", `${first} && exec "$@"`, dir, ...command];
  const mayMount = Bun.spawnSync(["unshare", "-rm", "true"]).exitCode === 0;
  return run(mayMount ? ["unshare", "-rm", ...run_(mount)] : run_('trap "" XFSZ && ulimit -f 300'));
}

test("a disk that fills up midway: a clear line, nothing left, and the next song after a pause", async () => {
  const bytes = async (seconds: number) =>
    Bun.file((await makeAudio({ format: "mp3", seconds, tone: 440, bitrate: 128 })).path).bytes();
  const large = origin.put("/large", await bytes(34), { chunked: true });
  const small = origin.put("/small", await bytes(5));
  const child = [process.execPath, join(import.meta.dir, "full-child.ts"), dir, large, small];
  const seen = JSON.parse(await onSmallDisk(child));
  expect(seen).toMatchObject({
    first: { kind: "failed", message: "磁盘空间不足", diskFull: true },
    left: [],
    second: { kind: "skipped", reason: "disk_full" },
    third: "stored",
    found: false,
  });
  expect(seen.lines).toHaveLength(1);
  expect(seen.lines[0]).toMatchObject({
    level: "error",
    message: "disk is full: audio is not cached, playing goes on from the platform",
    songId: "large",
  });
});

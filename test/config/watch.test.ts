import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { appendFile, mkdtemp, rename, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConfigWatcher, watchConfig } from "../../src/config/watch.ts";

let folder = "";
let file = "";
let changes = 0;
let watcher: ConfigWatcher | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-watch-"));
  file = join(folder, "config.yml");
  await writeFile(file, "a: 1\n");
  changes = 0;
  watcher = watchConfig(file, () => {
    changes++;
  });
  // The notices of what was done before.
  await Bun.sleep(300);
  changes = 0;
});
afterEach(async () => {
  watcher?.close();
  await rm(folder, { recursive: true });
});

async function settled(): Promise<number> {
  for (let tries = 0; tries < 200 && changes === 0; tries++) await Bun.sleep(10);
  const before = changes;
  await Bun.sleep(250);
  expect(changes).toBe(before);
  return changes;
}

describe("told once", () => {
  test.each<{ name: string; change: () => Promise<unknown> }>([
    { name: "written in place", change: () => writeFile(file, "a: 2\n") },
    {
      name: "replaced, as editors do",
      async change() {
        await writeFile(`${file}.tmp`, "a: 2\n");
        await rename(`${file}.tmp`, file);
      },
    },
    {
      name: "written in many small pieces",
      async change() {
        for (let i = 0; i < 20; i++) {
          await appendFile(file, `k${i}: 1\n`);
          await Bun.sleep(10);
        }
      },
    },
    {
      name: "removed and made anew",
      async change() {
        await unlink(file);
        await writeFile(file, "a: 3\n");
      },
    },
  ])("$name", async ({ change }) => {
    await change();
    expect(await settled()).toBe(1);
  });
});

test("other files in the folder are no matter", async () => {
  await writeFile(join(folder, "other.yml"), "x");
  await Bun.sleep(400);
  expect(changes).toBe(0);
});

test("closed: nothing is told any more, also of what was on its way", async () => {
  await writeFile(file, "a: 2\n");
  watcher?.close();
  await writeFile(file, "a: 3\n");
  await Bun.sleep(400);
  expect(changes).toBe(0);
});

test("a folder that is not there is no failure", () => {
  watchConfig(join(folder, "no", "config.yml"), () => {}).close();
});

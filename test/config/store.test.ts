import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderDefault } from "../../src/config/render.ts";
import { loadConfig, rereadConfig, writeAtomic } from "../../src/config/store.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-store-"));
});
afterEach(() => rm(folder, { recursive: true }));

const place = (change: object = {}) => ({ dataDir: folder, defaultText: renderDefault(), environment: {}, ...change });

describe("loadConfig", () => {
  test("the first start writes the commented default, for the owner only; the second reads it", async () => {
    const file = join(folder, "config", "config.yml");
    expect(await loadConfig(place())).toMatchObject({ file, created: true });
    expect(await readFile(file, "utf8")).toBe(renderDefault());
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, "config"))).toEqual(["config.yml"]);
    expect(await loadConfig(place())).toMatchObject({ file, created: false });
  });

  test("the environment wins, and is not written into the file", async () => {
    const { config, file } = await loadConfig(place({ environment: { LX__COMMON__PORTS: "[1]" } }));
    expect(config.common.ports).toEqual([1]);
    expect(await readFile(file, "utf8")).not.toContain("ports: [1]");
  });

  test.each<{ name: string; make: (file: string) => Promise<unknown>; says: string }>([
    { name: "a file that was named and is not there", make: async () => {}, says: "does not exist" },
    { name: "a folder", make: (file) => mkdir(file), says: "own.yml" },
    { name: "a link to nowhere", make: (file) => symlink(join(folder, "no"), file), says: "own.yml" },
    { name: "a mistake", make: (file) => writeFile(file, "commom: {}"), says: 'did you mean "common"' },
  ])("$name: one clear message with the file's name", async ({ make, says }) => {
    const file = join(folder, "own.yml");
    await make(file);
    const error = await loadConfig(place({ file })).catch((reason) => reason);
    expect(error).toMatchObject({ kind: "invalid_request" });
    expect(error.message).toContain(file);
    expect(error.message).toContain(says);
  });
});

describe("rereadConfig", () => {
  test.each<{ name: string; make: (file: string) => Promise<unknown>; says: string }>([
    { name: "gone", make: (file) => rm(file), says: "cannot be read" },
    { name: "emptied", make: (file) => writeFile(file, ""), says: "is empty" },
    { name: "nothing but line ends", make: (file) => writeFile(file, "\n \n"), says: "is empty" },
    { name: "a mistake", make: (file) => writeFile(file, "commom: {}"), says: 'did you mean "common"' },
  ])("$name: refused, and no default takes its place", async ({ make, says }) => {
    const { file } = await loadConfig(place());
    await make(file);
    const before = await readdir(join(folder, "config"));
    const error = await rereadConfig(file, place()).catch((reason) => reason);
    expect(error).toMatchObject({ kind: "invalid_request" });
    expect(error.message).toContain(file);
    expect(error.message).toContain(says);
    expect(await readdir(join(folder, "config"))).toEqual(before);
  });

  test("a change, with the environment over it", async () => {
    const { file } = await loadConfig(place());
    await writeFile(file, "common: {ports: [1], debug_mode: true}");
    const { common } = await rereadConfig(file, place({ environment: { LX__COMMON__PORTS: "[2]" } }));
    expect(common).toMatchObject({ ports: [2], debug_mode: true });
  });
});

describe("writeAtomic", () => {
  test("replaces the whole text and leaves nothing beside it", async () => {
    const file = join(folder, "deep", "er", "a.yml");
    await writeAtomic(file, "one");
    await writeAtomic(file, "two");
    expect(await readFile(file, "utf8")).toBe("two");
    expect(await readdir(join(folder, "deep", "er"))).toEqual(["a.yml"]);
  });

  test("many at once: the file is always one of them, whole", async () => {
    const file = join(folder, "a.yml");
    const texts = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
    await Promise.all(texts.map((text) => writeAtomic(file, text)));
    expect(texts).toContain(await readFile(file, "utf8"));
    expect(await readdir(folder)).toEqual(["a.yml"]);
  });

  test("a link stays a link, and the file is for the owner only", async () => {
    const file = join(folder, "real.yml");
    await writeFile(file, "old", { mode: 0o640 });
    await symlink(file, join(folder, "link.yml"));
    await writeAtomic(join(folder, "link.yml"), "new");
    expect((await lstat(join(folder, "link.yml"))).isSymbolicLink()).toBe(true);
    expect(await readFile(file, "utf8")).toBe("new");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test("a target that cannot be replaced: an error, and no rubbish", async () => {
    const file = join(folder, "a.yml");
    await mkdir(join(file, "inner"), { recursive: true });
    expect(writeAtomic(file, "x")).rejects.toThrow();
    await writeAtomic(file, "x").catch(() => {});
    expect(await readdir(folder)).toEqual(["a.yml"]);
  });
});

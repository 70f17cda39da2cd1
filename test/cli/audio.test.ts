import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readTags } from "../../src/audio/tags.ts";
import { audioCommands } from "../../src/cli/audio.ts";
import type { CommandContext } from "../../src/cli/command.ts";
import { tagCommands } from "../../src/cli/tag.ts";
import { isAppError } from "../../src/core/errors.ts";
import { job, type Rig, startRig, TAGS } from "../audio/rig.ts";
import { run as runProgram } from "../audio/run.ts";
import { sample } from "../audio/samples.ts";
import { type AudioSpec, makeAudio } from "../platforms/audio.ts";

let rig: Rig;
const spec = (format: AudioSpec["format"], tone = 440): AudioSpec => ({ format, seconds: 4, tone, bitrate: 128 });

beforeAll(async () => {
  rig = await startRig();
  for (const [index, songId] of ["a", "b", "c"].entries()) {
    const { path } = await makeAudio(spec("mp3", 440 + 110 * index));
    const tags = songId === "a" ? async () => TAGS : undefined;
    await rig.cache.fetch(job(rig.origin.put(`/${songId}`, await Bun.file(path).bytes()), { songId, tags }));
  }
});
afterAll(() => rig.close());

async function run(name: string, positionals: string[] = [], values: CommandContext["values"] = {}) {
  const metadata = async () => async (file: { songId: string }) =>
    file.songId === "b" ? { title: "从平台来", artists: ["某人"] } : undefined;
  const commands = [...audioCommands(async () => rig.cache, metadata), ...tagCommands];
  const command = commands.find((one) => one.name === name);
  if (command === undefined) throw new Error(`no command ${name}`);
  const seen = { value: undefined as unknown, text: "", progress: [] as string[] };
  const code = await command.run({
    positionals,
    values,
    json: false,
    dataDir: rig.dir,
    configFile: undefined,
    say: (line) => {
      seen.text += `${line}\n`;
    },
    result: (value, text) => {
      seen.value = value;
      seen.text += text ?? "";
    },
    progress: () => ({
      update: (done, total) => void seen.progress.push(`${done}/${total}`),
      end: () => void seen.progress.push("end"),
    }),
    app: () => Promise.reject(new Error("not needed")),
  });
  return { code, ...seen };
}
const failure = (work: Promise<unknown>) =>
  work.then(() => undefined).catch((e) => (isAppError(e) ? e.kind : String(e)));

test("audio list: every file with its size and title; JSON without hashes", async () => {
  const { code, text, value } = await run("audio list");
  expect(code).toBe(0);
  expect(text).toContain("tx_a_128k.mp3  64.");
  expect(text).toContain("晴天 🌞 - 周杰伦/AC/DC");
  expect(text).toContain("3 files");
  expect(JSON.stringify(value)).not.toContain("hash");
});

test("audio tag: all untagged files from the platforms, with progress; then one by hand", async () => {
  const all = await run("audio tag");
  expect(all.code).toBe(1);
  expect(all.value).toEqual({
    tagged: ["tx_b_128k.mp3"],
    failed: [{ name: "tx_c_128k.mp3", error: "nothing known of it" }],
  });
  expect(all.progress).toEqual(["0/2", "1/2", "end"]);
  const one = await run("audio tag", ["tx_c_128k.mp3"], { title: "手写", artist: ["甲", "乙"], track: "7" });
  expect(one.code).toBe(0);
  const { tags } = readTags(join(rig.folder, "tx_c_128k.mp3"), "mp3");
  expect(tags).toMatchObject({ title: "手写", artists: ["甲", "乙"], track: 7, ids: { LX_SONG_ID: "c" } });
  expect(await failure(run("audio tag", ["nobody.mp3"], { title: "x" }))).toBe("not_found");
  expect(await failure(run("audio tag", ["tx_c_128k.mp3"]))).toBe("invalid_request");
  expect(await failure(run("audio tag", [], { title: "x" }))).toBe("invalid_request");
});

test("audio verify: exit code 1 and the reason; --remove removes", async () => {
  expect((await run("audio verify")).code).toBe(0);
  await writeFile(join(rig.folder, "tx_c_128k.mp3"), "<html>");
  const found = await run("audio verify");
  expect([found.code, found.progress.length]).toEqual([1, 4]);
  expect(found.text).toContain("tx_c_128k.mp3: 返回的不是音频");
  expect((await run("audio verify", [], { remove: true })).text).toContain("(deleted)");
  expect(await readdir(rig.folder)).not.toContain("tx_c_128k.mp3");
});

test("audio prune: what is beyond the quota", async () => {
  rig.config.quota = 100_000;
  const { value } = await run("audio prune");
  expect(value).toMatchObject({ removed: ["tx_a_128k.mp3"] });
});

test.each(["mp3", "flac", "m4a", "ogg", "opus"] as const)("tag write and tag show: %s", async (format) => {
  const path = join(rig.dir, `song.${format}`);
  await copyFile((await makeAudio(spec(format))).path, path);
  const lyrics = join(rig.dir, "song.lrc");
  await writeFile(lyrics, "[00:01.00]故事的小黄花\n[00:02.00]🌻");
  const cover = await sample("cover.png", ["-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1"]);
  const values = { title: "晴天 🌞", artist: ["周杰伦", "甲"], album: "叶惠美", year: "2003", lyrics, cover };
  expect((await run("tag write", [path], values)).code).toBe(0);
  const [seen] = JSON.parse(
    await runProgram(["/usr/bin/python3", join(import.meta.dir, "../audio/read_tags.py"), path]),
  );
  expect(seen).toMatchObject({ title: ["晴天 🌞"], artists: ["周杰伦", "甲"], year: ["2003"], mime: "image/png" });
  const { value, text } = await run("tag show", [path]);
  expect(value).toMatchObject({
    format: format === "opus" ? "ogg" : format,
    tags: { album: "叶惠美", cover: { type: "image/png" } },
  });
  expect(text).toContain("artists: 周杰伦 / 甲");
  expect((await readdir(rig.dir)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
});

test.each([
  { name: "no such file", command: "tag show", file: "none.mp3", values: {}, kind: "not_found" },
  { name: "a format without tags", command: "tag show", file: "a.wav", values: {}, kind: "invalid_request" },
  { name: "not what it is called", command: "tag show", file: "text.flac", values: {}, kind: "unsupported" },
  { name: "nothing to write", command: "tag write", file: "text.flac", values: {}, kind: "invalid_request" },
  {
    name: "a year that is none",
    command: "tag write",
    file: "text.flac",
    values: { year: "MMIII" },
    kind: "invalid_request",
  },
  {
    name: "a version that is none",
    command: "tag write",
    file: "text.flac",
    values: { title: "x", "id3-version": "2.2" },
    kind: "invalid_request",
  },
  { name: "no such lyrics", command: "tag write", file: "text.flac", values: { lyrics: "/none" }, kind: "not_found" },
  {
    name: "a cover that is none",
    command: "tag write",
    file: "text.flac",
    values: { cover: import.meta.path },
    kind: "invalid_request",
  },
  {
    name: "a broken file stays as it was",
    command: "tag write",
    file: "text.flac",
    values: { title: "x" },
    kind: "storage_failed",
  },
])("$name -> $kind", async ({ command, file, values, kind }) => {
  await writeFile(join(rig.dir, "text.flac"), "text");
  expect(await failure(run(command, [join(rig.dir, file)], values))).toBe(kind);
  expect(await Bun.file(join(rig.dir, "text.flac")).text()).toBe("text");
});

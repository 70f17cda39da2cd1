import { afterEach, describe, expect, test } from "bun:test";
import { link, readdir, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { StoredFile } from "../../src/audio/index.ts";
import { readTags } from "../../src/audio/tags.ts";
import { workerWork } from "../../src/audio/work.ts";
import { makeAudio } from "../platforms/audio.ts";
import { job, type Rig, startRig, TAGS } from "./rig.ts";
import { run } from "./run.ts";
import { noise, sample } from "./samples.ts";

let rig: Rig;
afterEach(() => rig.close());

const mp3 = async (tone = 440, seconds = 4) =>
  Bun.file((await makeAudio({ format: "mp3", seconds, tone, bitrate: 128 })).path).bytes();
const flac = async () => Bun.file((await makeAudio({ format: "flac", seconds: 4, tone: 440 })).path).bytes();
const names = async (folder: string) => (await readdir(folder)).toSorted();
const fileOf = (outcome: { kind: string; file?: StoredFile }): StoredFile => {
  if (outcome.file === undefined) throw new Error(JSON.stringify(outcome));
  return outcome.file;
};

describe("download", () => {
  test("200 at once: one download, the same bytes for all afterwards", async () => {
    rig = await startRig();
    const url = rig.origin.put("/song.mp3", await mp3(), { delayMs: 20 });
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, () => rig.cache.fetch(job(url, { tags: async () => TAGS }))),
    );
    expect(rig.origin.requests).toEqual([""]);
    expect(new Set(outcomes.map((outcome) => fileOf(outcome).path)).size).toBe(1);
    expect(await names(rig.folder)).toEqual(["tx_0039MnYb0qxYhV_128k.mp3"]);
    const again = await rig.cache.fetch(job(url));
    expect([again.kind, rig.origin.requests.length]).toEqual(["present", 1]);
    const found = rig.cache.find("tx", "0039MnYb0qxYhV", "128k");
    expect(found).toMatchObject({ tagged: true, state: "good", title: TAGS.title, lengthProven: true });
    expect(readTags(found?.path ?? "", "mp3").tags).toMatchObject({
      ...TAGS,
      ids: { LX_SOURCE: "tx", LX_QUALITY: "128k" },
    });
    expect(rig.stored.length).toBe(1);
  });

  test("the extension is that of the content, whatever the address says", async () => {
    rig = await startRig();
    const outcome = await rig.cache.fetch(job(rig.origin.put("/x.mp3", await flac()), { quality: "flac" }));
    expect(fileOf(outcome).name).toBe("tx_0039MnYb0qxYhV_flac.flac");
  });

  test("the work may be done in a worker", async () => {
    rig = await startRig({}, { work: workerWork(new URL("../../src/audio/tag-worker.ts", import.meta.url).href) });
    const outcome = await rig.cache.fetch(
      job(rig.origin.put("/a.flac", await flac()), { quality: "flac", tags: async () => TAGS }),
    );
    expect(fileOf(outcome).tagged).toBe(true);
    expect(readTags(fileOf(outcome).path, "flac").tags.title).toBe(TAGS.title);
  });

  test("tags that cannot be had do not keep the song from being kept; they come later", async () => {
    rig = await startRig();
    const outcome = await rig.cache.fetch(
      job(rig.origin.put("/a", await mp3()), { tags: () => Promise.reject(new Error("no")) }),
    );
    expect(fileOf(outcome).tagged).toBe(false);
    const before = await run(["ffmpeg", "-v", "error", "-i", fileOf(outcome).path, "-map", "0:a", "-f", "md5", "-"]);
    const both = await Promise.all([
      rig.cache.retag("tx", "0039MnYb0qxYhV", "128k", { title: "一", year: 2001 }),
      rig.cache.retag("tx", "0039MnYb0qxYhV", "128k", { title: "二" }),
    ]);
    expect(both).toEqual([true, true]);
    const file = rig.cache.find("tx", "0039MnYb0qxYhV", "128k");
    expect(file).toMatchObject({ tagged: true, title: "二" });
    expect(readTags(file?.path ?? "", "mp3").tags).toMatchObject({ title: "二", year: 2001 });
    expect(file?.size).toBe((await stat(file?.path ?? "")).size);
    expect(await run(["ffmpeg", "-v", "error", "-i", file?.path ?? "", "-map", "0:a", "-f", "md5", "-"])).toBe(before);
    expect(await rig.cache.retag("tx", "nobody", "128k", TAGS)).toBe(false);
  });

  test("a file whose tags cannot be written is kept as it is, and says so", async () => {
    const broken = {
      ...(await import("../../src/audio/work.ts")).inlineWork,
      tag: () => Promise.reject(new Error("no")),
    };
    rig = await startRig({}, { work: broken });
    const bytes = await mp3();
    const outcome = await rig.cache.fetch(job(rig.origin.put("/a", bytes), { tags: async () => TAGS }));
    expect(fileOf(outcome).tagged).toBe(false);
    expect(Buffer.from(await Bun.file(fileOf(outcome).path).bytes()).equals(bytes)).toBe(true);
    expect(await names(rig.folder)).toHaveLength(1);
  });

  test.each([
    { name: "an error page", bytes: async () => new TextEncoder().encode("<!doctype html>"), fault: "not_audio" },
    { name: "a trial", bytes: () => mp3(440, 30), durationSeconds: 240, fault: "trial" },
    { name: "128k sold as 320k", bytes: () => mp3(), quality: "320k" as const, fault: "bitrate" },
    { name: "MP3 in a flac", bytes: () => mp3(), quality: "flac" as const, fault: "codec" },
  ])("$name is refused, told, and its route not asked again", async ({ bytes, fault, name: _, ...changes }) => {
    rig = await startRig();
    const wanted = job(rig.origin.put("/bad", await bytes()), changes);
    expect(await rig.cache.fetch(wanted)).toMatchObject({ kind: "refused", fault });
    expect(await names(rig.folder)).toEqual([]);
    expect(rig.lines).toContainEqual(expect.objectContaining({ level: "warn", message: "audio refused" }));
    expect(rig.cache.refused("tx", wanted.songId, wanted.quality)).toMatchObject([{ route: "tx", fault }]);
    expect(await rig.cache.fetch(wanted)).toEqual({ kind: "skipped", reason: "refused_before" });
    const after = await rig.reopen();
    expect(await after.fetch(wanted)).toEqual({ kind: "skipped", reason: "refused_before" });
    expect(await after.fetch({ ...wanted, route: "script:other" })).toMatchObject({ kind: "refused" });
    rig.clock.now += 86_400_001;
    expect(after.refused("tx", wanted.songId, wanted.quality)).toEqual([]);
  });

  test("one announcement for two songs: neither is kept", async () => {
    rig = await startRig();
    const url = rig.origin.put("/banned.mp3", await mp3());
    const first = await rig.cache.fetch(job(url, { songId: "one", title: "晴天", durationSeconds: undefined }));
    expect(first.kind).toBe("stored");
    const second = await rig.cache.fetch(job(url, { songId: "two", title: "七里香", durationSeconds: undefined }));
    expect(second).toMatchObject({ kind: "refused", fault: "decoy" });
    expect(rig.cache.find("tx", "one", "128k")).toBeUndefined();
    expect(await names(rig.folder)).toEqual([]);
    const after = await rig.reopen();
    expect(await after.fetch(job(url, { songId: "three", title: "三" }))).toMatchObject({
      kind: "refused",
      fault: "decoy",
    });
  });

  test("one recording under two ids is kept twice; another quality of one song is no decoy", async () => {
    rig = await startRig();
    const url = rig.origin.put("/same.mp3", await mp3());
    await rig.cache.fetch(job(url, { songId: "single", title: "晴天 " }));
    expect((await rig.cache.fetch(job(url, { songId: "album", title: "晴天" }))).kind).toBe("stored");
    expect((await rig.cache.fetch(job(url, { songId: "album2" }))).kind).toBe("stored");
  });

  test("one song's file under another's id: the wrong one is refused, the right one stays and may come again", async () => {
    rig = await startRig();
    const url = rig.origin.put("/same.mp3", await mp3());
    const right = fileOf(await rig.cache.fetch(job(url, { songId: "right", title: "晴天" })));
    const wrong = await rig.cache.fetch(job(url, { songId: "wrong", title: "七里香" }));
    expect(wrong).toMatchObject({ kind: "refused", fault: "decoy" });
    expect(rig.cache.find("tx", "right", "128k")).toEqual(right);
    await rig.cache.delete(right.name);
    expect((await rig.cache.fetch(job(url, { songId: "right", title: "晴天" }))).kind).toBe("stored");
    expect((await rig.cache.fetch(job(url, { songId: "live", title: "晴天 (Live)" }))).kind).toBe("stored");
  });

  test("switched off, queue full, closed", async () => {
    rig = await startRig({ queue: 1, parallel: 1 });
    const url = (name: string) => rig.origin.put(`/${name}`, Buffer.from("<html>"), { delayMs: 50 });
    const running = rig.cache.fetch(job(url("a"), { songId: "a" }));
    const waiting = rig.cache.fetch(job(url("b"), { songId: "b" }));
    expect(await rig.cache.fetch(job(url("c"), { songId: "c" }))).toEqual({ kind: "skipped", reason: "queue_full" });
    rig.config.enable = false;
    expect(await rig.cache.fetch(job(url("d"), { songId: "d" }))).toEqual({ kind: "skipped", reason: "off" });
    await rig.cache.close();
    expect([(await running).kind, (await waiting).kind]).toEqual(["skipped", "skipped"]);
    expect(await names(rig.folder)).toEqual([]);
  });

  test("ids that differ only by case have two files", async () => {
    rig = await startRig();
    const one = await rig.cache.fetch(job(rig.origin.put("/1", await mp3(440)), { songId: "AbC" }));
    const two = await rig.cache.fetch(job(rig.origin.put("/2", await mp3(550)), { songId: "aBc" }));
    expect(fileOf(one).name.toLowerCase()).not.toBe(fileOf(two).name.toLowerCase());
    const after = await rig.reopen({ keepDatabase: false });
    expect(after.find("tx", "aBc", "128k")?.path).toBe(fileOf(two).path);
    expect(after.find("tx", "AbC", "128k")?.path).toBe(fileOf(one).path);
  });
});

describe("index", () => {
  test("the original's files are found; half-written ones go; strangers stay", async () => {
    rig = await startRig();
    const bytes = await mp3();
    await writeFile(join(rig.folder, "kw_228908_128k.mp3"), bytes);
    await writeFile(join(rig.folder, "kw_228909_128k.mp3"), bytes.subarray(0, 2));
    await writeFile(join(rig.folder, "tx_0039MnYb0qxYhV_cover.jpg"), Uint8Array.of(0xff, 0xd8, 0xff));
    await writeFile(join(rig.folder, "wy_1_320k.mp3.tmp"), bytes);
    await writeFile(join(rig.folder, "notes.txt"), "mine");
    await writeFile(join(rig.folder, `tx_9_128k.mp3.${process.pid}-0123abcd.tmp`), bytes);
    await symlink("/etc/passwd", join(rig.folder, "kg_1_128k.mp3"));
    const cache = await rig.reopen({ keepDatabase: false });
    expect(await names(rig.folder)).toEqual([
      "kg_1_128k.mp3",
      "kw_228908_128k.mp3",
      "kw_228909_128k.mp3",
      "notes.txt",
      "tx_0039MnYb0qxYhV_cover.jpg",
    ]);
    await until(() => cache.list().every((file) => file.state !== "found"));
    expect(cache.find("kw", "228908", "128k")).toMatchObject({ state: "good", tagged: false });
    expect(cache.find("kw", "228909", "128k")).toBeUndefined();
    expect(cache.find("kg", "1", "128k")).toBeUndefined();
    expect(cache.findCover("tx", "0039MnYb0qxYhV")?.name).toBe("tx_0039MnYb0qxYhV_cover.jpg");
    expect(cache.lookup("kw_228909_128k.mp3")).toBeUndefined();
    expect(cache.lookup("notes.txt")).toBeUndefined();
  });

  test("a file that was changed behind our back is a stranger again: not tagged, to be checked", async () => {
    rig = await startRig({ verify_found: false });
    const file = fileOf(await rig.cache.fetch(job(rig.origin.put("/a", await mp3()), { tags: async () => TAGS })));
    rig.cache.pin(file.name, true);
    await writeFile(file.path, await mp3(550));
    await utimes(file.path, 1, 1);
    const cache = await rig.reopen();
    const found = cache.find("tx", file.songId, "128k");
    expect(found).toMatchObject({ tagged: false, state: "found", pinned: true });
    expect(found).not.toHaveProperty("title");
  });

  test("what is known survives a restart; what was deleted is forgotten", async () => {
    rig = await startRig();
    const kept = fileOf(
      await rig.cache.fetch(job(rig.origin.put("/a", await mp3()), { songId: "a", tags: async () => TAGS })),
    );
    const gone = fileOf(await rig.cache.fetch(job(rig.origin.put("/b", await mp3(550)), { songId: "b" })));
    rig.clock.now += 5000;
    rig.cache.played(kept);
    await rm(gone.path);
    const cache = await rig.reopen();
    expect(cache.list()).toEqual([{ ...kept, playedAt: rig.clock.now, plays: 1 }]);
    expect(cache.stats()).toMatchObject({ files: 1, bytes: kept.size });
  });

  test("quota: the longest unplayed go first, pinned ones stay", async () => {
    rig = await startRig();
    const size = (await mp3()).length;
    const put = async (songId: string, tone: number) => {
      rig.clock.now += 1000;
      return fileOf(await rig.cache.fetch(job(rig.origin.put(`/${songId}`, await mp3(tone)), { songId })));
    };
    const [a, b] = [await put("a", 440), await put("b", 550), await put("c", 660)];
    rig.cache.pin(a.name, true);
    rig.clock.now += 1000;
    rig.cache.played(b);
    rig.config.quota = Math.floor(size * 3.5);
    await put("d", 770);
    expect(
      rig.cache
        .list()
        .map((file) => file.songId)
        .toSorted(),
    ).toEqual(["a", "b", "d"]);
    expect(rig.cache.stats().bytes).toBeLessThanOrEqual(rig.config.quota);
    rig.clock.now += 10_000;
    rig.config.max_age = 5;
    expect((await rig.cache.prune()).removed.length).toBe(2);
    expect(await names(rig.folder)).toEqual([a.name]);
  });

  test("verify finds what has rotted, and removes it when told", async () => {
    rig = await startRig();
    const good = fileOf(await rig.cache.fetch(job(rig.origin.put("/a", await mp3()), { songId: "a" })));
    const bad = fileOf(
      await rig.cache.fetch(job(rig.origin.put("/b", await flac()), { songId: "b", quality: "flac" })),
    );
    await writeFile(bad.path, (await flac()).subarray(0, 50_000));
    const first = await rig.cache.verify();
    expect(first.map(({ name, ok, fault }) => ({ name, ok, fault }))).toEqual([
      { name: good.name, ok: true, fault: undefined },
      { name: bad.name, ok: false, fault: "truncated" },
    ]);
    expect(rig.cache.find("tx", "b", "flac")).toBeUndefined();
    const seen: string[] = [];
    await rig.cache.verify({
      remove: true,
      onResult: (result, done, total) => seen.push(`${done}/${total} ${result.removed}`),
    });
    expect(seen).toEqual(["1/2 false", "2/2 true"]);
    expect(await names(rig.folder)).toEqual([good.name]);
  });

  test("covers: once, by their content, and never a page", async () => {
    rig = await startRig();
    const png = await Bun.file(
      await sample("cover.png", ["-f", "lavfi", "-i", "testsrc=size=64x64", "-frames:v", "1"]),
    ).bytes();
    const url = rig.origin.put("/cover.jpg", png, { delayMs: 10 });
    const both = await Promise.all([rig.cache.keepCover("tx", "1", url), rig.cache.keepCover("tx", "1", url)]);
    expect(both.map((file) => file?.name)).toEqual(["tx_1_cover.png", "tx_1_cover.png"]);
    expect(rig.origin.requests.length).toBe(1);
    expect(await rig.cache.keepCover("tx", "2", rig.origin.put("/no", "<html>"))).toBeUndefined();
    expect(await rig.cache.keepCover("tx", "3", png)).toMatchObject({ name: "tx_3_cover.png" });
    rig.config.covers = false;
    expect(await rig.cache.keepCover("tx", "4", png)).toBeUndefined();
  });
});

describe("tree", () => {
  const FILE = "周杰伦/叶惠美/03 - 晴天 🌞.mp3";

  test("beside: both places are one file; both go together", async () => {
    rig = await startRig({ tree: { mode: "beside" } });
    const file = fileOf(await rig.cache.fetch(job(rig.origin.put("/a", await mp3()), { tags: async () => TAGS })));
    const place = join(rig.dir, "music", FILE);
    expect((await stat(place)).ino).toBe((await stat(file.path)).ino);
    await rig.cache.retag("tx", file.songId, "128k", { ...TAGS, title: "新" });
    expect(await run(["find", join(rig.dir, "music"), "-type", "f", "-printf", "%P"])).toBe(
      "周杰伦/叶惠美/03 - 新.mp3",
    );
    const moved = rig.cache.find("tx", file.songId, "128k");
    expect((await stat(moved?.tree ?? "")).ino).toBe((await stat(moved?.path ?? "")).ino);
    await rig.cache.delete(file.name);
    expect(await run(["find", join(rig.dir, "music"), "-mindepth", "1"])).toBe("");
    expect(await names(rig.folder)).toEqual([]);
  });

  test("instead: found again without the database, by the ids in the tags", async () => {
    rig = await startRig({ tree: { mode: "instead" } });
    const outcome = fileOf(await rig.cache.fetch(job(rig.origin.put("/a", await mp3()), { tags: async () => TAGS })));
    expect(outcome.path).toBe(join(rig.dir, "music", FILE));
    expect(await names(rig.folder)).toEqual([]);
    expect(rig.cache.lookup("tx_0039MnYb0qxYhV_128k.mp3")?.path).toBe(outcome.path);
    await writeFile(join(rig.dir, "music", "mine.mp3"), await mp3(550));
    const again = await rig.reopen();
    expect(again.find("tx", outcome.songId, "128k")).toEqual(outcome);
    const without = await rig.reopen({ keepDatabase: false });
    expect(without.find("tx", outcome.songId, "128k")).toMatchObject({ path: outcome.path, tagged: true });
    expect(without.list().length).toBe(1);
  });

  test("instead, tags that come later: the file moves", async () => {
    rig = await startRig({ tree: { mode: "instead" } });
    await rig.cache.fetch(job(rig.origin.put("/a", await mp3())));
    expect(await names(rig.folder)).toEqual(["tx_0039MnYb0qxYhV_128k.mp3"]);
    expect(await rig.cache.retag("tx", "0039MnYb0qxYhV", "128k", TAGS)).toBe(true);
    expect(await names(rig.folder)).toEqual([]);
    expect(rig.cache.list().map((file) => file.path)).toEqual([join(rig.dir, "music", FILE)]);
  });

  test("two songs of one name have two files; somebody else's is never overwritten", async () => {
    rig = await startRig({ tree: { mode: "instead" } });
    const put = async (songId: string, tone: number, quality: "128k" | "flac" = "128k") => {
      const bytes = quality === "flac" ? await flac() : await mp3(tone);
      return fileOf(
        await rig.cache.fetch(
          job(rig.origin.put(`/${songId}${quality}`, bytes), { songId, quality, tags: async () => TAGS }),
        ),
      );
    };
    const paths = [await put("a", 440), await put("b", 550), await put("c", 660), await put("a", 0, "flac")].map(
      (f) => f.path,
    );
    expect(new Set(paths.map((path) => path.toLowerCase())).size).toBe(4);
    expect(paths[0]).toEndWith("晴天 🌞.mp3");
    expect(paths[3]).toEndWith("晴天 🌞.flac");
  });
});

test("noise files of other tests are real audio", async () => {
  rig = await startRig();
  const path = await sample("cd-12.flac", [...noise(12), "-sample_fmt", "s16"]);
  const outcome = await rig.cache.fetch(
    job(rig.origin.put("/n", await Bun.file(path).bytes()), { quality: "flac", durationSeconds: 12 }),
  );
  const file = fileOf(outcome);
  await link(file.path, `${file.path}.copy`);
  expect((await rig.cache.verify()).every((result) => result.ok)).toBe(true);
});

/** Waits until something has come true in the background. */
async function until(done: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 10_000; !done(); await Bun.sleep(5)) {
    if (Date.now() > deadline) throw new Error("it never came true");
  }
}

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, copyFile, exists, mkdir, rename, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import iconv from "iconv-lite";
import { makeAudio } from "../platforms/audio.ts";
import { makePicture, openLibrary, temporaryFolder, writeFlac, writeMp3 } from "./shelf.ts";

const paths = (library: {
  list(query: { page: number; pageSize: number; sort: "path" }): { tracks: { path: string }[] };
}) => library.list({ page: 1, pageSize: 100, sort: "path" }).tracks.map((track) => track.path);

describe("scan", () => {
  test("reads tags, numbers and companions of every format", async () => {
    await using folder = await temporaryFolder();
    const audio = join(folder.path, "audio");
    const picture = await makePicture(16, [1, 2, 3]);
    await writeMp3(join(audio, "甲", "歌.mp3"), { title: "歌名", artist: "甲/乙", album: "专辑" });
    await writeFile(join(audio, "甲", "Folder.JPG"), Buffer.from(await new Bun.Image(picture).jpeg().bytes()));
    await writeFile(join(audio, "甲", "歌.LRC"), iconv.encode("[00:01.00]词", "gbk"));
    await writeFlac(join(audio, "f.flac"), { title: "F", artist: "G", track: "3", date: "1999" }, picture);
    for (const format of ["m4a", "ogg", "opus", "wav"] as const) {
      await copyFile((await makeAudio({ seconds: 1, format, tone: 300 })).path, join(audio, `x.${format}`));
    }
    await writeFile(join(audio, "notes.txt"), "no audio");
    await using own = await openLibrary(folder.path);
    const summary = await own.library.scan();
    expect(summary).toMatchObject({ files: 6, added: 6, bad: 0, truncated: false });
    const tracks = own.library.list({ page: 1, pageSize: 20, sort: "path" }).tracks;
    expect(tracks.find((track) => track.path === "甲/歌.mp3")).toMatchObject({
      title: "歌名",
      album: "专辑",
      bitrate: 128,
      lossless: false,
      cover: "file",
      lyric: "file",
      root: "./audio",
    });
    expect(tracks.find((track) => track.path === "f.flac")).toMatchObject({
      title: "F",
      artists: ["G"],
      lossless: true,
      cover: "embedded",
      lyric: "none",
      year: 1999,
      track: 3,
      durationSeconds: 1,
      sampleRate: 44100,
    });
    for (const track of tracks) expect(track.durationSeconds ?? 0).toBeWithin(0.9, 1.2);
    const song = own.library.match({ name: "歌名", artist: "乙" })?.track;
    if (song === undefined) throw new Error("not found");
    expect(await own.library.lyric(song)).toBe("[00:01.00]词");
    expect((await own.library.cover(song))?.contentType).toBe("image/jpeg");
    const small = await own.library.cover(song, 64);
    expect(small?.contentType).toBe("image/jpeg");
  });

  test("only what changed is read again", async () => {
    await using folder = await temporaryFolder();
    const audio = join(folder.path, "audio");
    for (const name of ["a", "b", "c"]) await writeMp3(join(audio, `${name}.mp3`), { title: name });
    await using own = await openLibrary(folder.path);
    expect(await own.library.scan()).toMatchObject({ added: 3 });
    expect(await own.library.scan()).toMatchObject({ added: 0, changed: 0, unchanged: 3, removed: 0 });

    await writeMp3(join(audio, "a.mp3"), { title: "A again, longer" });
    await rename(join(audio, "b.mp3"), join(audio, "moved.mp3"));
    await writeFile(join(audio, "c.lrc"), "[00:01.00]new");
    expect(await own.library.scan()).toMatchObject({ added: 1, changed: 2, unchanged: 0, removed: 1 });
    expect(own.library.match({ path: "a.mp3" })?.track.title).toBe("A again, longer");
    expect(own.library.match({ path: "b.mp3" })?.track.path).toBeUndefined();
    expect(own.library.match({ path: "moved.mp3" })?.track.title).toBe("b");
    expect(own.library.match({ path: "c.mp3" })?.track.lyric).toBe("file");

    const before = await stat(join(audio, "moved.mp3"));
    await utimes(join(audio, "moved.mp3"), before.atime, new Date(before.mtimeMs - 5000));
    expect(await own.library.scan()).toMatchObject({ changed: 1, unchanged: 2 });
  });

  test("the index outlives the process and needs no scan", async () => {
    await using folder = await temporaryFolder();
    await writeMp3(join(folder.path, "audio", "keep.mp3"), { title: "Keep", artist: "Me" });
    {
      await using own = await openLibrary(folder.path);
      await own.library.scan();
    }
    await using again = await openLibrary(folder.path);
    expect(again.library.match({ name: "Keep", artist: "Me" })?.score).toBe(0.95);
    expect(again.library.status().tracks).toBe(1);
  });

  test("bad files are listed with a reason, and tried again when they change", async () => {
    await using folder = await temporaryFolder();
    const audio = join(folder.path, "audio");
    await mkdir(audio, { recursive: true });
    await writeFile(join(audio, "text.mp3"), "this is no audio at all, just words ".repeat(100));
    await writeFile(join(audio, "empty.flac"), "");
    await writeFile(
      join(audio, "half.m4a"),
      (await Bun.file((await makeAudio({ seconds: 1, format: "m4a", tone: 300 })).path).bytes()).slice(0, 30),
    );
    await writeMp3(join(audio, "good.mp3"), { title: "good" });
    await using own = await openLibrary(folder.path);
    expect(await own.library.scan()).toMatchObject({ added: 1, bad: 3 });
    const bad = own.library.badFiles(1, 10);
    expect(bad.files.map((file) => file.path).sort()).toEqual(["empty.flac", "half.m4a", "text.mp3"]);
    expect(bad.files.every((file) => file.reason.length > 0)).toBe(true);
    expect(await own.library.scan()).toMatchObject({ added: 0, bad: 3, unchanged: 1 });
    await writeMp3(join(audio, "text.mp3"), { title: "mended" });
    await rm(join(audio, "empty.flac"));
    expect(await own.library.scan()).toMatchObject({ added: 1, bad: 1 });
    expect(own.library.status()).toMatchObject({ tracks: 2, bad: 1 });
  });

  test("a root that is away keeps its songs; a root that is no longer configured loses them", async () => {
    await using folder = await temporaryFolder();
    const [one, two] = [join(folder.path, "one"), join(folder.path, "two")];
    await writeMp3(join(one, "a.mp3"), { title: "a" });
    await writeMp3(join(two, "b.mp3"), { title: "b" });
    {
      await using own = await openLibrary(folder.path, { audio_path: ["./one", two] });
      expect(await own.library.scan()).toMatchObject({ added: 2 });
      await rename(two, `${two}.away`);
      await writeFile(two, "not a folder");
      expect(await own.library.scan()).toMatchObject({ removed: 0, unchanged: 1 });
      expect(own.library.status().tracks).toBe(2);
    }
    await using fewer = await openLibrary(folder.path, { audio_path: "./one" });
    expect(paths(fewer.library)).toEqual(["a.mp3"]);
  });

  test("a root that is away at the start keeps its songs, and is there again when it comes back", async () => {
    await using folder = await temporaryFolder();
    const disk = join(folder.path, "disk");
    await writeMp3(join(disk, "music", "a.mp3"), { title: "a" });
    {
      await using own = await openLibrary(folder.path, { audio_path: join(disk, "music") });
      await own.library.scan();
    }
    await rename(disk, `${disk}.away`);
    {
      await using own = await openLibrary(folder.path, { audio_path: join(disk, "music") });
      expect(await own.library.scan()).toMatchObject({ removed: 0 });
      expect(paths(own.library)).toEqual(["a.mp3"]);
      await own.library.makeUploadFolder();
      expect(await exists(disk)).toBe(false);
    }
    await rename(`${disk}.away`, disk);
    await using own = await openLibrary(folder.path, { audio_path: join(disk, "music") });
    expect(await own.library.scan()).toMatchObject({ removed: 0, unchanged: 1 });
  });

  test("what another process has scanned meanwhile is found, and what it has dropped is not in the way", async () => {
    await using folder = await temporaryFolder();
    const audio = join(folder.path, "audio");
    await writeMp3(join(audio, "old name.mp3"), { title: "Song", artist: "Somebody" });
    await using server = await openLibrary(folder.path);
    await server.library.scan();
    await rename(join(audio, "old name.mp3"), join(audio, "new name.mp3"));
    await writeMp3(join(audio, "added.mp3"), { title: "Added", artist: "Somebody" });
    {
      await using command = await openLibrary(folder.path);
      expect(await command.library.scan()).toMatchObject({ added: 2, removed: 1 });
    }
    expect(await server.library.scan()).toMatchObject({ added: 0, unchanged: 2, removed: 0 });
    expect(server.library.match({ path: "added.mp3" })?.track.path).toBe("added.mp3");
    expect(server.library.match({ name: "Song", artist: "Somebody" })?.track.path).toBe("new name.mp3");
    expect(server.library.match({ path: "old name.mp3" })).toBeUndefined();
  });

  test("there is a bound to the number of files", async () => {
    await using folder = await temporaryFolder();
    for (const name of ["a", "b", "c"]) await writeMp3(join(folder.path, "audio", `${name}.mp3`), undefined);
    await using own = await openLibrary(folder.path, { max_files: 2 });
    expect(await own.library.scan()).toMatchObject({ files: 2, truncated: true });
    expect(own.library.status().tracks).toBe(2);
  });

  test("a scan asked for during a scan comes after it, once", async () => {
    await using folder = await temporaryFolder();
    await writeMp3(join(folder.path, "audio", "a.mp3"), undefined);
    await using own = await openLibrary(folder.path);
    const [first, second, third] = [own.library.scan(), own.library.scan(), own.library.scan()];
    expect(second).toBe(third);
    expect((await first).added).toBe(1);
    expect((await second).unchanged).toBe(1);
  });

  test("closing ends a running scan", async () => {
    await using folder = await temporaryFolder();
    await writeMp3(join(folder.path, "audio", "a.mp3"), undefined);
    const own = await openLibrary(folder.path, {}, { startWorker: () => new Worker("data:text/javascript,") });
    const scan = own.library.scan();
    const outcome = scan.then(
      () => "finished",
      () => "ended",
    );
    await own[Symbol.asyncDispose]();
    expect(await outcome).toBe("ended");
  });
});

describe("symbolic links", () => {
  test("are followed once, and never out of the folders", async () => {
    await using folder = await temporaryFolder();
    const audio = join(folder.path, "audio");
    const outside = join(folder.path, "outside");
    await writeMp3(join(audio, "deep", "a.mp3"), { title: "a" });
    await writeMp3(join(outside, "secret.mp3"), { title: "secret" });
    await symlink(join(audio, "deep"), join(audio, "again"));
    await symlink(audio, join(audio, "deep", "loop"));
    await symlink(join(audio, "deep", "a.mp3"), join(audio, "alias.mp3"));
    await symlink(outside, join(audio, "out"));
    await symlink(join(outside, "secret.mp3"), join(audio, "out.mp3"));
    await symlink(join(folder.path, "nowhere"), join(audio, "broken.mp3"));
    {
      await using own = await openLibrary(folder.path);
      const summary = await own.library.scan();
      expect(paths(own.library)).toEqual(["deep/a.mp3"]);
      expect(summary.problems.map((problem) => problem.path).sort()).toEqual(["broken.mp3", "out", "out.mp3"]);
      expect(own.library.match({ path: "secret.mp3" })).toBeUndefined();
    }
    await using open = await openLibrary(folder.path, { follow_outside: true });
    await open.library.scan();
    expect(paths(open.library).length).toBe(2);
    const secret = open.library.match({ path: "out.mp3" });
    expect(secret?.track.title).toBe("secret");
  });

  test("a link out of the folders is no companion of a song", async () => {
    await using folder = await temporaryFolder();
    const audio = join(folder.path, "audio");
    const picture = await makePicture(8, [1, 2, 3]);
    await writeMp3(join(audio, "a.mp3"), { title: "a" });
    await writeMp3(join(audio, "b.mp3"), { title: "b" });
    await writeFile(join(folder.path, "out.png"), picture);
    await writeFile(join(folder.path, "out.lrc"), "[00:01.00]secret");
    await symlink(join(folder.path, "out.png"), join(audio, "a.png"));
    await symlink(join(folder.path, "out.lrc"), join(audio, "a.lrc"));
    await writeFile(join(audio, "shared.png"), picture);
    await symlink("shared.png", join(audio, "b.png"));
    {
      await using own = await openLibrary(folder.path);
      await own.library.scan();
      expect(own.library.match({ path: "a.mp3" })?.track).toMatchObject({ cover: "none", lyric: "none" });
      expect(own.library.match({ path: "b.mp3" })?.track).toMatchObject({ cover: "file" });
    }
    await using open = await openLibrary(folder.path, { follow_outside: true });
    await open.library.scan();
    expect(open.library.match({ path: "a.mp3" })?.track).toMatchObject({ cover: "file", lyric: "file" });
  });

  test("a folder that may not be read is a problem, not an end", async () => {
    await using folder = await temporaryFolder();
    const audio = join(folder.path, "audio");
    await writeMp3(join(audio, "a.mp3"), undefined);
    await mkdir(join(audio, "closed"));
    await chmod(join(audio, "closed"), 0o000);
    await using own = await openLibrary(folder.path);
    expect(await own.library.scan()).toMatchObject({ added: 1 });
    await chmod(join(audio, "closed"), 0o700);
  });
});

describe("a reader that dies", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  beforeAll(async () => {
    folder = await temporaryFolder();
    for (const name of ["a", "poison", "z"]) await writeMp3(join(folder.path, "audio", `${name}.mp3`), { title: name });
  });
  afterAll(() => folder[Symbol.asyncDispose]());

  /** The real worker behind a door that throws, or falls silent, when it is told to read "poison". */
  const poisoned = (how: "throw" | "hang") => () => {
    const worker = new Worker(new URL("./poisoned-worker.ts", import.meta.url).href);
    worker.postMessage({ type: "poison", how });
    return worker;
  };

  test.each(["throw", "hang"] as const)("%s: the file is found and listed, the others are read", async (how) => {
    await rm(join(folder.path, "lx.db"), { force: true });
    await using own = await openLibrary(folder.path, {}, { startWorker: poisoned(how), silenceMs: 700 });
    await own.library.scan();
    expect(own.library.badFiles(1, 10).files.map((file) => file.path)).toEqual(["poison.mp3"]);
    expect(paths(own.library)).toEqual(["a.mp3", "z.mp3"]);
  });
});

describe("watching", () => {
  test("a new file is found without being asked for", async () => {
    await using folder = await temporaryFolder();
    await mkdir(join(folder.path, "audio"), { recursive: true });
    await using own = await openLibrary(folder.path, { watch: true, watch_delay: 0.05, scan_on_startup: true });
    own.library.start();
    while (own.library.status().lastScan === undefined) await Bun.sleep(10);
    await writeMp3(join(folder.path, "audio", "new", "fresh.mp3"), { title: "fresh" });
    while (own.library.match({ path: "fresh.mp3" }) === undefined) await Bun.sleep(10);
    await rm(join(folder.path, "audio", "new"), { recursive: true });
    while (own.library.match({ path: "fresh.mp3" }) !== undefined) await Bun.sleep(10);
    expect(own.library.status().tracks).toBe(0);
  });
});

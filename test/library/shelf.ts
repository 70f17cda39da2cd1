import type { Database } from "bun:sqlite";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import NodeID3 from "node-id3";
import { librarySection } from "../../src/config/sections/library.ts";
import { createLibrary, type Library, type LibraryConfig } from "../../src/library/index.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { makeAudio } from "../platforms/audio.ts";

/** A temporary folder that is removed by `await using`. */
export async function temporaryFolder(name = "lx-library-"): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), name));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export const startWorker = () => new Worker(new URL("../../src/library/scan-worker.ts", import.meta.url).href);

export type ConfigChange = Partial<Omit<LibraryConfig, "upload">> & { upload?: Partial<LibraryConfig["upload"]> };

export function libraryConfig(change: ConfigChange = {}): LibraryConfig {
  const base = Value.Create(librarySection);
  return {
    ...base,
    ffmpeg: "",
    watch: false,
    scan_interval: 0,
    ...change,
    upload: { ...base.upload, ...change.upload },
  };
}

export interface TestLibrary extends AsyncDisposable {
  library: Library;
  db: Database;
  /** The data folder; music lies in `audio/`. */
  dataDir: string;
}

export async function openLibrary(
  dataDir: string,
  change: ConfigChange = {},
  more: { startWorker?: () => Worker; silenceMs?: number } = {},
): Promise<TestLibrary> {
  const db = openDatabase(join(dataDir, "lx.db"), silentLogger);
  const library = createLibrary({
    db,
    log: silentLogger,
    config: libraryConfig(change),
    dataDir,
    startWorker: more.startWorker ?? startWorker,
    ...(more.silenceMs === undefined ? {} : { silenceMs: more.silenceMs }),
  });
  await library.ready;
  return {
    library,
    db,
    dataDir,
    async [Symbol.asyncDispose]() {
      await library.close();
      db.close();
    },
  };
}

/** A PNG of one colour, made by Bun from a raw bitmap. */
export async function makePicture(edge: number, colour: [number, number, number]): Promise<Buffer> {
  const row = Math.ceil((edge * 3) / 4) * 4;
  const bitmap = Buffer.alloc(54 + row * edge);
  bitmap.write("BM");
  bitmap.writeUInt32LE(bitmap.length, 2);
  bitmap.writeUInt32LE(54, 10);
  bitmap.writeUInt32LE(40, 14);
  bitmap.writeInt32LE(edge, 18);
  bitmap.writeInt32LE(edge, 22);
  bitmap.writeUInt16LE(1, 26);
  bitmap.writeUInt16LE(24, 28);
  for (let y = 0; y < edge; y++) {
    for (let x = 0; x < edge; x++) bitmap.set([colour[2], colour[1], colour[0]], 54 + y * row + x * 3);
  }
  return await new Bun.Image(bitmap).png().toBuffer();
}

export interface Mp3Tags {
  title?: string;
  artist?: string;
  album?: string;
  lyric?: string;
  picture?: Buffer;
  pictureDescription?: string;
}

/** One second of real MP3 with these tags. */
export async function writeMp3(path: string, tags: Mp3Tags | undefined): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const audio = await makeAudio({ seconds: 1, format: "mp3", tone: 440 });
  await copyFile(audio.path, path);
  if (tags === undefined) return;
  const result = NodeID3.write(
    {
      ...(tags.title === undefined ? {} : { title: tags.title }),
      ...(tags.artist === undefined ? {} : { artist: tags.artist }),
      ...(tags.album === undefined ? {} : { album: tags.album }),
      ...(tags.lyric === undefined ? {} : { unsynchronisedLyrics: { language: "eng", text: tags.lyric } }),
      ...(tags.picture === undefined
        ? {}
        : {
            image: {
              mime: "image/png",
              type: { id: 3, name: "front cover" },
              description: tags.pictureDescription ?? "",
              imageBuffer: tags.picture,
            },
          }),
    },
    path,
  );
  if (result !== true) throw result;
}

/** A FLAC with a plain lyric and a picture, tagged by ffmpeg. */
export async function writeFlac(path: string, tags: Record<string, string>, picture?: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const audio = await makeAudio({ seconds: 1, format: "flac", tone: 440 });
  const image = `${path}.cover.png`;
  if (picture !== undefined) await writeFile(image, picture);
  const child = Bun.spawn(
    [
      "ffmpeg",
      "-v",
      "error",
      "-y",
      "-i",
      audio.path,
      ...(picture === undefined ? [] : ["-i", image, "-map", "0:a", "-map", "1:v", "-disposition:v", "attached_pic"]),
      "-c",
      "copy",
      ...Object.entries(tags).flatMap(([name, value]) => ["-metadata", `${name}=${value}`]),
      path,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "pipe" },
  );
  const [code, problem] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  await rm(image, { force: true });
  if (code !== 0) throw new Error(problem);
}

/** The folder that the recorded answers of the original were made with. */
export async function writeGoldenShelf(folder: string): Promise<void> {
  const picture = await makePicture(64, [200, 30, 30]);
  await writeMp3(join(folder, "Test Song.mp3"), {
    title: "Test Song",
    artist: "Tester",
    album: "Tests",
    lyric: "[00:01.00]hi\n[00:02.00]there",
    picture,
  });
  await writeMp3(join(folder, "中文 歌曲.mp3"), { title: "中文 歌曲", artist: "某人" });
  await writeFile(
    join(folder, "中文 歌曲.lrc"),
    "\ufeff歌词来自某处\r\n[00:01.00]lrc file\r\nplain\r\n[00:02.00]two\r\n",
  );
  await writeFlac(join(folder, "b.flac"), { title: "b", artist: "x", lyrics: "plain lyric" }, picture);
  await writeMp3(join(folder, "untagged.mp3"), undefined);
  await writeMp3(join(folder, "desc.mp3"), { title: "desc", picture, pictureDescription: "Cover png" });
}

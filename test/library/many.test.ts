import { expect, test } from "bun:test";
import { appendFile } from "node:fs/promises";
import { join } from "node:path";
import { crowdSong, writeCrowd } from "./crowd.ts";
import { openLibrary, temporaryFolder } from "./shelf.ts";

const COUNT = process.env["LX_TEST_HEAVY"] === "1" ? 50_000 : 2000;

test(
  `${COUNT} files: all are found, nothing is read twice, requests get their turn`,
  async () => {
    await using folder = await temporaryFolder();
    const audio = join(folder.path, "audio");
    await writeCrowd(audio, COUNT);
    await using own = await openLibrary(folder.path);
    let turns = 0;
    const ticker = setInterval(() => turns++, 1);
    expect(await own.library.scan()).toMatchObject({ files: COUNT, added: COUNT, bad: 0 });
    clearInterval(ticker);
    // Many turns, or scanning would hold requests up.
    expect(turns).toBeGreaterThan(COUNT / 128);

    for (let n = 0; n < COUNT; n += 37) {
      const song = crowdSong(n);
      expect(own.library.match({ path: `/phone/Music/${song.path}` })?.track.path).toBe(song.path);
      expect(own.library.match({ name: song.title, artist: song.artist })?.track.path).toBe(song.path);
      expect(own.library.match({ name: `${song.title} x`, artist: song.artist })).toBeUndefined();
    }
    await appendFile(join(audio, crowdSong(5).path), "more");
    expect(await own.library.scan()).toMatchObject({ added: 0, changed: 1, unchanged: COUNT - 1, removed: 0 });
  },
  COUNT * 20 + 20_000,
);

import { expect, test } from "bun:test";
import { join } from "node:path";
import { createArtistView } from "../../src/library/artist-view.ts";
import { openLibrary, temporaryFolder, writeMp3 } from "./shelf.ts";

test("songs stand below artist and album, under names that any system takes", async () => {
  await using folder = await temporaryFolder();
  const audio = join(folder.path, "audio");
  await writeMp3(join(audio, "1.mp3"), { title: "晴天", artist: "周杰伦", album: "叶惠美" });
  await writeMp3(join(audio, "sub/2.mp3"), { title: "晴天", artist: "周杰伦", album: "叶惠美" });
  await writeMp3(join(audio, "3.mp3"), { title: "../../evil", artist: "..", album: "a/b" });
  await writeMp3(join(audio, "4.mp3"), undefined);
  await using own = await openLibrary(folder.path);
  await own.library.scan();
  let now = 0;
  const view = createArtistView(own.library, { keepMs: 1000, now: () => now });
  expect((await view.list([]))?.map((item) => item.name)).toEqual(["_", "周杰伦", "未知歌手"]);
  expect(await view.list(["周杰伦"])).toEqual([{ name: "叶惠美" }]);
  expect(await view.list(["周杰伦", "叶惠美"])).toEqual([
    { name: "晴天.mp3", file: join(audio, "1.mp3") },
    { name: "晴天 (2).mp3", file: join(audio, "sub/2.mp3") },
  ]);
  expect((await view.list(["_", "a_b"]))?.map((item) => item.name)).toEqual(["__.._evil.mp3"]);
  expect(await view.list(["nobody"])).toBeUndefined();
  expect(await view.list(["周杰伦", "叶惠美", "晴天.mp3"])).toBeUndefined();

  await writeMp3(join(audio, "5.mp3"), { title: "x", artist: "新人" });
  await own.library.scan();
  expect((await view.list([]))?.length).toBe(3);
  now = 2000;
  expect((await view.list([]))?.map((item) => item.name)).toContain("新人");
});

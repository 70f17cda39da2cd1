import { afterAll, beforeAll, expect, test } from "bun:test";
import { answering, type Bed, makeBed } from "./bed.ts";

let bed: Bed;
beforeAll(() => {
  bed = makeBed();
});
afterAll(() => bed.close());

test("a script starts and answers", async () => {
  const run = await bed.start(answering("return 'https://example.test/' + info.musicInfo.songmid + '.' + info.type"));
  expect(run.state).toMatchObject({
    state: "ready",
    sources: { kw: { actions: ["musicUrl"], qualitys: ["128k", "320k"] } },
  });
  const info = JSON.stringify({ type: "128k", musicInfo: { songmid: "7" } });
  expect(await run.call("kw", "musicUrl", info, { deadlineMs: 2_000 })).toBe("https://example.test/7.128k");
  await run.stop();
});

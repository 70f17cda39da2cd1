/**
 * A cache that downloads, tags, tags again and deletes without end, to be killed at any moment.
 * Arguments: data folder, then `songId=address` pairs.
 */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { createAudioCache } from "../../src/audio/index.ts";
import { inlineWork } from "../../src/audio/work.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { audioConfig, TAGS } from "./rig.ts";

const [dir = "", ...pairs] = process.argv.slice(2);
const songs = pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)] as const);
const db = new Database(join(dir, "test.db"), { create: true, strict: true });
db.run("PRAGMA journal_mode = WAL");
const config = audioConfig({ min_free: 0, host_gap: 0, tree: { mode: process.env["TREE_MODE"] ?? "off" } });
const cache = createAudioCache({
  dataDir: dir,
  config: () => config,
  db,
  log: silentLogger,
  now: () => Date.now(),
  fetchStream: async (url, { headers, signal }) => {
    const { status, headers: received, body } = await fetch(url, { headers, signal });
    return { status, headers: received, body };
  },
  work: inlineWork,
});
await cache.start();
process.stdout.write("ready\n");
for (let round = 0; ; round++) {
  await Promise.all(
    songs.map(async ([songId, url], index) => {
      const key = { source: "tx", songId, quality: "128k" } as const;
      const tags = { ...TAGS, title: `歌 ${songId}` };
      const outcome = await cache.fetch({ ...key, url, route: "tx", title: songId, tags: async () => tags });
      if ((round + index) % 2 === 0) await cache.retag("tx", songId, "128k", { ...tags, year: 2000 + (round % 20) });
      if ((round + index) % 3 === 0 && "file" in outcome) await cache.delete(outcome.file.name).catch(() => {});
    }),
  );
}

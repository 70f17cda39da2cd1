/**
 * One download onto a disk that is too small, and one after it. Prints what happened as JSON.
 * Arguments: data folder, address of a large song, address of a small one.
 */
import { Database } from "bun:sqlite";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createAudioCache, type FetchJob } from "../../src/audio/index.ts";
import { inlineWork } from "../../src/audio/work.ts";
import { createLogger } from "../../src/ops/log.ts";
import { audioConfig } from "./rig.ts";

const [dir = "", large = "", small = ""] = process.argv.slice(2);
const lines: string[] = [];
const clock = { now: Date.now() };
const config = audioConfig({ min_free: 0, host_gap: 0 });
const cache = createAudioCache({
  dataDir: dir,
  config: () => config,
  db: new Database(":memory:", { strict: true }),
  log: createLogger({ level: "warn", format: "json", lengthLimit: 500, write: (line) => void lines.push(line) }),
  now: () => clock.now,
  fetchStream: async (url, { headers, signal }) => {
    const { status, headers: received, body } = await fetch(url, { headers, signal });
    return { status, headers: received, body };
  },
  work: inlineWork,
});
await cache.start();
const job = (songId: string, url: string): FetchJob => ({ source: "tx", songId, quality: "128k", url, route: "tx" });
const first = await cache.fetch(job("large", large));
const left = await readdir(join(dir, "cache_audio"));
const second = await cache.fetch(job("small", small));
clock.now += 61_000;
const third = await cache.fetch(job("small", small));
const found = cache.find("tx", "large", "128k") !== undefined;
await cache.close();
process.stdout.write(
  JSON.stringify({ first, left, second, third: third.kind, found, lines: lines.map((line) => JSON.parse(line)) }),
);

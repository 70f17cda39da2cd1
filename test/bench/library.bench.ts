/**
 * Speed of the library: `bun test/bench/library.bench.ts [FILES]` (default 10,000).
 * Prints one JSON object: first scan and rescan, latency of matches meanwhile, time to load the index, memory.
 */
import { join } from "node:path";
import { crowdSong, writeCrowd } from "../library/crowd.ts";
import { openLibrary, temporaryFolder } from "../library/shelf.ts";

const count = Number(process.argv[2] ?? 10_000);
await using folder = await temporaryFolder("lx-bench-");
await writeCrowd(join(folder.path, "audio"), count);

function percentile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Number((sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(3));
}

/** Asks for a song every millisecond while `work` runs; the wait for the turn counts. */
async function underLoad(ask: () => void, work: () => Promise<unknown>) {
  const delays: number[] = [];
  let running = true;
  const asking = (async () => {
    while (running) {
      const due = performance.now() + 1;
      await Bun.sleep(1);
      ask();
      delays.push(Math.max(0, performance.now() - due));
    }
  })();
  const started = performance.now();
  await work();
  const milliseconds = performance.now() - started;
  running = false;
  await asking;
  return { milliseconds: Math.round(milliseconds), p50: percentile(delays, 0.5), p99: percentile(delays, 0.99) };
}

const report: Record<string, unknown> = { files: count };
{
  await using own = await openLibrary(folder.path);
  let n = 0;
  const ask = () => {
    n += 7919;
    own.library.match({ path: crowdSong(n % count).path });
  };
  const first = await underLoad(ask, () => own.library.scan());
  report["firstScan"] = { ...first, filesPerSecond: Math.round((count / first.milliseconds) * 1000) };
  report["rescan"] = await underLoad(ask, () => own.library.scan());
  const started = performance.now();
  for (let round = 0; round < 10_000; round++) ask();
  report["matchMicroseconds"] = Number(((performance.now() - started) / 10).toFixed(1));
  const missStarted = performance.now();
  for (let round = 0; round < 10_000; round++) own.library.match({ path: `nobody - no such song ${round}.mp3` });
  report["missMicroseconds"] = Number(((performance.now() - missStarted) / 10).toFixed(1));
}
{
  const started = performance.now();
  await using _again = await openLibrary(folder.path);
  report["loadMilliseconds"] = Math.round(performance.now() - started);
}
report["rssMegabytes"] = Math.round(process.memoryUsage.rss() / 1e6);
console.log(JSON.stringify(report, undefined, 2));

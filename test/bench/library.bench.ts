/**
 * Speed of the library: `bun test/bench/library.bench.ts [FILES]` (default 10,000).
 * Prints one JSON object: first scan and rescan, latency of matches meanwhile, time to load the index; then the same
 * with the built executable, asked over HTTP, and its memory. Needs `make build`.
 */
import { readFileSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { startServer } from "../e2e/server.ts";
import { crowdSong, writeCrowd } from "../library/crowd.ts";
import { openLibrary, temporaryFolder } from "../library/shelf.ts";
import { songByKey } from "../platforms/catalog.ts";
import { startAllPlatforms } from "../platforms/index.ts";

const count = Number(process.argv[2] ?? 10_000);
await using folder = await temporaryFolder("lx-bench-");
await writeCrowd(join(folder.path, "audio"), count);

function percentile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Number((sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(3));
}

/** Asks for a song every millisecond while `work` runs; the wait for the turn counts. */
async function underLoad(ask: () => unknown, work: () => Promise<unknown>) {
  const delays: number[] = [];
  let running = true;
  const asking = (async () => {
    while (running) {
      const due = performance.now() + 1;
      await Bun.sleep(1);
      await ask();
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

/** The first scan of the server at its start, and one more after a restart; `/url` is asked for all the while. */
async function overHttp() {
  const emulator = startAllPlatforms();
  const dataDir = join(folder.path, "served");
  await mkdir(dataDir);
  await rename(join(folder.path, "audio"), join(dataDir, "audio"));
  const rounds: unknown[] = [];
  const options = { dataDir, config: { common: { upstream_gateway: emulator.origin } } };
  for (const round of ["first", "rescan"]) {
    const server = await startServer(options);
    const song = `/url/kg/${songByKey("plain").ids.kg.hash}/128k`;
    await (await server.get(song)).text();
    let most = 0;
    const scanned = async () => {
      while (!server.output().includes("library scanned")) {
        most = Math.max(most, Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1]));
        await Bun.sleep(20);
      }
    };
    const under = await underLoad(async () => (await server.get(song)).text(), scanned);
    rounds.push({ round, url: under, mostRssMebibytes: Math.round(most / 1024) });
    await server.stop();
  }
  await emulator.stop();
  return rounds;
}
report["overHttp"] = await overHttp();
console.log(JSON.stringify(report, undefined, 2));

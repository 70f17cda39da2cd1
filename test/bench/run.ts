import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { startServer } from "../e2e/server.ts";
import { songByKey } from "../platforms/catalog.ts";
import { startAllPlatforms } from "../platforms/index.ts";
import { type WrkResult, wrk } from "./wrk.ts";

// `make bench`: the built server against a bare Bun.serve on the same core. Prints a table; judges nothing.
const SECONDS = Number(process.env["LX_BENCH_SECONDS"] ?? 2);
const ROUNDS = 7;
const CONNECTIONS = 64;

const onCoreZero = async (pid: number) => {
  await Bun.spawn(["taskset", "-acp", "0", String(pid)], { stdout: "ignore" }).exited;
};
const rssMiB = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;

/** A bare server on the same core. */
async function startBare(...args: string[]) {
  const child = Bun.spawn(["taskset", "-c", "0", process.execPath, join(import.meta.dir, "bare.ts"), ...args], {
    stdout: "pipe",
  });
  const first = await child.stdout.getReader().read();
  const port = /bare (\d+)/.exec(new TextDecoder().decode(first.value))?.[1];
  return { url: `http://127.0.0.1:${port}/`, stop: () => child.kill() };
}

async function startMs(): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < 5; round++) {
    const from = performance.now();
    const server = await startServer();
    await (await server.get("/")).text();
    rounds.push(performance.now() - from);
    await server.remove();
  }
  return rounds.toSorted((a, b) => a - b)[2] ?? 0;
}

const emulator = startAllPlatforms();
const server = await startServer({
  config: { common: { upstream_gateway: emulator.origin, remote_cache: { enable: false } } },
});
await onCoreZero(server.pid);
await Bun.sleep(1500);
const idle = rssMiB(server.pid);
const bares = [await startBare(), await startBare("same")] as const;
const { hash } = songByKey("plain").ids.kg;
const path = `/url/kg/${hash}/128k`;
await (await server.get(path)).text();

const targets: [name: string, url: string][] = [
  ["bare Bun.serve", bares[0].url],
  ["bare Bun.serve, the same headers", bares[1].url],
  ["cached /url (memory)", `${server.url}${path}`],
  ["cached /url by query", `${server.url}/url?source=kg&songId=${hash}&quality=128k`],
  ["GET /", `${server.url}/`],
  ["/script", `${server.url}/script`],
];
for (const [, url] of targets) await wrk(url, { seconds: 1, connections: CONNECTIONS });
const results = targets.map((): WrkResult[] => []);
// In turns, because the machine is not always as fast.
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, [, url]] of targets.entries()) {
    results[index]?.push(await wrk(url, { seconds: SECONDS, connections: CONNECTIONS }));
  }
}
const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
const rate = (index: number) => median((results[index] ?? []).map((result) => result.perSecond));
/** Of the same round, so that both had the same machine. */
const share = (index: number, of: number) =>
  (
    100 *
    median((results[index] ?? []).map(({ perSecond }, round) => perSecond / (results[of]?.[round]?.perSecond ?? 1)))
  ).toFixed(0);
const rows = targets.map(([name], index): [string, string] => {
  const own = results[index] ?? [];
  const bad = own.reduce((sum, result) => sum + result.bad, 0);
  const times = `p50 ${median(own.map((result) => result.p50Ms)).toFixed(2)} ms, p99 ${median(own.map((result) => result.p99Ms)).toFixed(2)} ms`;
  const shares =
    index < bares.length ? "" : ` (${share(index, 0)} % of bare, ${share(index, 1)} % with the same headers)`;
  return [name, `${Math.round(rate(index))}/s${shares}, ${times}${bad > 0 ? `, ${bad} bad` : ""}`];
});
const after = rssMiB(server.pid);
for (const bare of bares) bare.stop();
await server.remove();
await emulator.stop();

console.log(
  `machine: ${cpus()[0]?.model} (${cpus().length} cores), Bun ${Bun.version}, wrk ${CONNECTIONS} connections, ${ROUNDS} rounds of ${SECONDS} s each, server on one core`,
);
const table: [string, string][] = [
  ...rows,
  ["first 200 after start (median of 5)", `${(await startMs()).toFixed(0)} ms`],
  ["RSS idle / after load", `${idle.toFixed(0)} / ${after.toFixed(0)} MiB`],
];
for (const [name, value] of table) console.log(`| ${name} | ${value} |`);
process.exit(0);

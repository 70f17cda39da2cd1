import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { startServer } from "../e2e/server.ts";
import { songByKey } from "../platforms/catalog.ts";
import { startAllPlatforms } from "../platforms/index.ts";
import { wrk } from "./wrk.ts";

// `make bench`: the built server against a bare Bun.serve on the same core. Prints a table; judges nothing.
const SECONDS = Number(process.env["LX_BENCH_SECONDS"] ?? 5);
const CONNECTIONS = 64;

const onCoreZero = async (pid: number) => {
  await Bun.spawn(["taskset", "-acp", "0", String(pid)], { stdout: "ignore" }).exited;
};
const rssMiB = (pid: number) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;

async function bare(): Promise<number> {
  const child = Bun.spawn(["taskset", "-c", "0", process.execPath, join(import.meta.dir, "bare.ts")], {
    stdout: "pipe",
  });
  const first = await child.stdout.getReader().read();
  const port = /bare (\d+)/.exec(new TextDecoder().decode(first.value))?.[1];
  await wrk(`http://127.0.0.1:${port}/`, { seconds: 1, connections: CONNECTIONS });
  const { perSecond } = await wrk(`http://127.0.0.1:${port}/`, { seconds: SECONDS, connections: CONNECTIONS });
  child.kill();
  await child.exited;
  return perSecond;
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
const ceiling = await bare();
const server = await startServer({
  config: { common: { upstream_gateway: emulator.origin, remote_cache: { enable: false } } },
});
await onCoreZero(server.pid);
await Bun.sleep(1500);
const idle = rssMiB(server.pid);
const path = `/url/kg/${songByKey("plain").ids.kg.hash}/128k`;
await (await server.get(path)).text();

const rows: [string, string][] = [];
const measure = async (name: string, target: string) => {
  const result = await wrk(`${server.url}${target}`, { seconds: SECONDS, connections: CONNECTIONS });
  const share = ((100 * result.perSecond) / ceiling).toFixed(0);
  rows.push([
    name,
    `${Math.round(result.perSecond)}/s (${share} % of bare), p50 ${result.p50Ms.toFixed(2)} ms, p99 ${result.p99Ms.toFixed(2)} ms${result.bad > 0 ? `, ${result.bad} bad` : ""}`,
  ]);
};
await wrk(`${server.url}${path}`, { seconds: 1, connections: CONNECTIONS });
await measure("cached /url (memory)", path);
await measure("GET /", "/");
await measure("/script", "/script");
await measure("cached /url by query", `/url?source=kg&songId=${songByKey("plain").ids.kg.hash}&quality=128k`);
const after = rssMiB(server.pid);
await server.remove();
await emulator.stop();

console.log(
  `machine: ${cpus()[0]?.model} (${cpus().length} cores), Bun ${Bun.version}, wrk ${CONNECTIONS} connections, ${SECONDS} s each, server on one core`,
);
const table: [string, string][] = [
  ["bare Bun.serve", `${Math.round(ceiling)}/s`],
  ...rows,
  ["first 200 after start (median of 5)", `${(await startMs()).toFixed(0)} ms`],
  ["RSS idle / after load", `${idle.toFixed(0)} / ${after.toFixed(0)} MiB`],
];
for (const [name, value] of table) console.log(`| ${name} | ${value} |`);
process.exit(0);

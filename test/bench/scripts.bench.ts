/**
 * What asking a third-party script costs beyond its own network time, how many calls a second it can answer, how soon
 * one is back after it was killed, and what a process weighs. `bun test/bench/scripts.bench.ts`: prints, judges nothing.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "../../src/ops/log.ts";
import { createSupervisor, type ScriptRun } from "../../src/scripts/supervisor.ts";
import { answering, COMMAND, loadMessage, OUTSIDE } from "../scripts/bed.ts";

const ROUNDS = Number(process.env["LX_BENCH_ROUNDS"] ?? 3_000);
const INFO = JSON.stringify({ type: "128k", musicInfo: { name: "晴天", singer: "周杰伦", songmid: "228908" } });

function report(name: string, value: number, unit: string): void {
  console.log(`${name.padEnd(60)} ${value.toFixed(value < 100 ? 2 : 0).padStart(9)} ${unit}`);
}

const upstream = Bun.spawn([process.execPath, join(import.meta.dir, "scripts-upstream.ts"), OUTSIDE], {
  stdout: "pipe",
});
const { value } = await upstream.stdout.getReader().read();
const origin = new TextDecoder().decode(value).trim();

const supervisor = createSupervisor({ command: COMMAND, spares: () => 1, log: silentLogger });
const start = async (body: string): Promise<ScriptRun> => {
  const limits = { requestsPerCall: 1_000, concurrentCalls: 64, sliceMs: 300 };
  const run = supervisor.run(loadMessage(answering(body), { limits }), "bench", 1_000, () => {});
  await run.started;
  if (run.state.state !== "ready") throw new Error(run.state.problem?.message);
  return run;
};
const call = (run: ScriptRun, info = INFO) => run.call("kw", "musicUrl", info, { deadlineMs: 10_000 });

async function times(work: () => Promise<unknown>, rounds: number): Promise<number[]> {
  const all: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const started = performance.now();
    await work();
    all.push(performance.now() - started);
  }
  return all.sort((a, b) => a - b);
}
const at = (sorted: number[], share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;

async function perSecond(run: ScriptRun, workers: number): Promise<number> {
  let left = ROUNDS;
  const started = performance.now();
  const worker = async () => {
    while (left-- > 0) await call(run);
  };
  await Promise.all(Array.from({ length: workers }, worker));
  return (ROUNDS * 1_000) / (performance.now() - started);
}

const still = await start("return 'https://example.test/' + info.musicInfo.songmid");
const asking = await start(
  `return new Promise((resolve, reject) => lx.request(${JSON.stringify(origin)} + "/url?id=" + info.musicInfo.songmid, { method: "get" }, (err, resp, body) => err ? reject(err) : resolve(body.url)))`,
);
for (let i = 0; i < 500; i++) await Promise.all([call(still), call(asking)]);

const direct = await times(async () => (await fetch(`${origin}/url?id=1`)).json(), 500);
const plain = await times(() => call(still), 500);
const whole = await times(() => call(asking), 500);
report("upstream asked directly, p50", at(direct, 0.5), "ms");
report("warm call without a request, p50", at(plain, 0.5), "ms");
report("warm call without a request, p99", at(plain, 0.99), "ms");
report("warm call with one request, p50", at(whole, 0.5), "ms");
report("warm call with one request, p99", at(whole, 0.99), "ms");
report("added over the script's own network time, p50", at(whole, 0.5) - at(direct, 0.5), "ms");
report("8 at once, without a request", await perSecond(still, 8), "calls/s");
report("8 at once, one request each", await perSecond(asking, 8), "calls/s");

const starts: number[] = [];
for (let i = 0; i < 5; i++) {
  await Bun.sleep(1_500);
  const started = performance.now();
  const run = await start("return 'x'");
  starts.push(performance.now() - started);
  await run.stop();
}
report(
  "a script starts in a spare process, median",
  at(
    starts.toSorted((a, b) => a - b),
    0.5,
  ),
  "ms",
);

const stuck = await start(
  "if (info.type === 'spin') Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1); return 'x'",
);
await Bun.sleep(1_500);
let slowest = 0;
let spinning = true;
const bystander = (async () => {
  while (spinning) slowest = Math.max(slowest, at(await times(() => call(still), 1), 1));
})();
await call(stuck, '{"type":"spin"}').catch(() => {});
const killed = performance.now();
while (stuck.state.state !== "ready") await Bun.sleep(1);
report("the killed script is back after", performance.now() - killed, "ms");
spinning = false;
await bystander;
report("slowest answer of another script meanwhile", slowest, "ms");

const weight = (field: string) =>
  Number(
    new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${still.state.pid}/smaps_rollup`, "utf8"))?.[1] ?? 0,
  ) / 1024;
report("memory of a script process, resident", weight("Rss"), "MiB");
report("of that its own", weight("Private_Dirty"), "MiB");

await supervisor.close();
upstream.kill();
await upstream.exited;
process.exit();

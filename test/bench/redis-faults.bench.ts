/**
 * What clients notice when Redis fails: `bun test/bench/redis-faults.bench.ts`. The built server with Redis and SQLite;
 * once with its memory tier, once without, so that every request goes to Redis. Prints the p99 before, in the first
 * second of each fault and in the next. Needs `make build` and `redis-server`.
 */
import { startRedis } from "../cache/redis-server.ts";
import { startServer } from "../e2e/server.ts";
import { songByKey } from "../platforms/catalog.ts";
import { startAllPlatforms } from "../platforms/index.ts";

const CLIENTS = 8;

interface Sample {
  at: number;
  ms: number;
  ok: boolean;
}

async function faults(memory: boolean) {
  const emulator = startAllPlatforms();
  const redis = await startRedis();
  const server = await startServer({
    config: {
      common: {
        upstream_gateway: emulator.origin,
        remote_cache: { enable: false },
        cache: { adapter: "redis", memory, redis: { host: "127.0.0.1", port: redis.port } },
      },
    },
  });
  const song = songByKey("plain").ids.kg.hash;
  const paths = ["128k", "320k", "flac"].map((quality) => `/url/kg/${song}/${quality}`);
  for (const path of paths) await (await server.get(path)).text();
  const samples: Sample[] = [];
  let running = true;
  const client = async (n: number) => {
    for (let turn = n; running; turn++) {
      const at = performance.now();
      const body = await server
        .get(paths[turn % paths.length] ?? "")
        .then((response) => response.text())
        .catch(String);
      samples.push({ at, ms: performance.now() - at, ok: body.startsWith('{"code":0') });
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, n) => client(n));
  const p99 = (from: number, to: number) => {
    const within = samples.filter(({ at }) => at >= from && at < to).map(({ ms }) => ms);
    return Number((within.toSorted((a, b) => a - b)[Math.floor(within.length * 0.99)] ?? 0).toFixed(2));
  };
  const rows: Record<string, unknown>[] = [];
  await Bun.sleep(2000);
  const steps: [string, () => unknown][] = [
    ["nothing", () => undefined],
    ["SIGSTOP", () => redis.signal("SIGSTOP")],
    ["SIGCONT", () => redis.signal("SIGCONT")],
    ["SIGKILL", () => redis.kill()],
    ["restart", () => redis.restart()],
  ];
  for (const [fault, cause] of steps) {
    const start = performance.now();
    await cause();
    await Bun.sleep(3000);
    const [first, next] = [p99(start, start + 1000), p99(start + 1000, start + 3000)];
    rows.push({ memory, fault, "p99 ms, first second": first, "p99 ms, then": next });
  }
  running = false;
  await Promise.all(clients);
  rows.push({ memory, requests: samples.length, failed: samples.filter(({ ok }) => !ok).length });
  await server.remove();
  await redis[Symbol.asyncDispose]();
  await emulator.stop();
  return rows;
}

console.table([...(await faults(true)), ...(await faults(false))]);
process.exit(0);

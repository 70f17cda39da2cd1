/**
 * Throughput of `/cache` against nginx with the same file on the same core: `bun test/bench/serve.bench.ts`.
 * Prints a table; judges nothing.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wrk } from "./wrk.ts";

const SECONDS = Number(process.env["LX_BENCH_SECONDS"] ?? 3);
const ROUNDS = 4;
const CONNECTIONS = 16;
const NAME = "tx_bench_flac.flac";
const SIZE = 30 << 20;

/** A number that is free now. nginx cannot pick one by itself. */
function freePort(): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const address = probe.address();
    probe.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
  });
  return promise;
}

async function startNginx(dir: string): Promise<{ url: string; stop(): Promise<void> }> {
  const port = await freePort();
  const file = join(dir, "nginx.conf");
  const places = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${dir}/t;`);
  await writeFile(
    file,
    `daemon off; master_process off; worker_processes 1; pid ${dir}/pid; error_log ${dir}/log crit;
events { worker_connections 1024; }
http { ${places.join(" ")} access_log off; sendfile on; keepalive_requests 1000000;
server { listen 127.0.0.1:${port}; location /cache/ { alias ${dir}/cache_audio/; } } }`,
  );
  const child = Bun.spawn(["taskset", "-c", "0", "nginx", "-c", file, "-p", dir], {
    stdout: "ignore",
    stderr: "inherit",
  });
  const url = `http://127.0.0.1:${port}`;
  for (let round = 0; round < 200; round++) {
    if (
      await fetch(url).then(
        () => true,
        () => false,
      )
    )
      break;
    await Bun.sleep(20);
  }
  return {
    url,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

async function startOurs(dir: string): Promise<{ url: string; stop(): Promise<void> }> {
  const child = Bun.spawn(["taskset", "-c", "0", process.execPath, join(import.meta.dir, "serve-child.ts"), dir], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const first = await child.stdout.getReader().read();
  const port = /port (\d+)/.exec(new TextDecoder().decode(first.value))?.[1];
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}

const dir = await mkdtemp(join(tmpdir(), "lx-bench-"));
await mkdir(join(dir, "cache_audio"));
await writeFile(
  join(dir, "cache_audio", NAME),
  crypto
    .getRandomValues(new Uint8Array(1 << 16))
    .toHex()
    .repeat(SIZE >> 17),
);

const cases = [
  { name: "30 MiB whole", headers: {}, bytes: SIZE },
  { name: "1 MiB range", headers: { Range: "bytes=5000000-6048575" }, bytes: 1 << 20 },
  { name: "64 KiB range", headers: { Range: "bytes=5000000-5065535" }, bytes: 1 << 16 },
];
const servers = { ours: await startOurs(dir), nginx: await startNginx(dir) };
/** The best of the rounds: others use the machine too, and whoever is measured then looks slow. */
const best = { ours: cases.map(() => 0), nginx: cases.map(() => 0) };
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, { headers, bytes }] of cases.entries()) {
    for (const who of ["ours", "nginx"] as const) {
      const url = `${servers[who].url}/cache/${NAME}`;
      const { requests, perSecond, bad } = await wrk(url, { seconds: SECONDS, connections: CONNECTIONS, headers });
      if (bad > 0 || requests === 0) throw new Error(`${who}: ${bad} bad of ${requests}`);
      best[who][index] = Math.max(best[who][index] ?? 0, (perSecond * bytes) / 1e6);
    }
  }
}
await servers.ours.stop();
await servers.nginx.stop();
console.log("| /cache on one core | ours | nginx | share |\n|---|---|---|---|");
for (const [index, { name }] of cases.entries()) {
  const [ours = 0, nginx = 0] = [best.ours[index], best.nginx[index]];
  const share = `${((100 * ours) / nginx).toFixed(0)} %`;
  console.log(`| ${name} | ${ours.toFixed(0)} MB/s | ${nginx.toFixed(0)} MB/s | ${share} |`);
}
await rm(dir, { recursive: true });

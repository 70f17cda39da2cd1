/**
 * What a hit costs: `bun test/bench/cache.bench.ts [--rows N]`. Prints a table; needs `redis-server`, and `wrk` for the
 * part over HTTP. Rows of the big table: 1,000,000 by default.
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { addressKey, createAddressStore } from "../../src/cache/adapters.ts";
import { createCache } from "../../src/cache/index.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { address, by } from "../cache/open.ts";
import { startRedis } from "../cache/redis-server.ts";
import { cacheSettings } from "../cache/settings.ts";

const { values } = parseArgs({ options: { rows: { type: "string", default: "1000000" } } });
const rows = Number(values.rows);
const folder = await mkdtemp(join(tmpdir(), "lx-bench-"));
const table: Record<string, string | number>[] = [];

function report(what: string, samples: number[], note = ""): void {
  samples.sort((a, b) => a - b);
  const at = (share: number) => samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? 0;
  const mean = samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
  const form = (ms: number) => (ms * 1000).toFixed(2);
  table.push({ what, "mean µs": form(mean), "p50 µs": form(at(0.5)), "p99 µs": form(at(0.99)), note });
}

/** Times batches, since one hit in memory is shorter than the clock is fine. */
async function measure(
  what: string,
  batch: number,
  batches: number,
  work: (index: number) => unknown,
  note = "",
): Promise<void> {
  for (let index = 0; index < batch; index++) await work(index);
  const samples: number[] = [];
  for (let round = 0; round < batches; round++) {
    const start = performance.now();
    for (let index = 0; index < batch; index++) {
      const done = work(round * batch + index);
      if (done instanceof Promise) await done;
    }
    samples.push((performance.now() - start) / batch);
  }
  report(what, samples, note);
}

/** The machine is not always as fast: what is to be compared is measured in turns. */
async function measureInTurns(
  batch: number,
  rounds: number,
  rows: { what: string; work: (index: number) => unknown; note: string }[],
): Promise<void> {
  const samples = rows.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [row, { work }] of rows.entries()) {
      const start = performance.now();
      for (let index = 0; index < batch; index++) await work(round * batch + index);
      // The first rounds warm up.
      if (round >= rounds / 10) samples[row]?.push((performance.now() - start) / batch);
    }
  }
  for (const [row, { what, note }] of rows.entries()) report(what, samples[row] ?? [], note);
}

const keyOf = (index: number) => addressKey("kg", `song${index}`, "320k");
const never = async () => Promise.reject(new Error("a miss"));

const memoryOnly = cacheSettings({ adapter: "memory" });
const cache = createCache({ config: () => memoryOnly, databasePath: ":memory:", log: silentLogger });
const addresses = createAddressStore(cache);
const request = { source: "kg", songId: "song0", quality: "320k", client: "192.0.2.1", bypass: false } as const;
await addresses.through(request, async () => address("http://cdn.test/song"));
const hot = keyOf(0);
await measure("memory: key, peek", 20_000, 30, () => addresses.peek(keyOf(0), by("192.0.2.1")));
await measure("memory: peek", 20_000, 30, () => addresses.peek(hot, by("192.0.2.1")));
await measure("memory: through", 20_000, 30, () => addresses.through(request, never));

/** A cache of SQLite alone, so that every question is a hit there: look-up, check, unfolding. */
async function sqliteWith(count: number) {
  const path = join(folder, `rows-${count}.db`);
  const life = 30 * 86_400;
  const settings = cacheSettings({
    memory: false,
    sqlite: { max_rows: count + 1000, max_bytes: 8 * 2 ** 30 },
    heal: { enable: false },
  });
  const store = createCache({ config: () => settings, databasePath: path, log: silentLogger });
  const now = Date.now();
  for (let index = 0; index < count; index++) {
    const value = { ...address(`http://cdn.test/song/${index}/${"x".repeat(120)}`), lifetimeSeconds: life };
    const text = JSON.stringify({ t: now, f: now + life * 750, r: now + life * 1000, d: value });
    await store.chain.set(keyOf(index), { value: text, expiresAt: now + life * 750 });
    if (index % 5000 === 4999) await store.chain.link("sqlite")?.tier.drain?.();
  }
  await store.chain.link("sqlite")?.tier.drain?.();
  const size = (await stat(path)).size;
  return { store, addresses: createAddressStore(store), note: `${count} rows, ${(size / 1048576).toFixed(0)} MiB` };
}
type Filled = Awaited<ReturnType<typeof sqliteWith>>;

const FEW = 2000;
const few = await sqliteWith(FEW);
const many = await sqliteWith(rows);
/** The same number of songs in both, spread over the whole table. */
const spread = (count: number, index: number) => ((index * 7919) % FEW) * Math.floor(count / FEW);
const hit =
  ({ addresses: tier }: Filled, count: number) =>
  (index: number) =>
    tier.through({ ...request, songId: `song${spread(count, index)}` }, never);
const anySong = (index: number) => {
  const songId = `song${Math.floor(Math.random() * rows)}`;
  return index < 0 ? undefined : many.addresses.through({ ...request, songId }, never);
};
await measureInTurns(FEW, 60, [
  { what: "SQLite: hit", work: hit(few, FEW), note: few.note },
  { what: "SQLite: hit", work: hit(many, rows), note: many.note },
]);
// Alone, because it throws the others' pages out of SQLite's cache.
await measure("SQLite: hit of any song", FEW, 40, anySong, many.note);

const redis = await startRedis();
const withRedis = cacheSettings({
  adapter: "redis",
  memory: false,
  sqlite: { enable: false },
  redis: { port: redis.port },
});
const shared = createCache({ config: () => withRedis, databasePath: ":memory:", log: silentLogger });
await Bun.sleep(200);
const far = createAddressStore(shared);
await far.through(request, async () => address("http://cdn.test/song"));
await shared.settle();
await measure("Redis: through", 500, 30, () => far.through({ ...request, client: "" }, never));

/** Requests a second over HTTP, next to a server that does nothing. */
async function perSecond(fetch: (request: Request) => Response | Promise<Response>): Promise<number> {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch });
  const run = Bun.spawn(["wrk", "-t1", "-c64", "-d2s", `http://127.0.0.1:${server.port}/url/kg/song0/320k`], {
    stdout: "pipe",
  });
  const text = await new Response(run.stdout).text();
  await server.stop(true);
  return Number(/Requests\/sec:\s*([\d.]+)/.exec(text)?.[1] ?? 0);
}
const headers = { "content-type": "application/json" };
const body = JSON.stringify({ code: 0, msg: "success", data: "http://cdn.test/song" });
const answerBare = () => new Response(body, { headers });
const answerCached = ({ url }: Request) => {
  const [, , source = "", songId = "", quality = ""] = url.slice(url.indexOf("/", 8)).split("/");
  const answer = addresses.peek(addressKey(source, songId, quality), by("192.0.2.1"));
  return new Response(JSON.stringify({ code: 0, msg: "success", data: answer?.value.url }), { headers });
};
let turn = 0;
const overSqlite = (filled: Filled, count: number) =>
  perSecond(async () => {
    turn += 1;
    const answer = await hit(filled, count)(turn);
    return new Response(JSON.stringify({ code: 0, msg: "success", data: answer.value.url }), { headers });
  });
const HTTP_ROUNDS = 5;
const rounds: [bare: number, cached: number, few: number, many: number][] = [];
for (let round = 0; round < HTTP_ROUNDS; round++) {
  rounds.push([
    await perSecond(answerBare),
    await perSecond(answerCached),
    await overSqlite(few, FEW),
    await overSqlite(many, rows),
  ]);
}
const median = (column: 0 | 1 | 2 | 3) =>
  rounds.map((round) => round[column]).toSorted((a, b) => a - b)[Math.floor(HTTP_ROUNDS / 2)] ?? 0;
const [bare, cached, fewHttp, manyHttp] = [median(0), median(1), median(2), median(3)];
const requests = (count: number) => `${Math.round(count)} requests/s`;
table.push({ what: "HTTP: bare Bun.serve", note: requests(bare) });
table.push({
  what: "HTTP: key, memory hit, JSON",
  note: `${requests(cached)}, ${((cached / bare) * 100).toFixed(0)} % of bare`,
});
table.push({ what: "HTTP: SQLite hit", note: `${requests(fewHttp)}, ${few.note}` });
table.push({ what: "HTTP: SQLite hit", note: `${requests(manyHttp)}, ${many.note}` });

console.table(table);
for (const made of [cache, shared, few.store, many.store]) await made.close();
await redis[Symbol.asyncDispose]();
await rm(folder, { recursive: true, force: true });
process.exit(0);

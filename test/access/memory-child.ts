/** Started by memory.test.ts: what limiter and bans cost for so many distinct addresses, in a process of their own. */
import type { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Address, parseAddress } from "../../src/access/address.ts";
import { type Bans, createBans } from "../../src/access/bans.ts";
import { createMemoryLimiter, type Limiter } from "../../src/access/limits.ts";
import { createTables } from "../../src/access/store.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";

const count = Number(process.argv[2] ?? 1_000_000);

/** After the collector has run and the allocator has given back what it kept: the least of some looks. */
async function residentBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 12; look++) {
    Bun.gc(true);
    least = Math.min(least, process.memoryUsage.rss());
    await Bun.sleep(150);
  }
  return least;
}

/** Distinct addresses, spread over all of IPv4 and over IPv6 /64 networks. */
function addressOf(i: number): Address {
  const number = Math.imul(i, 0x9e3779b1) >>> 0;
  const text =
    i % 4 === 0
      ? `2001:db8:${(number >>> 16).toString(16)}:${(number & 0xffff).toString(16)}::1`
      : `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`;
  const address = parseAddress(text);
  if (address === undefined) throw new Error(text);
  return address;
}

const once = { count: 2, seconds: 3600 };
const never = { count: 0, seconds: 1 };

function makeBans(db: Database, addresses: number) {
  createTables(db);
  const offences = { key: once, lxm: never, host: never, probe: never, login: never };
  const policy = {
    enable: true,
    expire: true,
    windowSeconds: 3600,
    growth: 2,
    maxSeconds: 10_000,
    allow: [],
    addresses,
  };
  return createBans({ db, policy: { ...policy, offences }, log: silentLogger });
}

const tally = { refused: 0, banned: 0 };

/** What the gate does for each request, and an offence of everyone; every fiftieth is banned for a second one. */
function work(limiter: Limiter, bans: Bans, address: Address, offends: boolean): void {
  if (bans.isBanned(address)) tally.banned++;
  const verdict = limiter.admitClient({ address, group: "url" });
  if (!(verdict instanceof Promise) && !verdict.admitted) tally.refused++;
  bans.strike(address, "key");
  if (offends) bans.strike(address, "key");
}

const folder = mkdtempSync(join(tmpdir(), "lx-memory-"));
const make = (name: string, addresses: number) => ({
  limiter: createMemoryLimiter({ global: 0, ip: 600, rules: [], addresses }),
  bans: makeBans(openDatabase(join(folder, name), silentLogger), addresses),
});

// The code, the database and the collector's slack first: what is measured is what addresses cost.
const warm = make("warm.db", 1000);
for (let i = 0; i < 400_000; i++) {
  work(warm.limiter, warm.bans, addressOf(i % 1000), i % 50 === 0);
  if (i % 10_000 === 0) warm.bans.flush();
}
await warm.bans.close();

const before = await residentBytes();
const { limiter, bans } = make("lx.db", 1_000_000);
Object.assign(tally, { refused: 0, banned: 0 });
const started = performance.now();
for (let i = 0; i < count; i++) {
  work(limiter, bans, addressOf(i), i % 50 === 0);
  // Timers run between requests; here they would never come.
  if (i % 10_000 === 0) bans.flush();
}
const nanoseconds = Math.round(((performance.now() - started) * 1e6) / count);
const grown = (await residentBytes()) - before;
const active = bans.list().length;
// Used once more, so that nothing was collected before it was measured.
work(limiter, bans, addressOf(1), false);
console.log(JSON.stringify({ count, megabytes: Math.round(grown / 2 ** 20), nanoseconds, ...tally, active }));
await bans.close();
rmSync(folder, { recursive: true });

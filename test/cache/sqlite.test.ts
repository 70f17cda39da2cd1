import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, open as openFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { createSqliteTier, type SqliteOptions } from "../../src/cache/sqlite.ts";
import type { Drop } from "../../src/cache/tier.ts";
import { type Line, recordingLogger } from "./open.ts";
import { until } from "./redis-server.ts";
import { isWhole, sealed } from "./sealed.ts";
import { manualClock } from "./settings.ts";

let folder: string;
let path: string;
let lines: Line[];
const clock = manualClock();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-cache-"));
  path = join(folder, "cache.db");
  lines = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (changes: Partial<SqliteOptions> = {}) =>
  createSqliteTier({
    path,
    maxRows: 100_000,
    maxBytes: 1 << 30,
    flushMs: 1,
    now: clock.now,
    log: recordingLogger(lines),
    ...changes,
  });
const entry = (value: string, ms = 3_600_000) => ({ value, expiresAt: clock.now() + ms });
const warnings = () =>
  lines.filter((line) => line.level === "warn" || line.level === "error").map((line) => line.message);

/** The table's own count of rows and bytes, and what is really there. */
function totals() {
  const db = new Database(path, { readonly: true });
  const kept = db.query("SELECT rows, bytes FROM cache_totals_v1").get();
  const real = db.query("SELECT count(*) AS rows, coalesce(sum(bytes), 0) AS bytes FROM cache_entries_v1").get();
  const check = db.query<{ integrity_check: string }, []>("PRAGMA integrity_check").get()?.integrity_check;
  db.close();
  return { kept, real, check };
}

describe("bounds", () => {
  test("over the bound of rows, those go that were not used for longest", async () => {
    const tier = open({ maxRows: 100 });
    for (let index = 0; index < 100; index++) {
      await tier.set(`k${index}`, entry("v", 86_400_000));
      tier.flush();
      clock.advance(60_000);
    }
    for (let index = 0; index < 10; index++) await tier.get(`k${index}`);
    tier.flush();
    for (let index = 100; index < 120; index++) await tier.set(`k${index}`, entry("v", 86_400_000));
    tier.flush();
    await tier.prune?.();
    expect((await tier.size?.())?.entries).toBeLessThanOrEqual(100);
    const kept = await Promise.all(
      Array.from({ length: 120 }, async (_, index) => (await tier.get(`k${index}`)) !== undefined),
    );
    expect(kept.slice(0, 10)).toEqual(Array(10).fill(true));
    expect(kept.slice(10, 30).filter(Boolean)).toEqual([]);
    expect(kept.slice(100)).toEqual(Array(20).fill(true));
    await tier.close();
  });

  test("the bound of bytes holds, and so does the file's size", async () => {
    const tier = open({ maxBytes: 1 << 20, maxFileBytes: 4 << 20 });
    for (let index = 0; index < 3000; index++) {
      await tier.set(`k${index}`, entry("x".repeat(2000)));
      clock.advance(1);
      if (index % 100 === 0) tier.flush();
    }
    await tier.prune?.();
    expect((await tier.size?.())?.bytes).toBeLessThanOrEqual(1 << 20);
    await tier.close();
    expect((await stat(path)).size).toBeLessThanOrEqual(4 << 20);
  });

  test("the kept totals are the real ones after any sequence of writes", async () => {
    const step = fc.oneof(
      fc.record({
        key: fc.integer({ min: 0, max: 30 }),
        length: fc.integer({ min: 0, max: 300 }),
        life: fc.integer({ min: 1, max: 50 }),
      }),
      fc.record({ key: fc.integer({ min: 0, max: 30 }), wait: fc.integer({ min: 0, max: 30 }) }),
    );
    const tier = open({ maxRows: 20 });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        for (const one of steps) {
          if ("wait" in one) {
            clock.advance(one.wait);
            await tier.delete(`k${one.key}`);
          } else await tier.set(`k${one.key}`, entry("x".repeat(one.length), one.life));
        }
        tier.flush();
        const { kept, real } = totals();
        expect(kept).toEqual(real);
      }),
      { numRuns: 60 },
    );
    await tier.close();
  });

  test("two keys whose numbers collide are kept apart by their text", async () => {
    const tier = open();
    await tier.set("a", entry("one"));
    tier.flush();
    const db = new Database(path);
    db.run("UPDATE cache_entries_v1 SET key = 'other'");
    db.close();
    expect(await tier.get("a")).toBeUndefined();
    await tier.set("a", entry("two"));
    tier.flush();
    expect((await tier.get("a"))?.value).toBe("two");
    await tier.close();
  });
});

describe("a database that is locked or full", () => {
  test("while another holds the write lock: all is served, nothing throws, it is noted once, and written afterwards", async () => {
    const tier = open();
    await tier.set("a", entry("one"));
    tier.flush();
    const other = new Database(path);
    other.run("BEGIN IMMEDIATE");
    await tier.set("b", entry("two"));
    await tier.delete("a");
    for (let round = 0; round < 3; round++) expect(tier.flush()).toBe(false);
    expect(await tier.get("a")).toBeUndefined();
    expect((await tier.get("b"))?.value).toBe("two");
    expect(warnings()).toEqual(["cache database takes no writes"]);
    other.run("COMMIT");
    other.close();
    await until(() => tier.waiting() === 0, "the batch to be written");
    expect(tier.fault()).toBeUndefined();
    expect(lines.at(-1)?.message).toBe("cache database takes writes again");
    expect(totals().real).toMatchObject({ rows: 1 });
    await tier.close();
  });

  test("locked at the start: it is down until the lock goes, and then works", async () => {
    await open().close();
    const other = new Database(path);
    other.run("PRAGMA locking_mode = EXCLUSIVE");
    other.run("BEGIN EXCLUSIVE");
    other.run("DELETE FROM cache_entries_v1");
    const tier = open();
    await expect(tier.get("a")).rejects.toThrow();
    other.run("COMMIT");
    other.close();
    await tier.set("a", entry("one"));
    expect(tier.flush()).toBe(true);
    expect((await tier.get("a"))?.value).toBe("one");
    await tier.close();
  });

  test("with a full file the newest entries are kept and served, and older ones make room", async () => {
    const tier = open({ maxFileBytes: 1 << 20 });
    for (let index = 0; index < 2000; index++) {
      await tier.set(`k${index}`, entry("x".repeat(1500)));
      clock.advance(1);
      if (index % 50 === 49) tier.flush();
    }
    for (let round = 0; round < 20 && tier.waiting() > 0; round++) tier.flush();
    expect(warnings().filter((message) => message === "cache database takes no writes").length).toBeGreaterThan(0);
    expect((await tier.get("k1999"))?.value).toBe("x".repeat(1500));
    await tier.close();
    expect((await stat(path)).size).toBeLessThanOrEqual(1 << 20);
    expect(totals().check).toBe("ok");
  });

  test("what waits is bounded: values are dropped before keys, and an older value is not served for a newer", async () => {
    const tier = open();
    await tier.set("k0", entry("old"));
    tier.flush();
    const other = new Database(path);
    other.run("BEGIN IMMEDIATE");
    for (let index = 1; index <= 10_000; index++) await tier.set(`k${index}`, entry("v"));
    await tier.set("k0", entry("new"));
    expect(await tier.get("k0")).toBeUndefined();
    for (let index = 10_001; index < 100_000; index++) await tier.set(`k${index}`, entry("v"));
    await expect(tier.set("one too many", entry("v"))).rejects.toThrow();
    other.run("ROLLBACK");
    other.close();
    await tier.close();
  });
});

describe("a database that is damaged", () => {
  async function filled(): Promise<void> {
    const tier = open();
    for (let index = 0; index < 3000; index++)
      await tier.set(`v1:k${index}`, entry(sealed(`v1:k${index}`, index % 700)));
    await tier.close();
  }

  async function damage(change: (bytes: Buffer) => Buffer): Promise<void> {
    const bytes = Buffer.from(await Bun.file(path).arrayBuffer());
    await Bun.write(path, change(bytes));
  }

  test.each([
    { name: "no database at all", change: () => Buffer.from("hello, world. ".repeat(1000)) },
    { name: "a header of zeros", change: (bytes: Buffer) => Buffer.concat([Buffer.alloc(4096), bytes.subarray(4096)]) },
    { name: "an empty file", change: () => Buffer.alloc(0) },
    { name: "cut in the middle", change: (bytes: Buffer) => bytes.subarray(0, bytes.length / 2) },
    { name: "cut within a page", change: (bytes: Buffer) => bytes.subarray(0, bytes.length / 2 + 77) },
    {
      name: "noise in every fifth page",
      change: (bytes: Buffer) => {
        for (let at = 5 * 4096; at + 4096 < bytes.length; at += 5 * 4096)
          crypto.getRandomValues(bytes.subarray(at, at + 4096));
        return bytes;
      },
    },
    {
      name: "single changed bytes",
      change: (bytes: Buffer) => {
        for (let at = 3 * 4096 + 1000; at < bytes.length; at += 1501) bytes[at] = (bytes[at] ?? 0) ^ 0x20;
        return bytes;
      },
    },
  ])("$name: never a wrong value, and it works again", async ({ change }) => {
    await filled();
    await damage(change);
    const tier = open();
    let served = 0;
    for (let index = 0; index < 3000; index++) {
      const got = await tier.get(`v1:k${index}`).catch(() => undefined);
      if (got === undefined) continue;
      served += 1;
      expect(isWhole(`v1:k${index}`, got.value)).toBe(true);
    }
    expect(served).toBeLessThan(3000);
    for (let round = 0; round < 5; round++) {
      await tier.set("new", entry("one"));
      if (tier.flush()) break;
    }
    expect((await tier.get("new"))?.value).toBe("one");
    expect(tier.waiting()).toBe(0);
    await tier.close();
    const again = open();
    expect((await again.get("new"))?.value).toBe("one");
    await again.close();
  });

  test("the damaged file is set aside, not deleted, and it is told", async () => {
    await filled();
    await damage(() => Buffer.from("hello, world. ".repeat(1000)));
    await open().close();
    expect((await readdir(folder)).some((name) => /^cache\.db\.corrupt-\d+$/.test(name))).toBe(true);
    expect(warnings()).toEqual(["database was corrupt and has been set aside"]);
  });

  test("however often that happens, one of them is kept", async () => {
    for (let turn = 0; turn < 3; turn++) {
      await filled();
      await damage(() => Buffer.from(`hello, world ${turn}. `.repeat(1000)));
      await open().close();
    }
    const aside = (await readdir(folder)).filter((name) => name.includes(".corrupt-"));
    expect(aside).toHaveLength(1);
    expect(await Bun.file(join(folder, aside[0] ?? "")).text()).toStartWith("hello, world 2.");
  });
});

describe("a database that is damaged while it is open", () => {
  test.each([
    { name: "emptied", spoil: () => Bun.write(path, "") },
    {
      name: "overwritten with noise",
      async spoil() {
        const noise = crypto.getRandomValues(Buffer.alloc(65_536));
        const file = await openFile(path, "r+");
        for (let at = 0; at < (await stat(path)).size; at += noise.length) await file.write(noise, 0, noise.length, at);
        await file.close();
      },
    },
    { name: "deleted", spoil: () => rm(path) },
    {
      name: "deleted with its log",
      async spoil() {
        for (const suffix of ["", "-wal", "-shm"]) await rm(path + suffix, { force: true });
      },
    },
  ])("$name: nothing wrong is served, and it works again, now and after a new start", async ({ spoil }) => {
    const tier = open();
    for (let index = 0; index < 3000; index++)
      await tier.set(`v1:k${index}`, entry(sealed(`v1:k${index}`, index % 700)));
    tier.flush();
    await tier.drain?.();
    new Database(path).run("PRAGMA wal_checkpoint(TRUNCATE)");
    await spoil();
    for (let index = 0; index < 3000; index++) {
      const key = `v1:k${(index * 7) % 3000}`;
      const got = await tier.get(key).catch(() => undefined);
      if (got !== undefined) expect(isWhole(key, got.value)).toBe(true);
      if (index % 10 === 0) await tier.set(`v1:new${index}`, entry("new")).catch(() => undefined);
      if (index % 100 === 0) tier.flush();
    }
    const written = async () => {
      await tier.set("mended", entry("yes"));
      return (
        tier.flush() &&
        new Database(path, { create: true }).query("SELECT 1 FROM cache_entries_v1 WHERE key = 'mended'").get() !== null
      );
    };
    await until(() => written().catch(() => false), "the running tier to write again");
    expect((await tier.get("mended"))?.value).toBe("yes");
    await tier.close();
    const again = open();
    expect((await again.get("mended"))?.value).toBe("yes");
    await again.set("a", entry("one"));
    expect(again.flush()).toBe(true);
    expect((await again.get("a"))?.value).toBe("one");
    await again.close();
  });
});

describe("several processes on one file", () => {
  test("what one drops is told to the other, once, and not to itself", async () => {
    const told: Record<"first" | "second", Drop[]> = { first: [], second: [] };
    const first = open({ onForeignDrop: (drop) => void told.first.push(drop) });
    const second = open({ onForeignDrop: (drop) => void told.second.push(drop) });
    await first.announce?.({ key: "v1:url:a", exact: true });
    await first.announce?.({ key: "v1:url:", exact: false });
    await until(() => told.second.length > 0, "the news");
    expect(told.second).toEqual([
      { key: "v1:url:a", exact: true },
      { key: "v1:url:", exact: false },
    ]);
    expect(told.first).toEqual([]);
    await first.close();
    await second.close();
  });
});

describe("kill -9 while it writes", () => {
  const rounds = process.env["LX_TEST_HEAVY"] === "1" ? 200 : 15;
  test(`after each of ${rounds} rounds the database opens, is sound, and holds only whole values`, async () => {
    let seen = 0;
    for (let round = 0; round < rounds; round++) {
      const writer = Bun.spawn(["bun", join(import.meta.dir, "writer.ts"), path], {
        stdout: "pipe",
        stderr: "inherit",
      });
      await writer.stdout.getReader().read();
      await Bun.sleep(Math.random() * 120);
      writer.kill("SIGKILL");
      await writer.exited;
      const tier = open({ now: Date.now });
      for await (const [key, got] of tier.entries?.("") ?? []) {
        seen += 1;
        if (!isWhole(key, got.value)) throw new Error(`a torn value under ${key} in round ${round}`);
      }
      await tier.close();
      const { kept, real, check } = totals();
      expect(check).toBe("ok");
      expect(kept).toEqual(real);
    }
    expect(seen).toBeGreaterThan(rounds * 100);
    expect((await readdir(folder)).filter((name) => name.includes("corrupt"))).toEqual([]);
  }, 600_000);
});

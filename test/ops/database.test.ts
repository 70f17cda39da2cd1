import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isCorrupt, openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-db-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("makes folder and file, in WAL mode, for the owner only", async () => {
  const path = join(folder, "data", "lx.db");
  const db = openDatabase(path, silentLogger);
  db.run("CREATE TABLE t (a)");
  db.run("INSERT INTO t VALUES (1)");
  expect(db.query("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
  const files = await readdir(join(folder, "data"));
  expect(files.sort()).toEqual(["lx.db", "lx.db-shm", "lx.db-wal"]);
  for (const file of files) expect((await stat(join(folder, "data", file))).mode & 0o077).toBe(0);
  db.close();
});

test.each([
  { name: "garbage", bytes: Buffer.alloc(8192, "garbage ") },
  {
    name: "a good header, then garbage",
    bytes: Buffer.concat([Buffer.from("SQLite format 3\0"), Buffer.alloc(8192, 7)]),
  },
])("$name is set aside, and a new one takes its place", async ({ bytes }) => {
  const path = join(folder, "lx.db");
  await writeFile(path, bytes);
  const errors: string[] = [];
  const db = openDatabase(path, { ...silentLogger, error: (message) => void errors.push(message) });
  db.run("CREATE TABLE t (a)");
  db.close();
  expect(errors).toEqual(["database was corrupt and has been set aside"]);
  const aside = (await readdir(folder)).filter((file) => file.startsWith("lx.db.corrupt-"));
  expect(aside).toHaveLength(1);
  expect(Buffer.compare(await Bun.file(join(folder, aside[0] ?? "")).bytes(), bytes)).toBe(0);
});

test("an empty file is a new database", async () => {
  await writeFile(join(folder, "lx.db"), "");
  openDatabase(join(folder, "lx.db"), silentLogger).close();
  expect((await readdir(folder)).filter((file) => file.includes("corrupt"))).toEqual([]);
});

test("what is no corruption is thrown, and nothing is moved", async () => {
  const path = join(folder, "lx.db");
  openDatabase(join(path, "inner.db"), silentLogger).close();
  expect(() => openDatabase(path, silentLogger)).toThrow();
  expect(await readdir(folder)).toEqual(["lx.db"]);
});

test.each([
  [Object.assign(new Error(), { code: "SQLITE_CORRUPT_VTAB" }), true],
  [Object.assign(new Error(), { code: "SQLITE_NOTADB" }), true],
  [Object.assign(new Error(), { code: "SQLITE_BUSY" }), false],
  [new Error("SQLITE_CORRUPT"), false],
  ["SQLITE_CORRUPT", false],
])("isCorrupt %#", (error, expected) => {
  expect(isCorrupt(error)).toBe(expected);
});

import { Database } from "bun:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accountCommands } from "../../src/cli/account.ts";
import type { CommandContext } from "../../src/cli/command.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createSqliteAccountStore } from "../../src/sources/account-store.ts";
import { type AccountPool, createAccountPool } from "../../src/sources/accounts.ts";
import { startKg } from "../sources/kg/harness.ts";

let platform: ReturnType<typeof startKg>;
let pool: AccountPool;
let db: Database;
let folder: string;
let printed: string[];
let results: unknown[];

beforeEach(async () => {
  platform = startKg();
  platform.world.accounts.push(
    { source: "kg", id: "1001", token: "good-token", state: "member", requests: 0 },
    { source: "kg", id: "1003", token: "old-token", state: "expired", requests: 0 },
  );
  db = new Database(":memory:", { strict: true });
  folder = await mkdtemp(join(tmpdir(), "lx-account-cli-"));
  printed = [];
  results = [];
  pool = createAccountPool({
    sources: new Map([["kg", platform.kg]]),
    store: createSqliteAccountStore(db),
    settings: () => ({
      guestFirst: true,
      coolDownMs: 1000,
      dailyBudget: 0,
      minimumGapMs: 0,
      writeBack: false,
      warnBeforeMs: 0,
    }),
    log: silentLogger,
    now: Date.now,
  });
});
afterEach(async () => {
  await platform.emulator.stop();
  db.close();
  await rm(folder, { recursive: true });
});

async function run(
  name: string,
  positionals: string[] = [],
  values: CommandContext["values"] = {},
): Promise<number | undefined> {
  const command = accountCommands(async () => pool).find((item) => item.name === `account ${name}`);
  if (command === undefined) throw new Error(`no command ${name}`);
  return command.run({
    positionals,
    values,
    json: false,
    dataDir: folder,
    configFile: undefined,
    say: (text) => void printed.push(text),
    result(value, text) {
      results.push(value);
      if (text !== undefined) printed.push(text);
    },
    progress: () => ({ update() {}, end() {} }),
    app: () => Promise.reject(new Error("not needed")),
  });
}

describe("account", () => {
  test("add, list, check, refresh, remove; nothing that is printed holds a secret", async () => {
    expect(await run("add", ["kg", "userid=1001", "token=good-token"], { label: "主号" })).toBe(0);
    const [{ handle } = { handle: "" }] = pool.list();
    expect(await run("list")).toBe(0);
    expect(await run("check", [handle])).toBe(0);
    expect(printed.at(-1)).toMatch(/^✓ kg-[0-9a-f]{10} {2}酷狗 {2}主号 {2}healthy {2}SVIP {2}until 2026-12-31/);
    expect(await run("refresh")).toBe(0);
    expect(platform.world.accounts[0]?.token).not.toBe("good-token");
    expect(await run("remove", [handle])).toBe(0);
    expect(await run("list", ["kg"])).toBe(0);
    expect(printed.at(-1)).toBe("no accounts: all platforms are asked as a guest");
    const said = JSON.stringify([printed, results]);
    for (const secret of ["good-token", "1001", platform.world.accounts[0]?.token ?? "?"])
      expect(said).not.toContain(secret);
  });

  test("credentials from a file", async () => {
    const file = join(folder, "user.yml");
    await writeFile(file, "userid: 1001\ntoken: good-token\n");
    expect(await run("add", ["kg"], { file })).toBe(0);
    expect(await run("check")).toBe(0);
  });

  test("an account that is not well makes exit code 1", async () => {
    await run("add", ["kg", "userid=1003", "token=old-token"]);
    expect(await run("check")).toBe(1);
    expect(printed.at(-1)).toContain("EXPIRED");
    expect(await run("refresh")).toBe(1);
    expect(printed.at(-1)).toMatch(/^✗ kg-[0-9a-f]{10} {2}酷狗: 账号 1 酷狗账号登录已失效/);
  });

  test.each([
    { name: "an unknown source", args: ["xx", "token=t"], values: {}, message: 'unknown source "xx"' },
    { name: "no pair", args: ["kg", "token"], values: {}, message: "KEY=VALUE" },
    { name: "an unknown key", args: ["kg", "tokem=secret"], values: {}, message: "tokem" },
    { name: "a missing file", args: ["kg"], values: { file: "/nonexistent/x.yml" }, message: "cannot be read" },
  ])("$name is bad usage", async ({ args, values, message }) => {
    const failing = run("add", [...args], values);
    await expect(failing).rejects.toMatchObject({ kind: "invalid_request", message: expect.stringContaining(message) });
    await expect(failing).rejects.not.toMatchObject({ message: expect.stringContaining("secret") });
  });

  test("a file that is broken does not show its lines", async () => {
    const file = join(folder, "user.yml");
    await writeFile(file, "token: [secret-in-file\n");
    await expect(run("add", ["kg"], { file })).rejects.toMatchObject({
      message: expect.not.stringContaining("secret"),
    });
  });

  test("an unknown handle", async () => {
    await expect(run("check", ["kg-0000000000"])).rejects.toMatchObject({ kind: "not_found" });
  });
});

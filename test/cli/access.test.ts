import { Database } from "bun:sqlite";
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Access } from "../../src/access/access.ts";
import type { App } from "../../src/app.ts";
import { banCommands } from "../../src/cli/ban.ts";
import { runCli } from "../../src/cli/index.ts";
import { keyCommands } from "../../src/cli/key.ts";
import { userCommands } from "../../src/cli/user.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createRig, type Rig } from "../access/rig.ts";
import { until } from "../cache/redis-server.ts";

function commandLine(access: Access, stdin = "") {
  const feature = async () => access;
  const commands = [...keyCommands(feature), ...banCommands(feature), ...userCommands(feature, async () => stdin)];
  return async (...argv: string[]) => {
    const out: string[] = [];
    const err: string[] = [];
    const code = await runCli(commands, {
      argv,
      env: {},
      stdout: (text) => void out.push(text),
      stderr: (text) => void err.push(text),
      stderrIsTerminal: false,
      openApp: async () => Promise.reject<App>(new Error("no app is needed")),
    });
    return { code, out: out.join(""), err: err.join("") };
  };
}

describe("key", () => {
  test("add shows the key once, list never, remove ends it", async () => {
    await using rig = await createRig();
    const run = commandLine(rig.access);
    const added = await run(
      "key",
      "add",
      "phone",
      "--note",
      "mine",
      "--per-day",
      "100",
      "--sources",
      "kg,tx",
      "--qualities",
      "320k",
      "--expires",
      "30d",
      "--json",
    );
    expect(added.code).toBe(0);
    const { secret } = JSON.parse(added.out) as { secret: string };
    expect(rig.access.keys.find(secret)).toMatchObject({
      name: "phone",
      note: "mine",
      perDay: 100,
      sources: ["kg", "tx"],
      qualities: ["320k"],
    });
    for (const listed of [await run("key", "list"), await run("key", "list", "--json")]) {
      expect(listed.out).toContain("phone");
      expect(listed.out).not.toContain(secret.slice(4));
      expect(listed.out).not.toContain("114514");
    }
    expect((await run("key", "remove", "phone")).code).toBe(0);
    expect(rig.access.keys.find(secret)).toBeUndefined();
    expect((await run("key", "remove", "phone")).code).toBe(1);
  });

  test.each([
    [["key", "add"], 2],
    [["key", "add", "a b\tc"], 2],
    [["key", "add", "a", "--per-day", "many"], 2],
    [["key", "add", "a", "--sources", "kg,xx"], 2],
    [["key", "add", "a", "--qualities", "loud"], 2],
    [["key", "add", "a", "--expires", "soon"], 2],
    [["key", "remove", "config-1"], 1],
    [["key", "list", "--nonsense"], 2],
  ])("%p ends with %p and says why", async (argv, code) => {
    await using rig = await createRig();
    const done = await commandLine(rig.access)(...argv);
    expect(done.code).toBe(code);
    expect(done.err.length).toBeGreaterThan(10);
    expect(rig.access.keys.list()).toHaveLength(1);
  });
});

describe("ban", () => {
  test("add, list, remove", async () => {
    await using rig = await createRig();
    const run = commandLine(rig.access);
    expect((await run("ban", "add", "5.6.7.8/24", "--for", "12h", "--note", "crawler")).code).toBe(0);
    expect((await run("ban", "list")).out).toMatch(/5\.6\.7\.0\/24\s+manual\s+\S+ \S+\s+\S+ \S+\s+1\s+crawler/);
    expect((await rig.ask("/", { peer: "5.6.7.9" })).error?.kind).toBe("banned");
    expect((await run("ban", "remove", "5.6.7.0/24")).code).toBe(0);
    expect((await run("ban", "remove", "5.6.7.0/24")).code).toBe(1);
    expect((await run("ban", "add", "127.0.0.1")).code).toBe(2);
    expect((await run("ban", "add", "1.1.1.1", "--for", "long")).code).toBe(2);
  });

  test("import takes the original's data.db", async () => {
    const folder = await mkdtemp(join(tmpdir(), "lx-import-"));
    const file = join(folder, "data.db");
    const db = new Database(file);
    db.run("CREATE TABLE data (key TEXT PRIMARY KEY, value TEXT)");
    db.run(`INSERT INTO data VALUES ('banList', '[{"ip":"1.2.3.4","expire":false,"expire_time":0}]')`);
    db.close();
    await using rig = await createRig();
    const run = commandLine(rig.access);
    expect(JSON.parse((await run("ban", "import", file, "--json")).out)).toEqual({ found: 1, taken: 1 });
    expect(JSON.parse((await run("ban", "import", file, "--json")).out)).toEqual({ found: 1, taken: 0 });
    expect((await run("ban", "import", join(folder, "none.db"))).code).toBe(1);
    await rm(folder, { recursive: true });
  });
});

describe("user", () => {
  test("add, passwd, remove", async () => {
    await using rig = await createRig();
    const run = commandLine(rig.access, "a password from stdin\n");
    const { users } = rig.access.admin;
    expect((await run("user", "add", "root", "--role", "admin", "--stdin")).code).toBe(0);
    expect(await users.verify("root", "a password from stdin")).toMatchObject({ role: "admin" });
    const added = JSON.parse((await run("user", "add", "eve", "--json")).out) as { password: string; role: string };
    expect(added.role).toBe("viewer");
    expect(await users.verify("eve", added.password)).toMatchObject({ name: "eve" });
    const changed = JSON.parse((await run("user", "passwd", "eve", "--json")).out) as { password: string };
    expect([await users.verify("eve", added.password), (await users.verify("eve", changed.password))?.name]).toEqual([
      undefined,
      "eve",
    ]);
    expect((await run("user", "remove", "eve")).code).toBe(0);
    expect((await run("user", "remove", "root")).code).toBe(1);
    expect((await run("user", "list")).out).toMatch(/root\s+admin/);
    expect((await run("user", "add", "x", "--role", "god")).code).toBe(2);
    expect((await run("user", "passwd", "nobody")).code).toBe(1);
  });
});

test("a running server takes over what a command changes beside it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lx-beside-"));
  const open = (): Promise<Rig> =>
    createRig(
      { "security.key.enable": true, "security.key.ban": false },
      { db: openDatabase(join(folder, "lx.db"), silentLogger), realTime: true },
    );
  {
    await using server = await open();
    const headers: Record<string, string> = {};
    const song = () => server.ask("/url/kg/1/128k", { headers });
    {
      await using beside = await open();
      headers["X-Request-Key"] = beside.access.keys.add("new", {}).secret;
      beside.access.bans.add({ target: "5.5.5.5" });
    }
    await until(async () => (await song()).error === undefined, "the key is known");
    await until(async () => (await server.ask("/", { peer: "5.5.5.5" })).error !== undefined, "the ban is known");
    {
      await using beside = await open();
      beside.access.keys.remove("new");
      beside.access.bans.remove("5.5.5.5");
    }
    await until(async () => (await song()).error !== undefined, "the key is gone");
    await until(async () => (await server.ask("/", { peer: "5.5.5.5" })).error === undefined, "the ban is gone");
  }
  await rm(folder, { recursive: true });
});

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaryPath, cleanEnvironment, startServer } from "../e2e/server.ts";

/** What a person at a console meets: help, slips of the finger, and machines that do not let the server start. */
setDefaultTimeout(30_000);

const NOBODY = 65534;
const asNobody =
  process.getuid?.() === 0
    ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
    : [];
let folder: string;
let binary: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "lx-console-"));
  chmodSync(folder, 0o755);
  binary = join(folder, "lx-music-api-server");
  copyFileSync(binaryPath(), binary);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Outcome {
  code: number;
  out: string;
  error: string;
}

async function run(argv: string[], env: Record<string, string> = {}, prefix: string[] = []): Promise<Outcome> {
  const child = Bun.spawn([...prefix, binary, ...argv], {
    cwd: folder,
    env: cleanEnvironment(env),
    stdout: "pipe",
    stderr: "pipe",
    timeout: 15_000,
  });
  const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, out, error };
}

describe("help", () => {
  test.each<{ argv: string[]; parts: string[] }>([
    { argv: ["--help"], parts: ["usage: lx-music-api-server [COMMAND] [options]", "config init", "Without a command"] },
    { argv: ["help", "key"], parts: ["usage: lx-music-api-server key COMMAND", "key add NAME"] },
    { argv: ["key", "--help"], parts: ["key add NAME"] },
    { argv: ["help", "key", "add"], parts: ["usage: lx-music-api-server key add NAME [options]", "--expires 30d"] },
    { argv: ["--port", "1", "--help"], parts: ["Without a command"] },
    { argv: ["serve", "-h"], parts: ["--port N ", "--data DIR ", "$LX_DATA_DIR"] },
  ])("$argv", async ({ argv, parts }) => {
    const { code, out, error } = await run(argv);
    expect([code, error]).toEqual([0, ""]);
    for (const part of parts) expect(out).toContain(part);
  });

  test("every command says what it does and what each of its options means", async () => {
    const { out } = await run(["--help"]);
    const lines = out.split("\n").filter((line) => line.startsWith("  "));
    const names = lines.map((line) => /^ {2}((?:[a-z-]+ ?){1,2})/.exec(line)?.[1]?.trim() ?? "");
    expect(names.length).toBeGreaterThan(20);
    const helps = await Promise.all(
      names.map(async (name) => ({ name, text: (await run([...name.split(" "), "--help"])).out })),
    );
    const bare = helps.flatMap(({ name, text }) =>
      text.split("\n").flatMap((line) => (/^ {2}--?[\w-]+(?: \S+)?\s*$/.test(line) ? [`${name}: ${line.trim()}`] : [])),
    );
    expect(bare).toEqual([]);
    const twice = helps.filter(
      ({ name, text }) => !text.includes(`usage: lx-music-api-server ${name} `) || /usage: .*\b(\w+) \1\b/.test(text),
    );
    expect(twice.map(({ name }) => name)).toEqual([]);
  });
});

describe("bad usage ends with 2 and a way on", () => {
  test.each([
    { argv: ["serv"], parts: ['unknown command "serv" (did you mean "serve"?)'] },
    { argv: ["serv", "--help"], parts: ['did you mean "serve"'] },
    { argv: ["config"], parts: ['"config" needs a subcommand: init | check | print', "config --help"] },
    { argv: ["config", "chek"], parts: ['did you mean "check"?'] },
    { argv: ["version", "x"], parts: ['"version" takes no arguments, got 1'] },
    { argv: ["key", "add"], parts: ["takes 1 argument", "usage: lx-music-api-server key add NAME"] },
    { argv: ["--prt", "1"], parts: ["unknown option --prt (did you mean --port?)"] },
    { argv: ["serve", "--port"], parts: ["--port needs a value"] },
    { argv: ["--port", "--json"], parts: ["--port needs a value"] },
    { argv: ["--json=1"], parts: ["--json takes no value"] },
    { argv: ["--port", "70000"], parts: ['--port must be a number from 0 to 65535, got "70000"'] },
    { argv: ["--config", "none.yml"], parts: ["config file none.yml does not exist"] },
  ])("$argv", async ({ argv, parts }) => {
    const { code, out, error } = await run(["--data", join(folder, "usage"), ...argv]);
    expect([code, out]).toEqual([2, ""]);
    for (const part of parts) expect(error).toContain(part);
    expect(error).not.toMatch(/\n\s+at /);
  });
});

/** A data folder with a config, owned by whom the server runs as. */
function dataFolder(name: string, config = "common: { ports: [0], hosts: [127.0.0.1] }\n"): string {
  const path = join(folder, name);
  mkdirSync(join(path, "config"), { recursive: true });
  writeFileSync(join(path, "config", "config.yml"), config, { mode: 0o600 });
  for (const item of [path, join(path, "config"), join(path, "config", "config.yml")]) own(item);
  return path;
}

function own(path: string): void {
  if (asNobody.length > 0) chownSync(path, NOBODY, NOBODY);
}

describe("what stops the start says what, where and why", () => {
  test.each<{ name: string; code: number; parts: string[]; data: () => string; argv?: string[] }>([
    {
      name: "data folder that may not be written",
      code: 1,
      parts: ["cannot use the data folder", "permission denied", "mode 555", "--data DIR"],
      data: () => {
        const path = dataFolder("read-only");
        chmodSync(path, 0o555);
        return path;
      },
    },
    {
      name: "data folder that is a file",
      code: 1,
      parts: ["cannot use the data folder", "it is a file, not a folder"],
      data: () => {
        writeFileSync(join(folder, "file"), "");
        return join(folder, "file");
      },
    },
    {
      name: "config that may not be read",
      code: 2,
      parts: ["config.yml cannot be read: permission denied", "mode 0;"],
      data: () => {
        const path = dataFolder("unreadable");
        chmodSync(join(path, "config", "config.yml"), 0);
        return path;
      },
    },
    {
      name: "config that is wrong",
      code: 2,
      parts: ["config.yml:", "common.port: found an unknown key", 'did you mean "common.ports"', "module.kw.enable"],
      data: () => dataFolder("wrong", "common: { port: [1] }\nmodule: { kw: { enable: maybe } }\n"),
    },
    {
      name: "database that may not be read",
      code: 1,
      parts: ["cannot open the database", "lx.db", "mode 0;"],
      data: () => {
        const path = dataFolder("database");
        writeFileSync(join(path, "lx.db"), "", { mode: 0o000 });
        own(join(path, "lx.db"));
        return path;
      },
    },
    {
      name: "address that this machine does not have",
      code: 1,
      parts: ["cannot listen anywhere", "http://192.0.2.77:0: this machine has no such address"],
      data: () => dataFolder("address"),
      argv: ["--host", "192.0.2.77"],
    },
  ])("$name", async ({ code, parts, data, argv = [] }) => {
    const outcome = await run(["--data", data(), ...argv], {}, asNobody);
    expect(outcome.code).toBe(code);
    for (const part of parts) expect(outcome.error).toContain(part);
    expect(outcome.error).not.toMatch(/\n\s+at |内部服务器错误/);
  });

  test("port in use", async () => {
    const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { port } = other;
    const { code, error } = await run(["--data", dataFolder("port"), "--port", String(port)], {}, asNobody);
    await other.stop(true);
    expect(code).toBe(1);
    expect(error).toContain(`http://127.0.0.1:${port}: the port is in use by another program`);
  });

  test("a wrong LX__ variable is not blamed on the file alone", async () => {
    const { code, error } = await run(["--data", dataFolder("variable"), "config", "check"], { LX__COMMON__PORT: "1" });
    expect(code).toBe(2);
    expect(error).toContain("and the LX__ variables");
    expect(error).toContain('did you mean "LX__COMMON__PORTS"');
  });
});

test.each(["SIGTERM", "SIGINT"] as const)("%s ends the server with 0 and without complaint", async (signal) => {
  const server = await startServer();
  expect((await server.get("/health")).status).toBe(200);
  expect(await server.stop(signal)).toBe(0);
  expect(server.output()).not.toMatch(/error|WARN|\n\s+at /i);
  await server.remove();
});

test("a command away from the server's folder says that it made a new one", async () => {
  const data = join(folder, "elsewhere");
  expect((await run(["key", "list", "--data", data])).error).toContain(`note: made a new data folder, ${data}`);
  expect((await run(["key", "list", "--data", data])).error).toBe("");
});

test("a pipe with a slow reader gets everything", async () => {
  const values = Array.from({ length: 3000 }, (_, index) => `key-number-${index}`);
  const data = dataFolder("pipe", JSON.stringify({ security: { key: { enable: true, values } } }));
  const child = Bun.spawn(["sh", "-c", `"${binary}" key list --json --data "${data}" | (sleep 0.3; cat)`], {
    env: cleanEnvironment(),
    stdout: "pipe",
  });
  const text = await new Response(child.stdout).text();
  expect(text.length).toBeGreaterThan(1 << 17);
  expect(JSON.parse(text)).toBeArrayOfSize(3000);
});

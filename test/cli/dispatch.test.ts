import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import type { App } from "../../src/app.ts";
import { clientScriptCommand } from "../../src/cli/client-script.ts";
import type { Command } from "../../src/cli/command.ts";
import { configCommands } from "../../src/cli/config.ts";
import { runCli } from "../../src/cli/index.ts";
import { sourceCommands } from "../../src/cli/source.ts";
import { versionCommand } from "../../src/cli/version.ts";
import { parseConfig } from "../../src/config/load.ts";
import { renderDefault } from "../../src/config/render.ts";
import { AppError } from "../../src/core/errors.ts";
import { fakeSource } from "../resolve/fake-source.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-cli-"));
});
afterAll(() => rm(folder, { recursive: true }));

interface Options {
  terminal?: boolean;
  env?: Record<string, string>;
  app?: Partial<App>;
}

async function run(commands: Command[], argv: string[], { terminal = false, env = {}, app = {} }: Options = {}) {
  const seen = { out: "", err: "", closed: 0, places: [] as unknown[] };
  const code = await runCli(commands, {
    argv,
    env,
    stdout: (text) => {
      seen.out += text;
    },
    stderr: (text) => {
      seen.err += text;
    },
    stderrIsTerminal: terminal,
    async openApp(place) {
      seen.places.push(place);
      return { close: async () => void seen.closed++, ...app } as App;
    },
  });
  return { code, ...seen };
}

const command = (name: string, work: Command["run"], more: Partial<Command> = {}): Command => ({
  name,
  summary: "does it",
  arity: [0, 1],
  run: work,
  ...more,
});

describe("exit codes", () => {
  test.each<{ name: string; work: Command["run"]; code: number; err: string }>([
    { name: "nothing said is 0", work: async () => undefined, code: 0, err: "" },
    { name: "its own", work: async () => 1, code: 1, err: "" },
    {
      name: "bad usage",
      work: () => Promise.reject(new AppError("invalid_request", "--x must be a number")),
      code: 2,
      err: "error: --x must be a number\n",
    },
    {
      name: "a failure",
      work: () => Promise.reject(new AppError("upstream_refused", "酷狗: 需要会员")),
      code: 1,
      err: "error: 酷狗: 需要会员\n",
    },
    {
      name: "a fault of ours has its reason and no stack",
      work: () => Promise.reject(new TypeError("x is undefined")),
      code: 1,
      err: "error: unexpected failure: x is undefined\n",
    },
    {
      name: "closing fails",
      work: async (context) => void (await context.app()),
      code: 1,
      err: "error: disk full\n",
    },
  ])("$name", async ({ name, work, code, err }) => {
    const app =
      name === "closing fails" ? { close: () => Promise.reject(new AppError("storage_failed", "disk full")) } : {};
    const done = await run([command("do", work)], ["do", "--data", folder], { app });
    expect({ code: done.code, err: done.err }).toEqual({ code, err });
  });

  test("--json says the failure in JSON as well", async () => {
    const work = () => Promise.reject(new AppError("not_found", "没有"));
    const { code, out, err } = await run([command("do", work)], ["do", "--json"]);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({ error: { kind: "not_found", message: "没有" } });
    expect(err).toBe("error: 没有\n");
  });
});

describe("what a command says", () => {
  const speaking = command("do", async (context) => {
    context.say("a line");
    context.result({ a: 1 }, "the outcome");
    return undefined;
  });
  test.each([
    [["do"], "a line\nthe outcome\n"],
    [["do", "--json"], '{\n  "a": 1\n}\n'],
    [["--json", "do"], '{\n  "a": 1\n}\n'],
  ])("%j", async (argv, out) => {
    expect((await run([speaking], argv)).out).toBe(out);
  });
});

describe("progress", () => {
  const working = command("do", async (context) => {
    const bar = context.progress("songs");
    bar.update(1, 2, "晴天\u001b[31m\n");
    bar.update(2, 2);
    bar.end();
    return undefined;
  });

  test("is drawn on a terminal, and cleared", async () => {
    const { err, out } = await run([working], ["do"], { terminal: true });
    expect(err).toContain("songs [");
    expect(err).toContain("2/2");
    expect(err).toEndWith("\r\u001b[K");
    expect(err).not.toContain("\u001b[31m");
    expect(err).not.toContain("\n");
    expect(out).toBe("");
  });

  test("is not drawn into a file or pipe", async () => {
    expect((await run([working], ["do"])).err).toBe("");
  });
});

describe("the application", () => {
  const opening = command("do", async (context) => void (await Promise.all([context.app(), context.app()])));

  test.each<{ argv: string[]; env?: Record<string, string>; dataDir: string; configFile?: string }>([
    { argv: ["do"], dataDir: "./data" },
    { argv: ["do", "--data", "/d", "--config", "/c.yml"], dataDir: "/d", configFile: "/c.yml" },
    { argv: ["--data=/d", "do"], dataDir: "/d" },
    { argv: ["do"], env: { LX_DATA_DIR: "/e" }, dataDir: "/e" },
    { argv: ["do", "--data", "/d"], env: { LX_DATA_DIR: "/e" }, dataDir: "/d" },
  ])("$argv with $env", async ({ argv, env, dataDir, configFile }) => {
    const { places, closed } = await run([opening], argv, env === undefined ? {} : { env });
    expect(places).toEqual([{ dataDir, configFile, overrides: {} }]);
    expect(closed).toBe(1);
  });

  test("is closed also when the command fails", async () => {
    const failing = command("do", async (context) => {
      await context.app();
      throw new AppError("not_found", "x");
    });
    expect((await run([failing], ["do"])).closed).toBe(1);
  });
});

describe("config", () => {
  const commands = (environment: Record<string, string> = {}) =>
    configCommands({ defaultText: renderDefault(), environment });

  test("init, check, print", async () => {
    const data = join(folder, "a");
    const file = join(data, "config", "config.yml");
    expect(await run(commands(), ["config", "check", "--data", data])).toMatchObject({
      code: 2,
      err: expect.stringContaining("config init"),
    });
    expect(await run(commands(), ["config", "init", "--data", data])).toMatchObject({
      code: 0,
      out: `wrote ${file}\n`,
    });
    expect(await readFile(file, "utf8")).toBe(renderDefault());
    expect(await run(commands(), ["config", "init", "--data", data])).toMatchObject({
      code: 1,
      err: expect.stringContaining("--force"),
    });
    expect(await run(commands(), ["config", "check", "--data", data])).toMatchObject({
      code: 0,
      out: `${file} is valid\n`,
    });
    const printed = await run(commands({ LX__COMMON__CACHE__REDIS__PASSWORD: "s3cret" }), [
      "config",
      "print",
      "--data",
      data,
    ]);
    expect(parse(printed.out).common.cache.redis.password).toBe("***");
    expect(printed.out).not.toContain("s3cret");
    await Bun.write(file, "commom: {}");
    expect(await run(commands(), ["config", "check", "--data", data, "--json"])).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean "common"'),
    });
    expect((await run(commands(), ["config", "init", "--force", "--data", data])).code).toBe(0);
  });

  test("print --defaults needs no file and makes none", async () => {
    const data = join(folder, "none");
    const { code, out } = await run(commands(), ["config", "print", "--defaults", "--json", "--data", data]);
    expect(code).toBe(0);
    expect(JSON.parse(out).common.ports).toEqual([9763]);
    expect(existsSync(data)).toBe(false);
  });
});

describe("client-script", () => {
  const config = parseConfig("common: {public_url: 'http://p.test/'}");
  const commands = (publicUrl = true) => [
    clientScriptCommand(async () => ({ config: () => (publicUrl ? config : parseConfig("")) })),
  ];

  test.each([
    [["--url", "https://lx.test/a/", "--key", "k'"], '"url": "https://lx.test/a"', `"key": "k'"`],
    [[], '"url": "http://p.test"', '"key": ""'],
  ])("%j", async (argv, url, key) => {
    const { code, out } = await run(commands(), ["client-script", ...argv]);
    expect(code).toBe(0);
    expect(out).toStartWith("/*!");
    expect(out).toContain(url);
    expect(out).toContain(key);
  });

  test("--json has text and md5", async () => {
    const { script, md5 } = JSON.parse((await run(commands(), ["client-script", "--json"])).out);
    expect(script).toContain(`"md5": "${md5}"`);
  });

  test.each([[[]], [["--url", "lx.test"]], [["--url", "ftp://lx.test"]], [["--url", "http://"]]])(
    "%j without an address is bad usage",
    async (argv) => {
      expect((await run(commands(false), ["client-script", ...argv])).code).toBe(2);
    },
  );
});

describe("source", () => {
  const good = fakeSource({ hot: async () => ["热"] });
  const bad = fakeSource({
    id: "tx",
    name: "QQ音乐",
    hot: () => Promise.reject(new AppError("upstream_unreachable", "无法连接")),
  });
  const feature = async () =>
    ({
      config: () => parseConfig("module: {tx: {enable: false}}"),
      sources: new Map([
        ["kg", good],
        ["tx", bad],
      ]),
      pool: {
        list: () => [],
        run: async (_source: unknown, _need: unknown, work: (call: object) => unknown) => work({}),
      },
    }) as unknown as Pick<App, "config" | "sources" | "pool">;

  test("list", async () => {
    const { out } = await run(sourceCommands(feature), ["source", "list"]);
    expect(out).toBe("kg  on   0 accounts  128k 320k flac  酷狗\ntx  off  0 accounts  128k 320k flac  QQ音乐\n");
  });

  test.each([
    [["kg"], 0, /^ok {4}hot {14}\s+\d+ ms {2}热\n$/],
    [["tx"], 1, /^FAIL {2}hot {14}\s+\d+ ms {2}无法连接\n$/],
  ])("test %j", async (argv, code, out) => {
    const done = await run(sourceCommands(feature), ["source", "test", ...argv]);
    expect(done.code).toBe(code);
    expect(done.out).toMatch(out);
  });

  test("test as JSON", async () => {
    const { out } = await run(sourceCommands(feature), ["source", "test", "kg", "--json"]);
    expect(JSON.parse(out)).toEqual([{ ability: "hot", ok: true, milliseconds: expect.any(Number), outcome: "热" }]);
  });

  test.each([
    [["xx"], 2, "unknown source"],
    [["mg"], 1, "not there"],
    [[], 2, "1 to 2 arguments"],
  ])("test %j", async (argv, code, says) => {
    const done = await run(sourceCommands(feature), ["source", "test", ...argv]);
    expect(done.code).toBe(code);
    expect(done.err).toContain(says);
  });
});

test("version", async () => {
  expect((await run([versionCommand("1.2.3")], ["--version"])).out).toMatch(/^lx-music-api-server 1\.2\.3 \(Bun /);
  expect(JSON.parse((await run([versionCommand("1.2.3")], ["version", "--json"])).out)).toMatchObject({
    version: "1.2.3",
  });
});

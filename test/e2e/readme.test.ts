import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { binaryPath } from "./server.ts";

/** Every command of README.md is run here as it stands there; one that nobody runs fails the test. */
setDefaultTimeout(180_000);
const root = join(import.meta.dir, "../..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const [english = "", chinese = ""] = readme.split("\n## 中文\n");
const PROGRAM = "lx-music-api-server";

const commandsOf = (text: string) =>
  [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) => block.trim().split("\n"));

/** Started here in a copy of its own; not run in the folder of the other commands. */
const OWN_TESTS = ["make run", "make demo ARGS=--once"];
/** The run that is going on. */
const THIS_RUN = ["make test"];

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-readme-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Outcome {
  code: number | null;
  output: string;
}

/** Settings of the machine that a download needs, and nothing else. */
function environment(path: string, extra: Record<string, string> = {}): Record<string, string> {
  const kept = Object.entries(process.env).filter(([name]) =>
    /^(?:NODE_EXTRA_CA_CERTS|SSL_CERT_\w+|.*_proxy|npm_config_registry)$/i.test(name),
  );
  return {
    ...Object.fromEntries(kept.map(([name, value]) => [name, value ?? ""])),
    PATH: path,
    TZ: "Asia/Shanghai",
    ...extra,
  };
}

/**
 * Runs a command line. With `until`, waits for that text, gives it to `check` and ends the command as Ctrl-C does.
 * @returns the code it ended with, and all it printed
 */
async function run(
  line: string,
  options: { cwd: string; env: Record<string, string>; until?: RegExp; check?: (found: string) => Promise<void> },
): Promise<Outcome> {
  // An own process group, so that Ctrl-C reaches what make started too.
  const child = Bun.spawn(["/usr/bin/setsid", "/bin/sh", "-c", line], {
    cwd: options.cwd,
    env: options.env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const part of stream) output += decoder.decode(part, { stream: true });
  };
  const collected = Promise.all([collect(child.stdout), collect(child.stderr)]);
  if (options.until !== undefined) {
    const deadline = Date.now() + 150_000;
    let found: string | undefined;
    while (found === undefined && child.exitCode === null && Date.now() < deadline) {
      found = options.until.exec(output)?.[1];
      if (found === undefined) await Bun.sleep(20);
    }
    try {
      if (found === undefined) throw new Error(`${line} did not say ${options.until}:\n${output}`);
      await options.check?.(found);
    } finally {
      if (child.exitCode === null) process.kill(-child.pid, "SIGINT");
    }
  }
  const code = await child.exited;
  await collected;
  return { code, output };
}

const LISTENING = /is listening on (http:\/\/127\.0\.0\.1:\d+)/;

async function answersAsServer(address: string): Promise<void> {
  const answer = await fetch(address);
  expect([answer.status, await answer.json()]).toEqual([200, { code: 0, msg: "success", data: null }]);
}

/** What git would check out, with changes that are not committed yet. */
function copyOfTree(to: string): void {
  const listed = Bun.spawnSync(["git", "ls-files", "-co", "--exclude-standard", "-z"], { cwd: root });
  const files = listed.stdout
    .toString()
    .split("\0")
    .filter((file) => file !== "" && existsSync(join(root, file)));
  expect(files.length).toBeGreaterThan(100);
  for (const file of files) {
    mkdirSync(dirname(join(to, file)), { recursive: true });
    cpSync(join(root, file), join(to, file));
  }
}

/** A folder with these programs of the machine and no others. */
function pathWith(name: string, programs: Record<string, string | null>): string {
  const bin = join(folder, name);
  mkdirSync(bin);
  for (const [program, place] of Object.entries(programs)) {
    if (place === null) throw new Error(`${program} is not installed`);
    symlinkSync(place, join(bin, program));
  }
  return bin;
}

const machine = (names: string) =>
  Object.fromEntries(
    names
      .split(" ")
      .map((name) => [name, Bun.which(name, { PATH: "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin" })]),
  );
const SHELL_TOOLS = "make bash sh sed find mkdir touch rm env uname dirname cat";

describe("a fresh clone", () => {
  const settings = { LX__COMMON__HOSTS: "[127.0.0.1]", LX__COMMON__PORTS: "[0]" };

  test.each([
    { with: "only Node and npm", programs: () => machine(`${SHELL_TOOLS} node npm`) },
    { with: "only Bun", programs: () => ({ ...machine(SHELL_TOOLS), bun: process.execPath, bunx: process.execPath }) },
  ])("make run with $with", async ({ with: name, programs }) => {
    const clone = join(folder, name);
    copyOfTree(clone);
    const bin = pathWith(`bin ${name}`, programs());
    const env = environment(bin, { HOME: join(folder, `home ${name}`), ...settings });
    mkdirSync(join(folder, `home ${name}`));
    const { output } = await run("make run", { cwd: clone, env, until: LISTENING, check: answersAsServer });
    expect(output).toContain("/script");
    expect(existsSync(join(clone, "data/config/config.yml"))).toBe(true);
  });

  test("make demo ARGS=--once plays a song of every platform", async () => {
    const clone = join(folder, "demo");
    copyOfTree(clone);
    mkdirSync(join(folder, "home demo"));
    const path = `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
    const { code, output } = await run("make demo ARGS=--once", {
      cwd: clone,
      env: environment(path, { HOME: join(folder, "home demo") }),
    });
    expect([code, output.match(/ffprobe: 12\.0 s of mp3/g)?.length]).toEqual([0, 5]);
    expect(output).toMatch(/http:\/\/127\.0\.0\.1:\d+\/script/);
  });
});

describe("the commands of README.md", () => {
  const commands = [...new Set(commandsOf(english))].filter(
    (line) => !OWN_TESTS.includes(line) && !THIS_RUN.includes(line),
  );
  let place: string;
  let env: Record<string, string>;

  beforeAll(() => {
    place = join(folder, "place", "new");
    mkdirSync(place, { recursive: true });
    const bin = join(folder, "bin");
    mkdirSync(bin);
    symlinkSync(binaryPath(), join(bin, PROGRAM));
    env = environment(`${bin}:${process.env["PATH"] ?? ""}`, { HOME: folder, LX__COMMON__HOSTS: "[127.0.0.1]" });
    // What the reader has: a downloaded release, a script, the folder of the Python server.
    cpSync(binaryPath(), join(place, `${PROGRAM}-1.0.0-linux-x64`));
    writeFileSync(join(place, "my-script.js"), SCRIPT);
    const old = join(place, "../old");
    mkdirSync(join(old, "config"), { recursive: true });
    mkdirSync(join(old, "cache_audio"));
    cpSync(join(root, "config/default.yml"), join(old, "config/config.yml"));
    writeFileSync(join(old, "cache_audio/tx_a_128k.mp3"), "x");
    oldDatabases(old);
  });

  test.each(commands.map((line) => ({ line })))("$line", async ({ line }) => {
    if (line === `./${PROGRAM}-1.0.0-linux-x64`) {
      const { output } = await run(line, {
        cwd: place,
        env: { ...env, LX__COMMON__PORTS: "[0]" },
        until: LISTENING,
        check: answersAsServer,
      });
      expect(output).toContain("stopping signal=SIGINT");
      return;
    }
    const { code, output } = await run(line, { cwd: place, env });
    expect([line, code, code === 0 ? "" : output]).toEqual([line, 0, ""]);
    EFFECTS[line.replace(/ .*(>) /, " $1 ")]?.(place, output);
  });

  test("are the same in both languages", () => {
    expect(commandsOf(chinese)).toEqual(commandsOf(english));
    expect(commandsOf(english)).toEqual(expect.arrayContaining([...OWN_TESTS, ...THIS_RUN]));
  });

  test("make targets that are named are there", async () => {
    const targets = [
      ...new Set(
        [...readme.matchAll(/\bmake ([a-z]+)\b/g)].map((match) => match[1] ?? "").filter((word) => word !== "gets"),
      ),
    ];
    const known = [...readFileSync(join(root, "Makefile"), "utf8").matchAll(/^([a-z]+):.*## /gm)].map(
      (match) => match[1] ?? "",
    );
    expect(targets.length).toBeGreaterThan(4);
    expect(targets.filter((target) => !known.includes(target))).toEqual([]);
    const { output } = await run("make help", { cwd: root, env });
    for (const target of known) expect(output).toContain(`make ${target} `);
  });

  test("program commands that are named are there", async () => {
    const groups = "config|account|key|script|library|cert|ban|source|cache|audio|client-script";
    const named = [...readme.matchAll(new RegExp(`\`((?:${groups})(?: [a-z-]+)?)(?: [^\`]*)?\``, "g"))].map(
      (match) => match[1] ?? "",
    );
    expect(named.length).toBeGreaterThan(5);
    for (const name of new Set(named))
      expect([name, (await run(`${PROGRAM} ${name} --help`, { cwd: place, env })).code]).toEqual([name, 0]);
  });
});

describe("README.md", () => {
  test("leads to files that are there", () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)\)|src="([^"]+)"/g)].map((match) => match[1] ?? match[2] ?? "");
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter((link) => !/^https?:/.test(link) && !existsSync(join(root, link)))).toEqual([]);
  });

  test("names only config keys that there are", async () => {
    const defaults = Bun.YAML.parse(readFileSync(join(root, "config/default.yml"), "utf8")) as Record<string, unknown>;
    const named = [...readme.matchAll(/`((?:common|security|module)\.[\w.]+)/g)].map((match) =>
      (match[1] ?? "").replace(/\.$/, ""),
    );
    const wrong = named.filter((path) => path !== "common.portss" && at(defaults, path.split(".")) === undefined);
    expect(named.length).toBeGreaterThan(10);
    expect(wrong).toEqual([]);
  });
});

/** What a command must have done besides ending well, by its first word and `>`. */
const EFFECTS: Record<string, (place: string, output: string) => void> = {
  [`${PROGRAM} > lx-music-source.js`]: (place) => {
    const text = readFileSync(join(place, "lx-music-source.js"), "utf8");
    expect(text).toStartWith("/*");
    expect(text).toContain('"http://192.168.1.10:9763"');
  },
  "lx-music-api-server ban import ../old/data.db": (_place, output) => expect(output).toContain("1 of 1 bans"),
  "lx-music-api-server cache import ../old/cache.db": (_place, output) => expect(output).toMatch(/\b1\b/),
};

function at(value: unknown, path: string[]): unknown {
  return path.reduce<unknown>((level, name) => (level as Record<string, unknown> | null | undefined)?.[name], value);
}

function oldDatabases(folder: string): void {
  const bans = new Database(join(folder, "data.db"));
  bans.run("CREATE TABLE data (key TEXT PRIMARY KEY, value TEXT)");
  bans.run("INSERT INTO data VALUES ('banList', ?)", [JSON.stringify([{ ip: "192.0.2.1", expire: false }])]);
  bans.close();
  const cache = new Database(join(folder, "cache.db"));
  cache.run("CREATE TABLE cache (id INTEGER PRIMARY KEY AUTOINCREMENT, module TEXT, key TEXT, data TEXT)");
  const data = JSON.stringify({ expire: true, time: Math.floor(Date.now() / 1000) + 3600, url: "http://a.test/a.mp3" });
  cache.run("INSERT INTO cache (module, key, data) VALUES ('urls', 'kg_A_128k', ?)", [data]);
  cache.close();
}

const SCRIPT = `/*
 * @name mine
 * @version 1
 */
const { EVENT_NAMES, on, send } = globalThis.lx
on(EVENT_NAMES.request, async () => 'http://127.0.0.1/a.mp3')
send(EVENT_NAMES.inited, { sources: { kw: { name: 'kw', type: 'music', actions: ['musicUrl'], qualitys: ['128k'] } } })
`;

import { Database } from "bun:sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isAppError } from "../../src/core/errors.ts";
import type { MusicInfo } from "../../src/core/types.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createScriptHost, type ScriptHost } from "../../src/scripts/host.ts";
import type { ScriptsConfig } from "../../src/scripts/limits.ts";
import { COMMAND, defaultConfig, OUTSIDE } from "./bed.ts";

/** What the test server gives for `/scripts/NAME`, with its ETag, and what it plays under `/audio/…`. */
const files = new Map<string, string>();
const asked: { path: string; etag: string | null }[] = [];
let server: Bun.Server<undefined>;
let origin = "";
let folder: string;
let db: Database;
let host: ScriptHost;
let time = 1_700_000_000_000;

setDefaultTimeout(30_000);

const AUDIO = Buffer.concat([Buffer.from("ID3\x04"), Buffer.alloc(4096)]);

beforeAll(() => {
  server = Bun.serve({ hostname: OUTSIDE, port: 0, fetch: answer });
  origin = `http://${OUTSIDE}:${server.port}`;
});
afterAll(() => server.stop(true));

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url);
  const etag = request.headers.get("if-none-match");
  asked.push({ path: pathname, etag });
  if (pathname.startsWith("/audio")) {
    const range = request.headers.get("range") !== null;
    return new Response(range ? AUDIO.subarray(0, 512) : AUDIO, {
      status: range ? 206 : 200,
      headers: { "content-type": "audio/mpeg", "content-range": `bytes 0-511/${AUDIO.length}` },
    });
  }
  if (pathname.startsWith("/html"))
    return new Response("<html>sorry</html>", { headers: { "content-type": "audio/mpeg" } });
  if (pathname.startsWith("/gone")) return new Response("no", { status: 404 });
  const text = files.get(pathname);
  if (text === undefined) return new Response("none", { status: 404 });
  const own = `"${Bun.hash(text)}"`;
  return etag === own ? new Response(null, { status: 304 }) : new Response(text, { headers: { etag: own } });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-scripts-"));
  db = new Database(":memory:", { strict: true });
  db.run("PRAGMA foreign_keys = ON");
  host = makeHost();
  asked.length = 0;
  files.clear();
});
afterEach(async () => {
  await host.close();
  db.close();
  rmSync(folder, { recursive: true, force: true });
});

function makeHost(change: (config: ScriptsConfig) => void = () => {}): ScriptHost {
  const config = defaultConfig();
  config.allow_private = [`${OUTSIDE}/32`];
  config.spare = 0;
  config.hedge.least_ms = 100;
  config.hedge.most_ms = 300;
  config.breaker.failures = 3;
  change(config);
  return createScriptHost({ db, dataDir: folder, config, log: silentLogger, command: COMMAND, now: () => time });
}

interface Form {
  name?: string;
  version?: string;
  platforms?: string[];
  /** Body of the handler. */
  body?: string;
  before?: string;
}

function scriptText({ name = "One", version = "1", platforms = ["kw"], body = "", before = "" }: Form = {}): string {
  const sources = Object.fromEntries(
    platforms.map((id) => [id, { type: "music", actions: ["musicUrl", "lyric", "pic"], qualitys: ["128k", "flac"] }]),
  );
  return `/*
 * @name ${name}
 * @version ${version}
 */
${before}
const origin = ${JSON.stringify(origin)};
lx.on("request", async ({ source, action, info }) => {
  ${body}
  if (action === "lyric") return { lyric: "[00:00]" + info.musicInfo.name, tlyric: "x".repeat(6000) };
  if (action === "pic") return origin + "/pic.jpg";
  return origin + "/audio/" + info.musicInfo.songmid + "." + info.type + "?by=${name}";
});
lx.send("inited", { sources: ${JSON.stringify(sources)} });
`;
}

const song = (songmid = "1"): MusicInfo => ({
  name: "晴天",
  singer: "周杰伦",
  source: "kw",
  songmid,
  interval: "04:29",
  albumName: "",
  img: null,
  typeUrl: {},
  albumId: "",
  types: [],
  _types: {},
});

async function kindOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "no error";
  } catch (error) {
    return isAppError(error) ? `${error.kind}: ${error.message}` : String(error);
  }
}

const askUrl = (options = {}, quality: "128k" | "flac" | "320k" = "128k") =>
  host.ask("musicUrl", "kw", { quality, musicInfo: song() }, options);

describe("keeping scripts", () => {
  test("by address: stored, started, shown", async () => {
    files.set("/scripts/a.js", scriptText({ version: "1.2" }));
    await host.start();
    const added = await host.addUrl(`${origin}/scripts/a.js`);
    expect(added).toMatchObject({ name: "One", version: "1.2", enabled: true, url: `${origin}/scripts/a.js` });
    expect(readdirSync(join(folder, "external_scripts", added.id))).toEqual([`${added.hash}.js`]);
    expect(await host.text("One")).toBe(scriptText({ version: "1.2" }));
    expect(host.get("One")).toMatchObject({ state: "starting", versions: [{ hash: added.hash }] });
    await askUrl().catch(() => {});
  });

  test("survives a restart of the server", async () => {
    await host.addText(scriptText());
    await host.close();
    host = makeHost();
    await host.start();
    expect(host.list()).toMatchObject([
      { name: "One", state: "ready", sources: { kw: { qualitys: ["128k", "flac"] } } },
    ]);
  });

  test("addresses of the config are added at start, and those that fail do not hold it up", async () => {
    files.set("/scripts/a.js", scriptText({ name: "Configured" }));
    await host.close();
    host = makeHost((config) => {
      config.urls = [`${origin}/none.js`, `${origin}/scripts/a.js`];
    });
    await host.start();
    expect(host.list().map((script) => script.name)).toEqual(["Configured"]);
  });

  const refusals: [string, () => Promise<unknown>, string][] = [
    ["no script", () => host.addText("hello"), "invalid_request: 不是有效的 LX 脚本"],
    ["a byte-order mark", () => host.addText(`\ufeff${scriptText()}`), "invalid_request: 不是有效的 LX 脚本"],
    ["a script that does not start", () => host.addText("/* @name x */\n\nnull.x"), "invalid_request: 脚本"],
    [
      "an address that is not there",
      () => host.addUrl(`${origin}/none.js`),
      "upstream_refused: 下载脚本失败：HTTP 404",
    ],
    ["a private address", () => host.addUrl("http://127.0.0.1:1/a.js"), "forbidden"],
    ["no address", () => host.addUrl("file:///etc/passwd"), "invalid_request"],
    ["an unknown name", async () => host.get("nobody"), "not_found"],
  ];
  test.each(refusals)("%s is refused", async (_, work, expected) => {
    expect(await kindOf(work())).toStartWith(expected);
    expect(host.list()).toEqual([]);
  });

  test("the error of a script that does not start names the line", async () => {
    expect(await kindOf(host.addText("/* @name x */\n\nnull.x"))).toContain("第 3 行");
  });

  test("the same text or address twice is refused", async () => {
    await host.addText(scriptText());
    expect(await kindOf(host.addText(scriptText()))).toStartWith("conflict");
  });

  test("force keeps a script that does not start", async () => {
    const added = await host.addText("/*\n * @name Broken\n */\nnull.x", { force: true, enabled: false });
    expect(added).toMatchObject({ name: "Broken", enabled: false });
  });

  test("a file that was changed on the disk is not run", async () => {
    const { id, hash } = await host.addText(scriptText());
    writeFileSync(join(folder, "external_scripts", id, `${hash}.js`), "/* other */ 1");
    await host.start();
    expect(host.get(id).state).toBe("off");
    expect(await kindOf(host.text(id))).toStartWith("storage_failed");
  });

  test("switching off and removing", async () => {
    await host.start();
    const { id } = await host.addText(scriptText());
    await host.change(id, { enabled: false });
    expect(host.get(id).state).toBe("off");
    expect(await kindOf(askUrl())).toStartWith("unsupported");
    await host.remove("One");
    expect(host.list()).toEqual([]);
    expect(readdirSync(join(folder, "external_scripts"))).toEqual([]);
  });

  test("a running server takes over what another process has changed", async () => {
    const file = join(folder, "shared.db");
    const open = () => new Database(file, { create: true, strict: true });
    await host.close();
    const rounds: (() => Promise<void>)[] = [];
    const schedule = {
      every: (_: string, __: object, work: () => Promise<void>) => void rounds.push(work),
      stop: async () => {},
    };
    const [serving, command] = [open(), open()];
    const config = { ...defaultConfig(), allow_private: [`${OUTSIDE}/32`] };
    const deps = { dataDir: folder, config, log: silentLogger, command: COMMAND };
    host = createScriptHost({ ...deps, db: serving });
    await host.start();
    host.schedule(schedule);
    const other = createScriptHost({ ...deps, db: command });
    await other.addText(scriptText());
    await rounds[0]?.();
    expect(host.list()[0]?.state).not.toBe("off");
    await other.close();
    await host.close();
    serving.close();
    command.close();
  });
});

describe("updates", () => {
  const address = () => `${origin}/scripts/a.js`;
  beforeEach(async () => {
    files.set("/scripts/a.js", scriptText());
    await host.start();
    await host.addUrl(address());
  });
  const outcome = async (force = false) => (await host.update("One", force))[0]?.outcome;

  test("nothing new: one conditional request", async () => {
    expect(await outcome()).toBe("unchanged");
    expect(asked.at(-1)?.etag).toMatch(/^"\d+"$/);
  });

  test("a new version replaces the old one without a gap, and can be rolled back", async () => {
    const first = host.get("One");
    files.set("/scripts/a.js", scriptText({ version: "2" }));
    expect(await outcome()).toBe("updated");
    expect(host.get("One")).toMatchObject({ version: "2", state: "ready" });
    await host.rollBack("One");
    expect(host.get("One")).toMatchObject({ version: "1", hash: first.hash });
    expect(host.get("One").versions.length).toBe(2);
    // The version that was rolled back is not installed by itself again; the next one is.
    expect(await outcome(true)).toBe("updated");
    await host.rollBack("One");
    files.set("/scripts/a.js", scriptText({ version: "3" }));
    expect(await outcome()).toBe("updated");
  });

  test("a version that was rolled back is held", async () => {
    files.set("/scripts/a.js", scriptText({ version: "2" }));
    await outcome();
    await host.rollBack("One");
    files.set("/scripts/a.js", scriptText({ version: "9" }));
    await host.update("One");
    await host.rollBack("One");
    expect(await outcome()).toBe("unchanged");
    expect(host.get("One").version).not.toBe("9");
  });

  const bad: [string, string, string][] = [
    ["does not start", "/*\n * @name One\n */\nthrow new Error('broken')", "broken（第 4 行）"],
    ["offers nothing", "/*\n * @name One\n */\nlx.send('inited', { sources: {} })", "没有声明任何平台"],
    ["never ends", "/*\n * @name One\n */\nfor (;;);", "连续运行时间过长"],
  ];
  test.each(bad)("a version that %s is refused, and the old one goes on", async (_, text, reason) => {
    await host.close();
    host = makeHost((config) => {
      config.limits.init_slice_ms = 300;
    });
    await host.start();
    files.set("/scripts/a.js", text);
    const [found] = await host.update("One");
    expect(found).toMatchObject({ outcome: "refused" });
    expect(found?.message).toContain(reason);
    expect(host.get("One")).toMatchObject({ version: "1", state: "ready" });
    expect((await askUrl()).value).toContain("/audio/1.128k");
    expect((await host.update("One"))[0]?.outcome).toMatch(/held|unchanged/);
  });

  test("an answer that is no script, or none at all, changes nothing", async () => {
    files.set("/scripts/a.js", "<html>");
    expect(await outcome()).toBe("failed");
    files.delete("/scripts/a.js");
    expect(await outcome()).toBe("failed");
    expect(host.get("One").version).toBe("1");
  });

  test("old versions are removed beyond the number to keep", async () => {
    await host.close();
    host = makeHost((config) => {
      config.keep_versions = 2;
    });
    for (let version = 2; version <= 5; version++) {
      time += 1_000;
      files.set("/scripts/a.js", scriptText({ version: String(version) }));
      expect(await outcome()).toBe("updated");
    }
    expect(host.get("One").versions.map((item) => item.header.version)).toEqual(["5", "4", "3"]);
    expect(readdirSync(join(folder, "external_scripts", host.get("One").id)).length).toBe(3);
  });

  test("a script's own notice of an update is passed on", async () => {
    await host.addText(
      scriptText({ name: "Two", before: "lx.send('updateAlert', { log: 'new', updateUrl: 'https://x.test/2.js' });" }),
    );
    await host.test("Two", { songs: [] });
    const until = Date.now() + 5_000;
    while (host.get("Two").alert === undefined && Date.now() < until) await Bun.sleep(10);
    expect(host.get("Two").alert).toMatchObject({ log: "new", updateUrl: "https://x.test/2.js" });
  });
});

describe("asking", () => {
  const start = async (...forms: Form[]) => {
    for (const form of forms) await host.addText(scriptText(form));
    await host.start();
  };

  test("an address is checked, probed and handed on with who gave it", async () => {
    await start({});
    const answer = await askUrl();
    expect(answer).toMatchObject({ name: "One", probed: { contentType: "audio/mpeg", size: AUDIO.length } });
    expect(answer.value).toBe(`${origin}/audio/1.128k?by=One`);
  });

  test("lyric and cover", async () => {
    await start({});
    const lyric = await host.ask("lyric", "kw", { musicInfo: song() });
    expect(lyric.value).toEqual({ lyric: "[00:00]晴天", tlyric: "", rlyric: "", lxlyric: "" });
    expect((await host.ask("pic", "kw", { musicInfo: song() })).value).toBe(`${origin}/pic.jpg`);
  });

  const failing: [string, string, string][] = [
    ["a refusal", "throw new Error('没有版权')", "upstream_refused: One：没有版权"],
    ["服务器繁忙", "throw new Error('服务器繁忙')", "busy: 服务器繁忙"],
    ["no address", "return 'nothing'", "upstream_changed"],
    ["an address that is too long", "return origin + '/' + 'x'.repeat(2048)", "upstream_changed"],
    ["a page instead of audio", "return origin + '/html'", "upstream_changed: 脚本给出的地址不是音频"],
    ["a file that is not there", "return origin + '/gone'", "upstream_changed"],
    ["a private address", "return 'http://127.0.0.1:1/a.mp3'", "forbidden"],
    ["a file address", "return 'https:' + '\\n'", "invalid_request"],
  ];
  test.each(failing)("%s is a failure", async (_, body, expected) => {
    await start({ body });
    expect(await kindOf(askUrl())).toStartWith(expected);
  });

  test("a lyric that is too long is a failure", async () => {
    await start({ body: "if (action === 'lyric') return { lyric: 'x'.repeat(51201) };" });
    expect(await kindOf(host.ask("lyric", "kw", { musicInfo: song() }))).toStartWith("upstream_changed");
  });

  test("only scripts that offer platform, action and quality are asked", async () => {
    await start({ name: "Other", platforms: ["tx"] }, { name: "Right", platforms: ["kw"] });
    expect((await askUrl()).name).toBe("Right");
    expect(await kindOf(askUrl({}, "320k"))).toStartWith("unsupported");
    expect(await kindOf(host.ask("musicUrl", "wy", { quality: "128k", musicInfo: song() }))).toStartWith("unsupported");
  });

  test("the next one answers when the first fails, and every step is told", async () => {
    await start({ name: "Bad", body: "throw new Error('no')" }, { name: "Good" });
    host.setOrder("kw", ["Bad", "Good"]);
    const steps: string[] = [];
    const answer = await askUrl({
      step: (name: string, fields?: Record<string, unknown>) => steps.push(`${name} ${fields?.["script"]}`),
    });
    expect(answer.name).toBe("Good");
    expect(steps).toEqual(["script asked Bad", "script failed Bad", "script asked Good", "script answered Good"]);
  });

  test("the operator's order holds; the others follow by success", async () => {
    await start(
      { name: "Flaky", body: "if (globalThis.n = (globalThis.n ?? 0) + 1, n % 2) throw new Error('no')" },
      { name: "Good" },
    );
    for (let i = 0; i < 6; i++) await askUrl();
    const steps: unknown[] = [];
    const step = (name: string, fields?: Record<string, unknown>) =>
      void (name === "script asked" && steps.push(fields?.["script"]));
    await askUrl({ step });
    expect(steps).toEqual(["Good"]);
    host.setOrder("kw", ["Flaky"]);
    await askUrl({ step });
    expect(steps[1]).toBe("Flaky");
    expect(host.order("kw")).toEqual([host.get("Flaky").id]);
  });

  test("a slow first one is overtaken", async () => {
    await start({ name: "Slow", body: "await new Promise((done) => setTimeout(done, 5000))" }, { name: "Fast" });
    host.setOrder("kw", ["Slow", "Fast"]);
    const answer = await askUrl();
    expect(answer.name).toBe("Fast");
    expect(answer.ms).toBeLessThan(4_000);
  });

  test("a script that keeps failing rests, and is tried again after that", async () => {
    await start({ name: "Bad", body: "throw new Error('no')" });
    for (let i = 0; i < 3; i++) await kindOf(askUrl());
    expect(await kindOf(askUrl())).toBe("upstream_unreachable: 第三方脚本连续失败，暂停使用中");
    expect(host.get("Bad").records["kw"]).toMatchObject({ breaker: "open", asked: 3, answered: 0 });
    time += 60_000;
    expect(await kindOf(askUrl())).toStartWith("upstream_refused");
    // The rest has doubled; other platforms are not concerned.
    time += 60_000;
    expect(await kindOf(askUrl())).toStartWith("upstream_unreachable");
  });

  test("the total deadline holds, and the caller can give up", async () => {
    await start({ body: "return new Promise(() => {})" });
    expect(await kindOf(askUrl({ deadlineMs: 200 }))).toStartWith("upstream_unreachable");
    expect(await kindOf(askUrl({ signal: AbortSignal.timeout(50) }))).toBe("upstream_unreachable: 请求已取消");
  });

  test("a restart of the killed script does not concern the others", async () => {
    await host.close();
    host = makeHost((config) => {
      config.limits.slice_ms = 200;
    });
    await start({ name: "Loop", body: "for (;;);" }, { name: "Good" });
    const pid = (name: string) => host.get(name).state === "ready" && host.list().length > 0;
    host.setOrder("kw", ["Loop", "Good"]);
    expect((await askUrl()).name).toBe("Good");
    expect(host.get("Loop").offences).toMatchObject([{ offence: "cpu" }]);
    expect(pid("Good")).toBe(true);
    const until = Date.now() + 5_000;
    while (host.get("Loop").state !== "ready" && Date.now() < until) await Bun.sleep(5);
    expect(host.get("Loop").state).toBe("ready");
  });
});

describe("turns", () => {
  const cases: [string, Partial<ScriptsConfig>, "flac" | "128k", string][] = [
    ["by default after", {}, "128k", "after"],
    ["as set", { when: "before" }, "128k", "before"],
    ["a platform", { before: ["kw"] }, "128k", "before"],
    ["a quality wins over its platform", { before: ["kw"], never: ["kw/flac"] }, "flac", "never"],
    ["another quality", { before: ["kw"], never: ["kw/flac"] }, "128k", "before"],
    ["switched off", { enable: false, when: "before" }, "128k", "never"],
  ];
  test.each(cases)("%s", async (_, change, quality, expected) => {
    await host.close();
    host = makeHost((config) => void Object.assign(config, change));
    expect<string>(host.turn("kw", quality)).toBe(expected);
  });
});

describe("lab", () => {
  test("shows everything about a run", async () => {
    const text = scriptText({
      name: "Lab",
      before:
        "console.log('hello'); lx.send('updateAlert', { log: 'news' }); setTimeout(() => { throw new Error('loose') }, 1);",
      body: `if (info.type === 'flac') throw new Error('no flac');
        if (action === 'pic') null.x;
        await new Promise((done) => setTimeout(done, 20));
        await new Promise((done) => lx.request(origin + '/ping', {}, done));`,
    });
    const report = await host.test(text, { songs: [song()] });
    expect(report).toMatchObject({
      header: { name: "Lab", version: "1" },
      env: "desktop",
      ok: false,
      started: true,
      sources: { kw: { actions: ["musicUrl", "lyric", "pic"] } },
      alert: { log: "news", updateUrl: null },
      hosts: [`${OUTSIDE}:${server.port}`],
      uncaught: [{ message: "loose", line: 5 }],
      console: ["info: hello"],
      actions: [
        { action: "musicUrl", quality: "128k", ok: true, contentType: "audio/mpeg" },
        { action: "musicUrl", quality: "flac", ok: false, problem: "Lab：no flac", line: 8 },
        { action: "lyric", ok: true, result: "[00:00]晴天" },
        { action: "pic", ok: false, line: 9 },
      ],
    });
  });

  test("a script that does not start, and one that is killed", async () => {
    expect(await host.test("/* */ let a = = 1", { songs: [] })).toMatchObject({ started: false, problem: { line: 1 } });
    await host.close();
    host = makeHost((config) => {
      config.limits.slice_ms = 100;
    });
    const report = await host.test(scriptText({ body: "for (;;);" }), { songs: [song()] });
    expect(report.ok).toBe(false);
    expect(report.limits[0]).toStartWith("cpu");
  });
});

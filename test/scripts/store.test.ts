import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type HostBed, makeHostBed, scriptText, song, until } from "./host-bed.ts";

/** What is kept, over updates and restarts. */
// Real processes on a machine that may be busy.
setDefaultTimeout(60_000);
let bed: HostBed;
beforeEach(async () => {
  bed = await makeHostBed((config) => {
    config.keep_versions = 2;
  });
});
afterEach(() => bed.close());

const files = async () =>
  (await readdir(join(bed.dataDir, "external_scripts"), { recursive: true })).filter((name) => name.endsWith(".js"));

function publish(path: string, text: string): string {
  bed.upstream.files.set(path, text);
  return `${bed.upstream.origin}${path}`;
}

test("a text: its file is private and named by id and version", async () => {
  const text = scriptText("return 1", { name: "Mine" });
  const added = await bed.host.addText(text, { env: "mobile", allowHosts: ["a.test"] });
  expect(added).toMatchObject({ name: "Mine", version: "1", env: "mobile", allowHosts: ["a.test"], enabled: true });
  expect(await files()).toEqual([join(added.id, `${added.hash}.js`)]);
  const { mode } = await stat(join(bed.dataDir, "external_scripts", (await files())[0] ?? ""));
  expect(mode & 0o077).toBe(0);
  expect(await bed.host.text("Mine")).toBe(text);
});

test.each<{ name: string; text: string }>([
  { name: "no comment", text: "lx.on('request', () => {})" },
  { name: "a blank line first", text: "\n/*\n * @name A\n */" },
  { name: "a byte-order mark", text: "\ufeff/*\n * @name A\n */" },
  { name: "a page", text: "<!doctype html><title>404</title>" },
  { name: "too large", text: `/*\n * @name A\n */${" ".repeat(9_000_000)}` },
])("refused as in the clients: $name", async ({ text }) => {
  await expect(bed.host.addText(text)).rejects.toMatchObject({ kind: "invalid_request" });
  await expect(bed.host.addUrl(publish("/bad.js", text))).rejects.toMatchObject({ kind: "invalid_request" });
  expect(bed.host.list()).toEqual([]);
});

test("the config's addresses are taken up once, and not again after the operator removed them", async () => {
  bed.config.urls = [publish("/s.js", scriptText("return 1")), `${bed.upstream.origin}/gone.js`];
  await bed.host.start();
  const [script] = bed.host.list();
  expect(script?.name).toBe("Test");
  await bed.host.remove(script?.id ?? "");
  const asked = bed.upstream.seen.length;
  const later = bed.another();
  await later.start();
  expect(later.list()).toEqual([]);
  // What could not be had is tried again; what was removed is not.
  expect(bed.upstream.seen.slice(asked).map(({ path }) => path)).toEqual(["/gone.js"]);
});

describe("an update", () => {
  test("that gives up a platform or an action is refused, and the old one goes on", async () => {
    const both = { sources: { kw: { actions: ["musicUrl", "lyric"] }, wy: {} } };
    const url = publish("/s.js", scriptText("return 1", both));
    await bed.host.start();
    const { id, hash } = await bed.host.addUrl(url);
    await until(() => bed.host.get(id).state === "ready", "the script");
    publish("/s.js", scriptText("return 1", { version: "2", sources: { kw: {} } }));
    expect(await bed.host.update(id)).toMatchObject([
      { outcome: "refused", message: "新版本 2 未通过试运行：不再支持 kw lyric、wy musicUrl" },
    ]);
    expect(bed.host.get(id)).toMatchObject({ hash, state: "ready" });
    publish("/s.js", scriptText("return 1", { version: "3", sources: { ...both.sources, tx: {} } }));
    expect(await bed.host.update(id)).toMatchObject([{ outcome: "updated" }]);
  });

  test("leaves only so many old versions, any of which can be gone back to", async () => {
    const { id } = await bed.host.addUrl(publish("/s.js", scriptText("return 1", { version: "1" })));
    for (const version of ["2", "3", "4"]) {
      publish("/s.js", scriptText("return 1", { version }));
      await bed.host.update(id);
    }
    const { versions } = bed.host.get(id);
    expect(versions.map((one) => one.header.version)).toEqual(["4", "3", "2"]);
    expect((await files()).length).toBe(3);
    expect(await bed.host.rollBack(id, versions[2]?.hash.slice(0, 12))).toMatchObject({ version: "2" });
    await expect(bed.host.rollBack(id, "0000")).rejects.toMatchObject({ kind: "not_found" });
  });
});

describe("what the server has seen of a script is there after a restart, and for commands", () => {
  test("hosts, sources, errors with their line", async () => {
    const text = scriptText(
      `await get("${bed.upstream.origin}/audio/x"); setTimeout(() => nobody.here(), 0); return 1`,
    );
    await bed.host.start();
    const id = await bed.ready(text);
    await bed.host.ask("musicUrl", "kw", { quality: "128k", musicInfo: song("kw") }).catch(() => {});
    await until(() => bed.host.get(id).lastProblem !== undefined, "the error");
    const line = text.split("\n").findIndex((one) => one.includes("nobody.here")) + 1;
    expect(bed.another().get(id)).toMatchObject({
      state: "off",
      hosts: [new URL(bed.upstream.origin).host],
      sources: { kw: { actions: ["musicUrl"] } },
      lastProblem: { line },
    });
  });

  test("that it was blocked, until it runs again", async () => {
    await bed.host.start();
    bed.config.limits.init_slice_ms = 100;
    const { id } = await bed.host.addText(`/*\n * @name Stuck\n */\nfor (;;);`, { force: true });
    await until(() => bed.host.get(id).state === "blocked", "the end of its process");
    const seen = bed.another().get(id);
    expect(seen.retryAt).toBeGreaterThan(Date.now());
    expect(seen.lastProblem?.message).toBe("脚本进程被终止：cpu");
  });

  test("a note about a removed script is dropped", async () => {
    await bed.host.start();
    const id = await bed.ready(scriptText("return 1"));
    await bed.host.remove(id);
    await bed.ready(scriptText("return 1"));
    expect(bed.host.get(id).lastProblem).toBeUndefined();
  });
});

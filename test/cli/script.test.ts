import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import type { CommandContext } from "../../src/cli/command.ts";
import { scriptCommands } from "../../src/cli/script.ts";
import { type HostBed, makeHostBed, scriptText } from "../scripts/host-bed.ts";

// Real processes on a machine that may be busy.
setDefaultTimeout(60_000);
let bed: HostBed;
beforeAll(async () => {
  bed = await makeHostBed();
});
afterAll(() => bed.close());

async function run(name: string, positionals: string[] = [], values: CommandContext["values"] = {}) {
  const command = scriptCommands(async () => bed.host).find((one) => one.name === `script ${name}`);
  if (command === undefined) throw new Error(`no command ${name}`);
  const seen = { value: undefined as unknown, text: "" };
  const code = await command.run({
    positionals,
    values,
    json: false,
    dataDir: bed.dataDir,
    configFile: undefined,
    say: () => {},
    result(value, text) {
      seen.value = value;
      seen.text = text ?? "";
    },
    progress: () => ({ update() {}, end() {} }),
    app: () => Promise.reject(new Error("not needed")),
  });
  return { code, ...seen };
}

test("a script's life: added, listed, ordered, updated, rolled back, switched, removed", async () => {
  expect((await run("list")).text).toBe("no scripts: script add URL|FILE");
  const url = `${bed.upstream.origin}/s.js`;
  bed.upstream.files.set("/s.js", scriptText("return 1", { name: "One" }));
  const added = await run("add", [url], { env: "mobile", "allow-host": ["a.test", ".b.test"] });
  expect(added).toMatchObject({ code: 0, value: { env: "mobile", allowHosts: ["a.test", ".b.test"], url } });
  const id = /\(([0-9a-f]{8})\)$/.exec(added.text)?.[1] ?? "";
  const file = join(bed.dataDir, "two.js");
  await Bun.write(file, scriptText("return 2", { name: "Two" }));
  expect((await run("add", [file], { disabled: true })).value).toMatchObject({ name: "Two", enabled: false });
  expect((await run("list")).text.split("\n").map((line) => line.split(/ {2,}/)[1])).toEqual(["NAME", "One", "Two"]);

  expect((await run("order", ["kw", "Two", "One"])).value).toMatchObject([{ name: "Two" }, { name: "One" }]);
  expect((await run("order", ["kw"])).text).toStartWith("1. Two 1 (");
  expect((await run("order", ["kw"], { clear: true })).text).toBe("no order: scripts are asked by recent success");

  expect(await run("update", ["One"])).toMatchObject({ code: 0, text: "One: 已是最新" });
  bed.upstream.files.set("/s.js", scriptText("return 1", { name: "One", version: "2" }));
  expect(await run("update")).toMatchObject({ code: 0, text: "One: 已更新到 2" });
  expect((await run("rollback", ["One"])).text).toBe(`One 1 (${id}) is in use again`);
  expect(await run("update", ["One"], { force: true })).toMatchObject({ code: 0, text: "One: 已更新到 2" });

  expect((await run("disable", ["One"])).value).toMatchObject({ enabled: false });
  expect((await run("enable", [id])).value).toMatchObject({ enabled: true });
  expect((await run("remove", ["One"])).text).toBe(`removed One 2 (${id})`);
  expect((await run("list")).text).not.toContain("One");
});

test("test shows what a script does and where it breaks", async () => {
  const file = join(bed.dataDir, "lab.js");
  const body = `if (info.type === "320k") throw new Error("no"); return "${bed.upstream.origin}/audio/1"`;
  const text = scriptText(body, { name: "Lab" });
  await Bun.write(file, text);
  const { code, text: shown } = await run("test", [file], { env: "mobile" });
  const line = text.split("\n").findIndex((one) => one.includes('Error("no")')) + 1;
  expect(code).toBe(1);
  expect(shown).toMatch(/^Lab 1\nstarted in \d+ ms as mobile\nplatforms:\n {2}kw: musicUrl · 128k 320k\n/);
  expect(shown).toMatch(/ok {3}kw musicUrl 128k .* \d+ ms audio\/mpeg http:/);
  expect(shown).toMatch(new RegExp(`FAIL kw musicUrl 320k .* \\d+ ms Lab：no \\(line ${line}\\)`));
});

test("the list says what is wrong with a script", async () => {
  const file = join(bed.dataDir, "broken.js");
  await Bun.write(file, "/*\n * @name Broken\n */\nnobody();");
  await expect(run("add", [file])).rejects.toMatchObject({ kind: "invalid_request" });
  const { value } = await run("add", [file], { force: true });
  await bed.host.start();
  expect((await run("list")).text).toMatch(/Broken .*nobody.* \(line 4\)/);
  expect(value).toMatchObject({ name: "Broken" });
});

test.each<{ name: string; command: string; positionals: string[]; values?: CommandContext["values"]; kind: string }>([
  { name: "a file that is not there", command: "add", positionals: ["/no/such.js"], kind: "not_found" },
  {
    name: "another env",
    command: "add",
    positionals: ["/no/such.js"],
    values: { env: "web" },
    kind: "invalid_request",
  },
  { name: "an unknown script", command: "enable", positionals: ["nobody"], kind: "not_found" },
  { name: "an unknown platform", command: "order", positionals: ["xx", "a"], kind: "invalid_request" },
  { name: "an unknown one in an order", command: "order", positionals: ["kw", "nobody"], kind: "not_found" },
  { name: "nothing to go back to", command: "rollback", positionals: ["nobody"], kind: "not_found" },
  { name: "neither id nor file", command: "test", positionals: ["nobody"], kind: "not_found" },
])("$name -> $kind", async ({ command, positionals, values = {}, kind }) => {
  await expect(run(command, positionals, values)).rejects.toMatchObject({ kind });
});

import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import type { CommandContext } from "../../src/cli/command.ts";
import { libraryCommands } from "../../src/cli/library.ts";
import { openLibrary, type TestLibrary, temporaryFolder, writeGoldenShelf, writeMp3 } from "../library/shelf.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let own: TestLibrary;
beforeAll(async () => {
  folder = await temporaryFolder();
  await writeGoldenShelf(join(folder.path, "audio"));
  own = await openLibrary(folder.path);
});
afterAll(async () => {
  await own[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

async function run(name: string, positionals: string[] = [], values: CommandContext["values"] = {}) {
  const command = libraryCommands(async () => own.library).find((one) => one.name === name);
  if (command === undefined) throw new Error(`no command ${name}`);
  const seen = { value: undefined as unknown, text: "", progress: 0 };
  const context: CommandContext = {
    positionals,
    values,
    json: false,
    dataDir: folder.path,
    configFile: undefined,
    say: (line) => {
      seen.text += `${line}\n`;
    },
    result: (value, text) => {
      seen.value = value;
      seen.text += text ?? "";
    },
    progress: () => ({
      update: () => {
        seen.progress++;
      },
      end() {},
    }),
    app: () => Promise.reject(new Error("not needed")),
  };
  return { code: await command.run(context), ...seen };
}

test("scan tells counts and progress", async () => {
  const { code, text, value, progress } = await run("library scan");
  expect(code).toBe(0);
  expect(text).toMatch(/^5 files in [\d.]+ s: 5 added, 0 changed, 0 removed, 0 bad$/);
  expect(value).toMatchObject({ added: 5 });
  expect(progress).toBeGreaterThan(0);
});

test("a file name that speaks to the terminal does not reach it", async () => {
  await using other = await temporaryFolder();
  await writeMp3(join(other.path, "audio", "a\u001b]0;owned\u0007\nb.mp3"), undefined);
  await Bun.write(join(other.path, "audio", "bad\u001b[2J.mp3"), "no audio");
  await using shelf = await openLibrary(other.path);
  await shelf.library.scan();
  const context = { positionals: [], json: false, dataDir: other.path, configFile: undefined, say() {} };
  for (const bad of [false, true]) {
    let text = "";
    const list = libraryCommands(async () => shelf.library).find((one) => one.name === "library list");
    await list?.run({
      ...context,
      values: { bad },
      result: (_value, said) => {
        text = said ?? "";
      },
      progress: () => ({ update() {}, end() {} }),
      app: () => Promise.reject(new Error("not needed")),
    });
    expect(text).toContain(bad ? "bad\ufffd[2J.mp3" : "a\ufffd]0;owned\ufffd\ufffdb.mp3");
    expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  }
});

test("list searches and pages", async () => {
  const { text } = await run("library list", ["test"]);
  expect(text).toBe("00:01  Tester - Test Song  (Test Song.mp3)\n1 of 1");
  expect((await run("library list", [], { size: "2", page: "2", sort: "path" })).text).toContain("2 of 5");
  expect((await run("library list", [], { bad: true })).text).toBe("0 bad files");
});

test.each([
  ["library list", [], { sort: "nonsense" }],
  ["library list", [], { page: "x" }],
  ["library match", ["a"], { duration: "long" }],
])("%s %j %j is bad usage", async (name, positionals, values) => {
  expect(run(name, positionals, values)).rejects.toMatchObject({ kind: "invalid_request" });
});

test("match tells score and rule, and exits 1 without one", async () => {
  expect(await run("library match", ["/x/test song.flac"])).toMatchObject({
    code: 0,
    text: expect.stringMatching(/^0\.90 stem {2}00:01/),
  });
  expect(await run("library match", ["Test Song"], { artist: "tester" })).toMatchObject({ code: 0 });
  expect(await run("library match", ["no such song"])).toMatchObject({ code: 1, text: "no match" });
});

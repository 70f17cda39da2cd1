import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { createCredentialWriter } from "../../src/config/write-back.ts";

const TEXT = `# my config
common:
  hosts: ["0.0.0.0"]  # everywhere
module:
  kg:
    enable: true
    user:  # mine
      # never share this
      token: "old1"
      userid: '42'   # me
      mid: "1"
  cookiepool:
    kg:
      # the second one
      - token: old2
        userid: "43"
      - { token: old3, userid: "44" }
`;

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-writeback-"));
  file = join(folder, "config.yml");
  await writeFile(file, TEXT);
});
afterEach(() => rm(folder, { recursive: true }));

test.each([
  { name: "the single user", before: "old1", userid: "42", wanted: TEXT.replace('"old1"', '"n\\"w: #1"') },
  { name: "an entry of the pool", before: "old2", userid: "43", wanted: TEXT.replace("old2", '"n\\"w: #1"') },
  { name: "an entry in flow form", before: "old3", userid: "44", wanted: TEXT.replace("old3", '"n\\"w: #1"') },
])("$name: only its value changes, comments stay", async ({ before, userid, wanted }) => {
  const write = createCredentialWriter(file);
  await write({
    source: "kg",
    before: { token: before, userid, dfid: "-" },
    after: { token: 'n"w: #1', userid, dfid: "learned", expiresAt: "1" },
  });
  const text = await readFile(file, "utf8");
  expect(text).toBe(wanted);
  expect(JSON.stringify(parse(text))).toContain('n\\"w: #1');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(["config.yml"]);
});

test.each([
  { name: "someone edited the file", source: "kg", before: "older" },
  { name: "another source", source: "tx", before: "old1" },
])("$name: nothing is written", async ({ source, before }) => {
  const change = { source, before: { token: before }, after: { token: "new" } };
  await expect(createCredentialWriter(file)(change)).rejects.toMatchObject({ kind: "conflict" });
  expect(await readFile(file, "utf8")).toBe(TEXT);
});

test("a broken file is left alone", async () => {
  await writeFile(file, "a: [1\nb: }");
  const change = { source: "kg", before: { token: "old1" }, after: { token: "new" } };
  await expect(createCredentialWriter(file)(change)).rejects.toMatchObject({ kind: "conflict" });
  expect(await readFile(file, "utf8")).toBe("a: [1\nb: }");
});

test("changes that come together do not undo each other", async () => {
  const write = createCredentialWriter(file);
  const results = await Promise.allSettled(
    ["old1", "old2", "old3", "missing"].map((token) =>
      write({ source: "kg", before: { token }, after: { token: `${token}-fresh` } }),
    ),
  );
  expect(results.map((result) => result.status)).toEqual(["fulfilled", "fulfilled", "fulfilled", "rejected"]);
  const text = await readFile(file, "utf8");
  for (const token of ["old1-fresh", "old2-fresh", "old3-fresh"]) expect(text).toContain(token);
});

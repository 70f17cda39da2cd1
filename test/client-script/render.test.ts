import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { renderScript, type ScriptSettings } from "../../src/client-script/render.ts";
import { importScript, parseHeader } from "../client/lx-client.ts";

const PLAIN: ScriptSettings = {
  name: "名称",
  intro: "描述",
  author: "作者",
  version: "1.0.0",
  dev: false,
  update: false,
  quality: { kw: ["128k", "320k"], kg: ["128k", "flac", "hires", "master"], tx: [], wy: ["sky"] },
  url: "http://lx.test",
  key: "",
};

/** What the script carries, as an engine reads it. */
function configOf(text: string): Record<string, unknown> {
  const body = text.slice(text.indexOf("*/") + 2);
  const found = /^const CONFIG = (\{[\s\S]*?\n\})$/m.exec(body)?.[1];
  if (found === undefined) throw new Error("no CONFIG");
  return new Function(`return ${found}`)() as Record<string, unknown>;
}

test("begins with its header at index 0, as an import wants it", () => {
  const { text } = renderScript({ ...PLAIN, homepage: "http://lx.test" });
  expect(text).toStartWith(
    "/*!\n * @name 名称\n * @description 描述\n * @version 1.0.0\n * @author 作者\n * @homepage http://lx.test\n */",
  );
});

test("offers what clients know, per platform in the configured order", () => {
  expect(configOf(renderScript(PLAIN).text)).toMatchObject({
    quality: { kw: ["128k", "320k"], kg: ["128k", "flac"] },
    names: { kw: "酷我", kg: "酷狗" },
  });
  expect(Object.keys(configOf(renderScript(PLAIN).text)["quality"] as object)).toEqual(["kw", "kg"]);
});

describe("the md5", () => {
  test("is of the text without it, and changes with every value", () => {
    const { text, md5 } = renderScript(PLAIN);
    expect(md5).toMatch(/^[0-9a-f]{32}$/);
    expect(text).toContain(`"md5": "${md5}"`);
    expect(new Bun.CryptoHasher("md5").update(text.replace(md5, "")).digest("hex")).toBe(md5);
    const changes: Partial<ScriptSettings>[] = [
      { url: "http://b" },
      { key: "k" },
      { name: "n" },
      { dev: true },
      { quality: {} },
    ];
    const others = changes.map((change) => renderScript({ ...PLAIN, ...change }).md5);
    expect(new Set([md5, ...others]).size).toBe(changes.length + 1);
  });

  test("is the same for the same values", () => {
    expect(renderScript(PLAIN).md5).toBe(renderScript({ ...PLAIN }).md5);
  });
});

describe("hostile values", () => {
  const nasty = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "*/ alert(1) /*",
      "\n * @name evil",
      "\r\n*/\nevil()",
      "a\u2028b\u2029c",
      "</script><script>alert(1)</script>",
      "<!--",
      "$" + "{evil()}",
      "`",
      "\\",
      '"; evil(); "',
      "'; evil(); '",
      "\u0000",
      "\ud800",
      "__proto__",
      "* @version 9",
      "@name x",
      "*",
      "/",
      "* /",
      "**/",
      "*\u0000/",
    ),
  );
  const settings = fc.record({
    name: nasty,
    intro: nasty,
    author: nasty,
    version: nasty,
    homepage: nasty,
    url: nasty,
    key: nasty,
    dev: fc.boolean(),
    update: fc.boolean(),
    quality: fc.constant(PLAIN.quality),
  });

  test("whatever they are, the script parses, says what it should and nothing more", () => {
    const bare = configOf(renderScript(PLAIN).text);
    fc.assert(
      fc.property(settings, (values) => {
        const { text } = renderScript(values);
        expect(text).toStartWith("/*!\n");
        // Parses as a whole: nothing has broken out of its place.
        new Function(text);
        const config = configOf(text);
        expect(config["url"]).toBe(values.url);
        expect(config["key"]).toBe(values.key);
        expect(Object.keys(config)).toEqual(Object.keys(bare));
        expect(text).not.toMatch(/<\/?script|<!--/i);
        expect(text).not.toMatch(/[\u2028\u2029]/);
      }),
      { numRuns: 300 },
    );
  });

  test("no header line can be made or broken by another", () => {
    fc.assert(
      fc.property(settings, (values) => {
        const { text } = renderScript(values);
        const comment = text.slice(0, text.indexOf("*/") + 2);
        const lines = comment.split(/\r\n|[\n\r\u2028\u2029]/);
        expect(lines.map((line) => /^ \* @(\w+) /.exec(line)?.[1] ?? line)).toEqual([
          "/*!",
          "name",
          "description",
          "version",
          "author",
          ...(values.homepage === "" ? [] : ["homepage"]),
          " */",
        ]);
        expect(text.slice(comment.length)).toStartWith("\n'use strict'\n");
        // Within the clients' limits, so that they do not cut it with "...".
        const header = parseHeader(text);
        expect(Object.values(header).filter((value) => value.endsWith("...") && value.length > 36)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

test.each([
  ["name", 24],
  ["description", 36],
  ["author", 56],
  ["version", 36],
] as const)("%s is cut to %d characters, and never through one", (field, limit) => {
  const text = "😀".repeat(60);
  const values = { ...PLAIN, name: text, intro: text, author: text, version: text };
  const line =
    renderScript(values)
      .text.split("\n")
      .find((row) => row.startsWith(` * @${field} `)) ?? "";
  const value = line.slice(` * @${field} `.length);
  expect(value.isWellFormed()).toBe(true);
  expect(value.length).toBeLessThanOrEqual(limit);
  expect(parseHeader(renderScript(values).text)[field]).toBe(value);
});

test.each([" ", "\n", "", "\u0000", "*/"])("a name of %j is still a name", (name) => {
  expect(parseHeader(renderScript({ ...PLAIN, name }).text)["name"]).toMatch(/^\S/);
});

test.each(["desktop", "mobile"] as const)("%s imports the plain script without asking anyone", async (env) => {
  const client = await importScript(renderScript(PLAIN).text, env);
  expect(client.sources["kw"]).toEqual({ actions: ["musicUrl"], qualitys: ["128k", "320k"] });
  expect(client.sources["tx"]).toBeUndefined();
  expect(client.sources["local"]?.actions).toEqual(["musicUrl", "lyric", "pic"]);
  client.close();
});

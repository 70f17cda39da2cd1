import { describe, expect, test } from "bun:test";
import { Type } from "@sinclair/typebox";
import fc from "fast-check";
import { parseDocument } from "yaml";
import { allowed, decodeConfig, defaultOf, documentValues, nearest, plain } from "../../src/config/decode.ts";
import { count, group, key, list } from "../../src/config/key.ts";

const schema = group("", "", {
  text: Type.String({ default: "d" }),
  number: count(5, 1, 10),
  flag: Type.Boolean({ default: false }),
  word: Type.Union([Type.Literal("one"), Type.Literal("two")], { default: "one" }),
  list: list(Type.String(), ["a"]),
  maybe: Type.Union([Type.String(), Type.Null()], { default: "" }),
  inner: group("", "", { deep: count(1, 0, 9), secret: key(Type.String({ default: "" }), "", "", { secret: true }) }),
  map: Type.Record(Type.String(), Type.String(), { default: {} }),
});
const defaults = {
  text: "d",
  number: 5,
  flag: false,
  word: "one",
  list: ["a"],
  maybe: "",
  inner: { deep: 1, secret: "" },
  map: {},
};
const decode = (yaml: string) => decodeConfig(schema, documentValues(parseDocument(yaml)) ?? {});

describe("values", () => {
  test.each<[string, string, object]>([
    ["nothing", "", {}],
    ["empty values are as absent", "text:\ninner:\nlist:\n", {}],
    ["null where null is a value", "maybe: null", { maybe: null }],
    ["a number where text is wanted keeps its spelling", "text: 0012", { text: "0012" }],
    ["a long number too", "text: 12345678901234567890", { text: "12345678901234567890" }],
    ["deep ones leave the others", "inner: {deep: 3}", { inner: { deep: 3, secret: "" } }],
    ["an alias", "text: &t x\nlist: [*t]", { text: "x", list: ["x"] }],
    ["a map", "map: {a: b}", { map: { a: "b" } }],
  ])("%s", (_name, yaml, expected) => {
    expect(decode(yaml)).toEqual({ value: { ...defaults, ...expected }, problems: [] });
  });

  test("defaults are copies: nobody changes them for the next", () => {
    const one = decode("").value as typeof defaults;
    one.list.push("b");
    expect(decode("").value).toEqual(defaults);
    expect(defaultOf(schema)).toEqual(defaults);
  });
});

describe("problems", () => {
  test.each([
    ["number: 11", "number", "11", "a whole number from 1 to 10", undefined],
    ["number: 1.5", "number", "1.5", "a whole number from 1 to 10", undefined],
    ["number: x", "number", '"x"', "a whole number from 1 to 10", undefined],
    ["flag: yes", "flag", '"yes"', "true or false", undefined],
    ["word: tow", "word", '"tow"', '"one", "two"', "two"],
    ["list: a", "list", '"a"', "a list of text", undefined],
    ["list: [[1]]", "list[0]", "[1]", "text", undefined],
    ["inner: 5", "inner", "5", "a group with deep, secret", undefined],
    ["inner: {deeep: 1}", "inner.deeep", "an unknown key", "deep, secret", "inner.deep"],
    ["inner: {secret: [s3cret]}", "inner.secret", "a list", "text", undefined],
    ["inner: {secret: {a: s3cret}}", "inner.secret", "a object", "text", undefined],
    [`text: {a: ${"x".repeat(200)}}`, "text", `{"a":"${"x".repeat(74)}…`, "text", undefined],
  ])("%s", (yaml, path, found, wanted, hint) => {
    const { problems, value } = decode(yaml);
    expect(problems).toEqual([{ path, found, allowed: wanted, ...(hint === undefined ? {} : { hint }) }]);
    expect(JSON.stringify(problems)).not.toContain("s3cret");
    expect(Object.keys(value as object)).toEqual(Object.keys(defaults));
  });

  test("all are found at once", () => {
    expect(
      decode("number: 0\nflag: 1\nwrod: one")
        .problems.map(({ path }) => path)
        .sort(),
    ).toEqual(["flag", "number", "wrod"]);
  });
});

test("aliases of aliases are refused before they fill the memory", () => {
  const names = [..."abcdefghij"];
  const yaml = names.map(
    (name, i) =>
      `${name}: &${name} [${
        i === 0
          ? "x"
          : Array(9)
              .fill(`*${names[i - 1]}`)
              .join(",")
      }]`,
  );
  expect(() => documentValues(parseDocument(yaml.join("\n")))).toThrow("more than");
});

test("no key reaches a prototype", () => {
  const { problems } = decode("__proto__: {flag: true}\nconstructor: 1");
  expect(problems.map(({ path }) => path).sort()).toEqual(["__proto__", "constructor"]);
  expect(decode("").value).toEqual(defaults);
});

test("any YAML value is decoded or refused, never thrown at", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const { problems, value: decoded } = decode(JSON.stringify(value));
      expect(Array.isArray(problems)).toBe(true);
      expect(decoded).toBeDefined();
      expect(() => plain(documentValues(parseDocument(JSON.stringify(value))))).not.toThrow();
    }),
  );
});

test.each([
  [Type.Null(), "nothing"],
  [Type.Array(Type.Integer({ minimum: 1 }), { minItems: 2 }), "a list of a whole number from 1, at least 2"],
  [Type.Record(Type.String(), Type.String()), "a map"],
  [Type.String({ pattern: "^https?://" }), "an http(s) address, or empty"],
])("allowed %#", (type, words) => {
  expect(allowed(type)).toBe(words);
});

describe("nearest", () => {
  test.each([
    ["prot", "port"],
    ["ports_", "ports"],
    ["ab", undefined],
    ["hosts", "hosts"],
  ])("%s -> %p", (word, expected) => {
    expect(nearest(word, ["port", "ports", "hosts", "xyzzy"])).toBe(expected as string);
  });

  test("a word of the list is its own nearest", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 }), fc.nat(), (words, index) => {
        const word = words[index % words.length] ?? "";
        expect(nearest(word, words)).toBe(word);
      }),
    );
  });
});

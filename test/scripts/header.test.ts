import { expect, test } from "bun:test";
import fc from "fast-check";
import { MAX_SCRIPT_LENGTH, parseHeader } from "../../src/scripts/header.ts";

const now = new Date("2026-01-02T03:04:05+08:00");
const empty = { description: "", version: "", author: "", homepage: "" };

const cases: { name: string; text: string; gives: object | undefined }[] = [
  {
    name: "every field",
    text: "/*!\n * @name A\n * @description B\n * @version 1.0\n * @author C\n * @homepage https://x.test\n * @repository r\n */",
    gives: { name: "A", description: "B", version: "1.0", author: "C", homepage: "https://x.test" },
  },
  { name: "a byte-order mark", text: "\ufeff/* @name A */", gives: undefined },
  { name: "a blank first line", text: "\n/*\n * @name A\n */", gives: undefined },
  { name: "no comment", text: "lx.on()", gives: undefined },
  { name: "a comment without end", text: "/*\n * @name A\n", gives: undefined },
  { name: "no name", text: "/*\n * nothing\n */", gives: { ...empty, name: "user_api_2026-01-02 03:04:05" } },
  { name: "the last of two lines counts", text: "/*\n * @name A\n * @name B\n */", gives: { ...empty, name: "B" } },
  { name: "no space at all", text: "/*\n*@name A\n*/", gives: { ...empty, name: "A" } },
  { name: "two spaces before the star", text: "/*\n  * @name A\n * @name B\n*/", gives: { ...empty, name: "B" } },
  {
    name: "two spaces before the at sign",
    text: "/*\n *  @name A\n */",
    gives: { ...empty, name: "user_api_2026-01-02 03:04:05" },
  },
  {
    name: "line ends of Windows",
    text: "/*\r\n * @name A\r\n * @version 2\r\n */",
    gives: { ...empty, name: "A", version: "2" },
  },
  { name: "only the first comment", text: "/*\n * @name A\n */\n/*\n * @name B\n */", gives: { ...empty, name: "A" } },
  {
    name: "a name of the language's own",
    text: "/*\n * @constructor x\n * @__proto__ y\n * @name A\n */",
    gives: { ...empty, name: "A" },
  },
  {
    name: "long values are cut",
    text: `/*\n * @name ${"n".repeat(25)}\n * @description ${"d".repeat(40)}\n * @author ${"a".repeat(57)}\n * @version ${"v".repeat(37)}\n * @homepage ${"h".repeat(1025)}\n */`,
    gives: {
      name: `${"n".repeat(24)}...`,
      description: `${"d".repeat(36)}...`,
      author: `${"a".repeat(56)}...`,
      version: `${"v".repeat(36)}...`,
      homepage: `${"h".repeat(1024)}...`,
    },
  },
  {
    name: "exactly as long as allowed",
    text: `/*\n * @name ${"n".repeat(24)}\n */`,
    gives: { ...empty, name: "n".repeat(24) },
  },
  { name: "too long a script", text: `/* */${" ".repeat(MAX_SCRIPT_LENGTH)}`, gives: undefined },
];

test.each(cases)("$name", ({ text, gives }) => expect<object | undefined>(parseHeader(text, now)).toEqual(gives));

test("any text: no error, and never a field beyond its limit", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
      const header = parseHeader(`/*\n * @name ${text}\n * ${text}\n */`, now);
      return header === undefined || (header.name.length <= 28 && header.name.length > 0);
    }),
  );
});

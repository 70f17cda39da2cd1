import { expect, test } from "bun:test";
import { findSecrets } from "./secrets.ts";

const SECRET = 'pa"ss wörd/+1';
/** Its base64 has the characters in which the two alphabets differ. */
const ODD = "??>>ÿÿ??>>";

test.each([
  ["plain", `before ${SECRET} after`],
  ["JSON", JSON.stringify({ a: SECRET })],
  ["URL", `/x?key=${encodeURIComponent(SECRET)}`],
  ["base64", `Basic ${Buffer.from(SECRET).toString("base64")}`],
  ["base64", Buffer.from(`user:${SECRET}`).toString("base64")],
  ["base64", Buffer.from(`users:${SECRET}!`).toString("base64")],
  ["base64url", Buffer.from(`a${ODD}b`).toString("base64url")],
  ["hex", Buffer.from(SECRET).toString("hex").toUpperCase()],
])("%s is found, and the report does not repeat it", (form, text) => {
  const secret = form === "base64url" ? ODD : SECRET;
  const leaks = findSecrets([{ where: "a log", text }], [secret]);
  expect(leaks).toMatchObject([{ where: "a log", form }]);
  expect(JSON.stringify(leaks)).not.toContain(secret);
});

test("innocent texts are not accused", () => {
  expect(findSecrets([{ where: "a", text: "pa ss w***" }], [SECRET, "another one"])).toEqual([]);
});

test("a secret that is too short to search for is refused", () => {
  expect(() => findSecrets([], ["114"])).toThrow("3 characters");
});

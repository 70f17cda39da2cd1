import { expect, test } from "bun:test";
import fc from "fast-check";
import { eapiParams, linuxapiParams, randomKey, rsa, weapiParams } from "../../../src/sources/wy/crypto.ts";
import vectors from "../../fixtures/wy/vectors.json";
import { openEapi, openLinuxapi, openWeapi } from "../../platforms/wy-crypto.ts";

test.each(vectors.netease_eapi.cases)("eapi $path $text", ({ path, text, out }) => {
  expect(eapiParams(path, text)).toBe(out.params);
});

test.each(vectors.netease_linuxapi.cases)("linuxapi $text", ({ text, out }) => {
  expect(linuxapiParams(text)).toBe(out.eparams);
});

/** The original's JSON writer escapes slashes and everything beyond ASCII. */
const asOriginal = (value: unknown) =>
  JSON.stringify(value)
    .replaceAll("/", "\\/")
    .replace(/[^\0-~]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);

test.each(vectors.netease_weapi_fixed_key.cases)("weapi %#", ({ obj, out }) => {
  expect(weapiParams(asOriginal(obj), "0123456789abcdef")).toEqual(out);
});

test.each(vectors.netease_rsa.cases)("rsa $text", ({ text, out }) => {
  expect(rsa(text)).toBe(out);
});

const json = fc.json();
const path = fc.stringMatching(/^\/api\/[a-z0-9/]{1,30}$/);
const key = fc.stringMatching(/^[A-Za-z0-9]{16}$/);

test("what we send, the platform reads back", () => {
  fc.assert(
    fc.property(path, json, key, (where, text, secret) => {
      expect(openEapi(eapiParams(where, text))).toEqual({ path: where, text });
      expect(openLinuxapi(linuxapiParams(text))).toBe(text);
      const { params, encSecKey } = weapiParams(text, secret);
      expect(openWeapi(params, encSecKey, ["a".repeat(16), secret])).toBe(text);
      expect(encSecKey).toMatch(/^[0-9a-f]{256}$/);
    }),
    { numRuns: 40 },
  );
});

test("a changed request is not read", () => {
  const params = eapiParams("/api/a", '{"a":1}');
  const flipped = (params.startsWith("0") ? "1" : "0") + params.slice(1);
  expect(openEapi(flipped)).toBeUndefined();
  expect(openEapi(params.toLowerCase())).toBeUndefined();
  expect(openWeapi("AAAA", rsa("a".repeat(16)), ["a".repeat(16)])).toBeUndefined();
});

test("second keys are 16 letters or digits, whatever the random source gives", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 1 }),
      (numbers) => {
        let next = 0;
        expect(randomKey(() => numbers[next++ % numbers.length] ?? 0)).toMatch(/^[A-Za-z0-9]{16}$/);
      },
    ),
  );
});

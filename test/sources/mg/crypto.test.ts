import { expect, test } from "bun:test";
import fc from "fast-check";
import { isAppError } from "../../../src/core/errors.ts";
import { decodeH5, decryptMrc, searchSign } from "../../../src/sources/mg/crypto.ts";
import { encryptMrc } from "../../platforms/mg-crypto.ts";

const CHECK =
  "6c757fc690fe95f2838ac26cc6e53ee8cdde6f4e7556ae164e31d5e49cbb9143f3a8da83cdff5beab86595c68e35e90404ec0ad63edd9f7b";

test("the known MRC line, both directions", () => {
  expect(decryptMrc(CHECK)).toBe("[0,1500]咪(0,500)咕(500,1000)\n");
  expect(decryptMrc(` ${CHECK.toUpperCase()}\n`)).toBe("[0,1500]咪(0,500)咕(500,1000)\n");
  expect(encryptMrc("[0,1500]咪(0,500)咕(500,1000)\n")).toBe(CHECK);
});

test("MRC: what is enciphered reads back", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 300 }).map((one) => one.replaceAll("\0", "").toWellFormed());
  fc.assert(fc.property(text, (plain) => expect(decryptMrc(encryptMrc(plain))).toBe(plain)));
});

const odd = [
  { name: "short text is plain", text: "[00:01.00]a", plain: "[00:01.00]a" },
  { name: "nothing", text: "", plain: "" },
  { name: "no hex", text: "x".repeat(32), plain: undefined },
  { name: "half a word", text: "0".repeat(40), plain: undefined },
];
test.each(odd)("MRC: $name", ({ text, plain }) => {
  if (plain !== undefined) expect(decryptMrc(text)).toBe(plain);
  else expect(() => decryptMrc(text)).toThrow("歌词格式已变化");
});

test("no text makes the decoder throw anything but its own error", () => {
  const texts = fc.oneof(
    fc.string(),
    fc.stringMatching(/^(?:[0-9a-f]{16}){0,40}$/),
    fc.stringMatching(/^[0-9a-f]{0,200}$/),
  );
  fc.assert(
    fc.property(texts, (text) => {
      try {
        expect(typeof decryptMrc(text)).toBe("string");
      } catch (error) {
        expect(isAppError(error)).toBe(true);
      }
    }),
  );
});

test("h5 bodies: shifted ones and plain ones", () => {
  const key = new TextEncoder().encode("Jk8qzuePiJ1qE3mDYhLQ3T73DtDoAhLP");
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), fc.nat(255), (text, shift) => {
      const plain = new TextEncoder().encode(text.toWellFormed());
      const body = plain.map((byte, index) => byte - shift + (key[index % 32] ?? 0));
      expect(decodeH5(new Uint8Array([0xab, 0xcd, 1, shift, ...body]))).toBe(new TextDecoder().decode(plain));
    }),
  );
  expect(decodeH5(new TextEncoder().encode('{"code":"000000"}'))).toBe('{"code":"000000"}');
  fc.assert(fc.property(fc.uint8Array(), (bytes) => expect(typeof decodeH5(bytes)).toBe("string")));
});

test("the search's sign", () => {
  // md5 of the documented string, made with md5sum.
  expect(searchSign("晴天", "963B7AA0D21511ED807EE5846EC87D20", "1700000000000")).toBe(
    "7ef69f00985e56ac8e4f70d7b50121e2",
  );
});

import { describe, expect, test } from "bun:test";
import { deflateSync } from "node:zlib";
import fc from "fast-check";
import { isAppError } from "../../../src/core/errors.ts";
import { bodyText, decryptLyric, zzcSign } from "../../../src/sources/tx/crypto.ts";
import { decryptBlocks, encryptBlocks } from "../../../src/sources/tx/qdes.ts";
import vectors from "../../fixtures/tx/vectors.json";

describe("sign", () => {
  test.each(vectors.qq_zzc_sign.cases)("known text %#", ({ payload, correct_first_call }) => {
    // Twice: the value must not depend on what was signed before.
    expect([zzcSign(payload), zzcSign(payload)]).toEqual([correct_first_call, correct_first_call]);
  });

  test.each(vectors.qq_bodies.cases)("known body %#", ({ dict, body, sign }) => {
    expect(bodyText(dict)).toBe(body);
    expect(zzcSign(bodyText(dict))).toBe(sign);
  });

  test("a body holds any text and any number of digits, and reads back as what it was", () => {
    expect(bodyText({ id: 1152921504606846976n, none: undefined, null: null })).toBe(
      '{"id":1152921504606846976,"null":null}',
    );
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: "binary" }), (value) => {
        const text = bodyText(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(/^[\x00-\x7f]*$/.test(text)).toBe(true);
        expect(/[^\\]\//.test(text)).toBe(false);
      }),
    );
  });
});

describe("lyric cipher", () => {
  test.each(vectors.qdes.raw)("known blocks %#", ({ in_hex, out_hex }) => {
    expect(Buffer.from(decryptBlocks(Buffer.from(in_hex, "hex"))).toString("hex")).toBe(out_hex);
    expect(Buffer.from(encryptBlocks(Buffer.from(out_hex, "hex"))).toString("hex")).toBe(in_hex);
  });

  test.each(vectors.qdes.qrc)("known text %#", ({ in_hex, out }) => expect(decryptLyric(in_hex)).toBe(out));

  test("an empty field is an empty text", () => expect(decryptLyric("")).toBe(""));

  test("bare zlib is inflated at once", () => {
    expect(decryptLyric(deflateSync("晴天").toString("hex").toUpperCase())).toBe("晴天");
  });

  test("what is encrypted is decrypted", () => {
    const bytes = fc.uint8Array({ maxLength: 256 }).map((raw) => raw.slice(0, raw.length - (raw.length % 8)));
    fc.assert(fc.property(bytes, (raw) => expect(decryptBlocks(encryptBlocks(raw))).toEqual(raw)));
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 500 }), (text) => {
        const zipped = deflateSync(text);
        const padded = Buffer.concat([zipped, Buffer.alloc(8 - (zipped.length % 8))]);
        expect(decryptLyric(Buffer.from(encryptBlocks(padded)).toString("hex"))).toBe(
          new TextDecoder().decode(Buffer.from(text)),
        );
      }),
    );
  });

  test("junk gives our own error, never another", () => {
    const junk = fc.oneof(
      fc.string(),
      fc.uint8Array({ minLength: 1 }).map((raw) => Buffer.from(raw).toString("hex")),
      fc.uint8Array().map((raw) => `789C${Buffer.from(raw).toString("hex")}`),
    );
    fc.assert(
      fc.property(junk, (text) => {
        try {
          decryptLyric(text);
        } catch (error) {
          expect(isAppError(error) && error.kind).toBe("upstream_changed");
        }
      }),
    );
  });

  test("a text that inflates without end is refused", () => {
    expect(() => decryptLyric(deflateSync(Buffer.alloc(5_000_000)).toString("hex"))).toThrow("QQ音乐: 歌词无法解密");
  });
});

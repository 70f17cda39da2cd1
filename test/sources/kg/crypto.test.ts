import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isAppError } from "../../../src/core/errors.ts";
import {
  aesDecrypt,
  aesEncrypt,
  decryptKrc,
  hashKey,
  md5,
  sealToken,
  sign,
  xorKrc,
} from "../../../src/sources/kg/crypto.ts";
import vectors from "../../fixtures/kg/vectors.json";
import { sealKrc } from "../../platforms/kugou/lyric.ts";

/** What the original's JSON writer makes of a body: the signature covers the text as it is sent. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value)
      .map(([name, item]) => `${pythonJson(name)}: ${pythonJson(item)}`)
      .join(", ")}}`;
  }
  return JSON.stringify(value).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

describe("signature", () => {
  test.each(vectors.kugou_sign.cases.map((item, index) => ({ ...item, index })))("known answer $index", (item) => {
    const body = typeof item.body === "string" ? item.body : pythonJson(item.body);
    expect(sign(item.signkey, Object.entries(item.params), body)).toBe(item.out);
  });

  test("the hot words' signature is the recorded one", () => {
    const params = [
      ["appid", 1005],
      ["clientver", 10026],
      ["plat", 0],
    ] as const;
    expect(sign("OIlwieks28dk2k092lksi2UIkp", params)).toBe("ee44edb9d7155821412d220bcaf509dd");
  });

  test("does not depend on the order of the parameters", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), fc.string(), (params, secret) => {
        const entries = Object.entries(params);
        expect(sign(secret, entries.toReversed())).toBe(sign(secret, entries));
      }),
    );
  });
});

describe("key", () => {
  test.each(vectors.kugou_getKey.cases)("known answer $hash", ({ hash, user, out }) => {
    const { pidversionsecret, appid } = vectors.kugou_getKey;
    expect(hashKey(hash, user, pidversionsecret, appid)).toBe(out);
  });
});

describe("AES", () => {
  test.each(vectors.kugou_aes_sign.cases)("known answer $plain with $key", ({ plain, key, iv, out }) => {
    expect(key.slice(-16)).toBe(iv);
    expect(sealToken(plain, key)).toBe(out);
  });

  test("opens what it seals, with both key lengths", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.boolean(), fc.string(), (plain, long, seed) => {
        const whole = plain.toWellFormed();
        const key = long ? md5(seed) : md5(seed).slice(0, 16);
        const iv = md5(`${seed}/iv`).slice(0, 16);
        expect(aesDecrypt(aesEncrypt(whole, key, iv), key, iv).toString("utf8")).toBe(whole);
      }),
    );
  });

  test("random bytes give its own error or plain bytes, never another error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          aesDecrypt(bytes, md5("k"), md5("i").slice(0, 16));
        } catch (error) {
          expect(isAppError(error) && error.kind).toBe("upstream_changed");
        }
      }),
    );
  });
});

describe("KRC", () => {
  test.each(vectors.kugou_krc.cases.map((item, index) => ({ ...item, index })))("known answer $index", (item) => {
    // TextDecoder drops the byte-order mark that the recorded text still has.
    expect(decryptKrc(Buffer.from(item.in_base64, "base64"))).toBe(item.decoded.replace(/^\uFEFF/, ""));
  });

  test("opens what the platform seals", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(decryptKrc(sealKrc(`.${text.toWellFormed()}`))).toBe(`.${text.toWellFormed()}`);
      }),
    );
  });

  test("the XOR undoes itself", () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => expect(xorKrc(xorKrc(bytes))).toEqual(bytes)));
  });

  test("random bytes give its own error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, marked) => {
        const file = marked ? Buffer.concat([Buffer.from("krc1"), bytes]) : bytes;
        try {
          decryptKrc(file);
        } catch (error) {
          expect(isAppError(error) && error.kind).toBe("upstream_changed");
        }
      }),
    );
  });

  test("a lyric that unpacks to more than any lyric is refused", () => {
    expect(() => decryptKrc(sealKrc("a".repeat(5 << 20)))).toThrow("无法解开歌词");
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { isAppError } from "../../../src/core/errors.ts";
import {
  decryptBoard,
  decryptQuery,
  encryptBoard,
  encryptQuery,
  maskLyric,
  signBoard,
} from "../../../src/sources/kw/crypto.ts";
import vectors from "../../fixtures/kw/vectors.json";

describe("query cipher", () => {
  test.each(vectors.kuwo_des.cases)("known text %#", ({ msg, base64, hex }) => {
    expect(encryptQuery(msg)).toBe(base64);
    expect(Buffer.from(encryptQuery(msg), "base64").toString("hex")).toBe(hex);
    expect(decryptQuery(base64)).toBe(msg);
  });

  test("the text that the live service took", () => {
    const text =
      "corp=kuwo&p2p=1&sig=0&notrace=0&priority=bitrate&network=WIFI&mode=down&source=kwplayerhd_ar_5.1.0.0_B_jiakong_vh.apk&type=convert_url_with_sign&br=128kmp3&format=mp3&rid=311875";
    expect(text).toHaveLength(177);
    expect(encryptQuery(text)).toStartWith("NI8S5evAnmGldi4g47Es");
  });

  test("what is encrypted is decrypted, padding gone", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 300 }).filter((value) => !value.includes("\0"));
    fc.assert(fc.property(text, (value) => expect(decryptQuery(encryptQuery(value))).toBe(value)));
  });
});

describe("board cipher", () => {
  test("what is encrypted is decrypted", () => {
    const text = fc.string({ unit: "grapheme" });
    fc.assert(fc.property(text, (value) => expect(decryptBoard(encryptBoard(value))).toBe(value)));
  });
  test("the sign covers application, data and time", () => {
    const digest = new Bun.CryptoHasher("md5").update("y67sprxhhpwsAA==1700000000000").digest("hex").toUpperCase();
    expect(signBoard("AA==", 1_700_000_000_000)).toBe(digest);
  });
});

test("the lyric mask is its own inverse, and gives the known query", () => {
  const known = "DBYAHlReXEpRUEAeCgxVEgAORRgLG0MXCRgaCwoRAB5UAwEaBAkEBhwaXxcAHVReSAsMAVEkOj0wJjpdW1xIFRcGFFRe";
  const query = "user=12345,web,web,web&requester=localhost&req=1&rid=MUSIC_123&lrcx=1";
  expect(maskLyric(Buffer.from(query)).toString("base64")).toBe(known);
  fc.assert(fc.property(fc.uint8Array(), (raw) => expect(new Uint8Array(maskLyric(maskLyric(raw)))).toEqual(raw)));
});

test.each([
  ["query", decryptQuery],
  ["board", decryptBoard],
] as const)("junk to the %s cipher gives our own error, never another", (_name, read) => {
  const junk = fc.oneof(
    fc.string(),
    fc.uint8Array().map((raw) => Buffer.from(raw).toString("base64")),
  );
  fc.assert(
    fc.property(junk, (text) => {
      try {
        read(text);
      } catch (error) {
        expect(isAppError(error) && error.kind).toBe("upstream_changed");
      }
    }),
  );
});

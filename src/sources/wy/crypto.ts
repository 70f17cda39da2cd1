import { createCipheriv, createHash } from "node:crypto";

/**
 * The three request encodings of NetEase. Known answers: the `netease_*` groups of the recorded vectors.
 *
 * eapi and linuxapi hold one fixed AES key each; weapi adds a random second key that only the platform's private RSA
 * key can recover.
 */

const EAPI_KEY = "e82ckenh8dichen8";
const EAPI_MARK = "-36cd479b6b5-";
const WEAPI_KEY = "0CoJUm6Qyw8W8jud";
const WEAPI_IV = "0102030405060708";
const LINUX_KEY = "rFgB&h#%2?^eDg:Q";
const RSA_EXPONENT = 0x10001n;
const RSA_MODULUS = BigInt(
  "0x00e0b509f6259df8642dbc35662901477df22677ec152b5ff68ace615bb7b725152b3ab17a876aea8a5aa76d2e417629ec4ee341f56135fccf695280104e0312ecbda92557c93870114af6c9d05c4f7f0c3685b7a46bee255932575cce10b424d813cfe4875d3e82047b97ddef52741d546b8e289dc6935b3ece0462db0a22b8e7",
);
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

const md5 = (text: string) => createHash("md5").update(text).digest("hex");

function aes(mode: "aes-128-ecb" | "aes-128-cbc", key: string, text: string): Buffer {
  const cipher = createCipheriv(mode, key, mode === "aes-128-cbc" ? WEAPI_IV : null);
  return Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
}

/** @param path begins with `/api/`. @param text the payload as JSON. @returns `params`, upper-case hex. */
export function eapiParams(path: string, text: string): string {
  const digest = md5(`nobody${path}use${text}md5forencrypt`);
  return aes("aes-128-ecb", EAPI_KEY, [path, text, digest].join(EAPI_MARK)).toString("hex").toUpperCase();
}

/** @param secondKey 16 of `[A-Za-z0-9]`. */
export function weapiParams(text: string, secondKey: string): { params: string; encSecKey: string } {
  const inner = aes("aes-128-cbc", WEAPI_KEY, text).toString("base64");
  return { params: aes("aes-128-cbc", secondKey, inner).toString("base64"), encSecKey: rsa(secondKey) };
}

/** @returns `eparams`, upper-case hex. */
export function linuxapiParams(text: string): string {
  return aes("aes-128-ecb", LINUX_KEY, text).toString("hex").toUpperCase();
}

/** Raw RSA of the reversed text, 256 lower-case hex digits. */
export function rsa(text: string): string {
  const reversed = Buffer.from(text, "utf8").reverse();
  return power(BigInt(`0x${reversed.toString("hex") || "0"}`), RSA_EXPONENT, RSA_MODULUS)
    .toString(16)
    .padStart(256, "0");
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let factor = base % modulus, rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * factor) % modulus;
    factor = (factor * factor) % modulus;
  }
  return result;
}

/** The second key of weapi. @param random 0 ≤ n < 1. */
export function randomKey(random: () => number): string {
  return Array.from({ length: 16 }, () => LETTERS[Math.floor(random() * LETTERS.length)] ?? "a").join("");
}

import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
} from "node:crypto";
import { inflateSync } from "node:zlib";
import { AppError } from "../../core/errors.ts";

/** Query parameters in the order in which they are sent; values raw, not percent-encoded. */
export type Params = readonly (readonly [name: string, value: string | number])[];

export const md5 = (text: string): string => createHash("md5").update(text).digest("hex");

/**
 * md5 hex of secret + `k=v` of every parameter sorted by name + body + secret.
 * @see compat/vectors.json kugou_sign
 */
export function sign(secret: string, params: Params, body = ""): string {
  const sorted = [...params].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return md5(secret + sorted.map(([name, value]) => `${name}=${value}`).join("") + body + secret);
}

/** The `key` parameter that belongs to a file's hash. @see compat/vectors.json kugou_getKey */
export function hashKey(hash: string, who: { mid: string; userid: string }, secret: string, appid: string): string {
  return md5(hash.toLowerCase() + secret + appid + who.mid + who.userid);
}

/** AES-CBC with PKCS#7, key and iv as ASCII text: 16 or 32 letters of key. */
export function aesEncrypt(plain: string | Uint8Array, key: string, iv: string): Buffer {
  const cipher = createCipheriv(key.length === 32 ? "aes-256-cbc" : "aes-128-cbc", key, iv);
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

/** @throws AppError `upstream_changed` when the bytes were not made with this key. */
export function aesDecrypt(sealed: Uint8Array, key: string, iv: string): Buffer {
  try {
    const decipher = createDecipheriv(key.length === 32 ? "aes-256-cbc" : "aes-128-cbc", key, iv);
    return Buffer.concat([decipher.update(sealed), decipher.final()]);
  } catch (error) {
    throw new AppError("upstream_changed", "酷狗返回的加密数据无法解开", { cause: error });
  }
}

/** `p3` of the login: hex of AES-256-CBC, iv = last 16 letters of the key. @see compat/vectors.json kugou_aes_sign */
export const sealToken = (plain: string, key: string): string => aesEncrypt(plain, key, key.slice(-16)).toString("hex");

/** Key and iv of a device registration: halves of md5(k). */
export function deviceKey(k: string): { key: string; iv: string } {
  const hash = md5(k);
  return { key: hash.slice(0, 16), iv: hash.slice(16) };
}

/** Key and iv of a v5 login: md5(r) and its last 16 letters. */
export function sessionKey(r: string): { key: string; iv: string } {
  const key = md5(r);
  return { key, iv: key.slice(-16) };
}

/**
 * RSA with the platform's 1024-bit key (base64 SPKI), hex.
 * `zeros`: no padding scheme, the bytes first and zeros up to 128.
 */
export function rsaEncrypt(plain: string, spki: string, padding: "pkcs1" | "zeros"): string {
  const key: KeyObject = createPublicKey({ key: Buffer.from(spki, "base64"), format: "der", type: "spki" });
  if (padding === "pkcs1") {
    return publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.from(plain)).toString("hex");
  }
  const block = Buffer.alloc(128);
  if (Buffer.byteLength(plain) > block.length) throw new RangeError("more than one RSA block");
  block.write(plain);
  return publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, block).toString("hex");
}

const KRC_MAGIC = "krc1";
const KRC_KEY = [0x40, 0x47, 0x61, 0x77, 0x5e, 0x32, 0x74, 0x47, 0x51, 0x36, 0x31, 0x2d, 0xce, 0xd2, 0x6e, 0x69];
/** A lyric of four million letters is none. */
const MAX_KRC_BYTES = 4 << 20;

export function isKrc(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 4)).toString("latin1") === KRC_MAGIC;
}

/**
 * "krc1", then zlib under a 16-byte XOR, UTF-8 inside. @see compat/vectors.json kugou_krc
 * @throws AppError `upstream_changed`
 */
export function decryptKrc(bytes: Uint8Array): string {
  if (!isKrc(bytes)) throw new AppError("upstream_changed", "歌词获取失败: 无法识别的歌词格式");
  try {
    const packed = xorKrc(bytes.subarray(4));
    return new TextDecoder().decode(inflateSync(packed, { maxOutputLength: MAX_KRC_BYTES }));
  } catch (error) {
    throw new AppError("upstream_changed", "歌词获取失败: 无法解开歌词", { cause: error });
  }
}

export function xorKrc(bytes: Uint8Array): Uint8Array {
  return bytes.map((byte, index) => byte ^ (KRC_KEY[index % KRC_KEY.length] ?? 0));
}

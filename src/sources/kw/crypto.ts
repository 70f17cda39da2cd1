import { createCipheriv, createDecipheriv, createHash } from "node:crypto";
import { AppError } from "../../core/errors.ts";
import { once } from "../../core/once.ts";
import { createDes, PC1, PC2, SHIFTS, type Subkeys, sixes, standardBoxes } from "../des.ts";

/**
 * Kuwo's DES: bits are counted from the lowest of byte 0, an S-box gives its lowest bit first, the last entry of E is
 * 31, and the rotation of the key halves loses the carry between them.
 * @see vectors `kuwo_des`
 */
const DES_KEY = "ylzsxkwm";
/** By shift: the bits of the 56 that travel to the other end. */
const CARRY: Record<number, bigint> = { 1: 0x100001n, 2: 0x300003n };

const reverseBits = (value: number, width: number) => {
  let reversed = 0;
  for (let bit = 0; bit < width; bit++) reversed |= ((value >> bit) & 1) << (width - 1 - bit);
  return reversed;
};

function subkeys(key: string): Subkeys {
  const bytes = Buffer.from(key, "latin1");
  const bit = (index: number) => BigInt(((bytes[(index - 1) >> 3] ?? 0) >> ((index - 1) & 7)) & 1);
  let n = PC1.reduce((sum, from, at) => sum | (bit(from) << BigInt(at)), 0n);
  return SHIFTS.map((shift) => {
    const carried = CARRY[shift] ?? 0n;
    n = ((n & carried) << BigInt(28 - shift)) | ((n & ~carried) >> BigInt(shift));
    return sixes(PC2.map((from) => Number((n >> BigInt(from - 1)) & 1n)));
  });
}

/** Tables, made by the first who needs them. */
const tables = once(() => {
  const boxes = standardBoxes().map((box) => box.map((value) => reverseBits(value, 4)));
  const keys = subkeys(DES_KEY);
  return {
    reversed: Uint8Array.from({ length: 256 }, (_, byte) => reverseBits(byte, 8)),
    des: createDes({ boxes, lastExpansion: 31 }),
    keys,
    keysBackwards: [...keys].reverse(),
  };
});

function crypt(bytes: Uint8Array, direction: "keys" | "keysBackwards"): Buffer {
  const { des, reversed, [direction]: keys } = tables();
  const block = Buffer.from(bytes.map((byte) => reversed[byte] ?? 0));
  for (let at = 0; at + 8 <= block.length; at += 8) {
    const [left, right] = des(block.readInt32BE(at), block.readInt32BE(at + 4), keys);
    block.writeInt32BE(left, at);
    block.writeInt32BE(right, at + 4);
  }
  return Buffer.from(block.map((byte) => reversed[byte] ?? 0));
}

/** The `q` of `mobi.s`: zero padding, always at least one byte; standard base64, not yet encoded for an address. */
export function encryptQuery(query: string): string {
  const text = Buffer.from(query, "utf8");
  const padded = Buffer.alloc((Math.floor(text.length / 8) + 1) * 8);
  text.copy(padded);
  return crypt(padded, "keys").toString("base64");
}

/**
 * The inverse of `encryptQuery`.
 * @throws AppError `upstream_changed` when the text is not base64 of whole blocks
 */
export function decryptQuery(q: string): string {
  const bytes = Buffer.from(q, "base64");
  if (bytes.length === 0 || bytes.length % 8 !== 0) {
    throw new AppError("upstream_changed", "酷我: 数据无法解密", { detail: "not whole blocks" });
  }
  return crypt(bytes, "keysBackwards").toString("utf8").replace(/\0+$/, "");
}

export const BOARD_APP_ID = "y67sprxhhpws";
const BOARD_KEY = Buffer.from("cFcnPcf6Kb85RC1y3V6M5A==", "base64");

/** AES-128-ECB, PKCS#7, base64: the `data` of the board service. */
export function encryptBoard(text: string): string {
  const cipher = createCipheriv("aes-128-ecb", BOARD_KEY, null);
  return Buffer.concat([cipher.update(text, "utf8"), cipher.final()]).toString("base64");
}

/**
 * The inverse of `encryptBoard`.
 * @throws AppError `upstream_changed` when the text is not such a cipher text
 */
export function decryptBoard(data: string): string {
  try {
    const decipher = createDecipheriv("aes-128-ecb", BOARD_KEY, null);
    return Buffer.concat([decipher.update(Buffer.from(data, "base64")), decipher.final()]).toString("utf8");
  } catch (error) {
    throw new AppError("upstream_changed", "酷我: 数据无法解密", { cause: error });
  }
}

/** MD5 in upper-case hex over application id, `data` (not encoded for an address) and time in ms. */
export function signBoard(data: string, time: number | string): string {
  return createHash("md5").update(`${BOARD_APP_ID}${data}${time}`).digest("hex").toUpperCase();
}

const LYRIC_KEY = Buffer.from("yeelion");

/** XOR with the repeated key: its own inverse. */
export function maskLyric(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.map((byte, index) => byte ^ (LYRIC_KEY[index % LYRIC_KEY.length] ?? 0)));
}

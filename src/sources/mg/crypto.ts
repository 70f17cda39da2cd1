import { createHash } from "node:crypto";
import { AppError } from "../../core/errors.ts";

const SEARCH_SECRET = "6cdc72a439cef99a3418d2a78aa28c73";
const SEARCH_APP = "yyapp2d16148780a1dcc7408e06336b98cfd50";

/** `sign` header of the search. @param timestamp ms, as in the header of that name. */
export function searchSign(text: string, deviceId: string, timestamp: string): string {
  return createHash("md5")
    .update(text + SEARCH_SECRET + SEARCH_APP + deviceId + timestamp)
    .digest("hex");
}

const H5_KEY = new TextEncoder().encode("Jk8qzuePiJ1qE3mDYhLQ3T73DtDoAhLP");

/** A body of h5 v2.4: plain JSON, or `AB CD 01 k` and bytes shifted by k and a repeating key. */
export function decodeH5(body: Uint8Array): string {
  const [first, second, third, shift = 0] = body;
  if (first !== 0xab || second !== 0xcd || third !== 1) return new TextDecoder().decode(body);
  const plain = body.subarray(4).map((byte, index) => byte + shift - (H5_KEY[index % H5_KEY.length] ?? 0));
  return new TextDecoder().decode(plain);
}

/** Four of the words that the app derives from its own name (UTF-16LE, little-endian, 64 bit). */
const MRC_KEY = [27303562373562475n, 18014862372307051n, 22799692160172081n, 34058940340699235n] as const;
const MRC_DELTA = 2654435769n;
const MAX_MRC_CHARACTERS = 2_000_000;

const signed = (value: bigint) => BigInt.asIntN(64, value);

/**
 * MRC: XXTEA on *signed 64-bit* words (the app's own misreading of the 32-bit cipher, kept for good). Text under 32
 * characters is plain.
 *
 * @returns lines like `[startMs,durMs]word(absMs,durMs)`
 * @throws AppError `upstream_changed` when the text is no MRC
 */
export function decryptMrc(text: string): string {
  const hex = text.trim();
  if (hex.length < 32) return hex;
  if (hex.length > MAX_MRC_CHARACTERS || hex.length % 16 !== 0 || !/^[0-9a-fA-F]+$/.test(hex)) {
    throw new AppError("upstream_changed", "咪咕: 歌词格式已变化", { detail: { start: hex.slice(0, 40) } });
  }
  const words = (hex.match(/.{16}/g) ?? []).map((part) => signed(BigInt(`0x${part}`)));
  decryptWords(words);
  const bytes = new BigInt64Array(words);
  return new TextDecoder("utf-16le").decode(bytes).replaceAll("\0", "");
}

/** In place; the sum of the rounds is *not* cut to a word. */
function decryptWords(words: bigint[]): void {
  const count = words.length;
  const at = (index: number) => words[index] ?? 0n;
  let y = at(0);
  for (let sum = BigInt(6 + Math.floor(52 / count)) * MRC_DELTA; sum !== 0n; sum -= MRC_DELTA) {
    const e = Number((sum >> 2n) & 3n);
    for (let p = count - 1; p >= 0; p--) {
      const z = at(p > 0 ? p - 1 : count - 1);
      y = signed(at(p) - mix(y, z, sum, MRC_KEY[((p & 3) ^ e) as 0 | 1 | 2 | 3]));
      words[p] = y;
    }
  }
}

function mix(y: bigint, z: bigint, sum: bigint, key: bigint): bigint {
  const left = (z >> 5n) ^ signed(y << 2n);
  const right = (y >> 3n) ^ signed(z << 4n);
  return signed(signed(left + right) ^ (signed(sum ^ y) + signed(key ^ z)));
}

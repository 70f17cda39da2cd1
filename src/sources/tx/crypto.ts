import { createHash } from "node:crypto";
import { inflateSync } from "node:zlib";
import { AppError } from "../../core/errors.ts";
import { isRecord } from "../read.ts";
import { decryptBlocks } from "./qdes.ts";

const PART_1 = [23, 14, 6, 36, 16, 7, 19];
const PART_2 = [16, 1, 32, 12, 19, 27, 8, 5];
const MASK = [89, 39, 179, 150, 218, 82, 58, 252, 177, 52, 186, 123, 120, 64, 242, 133, 143, 161, 121, 179];

/**
 * The `sign` of `musics.fcg` over the exact body: letters of its SHA-1, and the digest under a fixed mask.
 * @see vectors `qq_zzc_sign` (`correct_first_call`)
 */
export function zzcSign(body: string): string {
  const digest = createHash("sha1").update(body, "utf8").digest();
  const hex = digest.toString("hex").toUpperCase();
  const pick = (indexes: number[]) => indexes.map((index) => hex[index]).join("");
  const masked = Buffer.from(digest.map((byte, index) => byte ^ (MASK[index] ?? 0))).toString("base64");
  return `zzc${pick(PART_1)}${masked.replace(/[/+=\\]/g, "")}${pick(PART_2)}`.toLowerCase();
}

/**
 * JSON as the service's own clients write it: no blanks, `/` escaped, ASCII only. The sign covers these very bytes.
 * A bigint becomes a plain number (ids have up to 19 digits); `undefined` is left out.
 */
export function bodyText(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map(bodyText).join(",")}]`;
  if (isRecord(value)) {
    const fields = Object.entries(value).filter(([, item]) => item !== undefined);
    return `{${fields.map(([name, item]) => `${scalar(name)}:${bodyText(item)}`).join(",")}}`;
  }
  return scalar(value);
}

function scalar(value: unknown): string {
  return (JSON.stringify(value) ?? "null")
    .replaceAll("/", "\\/")
    .replace(/[\u0080-\uffff]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Bytes of an inflated lyric at most; real ones have some ten thousand. */
const MAX_LYRIC_BYTES = 2_000_000;

/**
 * A `lyric`, `trans` or `roma` field to its text: hex of zlib under QQ's own triple DES, or bare zlib in hex.
 *
 * @returns an empty text for an empty field
 * @throws AppError `upstream_changed` when it is neither
 */
export function decryptLyric(hex: string): string {
  if (hex === "") return "";
  if (hex.length % 2 !== 0 || !/^[0-9a-fA-F]+$/.test(hex)) throw unreadable("not hex");
  const bytes = Buffer.from(hex, "hex");
  try {
    // A zlib head at the start of an encrypted text is a chance of 1 in 65536: then the plain way fails, and DES is right.
    if (bytes[0] === 0x78 && bytes[1] === 0x9c) return inflate(bytes);
  } catch {
    return decrypt(bytes);
  }
  return decrypt(bytes);
}

function decrypt(bytes: Uint8Array): string {
  try {
    return inflate(decryptBlocks(bytes));
  } catch (error) {
    throw unreadable(error);
  }
}

function inflate(bytes: Uint8Array): string {
  return new TextDecoder().decode(inflateSync(bytes, { maxOutputLength: MAX_LYRIC_BYTES }));
}

function unreadable(detail: unknown): AppError {
  return new AppError("upstream_changed", "QQ音乐: 歌词无法解密", { detail });
}

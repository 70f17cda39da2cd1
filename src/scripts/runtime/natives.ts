import { constants, createCipheriv, createHash, publicEncrypt, randomBytes } from "node:crypto";
import { deflateSync, inflateSync } from "node:zlib";

/** A string, number, JSON-able value, bytes, or nothing. */
export type NativeResult = string | number | Uint8Array | undefined;
/** `args`: decoded JSON from the script, of any form; `bytes`: copies of what it passed as bytes, in order. */
export type Native = (args: readonly unknown[], bytes: readonly Uint8Array[]) => NativeResult;

const MAX_RANDOM = 1 << 20;
const MAX_INFLATED = 16 << 20;
const RSA_BYTES = 128;

/** Texts as UTF-8, bytes as they are: a null among the arguments stands for the next of `bytes`. */
function mixed(args: readonly unknown[], bytes: readonly Uint8Array[]): Uint8Array[] {
  let next = 0;
  return args.map((arg) => {
    const value = arg === null ? bytes[next++] : typeof arg === "string" ? Buffer.from(arg) : undefined;
    if (value === undefined) throw new TypeError("The argument must be a string or bytes");
    return value;
  });
}

function text(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("The argument must be a string");
  return value;
}

function encoding(value: unknown): BufferEncoding {
  const name = value === undefined || value === null ? "utf8" : String(value);
  if (!Buffer.isEncoding(name)) throw new TypeError(`Unknown encoding: ${name.slice(0, 40)}`);
  return name;
}

function aes([mode, ...rest]: readonly unknown[], bytes: readonly Uint8Array[]): Uint8Array {
  const [data, key, iv] = mixed(rest, bytes);
  if (data === undefined || key === undefined) throw new TypeError("aesEncrypt needs data and a key");
  const cipher = createCipheriv(text(mode), key, iv === undefined || iv.length === 0 ? null : iv);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

/** RSA without padding: the data as a number of 128 bytes. */
function rsa([key, ...rest]: readonly unknown[], bytes: readonly Uint8Array[]): Uint8Array {
  const [data] = mixed(rest, bytes);
  if (data === undefined) throw new TypeError("rsaEncrypt needs data");
  if (data.length > RSA_BYTES) throw new RangeError("The data is longer than 128 bytes");
  const padded = Buffer.concat([Buffer.alloc(RSA_BYTES - data.length), data]);
  const pem = text(key).includes("-----BEGIN")
    ? text(key)
    : `-----BEGIN PUBLIC KEY-----\n${text(key).trim()}\n-----END PUBLIC KEY-----`;
  return publicEncrypt({ key: pem, padding: constants.RSA_NO_PADDING }, padded);
}

function urlParts(url: URL): string {
  const { href, origin, protocol, username, password, host, hostname, port, pathname, search, hash } = url;
  return JSON.stringify({ href, origin, protocol, username, password, host, hostname, port, pathname, search, hash });
}

const URL_FIELDS = new Set([
  "href",
  "protocol",
  "username",
  "password",
  "host",
  "hostname",
  "port",
  "pathname",
  "search",
  "hash",
] as const);

function urlSet([href, name, value]: readonly unknown[]): string | undefined {
  const url = new URL(text(href));
  for (const field of URL_FIELDS) {
    if (field !== name) continue;
    if (field === "href" && !URL.canParse(text(value))) return undefined;
    url[field] = text(value);
  }
  return urlParts(url);
}

/** Percent signs that begin no escape stay; bytes that are no UTF-8 become U+FFFD. */
function percentDecode(value: string): string {
  const bytes = Buffer.from(value);
  const out = Buffer.alloc(bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const pair = bytes[i] === 0x25 ? bytes.toString("latin1", i + 1, i + 3) : "";
    const escaped = /^[\da-f]{2}$/i.test(pair);
    out[length++] = escaped ? Number.parseInt(pair, 16) : (bytes[i] ?? 0);
    if (escaped) i += 2;
  }
  return out.toString("utf8", 0, length);
}

/** What scripts may have computed natively. Pure: no network, no files, no clock. Each may throw any error. */
export const NATIVES: Readonly<Record<string, Native>> = {
  md5: (args, bytes) =>
    createHash("md5")
      .update(mixed(args, bytes)[0] ?? "")
      .digest("hex"),
  aes,
  rsa,
  random([size]) {
    if (typeof size !== "number" || !Number.isInteger(size) || size < 0 || size > MAX_RANDOM) {
      throw new RangeError("The number of random bytes is out of range");
    }
    return randomBytes(size);
  },
  fromText: ([value, name]) => Buffer.from(text(value), encoding(name)),
  toText: ([name, value], bytes) =>
    (bytes[0] ? Buffer.from(bytes[0]) : Buffer.from(text(value), "binary")).toString(encoding(name)),
  inflate: (args, bytes) => inflateSync(mixed(args, bytes)[0] ?? "", { maxOutputLength: MAX_INFLATED }),
  deflate: (args, bytes) => deflateSync(mixed(args, bytes)[0] ?? ""),
  btoa: ([value]) => Buffer.from(text(value), "latin1").toString("base64"),
  atob: ([value]) => Buffer.from(text(value), "base64").toString("latin1"),
  textLabel: ([label]) => new TextDecoder(text(label) as "utf-8").encoding,
  decodeText([label, fatal, ignoreBOM], [bytes]) {
    return new TextDecoder(text(label) as "utf-8", { fatal: fatal === true, ignoreBOM: ignoreBOM === true }).decode(
      bytes,
    );
  },
  percentDecode: ([value]) => percentDecode(text(value)),
  url([url, base]) {
    const against = base === undefined ? undefined : text(base);
    return URL.canParse(text(url), against) ? urlParts(new URL(text(url), against)) : undefined;
  },
  urlSet,
};

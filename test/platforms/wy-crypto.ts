import { createCipheriv, createDecipheriv, createHash } from "node:crypto";

/** NetEase's side of the request encodings: the inverse of what a client does, and its checks. */

const EAPI_KEY = "e82ckenh8dichen8";
const LINUX_KEY = "rFgB&h#%2?^eDg:Q";
const IV = "0102030405060708";
const MODULUS = BigInt(
  "0x00e0b509f6259df8642dbc35662901477df22677ec152b5ff68ace615bb7b725152b3ab17a876aea8a5aa76d2e417629ec4ee341f56135fccf695280104e0312ecbda92557c93870114af6c9d05c4f7f0c3685b7a46bee255932575cce10b424d813cfe4875d3e82047b97ddef52741d546b8e289dc6935b3ece0462db0a22b8e7",
);

function open(mode: string, key: string, bytes: Buffer, iv: string | null): string | undefined {
  try {
    const decipher = createDecipheriv(mode, key, iv);
    return Buffer.concat([decipher.update(bytes), decipher.final()]).toString("utf8");
  } catch {
    return undefined;
  }
}

const hex = (text: string) => (/^(?:[0-9A-F]{32})+$/.test(text) ? Buffer.from(text, "hex") : undefined);

/** Path and payload of an eapi request; undefined when cipher, form or digest are wrong. */
export function openEapi(params: string): { path: string; text: string } | undefined {
  const bytes = hex(params);
  const plain = bytes && open("aes-128-ecb", EAPI_KEY, bytes, null);
  const match = /^(\/api\/.*?)-36cd479b6b5-(.*)-36cd479b6b5-([0-9a-f]{32})$/s.exec(plain ?? "");
  if (match === null) return undefined;
  const [, path = "", text = "", digest] = match;
  const wanted = createHash("md5").update(`nobody${path}use${text}md5forencrypt`).digest("hex");
  return digest === wanted ? { path, text } : undefined;
}

/** What the platform does to a reply when the payload says `e_r: true`. */
export function sealReply(text: string): Buffer {
  const cipher = createCipheriv("aes-128-ecb", EAPI_KEY, null);
  return Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
}

export function openLinuxapi(eparams: string): string | undefined {
  const bytes = hex(eparams);
  return bytes && open("aes-128-ecb", LINUX_KEY, bytes, null);
}

/**
 * The payload of a weapi request, by that of the known second keys whose RSA form was sent (the private key that
 * recovers it from `encSecKey` alone is the platform's).
 */
export function openWeapi(params: string, encSecKey: string, knownKeys: Iterable<string>): string | undefined {
  for (const key of knownKeys) {
    if (rsaOf(key) !== encSecKey) continue;
    const inner = open("aes-128-cbc", key, Buffer.from(params, "base64"), IV);
    return inner === undefined ? undefined : open("aes-128-cbc", "0CoJUm6Qyw8W8jud", Buffer.from(inner, "base64"), IV);
  }
  return undefined;
}

function rsaOf(key: string): string {
  const number = BigInt(`0x${Buffer.from([...key].reverse().join("")).toString("hex")}`);
  let squared = number;
  for (let i = 0; i < 16; i++) squared = (squared * squared) % MODULUS;
  return ((squared * number) % MODULUS).toString(16).padStart(256, "0");
}

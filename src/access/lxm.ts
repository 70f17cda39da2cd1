import { inflateRawSync } from "node:zlib";

/** A real header is about 120 characters; what it inflates to, about 200. */
const MAX_HEADER = 4096;
const MAX_INFLATED = 16_384;

/**
 * Whether an `lxm` header belongs to this address.
 *
 * LX Music sends `hex(deflateRaw(base64(JSON.stringify(tokens, null, 1) + version))) + "&" + number`: `version` is the
 * app's version with three digits a part ("2.7.0" = "002007000"), `number` the same without leading zeros (plus the name
 * of a pre-release), `tokens` every `(?:\d\w)+` in path and version joined. The client cuts the origin off only when it
 * has no hyphen, and a proxy may cut a prefix off, so tokens in front of ours are allowed.
 *
 * @param target path and query as the request line has them.
 * @see compat/vectors.json, lxm_header
 */
export function checkLxm(header: string | null, target: string): boolean {
  if (header === null || header.length > MAX_HEADER) return false;
  const match = /^([0-9a-f]+)&(\d{1,12})[\w.]*$/i.exec(header);
  const [packed, number] = [match?.[1], match?.[2]];
  if (packed === undefined || number === undefined || packed.length % 2 !== 0) return false;
  const content = unpack(packed);
  const end = content?.lastIndexOf("]") ?? -1;
  if (content === undefined || end === -1) return false;
  const version = content.slice(end + 1);
  if (!/^\d+$/.test(version) || version.replace(/^0+(?=\d)/, "") !== number) return false;
  const tokens = readTokens(content.slice(0, end + 1));
  if (tokens === undefined) return false;
  return spellings(target).some((path) => endsWith(tokens, `${path}${version}`.match(/(?:\d\w)+/g) ?? []));
}

function unpack(hex: string): string | undefined {
  try {
    const base64 = inflateRawSync(Buffer.from(hex, "hex"), { maxOutputLength: MAX_INFLATED }).toString("latin1");
    return Buffer.from(base64, "base64").toString("utf8");
  } catch {
    return undefined;
  }
}

function readTokens(json: string): string[] | undefined {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The client signs what it was given; on the wire it may be percent-encoded. */
function spellings(target: string): string[] {
  try {
    const decoded = decodeURI(target);
    return decoded === target ? [target] : [target, decoded];
  } catch {
    return [target];
  }
}

function endsWith(tokens: readonly string[], tail: readonly string[]): boolean {
  if (tail.length === 0 || tokens.length < tail.length) return false;
  const offset = tokens.length - tail.length;
  return tail.every((token, index) => tokens[offset + index] === token);
}

import { parseAddress } from "./address.ts";

/** What the first bytes of a connection say. */
export type ProxyHeader =
  /** Not enough bytes yet. */
  | { kind: "more" }
  | { kind: "invalid" }
  /** `address` is undefined for the proxy's own checks (LOCAL, UNKNOWN): the peer itself counts. */
  | { kind: "header"; length: number; address: string | undefined };

const V1_START = "PROXY ";
/** The longest v1 line, with its end. */
const V1_MAX = 107;
const V2_SIGNATURE = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
const V2_FIXED = 16;
/** Addresses and the TLVs that load balancers add. */
const V2_MAX = 4096;

const MORE: ProxyHeader = { kind: "more" };
const INVALID: ProxyHeader = { kind: "invalid" };

/**
 * Reads version 1 or 2. Never throws; a connection without a header is `invalid`, since the receiver must not guess.
 * @see https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt sections 2.1 and 2.2
 */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, V2_SIGNATURE)) return bytes.length < V2_FIXED ? MORE : readV2(bytes);
  if (startsLike(bytes, Buffer.from(V1_START))) return readV1(bytes);
  return INVALID;
}

/** Equal as far as both go. */
function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return bytes.subarray(0, length).equals(start.subarray(0, length));
}

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_MAX).indexOf("\r\n");
  if (end === -1) return bytes.length < V1_MAX ? MORE : INVALID;
  const [, family, source, , port] = bytes.toString("latin1", 0, end).split(" ");
  const length = end + 2;
  if (family === "UNKNOWN") return { kind: "header", length, address: undefined };
  const address = parseAddress(source ?? "");
  const wanted = family === "TCP4" ? 4 : family === "TCP6" ? 6 : 0;
  // A mapped IPv4 address is written as IPv6 by dual-stack proxies.
  const fits = address !== undefined && (address.family === wanted || (wanted === 6 && address.family === 4));
  if (!fits || !/^\d{1,5}$/.test(port ?? "")) return INVALID;
  return { kind: "header", length, address: address.text };
}

function readV2(bytes: Buffer): ProxyHeader {
  const versionAndCommand = bytes.readUInt8(12);
  const family = bytes.readUInt8(13) >> 4;
  const size = bytes.readUInt16BE(14);
  const length = V2_FIXED + size;
  if (versionAndCommand >> 4 !== 2 || length > V2_MAX) return INVALID;
  if (bytes.length < length) return MORE;
  const command = versionAndCommand & 15;
  if (command === 0) return { kind: "header", length, address: undefined };
  if (command !== 1) return INVALID;
  if (family === 1 && size >= 12) return { kind: "header", length, address: [...bytes.subarray(16, 20)].join(".") };
  if (family === 2 && size >= 36) {
    const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(16 + i * 2).toString(16)).join(":");
    return { kind: "header", length, address: parseAddress(groups)?.text };
  }
  // Unix sockets and unspecified families name nobody.
  return { kind: "header", length, address: undefined };
}

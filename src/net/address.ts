/** An address as 16 bytes; IPv4 in its mapped form `::ffff:a.b.c.d`, so that one table serves both. */
type Bytes16 = Uint8Array;

export interface Network {
  bytes: Bytes16;
  /** 0 to 128, counted over the 16 bytes. */
  prefix: number;
}

/**
 * Reads an IPv4 address in dotted form or an IPv6 address in any form, without brackets or zone.
 * Octal, hexadecimal and shortened IPv4 spellings are refused: the URL parser has already turned them into dots.
 */
export function parseAddress(text: string): Bytes16 | undefined {
  const v4 = parseV4(text);
  if (v4 !== undefined) return mapped(v4);
  return text.includes(":") ? parseV6(text) : undefined;
}

function parseV4(text: string): number[] | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const parts = match.slice(1).map(Number);
  return parts.every((part) => part <= 255) ? parts : undefined;
}

function mapped(v4: readonly number[]): Bytes16 {
  return Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...v4]);
}

function parseV6(text: string): Bytes16 | undefined {
  let rest = text;
  const tail: number[] = [];
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(rest);
  if (dotted !== null) {
    const v4 = parseV4(dotted[2] ?? "");
    if (v4 === undefined) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = v4;
    tail.push((a << 8) | b, (c << 8) | d);
    rest = dotted[1] ?? "";
    rest = rest.endsWith("::") ? rest : rest.slice(0, -1);
  }
  const halves = rest.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0] ?? "");
  const end = halves.length === 2 ? groups(halves[1] ?? "") : [];
  if (head === undefined || end === undefined) return undefined;
  const known = head.length + end.length + tail.length;
  if (halves.length === 2 ? known > 7 : known !== 8) return undefined;
  const all = [...head, ...new Array<number>(8 - known).fill(0), ...end, ...tail];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function groups(text: string): number[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  return parts.every((part) => /^[\da-f]{1,4}$/i.test(part))
    ? parts.map((part) => Number.parseInt(part, 16))
    : undefined;
}

/** "10.0.0.0/8", "fc00::/7" or a single address. */
export function parseNetwork(text: string): Network | undefined {
  const [address = "", length, more] = text.split("/");
  const bytes = parseAddress(address);
  if (bytes === undefined || more !== undefined) return undefined;
  const v4 = parseV4(address) !== undefined;
  const bits = length === undefined ? (v4 ? 32 : 128) : Number(length);
  if (length === "" || !Number.isInteger(bits) || bits < 0 || bits > (v4 ? 32 : 128)) return undefined;
  return { bytes, prefix: v4 ? bits + 96 : bits };
}

export function inNetwork(address: Bytes16, network: Network): boolean {
  const whole = network.prefix >> 3;
  for (let i = 0; i < whole; i++) if (address[i] !== network.bytes[i]) return false;
  const rest = network.prefix & 7;
  if (rest === 0) return true;
  const mask = 0xff00 >> rest;
  return ((address[whole] ?? 0) & mask) === ((network.bytes[whole] ?? 0) & mask);
}

const network = (text: string): Network => {
  const parsed = parseNetwork(text);
  if (parsed === undefined) throw new Error(`not a network: ${text}`);
  return parsed;
};

/** @see https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-special-registry */
const NOT_PUBLIC = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  // Azure answers with instance metadata on this otherwise public address.
  "168.63.129.16",
  "2001::/23",
  "2001:db8::/32",
  "2620:4f:8000::/48",
  "3fff::/20",
].map(network);

const MAPPED = network("::ffff:0:0/96");
const NAT64 = network("64:ff9b::/96");
const SIX_TO_FOUR = network("2002::/16");
const GLOBAL_V6 = network("2000::/3");

/** True when the address is one that anybody on the internet may reach, embedded IPv4 addresses included. */
export function isPublic(address: Bytes16): boolean {
  if (NOT_PUBLIC.some((item) => inNetwork(address, item))) return false;
  if (inNetwork(address, MAPPED)) return true;
  if (inNetwork(address, NAT64)) return isPublic(mapped([...address.subarray(12)]));
  if (inNetwork(address, SIX_TO_FOUR)) return isPublic(mapped([...address.subarray(2, 6)]));
  return inNetwork(address, GLOBAL_V6);
}

/** IP addresses as numbers: parsing that never throws, one spelling for each address, networks. */

export interface Address {
  readonly family: 4 | 6;
  /** One spelling: IPv4 dotted; IPv6 compressed and lower case (RFC 5952); IPv4-mapped as IPv4; no zone. */
  readonly text: string;
  /** Four unsigned 32-bit words, most significant first. IPv4 stands in the last one, the others are 0. */
  readonly words: readonly [number, number, number, number];
}

/** `1.2.3.4` as an unsigned number; -1 when it is anything else. Leading zeros are refused: some readers take them as octal. */
export function parseIPv4(text: string): number {
  let value = 0;
  let part = -1;
  let dots = 0;
  let zero = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 46) {
      if (part < 0 || ++dots > 3) return -1;
      value = value * 256 + part;
      part = -1;
      zero = false;
    } else if (code >= 48 && code <= 57) {
      if (zero) return -1;
      if (part < 0) zero = code === 48;
      part = (part < 0 ? 0 : part * 10) + code - 48;
      if (part > 255) return -1;
    } else return -1;
  }
  return dots === 3 && part >= 0 ? value * 256 + part : -1;
}

function formatIPv4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** The eight groups of an IPv6 text without zone; undefined when it is none. */
function parseGroups(text: string): number[] | undefined {
  if (text.length < 2 || text.length > 45) return undefined;
  let source = text;
  const dot = source.indexOf(".");
  if (dot !== -1) {
    const start = source.lastIndexOf(":") + 1;
    const value = start === 0 ? -1 : parseIPv4(source.slice(start));
    if (value < 0) return undefined;
    source = `${source.slice(0, start)}${(value >>> 16).toString(16)}:${(value & 0xffff).toString(16)}`;
  }
  const halves = source.split("::");
  if (halves.length > 2) return undefined;
  const read = (half: string | undefined): number[] | undefined => {
    if (half === undefined || half === "") return [];
    const groups: number[] = [];
    for (const part of half.split(":")) {
      if (!/^[0-9a-f]{1,4}$/i.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
    return groups;
  };
  const head = read(halves[0]);
  const tail = read(halves[1]);
  if (head === undefined || tail === undefined) return undefined;
  if (halves.length === 1) return head.length === 8 ? head : undefined;
  const gap = 8 - head.length - tail.length;
  return gap < 1 ? undefined : [...head, ...new Array<number>(gap).fill(0), ...tail];
}

/** @see RFC 5952: lower case, no leading zeros, the longest run of two or more zero groups (the first of equals) as `::`. */
function formatIPv6(groups: readonly number[]): string {
  let best = -1;
  let length = 1;
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > length) [best, length] = [i, end - i];
    i = end === i ? i + 1 : end;
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  return best === -1 ? hex(groups) : `${hex(groups.slice(0, best))}::${hex(groups.slice(best + length))}`;
}

/** Never throws; undefined for everything that is not exactly one address (a zone after `%` is dropped). */
export function parseAddress(input: string): Address | undefined {
  const text = input.startsWith("::ffff:") && input.includes(".") ? input.slice(7) : input;
  const v4 = parseIPv4(text);
  if (v4 >= 0) return { family: 4, text, words: [0, 0, 0, v4] };
  if (!input.includes(":")) return undefined;
  const zone = input.indexOf("%");
  const groups = parseGroups(zone === -1 ? input : input.slice(0, zone));
  if (groups === undefined) return undefined;
  const word = (index: number) => (((groups[index] ?? 0) << 16) | (groups[index + 1] ?? 0)) >>> 0;
  const words = [word(0), word(2), word(4), word(6)] as const;
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) {
    return { family: 4, text: formatIPv4(words[3]), words: [0, 0, 0, words[3]] };
  }
  return { family: 6, text: formatIPv6(groups), words };
}

/** An address as proxies write it in a header: quoted, in brackets, with a port. Undefined for `unknown`, `_hidden` and junk. */
export function parseHop(input: string): Address | undefined {
  let text = input.trim();
  if (text.length > 64) return undefined;
  if (text.length > 1 && text.startsWith('"') && text.endsWith('"')) text = text.slice(1, -1);
  const bracket = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text);
  if (bracket !== null) return parseAddress(bracket[1] ?? "");
  const port = /^([\d.]+):\d{1,5}$/.exec(text);
  return parseAddress(port?.[1] ?? text);
}

export interface Network {
  readonly family: 4 | 6;
  readonly words: Address["words"];
  /** Length of the prefix: 0–32 or 0–128. */
  readonly bits: number;
  /** One spelling, with `/bits` unless it is a single address. */
  readonly text: string;
}

/** The word at `index` (of four) of the mask with `bits` leading ones, for a 128-bit address. */
function maskWord(bits: number, index: number): number {
  const ones = Math.min(32, Math.max(0, bits - index * 32));
  return ones === 0 ? 0 : (0xffffffff << (32 - ones)) >>> 0;
}

const groupsOf = (words: Address["words"]) => words.flatMap((value) => [value >>> 16, value & 0xffff]);

/** The address with all but its first `bits` set to zero. */
export function networkOf(address: Address, bits: number): Network {
  const width = address.family === 4 ? 32 : 128;
  const length = Math.min(width, Math.max(0, bits));
  if (length === width) return { family: address.family, words: address.words, bits: length, text: address.text };
  const offset = address.family === 4 ? 96 : 0;
  const word = (index: 0 | 1 | 2 | 3) => (address.words[index] & maskWord(length + offset, index)) >>> 0;
  const words = [word(0), word(1), word(2), word(3)] as const;
  const base = address.family === 4 ? formatIPv4(words[3]) : formatIPv6(groupsOf(words));
  return { family: address.family, words, bits: length, text: `${base}/${length}` };
}

/** `10.0.0.0/8`, `2001:db8::/32` or one address; undefined for anything else. Host bits are dropped. */
export function parseNetwork(input: string): Network | undefined {
  const slash = input.indexOf("/");
  const address = parseAddress((slash === -1 ? input : input.slice(0, slash)).trim());
  if (address === undefined) return undefined;
  const width = address.family === 4 ? 32 : 128;
  if (slash === -1) return networkOf(address, width);
  const bits = input.slice(slash + 1).trim();
  if (!/^\d{1,3}$/.test(bits) || Number(bits) > width) return undefined;
  return networkOf(address, Number(bits));
}

export function inNetwork(address: Address, network: Network): boolean {
  if (address.family !== network.family) return false;
  const offset = network.family === 4 ? 96 : 0;
  for (const index of [0, 1, 2, 3] as const) {
    if ((address.words[index] & maskWord(network.bits + offset, index)) >>> 0 !== network.words[index]) return false;
  }
  return true;
}

/** Those that share one limit and one ban: a single IPv4 address, a /64 of IPv6 (one customer's line). */
export function clientNetwork(address: Address): Network {
  return networkOf(address, address.family === 4 ? 32 : 64);
}

import { type Address, inNetwork, type Network, parseNetwork } from "./address.ts";

const networks = (list: string[]): Network[] => list.flatMap((text) => parseNetwork(text) ?? []);

export const LOOPBACK = networks(["127.0.0.0/8", "::1"]);

/** Where a reverse proxy of one's own stands: RFC 1918, link-local, unique local, loopback. */
export const PRIVATE = [
  ...LOOPBACK,
  ...networks(["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10"]),
];

/**
 * What the original calls local: all that its runtime's `is_private` names, documentation ranges included.
 * Forwarding from elsewhere is refused unless `allow_public_ip`. @see test/access/peer.test.ts for the known answers
 */
const RESERVED = [
  ...PRIVATE,
  ...networks(["0.0.0.0/8", "192.0.0.0/29", "192.0.0.170/31", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24"]),
  ...networks(["203.0.113.0/24", "240.0.0.0/4", "::", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32"]),
];

/** Every request passes here: IPv4 networks become pairs of base and mask. */
function within(list: readonly Network[]): (address: Address) => boolean {
  const v4 = list.filter((network) => network.family === 4);
  const v6 = list.filter((network) => network.family === 6);
  const bases = Uint32Array.from(v4, (network) => network.words[3]);
  const masks = Uint32Array.from(v4, (network) => (network.bits === 0 ? 0 : 0xffffffff << (32 - network.bits)));
  return (address) => {
    if (address.family === 6) return v6.some((network) => inNetwork(address, network));
    const number = address.words[3];
    for (let i = 0; i < bases.length; i++) if ((number & (masks[i] ?? 0)) >>> 0 === bases[i]) return true;
    return false;
  };
}

export const isLoopback = (address: Address): boolean =>
  address.family === 4 ? address.words[3] >>> 24 === 127 : address.text === "::1";
export const isPrivate = within(PRIVATE);
export const isLocal = within(RESERVED);

export interface NetworkSet {
  has(address: Address): boolean;
  /** Entries that are neither an address, a network nor a known word. */
  readonly invalid: readonly string[];
}

/** Entries are addresses, networks, or the words `loopback`, `private`, `all`. */
export function networkSet(entries: readonly string[]): NetworkSet {
  const list: Network[] = [];
  const invalid: string[] = [];
  let all = false;
  for (const entry of entries) {
    const network = parseNetwork(entry);
    if (network !== undefined) list.push(network);
    else if (entry === "loopback") list.push(...LOOPBACK);
    else if (entry === "private") list.push(...PRIVATE);
    else if (entry === "all") all = true;
    else invalid.push(entry);
  }
  const listed = within(list);
  return { has: (address) => all || listed(address), invalid };
}

import { type Address, parseAddress, parseHop } from "./address.ts";
import { isLocal, isLoopback, isPrivate, networkSet } from "./networks.ts";

/** `common.reverse_proxy`, and nothing else of the config. */
export interface ProxyRules {
  allow_public_ip: boolean;
  allow_proxy: boolean;
  real_ip_header: string;
  trusted: readonly string[];
}

/** Who asks. `address` decides limits and bans; `peer` is what routes and logs see. */
export interface Caller {
  readonly peer: {
    readonly address: string;
    readonly loopback: boolean;
    readonly forwarded: boolean;
    readonly viaProxy: boolean;
  };
  readonly address: Address;
  /** The connection comes from a proxy whose headers are believed. */
  readonly viaProxy: boolean;
  /** A public peer names another address and may not: answer 403. */
  readonly refused: boolean;
}

/** The other end of a connection. Finding out its address may cost a question to the kernel. */
export interface Remote {
  /** `unix` for a local socket; empty or odd when nobody knows: a stranger. */
  readonly address: string;
  /** It is encrypted; of a request without a host the URL does not say so. */
  readonly secure?: boolean;
}

/** Scheme and host under which the client reached us, as a trusted proxy says. */
export interface ExternalOrigin {
  protocol?: "http" | "https";
  host?: string;
}

export interface PeerReader {
  /**
   * @param peerAddress of the connection; `unix` for a local socket. What cannot be read counts as an unknown stranger.
   */
  read(headers: Headers, peerAddress: string): Caller;
  /** A public peer could be refused for what these headers say. */
  mayRefuse(headers: Headers): boolean;
  /** As `read`, found out when somebody wants to know. */
  later(headers: Headers, remote: Remote): Caller;
  /** Empty unless the connection comes from a trusted proxy. */
  externalOrigin(headers: Headers, peerAddress: string): ExternalOrigin;
  /** Entries of `trusted` that are no address, network or known word. */
  readonly invalid: readonly string[];
}

/** The connection's address cannot be told: nobody's, so neither loopback nor trusted. */
const STRANGER: Address = { family: 4, text: "0.0.0.0", words: [0, 0, 0, 0] };
const LOCAL_SOCKET: Address = { family: 4, text: "127.0.0.1", words: [0, 0, 0, 0x7f000001] };

/** A header that lists hops is read from its end; what lies further left is never needed and may be long. */
const MAX_CHAIN = 2048;
const MAX_HOPS = 32;
/** Addresses whose meaning is remembered: a client asks more than once. */
const MAX_CONNECTIONS = 2000;

interface Connection {
  direct: Address;
  trusted: boolean;
  /** Of a request that names nobody else. */
  caller: Caller;
  local: boolean;
}

/**
 * Reads the caller's address.
 *
 * Headers are believed from `trusted` peers only. Without a list: from private addresses, and with `allow_public_ip`
 * from everyone (the original's meaning of that key). The configured header comes first, then `X-Forwarded-For` and
 * `Forwarded`, both from the right past every trusted hop. A public peer that sends the configured header and is
 * not believed is refused, as the original does.
 */
export function createPeerReader(rules: ProxyRules): PeerReader {
  const list = networkSet(rules.trusted);
  const realIp = rules.real_ip_header.trim().toLowerCase();
  const refuses = rules.allow_proxy && !rules.allow_public_ip && realIp !== "";
  const asChain = realIp === "x-forwarded-for" || realIp === "forwarded";

  function trusts(address: Address): boolean {
    if (!rules.allow_proxy || address === STRANGER) return false;
    if (rules.trusted.length > 0) return address === LOCAL_SOCKET || list.has(address);
    return rules.allow_public_ip || isPrivate(address);
  }

  /** In a chain, a hop is passed only when it is named or private: `allow_public_ip` must not make everyone a proxy. */
  const passes = (hop: Address) => (rules.trusted.length > 0 ? list.has(hop) : isPrivate(hop));

  function named(headers: Headers, direct: Address): Address | undefined {
    if (realIp !== "" && !asChain) {
      const value = headers.get(realIp);
      if (value !== null) return parseHop(value);
    }
    const forwardedFor = headers.get("x-forwarded-for");
    if (forwardedFor !== null) return walk(splitTail(forwardedFor), direct, passes);
    const forwarded = headers.get("forwarded");
    if (forwarded === null) return undefined;
    return walk(splitTail(forwarded).map(forParameter), direct, passes);
  }

  /** What a connection's address alone says; forgotten all at once when full, because it is quickly learned again. */
  const connections = new Map<string, Connection>();

  function connectionOf(peerAddress: string): Connection {
    let known = connections.get(peerAddress);
    if (known === undefined) {
      const direct = connectionAddress(peerAddress);
      const trusted = trusts(direct);
      known = { direct, trusted, caller: caller(direct, trusted, false, false), local: isLocal(direct) };
      if (connections.size >= MAX_CONNECTIONS) connections.clear();
      connections.set(peerAddress, known);
    }
    return known;
  }

  function read(headers: Headers, peerAddress: string): Caller {
    const connection = connectionOf(peerAddress);
    const { direct } = connection;
    if (connection.trusted) {
      const client = named(headers, direct);
      return client === undefined ? connection.caller : caller(client, true, true, false);
    }
    return refuses && !connection.local && headers.has(realIp) ? caller(direct, false, false, true) : connection.caller;
  }

  const mayRefuse = (headers: Headers) => refuses && headers.has(realIp);

  /** Whether a caller is refused can mostly be told without knowing who it is. */
  class LaterCaller implements Caller {
    private known: Caller | undefined;
    constructor(
      private readonly headers: Headers,
      private readonly remote: Remote,
    ) {}
    private get caller(): Caller {
      this.known ??= read(this.headers, this.remote.address);
      return this.known;
    }
    get peer() {
      return this.caller.peer;
    }
    get address() {
      return this.caller.address;
    }
    get viaProxy() {
      return this.caller.viaProxy;
    }
    get refused() {
      return mayRefuse(this.headers) && this.caller.refused;
    }
  }

  return {
    read,
    mayRefuse,
    later: (headers, remote) => new LaterCaller(headers, remote),
    externalOrigin(headers, peerAddress) {
      if (!trusts(connectionAddress(peerAddress))) return {};
      const protocol = lastOf(headers.get("x-forwarded-proto"))?.toLowerCase();
      const host = lastOf(headers.get("x-forwarded-host"));
      return {
        ...(protocol === "http" || protocol === "https" ? { protocol } : {}),
        ...(host !== undefined && /^(?:[\w.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i.test(host) ? { host } : {}),
      };
    },
    invalid: list.invalid,
  };
}

function connectionAddress(peerAddress: string): Address {
  return peerAddress === "unix" ? LOCAL_SOCKET : (parseAddress(peerAddress) ?? STRANGER);
}

function caller(address: Address, viaProxy: boolean, forwarded: boolean, refused: boolean): Caller {
  const peer = { address: address.text, loopback: isLoopback(address), forwarded, viaProxy };
  return { peer, address, viaProxy, refused };
}

/** The last hops of a comma-separated header; a part cut by the limit is dropped. */
function splitTail(value: string): string[] {
  const parts = value.slice(-MAX_CHAIN).split(",");
  if (value.length > MAX_CHAIN) parts.shift();
  return parts.slice(-MAX_HOPS);
}

/** `for=` of one element of `Forwarded`. @see RFC 7239 section 4 */
function forParameter(element: string): string {
  return /(?:^|;)\s*for=("[^"]*"|[^;]*)/i.exec(element)?.[1] ?? "";
}

/** From the right: past every trusted hop to the first that is not. Stops where a hop does not say who it was. */
function walk(hops: string[], direct: Address, passes: (hop: Address) => boolean): Address {
  let current = direct;
  for (let i = hops.length - 1; i >= 0; i--) {
    const hop = parseHop(hops[i] ?? "");
    if (hop === undefined) break;
    current = hop;
    if (!passes(hop)) break;
  }
  return current;
}

function lastOf(value: string | null): string | undefined {
  return value?.slice(-MAX_CHAIN).split(",").pop()?.trim();
}

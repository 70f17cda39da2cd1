import { Resolver } from "node:dns/promises";

/** @returns addresses in the order to try; empty = the name has none. Throws when nobody could be asked. */
export type Resolve = (host: string, deadlineMs: number) => Promise<string[]>;

const MAX_NAMES = 500;
const KEEP_MS = 10_000;

/**
 * Looks names up with a deadline and remembers the answer for ten seconds. A remembered answer is no risk: who uses it
 * checks the address and connects to that very address.
 *
 * @param servers DNS servers ("1.1.1.1", "127.0.0.1:53"); empty = the system's resolver, with /etc/hosts.
 */
export function createResolve(servers: readonly string[], now: () => number = Date.now): Resolve {
  const known = new Map<string, { at: number; addresses: Promise<string[]> }>();
  return (host, deadlineMs) => {
    const held = known.get(host);
    if (held !== undefined && now() - held.at < KEEP_MS) return held.addresses;
    const addresses = withDeadline(
      servers.length === 0 ? bySystem(host) : byServers(host, servers, deadlineMs),
      deadlineMs,
    );
    known.delete(host);
    if (known.size >= MAX_NAMES) known.delete(known.keys().next().value ?? "");
    const entry = { at: now(), addresses };
    known.set(host, entry);
    addresses.then(
      (found) => found.length === 0 && forget(host, entry),
      () => forget(host, entry),
    );
    return addresses;
  };

  function forget(host: string, entry: object): void {
    if (known.get(host) === entry) known.delete(host);
  }
}

async function bySystem(host: string): Promise<string[]> {
  try {
    return (await Bun.dns.lookup(host)).map((answer) => answer.address);
  } catch (error) {
    if (isNoSuchName(error)) return [];
    throw error;
  }
}

async function byServers(host: string, servers: readonly string[], deadlineMs: number): Promise<string[]> {
  const resolver = new Resolver({ timeout: Math.max(100, Math.floor(deadlineMs / 2)), tries: 2 });
  resolver.setServers([...servers]);
  const [v4, v6] = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = [v4, v6].flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (found.length === 0 && v4.status === "rejected" && !isNoSuchName(v4.reason)) throw v4.reason;
  return found;
}

function isNoSuchName(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /ENOTFOUND|ENODATA|ENONAME/.test(code);
}

async function withDeadline<T>(work: Promise<T>, ms: number): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("name lookup took too long")), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

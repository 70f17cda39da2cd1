import { isIP } from "node:net";
import type { KeyPair } from "./certificate.ts";
import type { TlsEntry } from "./door.ts";

/** A certificate and the names that it is served for. */
export interface Named {
  pair: KeyPair;
  /** In order; addresses among them are left out, because clients send only names. */
  names: readonly string[];
}

/** Each name costs a TLS context of its own. */
const MAX_ENTRIES = 500;

/**
 * What the TLS library chooses from: an exact name before a wildcard, and the first entry for everyone else. Where two
 * certificates have the same name, the earlier one of `others` has it, and the main one is last: what was configured
 * for one name is meant for that name.
 */
export function tlsEntries(main: KeyPair, mainNames: readonly string[], others: readonly Named[]): TlsEntry[] {
  const entries: TlsEntry[] = [{ cert: main.cert, key: main.key }];
  if (others.length === 0) return entries;
  const taken = new Set<string>();
  for (const { pair, names } of [...others, { pair: main, names: mainNames }]) {
    for (const serverName of names) {
      if (taken.has(serverName) || isIP(serverName) !== 0 || entries.length >= MAX_ENTRIES) continue;
      taken.add(serverName);
      entries.push({ serverName, cert: pair.cert, key: pair.key });
    }
  }
  return entries;
}

/** `security.allowed_host.list` and `security.whitelist_host`: names without port. */
export interface HostList {
  has(hostHeader: string | null): boolean;
}

/** The name in a Host header, without its port; IPv6 literals keep their address and lose the brackets. */
export function hostName(header: string): string {
  if (header.startsWith("[")) {
    const end = header.indexOf("]");
    return end === -1 ? header : header.slice(1, end);
  }
  const colon = header.indexOf(":");
  // More than one colon is an IPv6 literal without brackets, which has no port.
  if (colon === -1 || header.indexOf(":", colon + 1) !== -1) return header;
  return header.slice(0, colon);
}

/**
 * A listed name holds as it is written and in lower case, the form in which every client sends it. Other spellings of
 * the Host header are refused, as in the original (compat/golden.jsonl, allowed-host/05): a lax match would only widen
 * what the operator listed. IPv6 entries may stand with or without brackets and hold in every spelling.
 */
export function createHostList(entries: readonly string[]): HostList {
  const names = new Set<string>();
  for (const entry of entries) {
    const name = hostName(entry.trim());
    names.add(canonical(name));
    names.add(canonical(name.toLowerCase()));
  }
  return { has: (header) => header !== null && names.has(canonical(hostName(header))) };
}

/** `0:0::1` and `::1` are one host. */
function canonical(name: string): string {
  if (!name.includes(":")) return name;
  const groups = URL.parse(`http://[${name}]/`);
  return groups === null ? name : groups.hostname.slice(1, -1);
}

import { nameCovers } from "./certificate.ts";
import type { Held } from "./held.ts";
import { hostsAmong, localNames } from "./self-signed.ts";

/** HTTPS as a redirect may name it. */
export interface SecureTarget {
  port: number;
  /** Is this name (or address) one of ours? Lower case, IPv6 without brackets. */
  isOurs(host: string): boolean;
  /** Where a request for a name that is not ours is sent. */
  primary: string | undefined;
}

/** Undefined while HTTPS is not open, or has only a temporary certificate: nobody is sent to a page that warns. */
export function createSecureTarget(deps: {
  held: () => Held[];
  configured: () => readonly string[];
  ports: () => readonly number[];
}): () => SecureTarget | undefined {
  let made: { from: Held; value: SecureTarget } | undefined;
  return () => {
    const held = deps.held();
    const [main] = held;
    const ports = deps.ports();
    const port = ports.includes(443) ? 443 : ports[0];
    if (main === undefined || main.source === "temporary" || port === undefined) return undefined;
    if (made?.from !== main || made.value.port !== port) {
      made = { from: main, value: { port, ...hostRules(held, deps.configured()) } };
    }
    return made.value;
  };
}

function hostRules(held: readonly Held[], given: readonly string[]): Omit<SecureTarget, "port"> {
  const configured = given.flatMap(hostsAmong);
  const certified = held.flatMap((item) => [...item.info.names, ...item.names]);
  const names = [...certified, ...configured, ...localNames()];
  const exact = new Set(names);
  const wildcards = names.filter((name) => name.startsWith("*."));
  const domain = (name: string) => name.includes(".") && !name.startsWith("*.") && !/^[\d.]+$/.test(name);
  return {
    isOurs: (host) => exact.has(host) || wildcards.some((pattern) => nameCovers(pattern, host)),
    primary: [...configured, ...(held[0]?.names ?? [])].find(domain),
  };
}

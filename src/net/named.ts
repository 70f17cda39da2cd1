import { AppError } from "../core/errors.ts";
import { isPublic, parseAddress } from "./address.ts";
import { throughGateway } from "./fetch.ts";
import type { GuardedClient } from "./guard.ts";

export interface NamedReply {
  status: number;
  headers: Headers;
  body: ReadableStream<Uint8Array> | null;
}

/** Streams an address that a platform or a script has named: audio, covers. */
export type NamedStream = (
  url: string,
  options: { headers: Record<string, string>; signal: AbortSignal },
) => Promise<NamedReply>;

/**
 * With a relay (`common.upstream_gateway`) the bytes come through it, as the platforms' answers do; addresses of the
 * relay itself are asked as they are. Without one they come through the guard: public addresses only.
 */
export function createNamedStream(options: { guard: GuardedClient; gateway: string; maxBytes: number }): NamedStream {
  const { guard, maxBytes } = options;
  const gateway = options.gateway.replace(/\/+$/, "");
  return async (url, { headers, signal }) => {
    if (gateway === "") return guard.stream({ url, headers, signal, maxBytes, decompress: false });
    const own = url.startsWith(`${gateway}/`);
    if (!own && !mayBeNamed(url)) throw new AppError("forbidden", "不允许访问该地址");
    // The relay is the operator's: no guard, and no redirect to anywhere else.
    return fetch(own ? url : throughGateway(gateway, url), { headers, signal, redirect: "manual" });
  };
}

/** A literal private address is refused even where a relay would do the asking; names are the relay's to resolve. */
function mayBeNamed(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") return false;
  const address = parseAddress(hostname.replace(/^\[|\]$/g, ""));
  return address === undefined || isPublic(address);
}

import type { Remote } from "../../access/peer.ts";
import { routableUrl } from "../target.ts";
import { createRequestIds } from "./request-id.ts";

/** HTTPS as it can be reached now. */
export interface RedirectTarget {
  port: number;
  /** Lower case, IPv6 without brackets. */
  isOurs(host: string): boolean;
  primary: string | undefined;
}

export interface RedirectDeps {
  /** Undefined = nothing is redirected. */
  target: () => RedirectTarget | undefined;
  /** `common.public_url` */
  publicUrl: () => string;
  /** `common.ssl_info.is_https`: a proxy in front speaks https, so that plain requests here are not plain outside. */
  behindHttps: () => boolean;
  /** Scheme and host as a trusted proxy tells them; empty for everyone else. */
  externalOrigin: (headers: Headers, remote: string) => { protocol?: "http" | "https"; host?: string };
}

/** What must work without HTTPS: proofs for a certificate, probes, and fetching the CA that HTTPS is trusted by. */
const PLAIN = new Set(["/health", "/ready", "/ca", "/ca.crt", "/docs/page.css"]);
const CHALLENGES = "/.well-known/acme-challenge/";
/** Browsers remember a permanent redirect without an end; one that is switched off must be forgotten. */
const REMEMBERED_SECONDS = 86_400;

/**
 * Sends plain HTTP to HTTPS: 301 for GET and HEAD, 308 for the rest, so that a body is sent again. The host comes from
 * the config, from a trusted proxy, or from the request when it is a name of ours; never from what else a request says.
 *
 * @returns undefined when the request is to be answered here
 */
export function createHttpsRedirect(deps: RedirectDeps): (request: Request, remote: Remote) => Response | undefined {
  const requestId = createRequestIds();
  return (request, remote) => {
    const target = deps.target();
    const secure = request.url.startsWith("https:") || remote.secure === true;
    if (target === undefined || deps.behindHttps() || secure) return undefined;
    const { pathname, search } = new URL(routableUrl(request.url));
    if (PLAIN.has(pathname) || pathname.startsWith(CHALLENGES)) return undefined;
    const external = deps.externalOrigin(request.headers, remote.address);
    // A proxy on this machine that says nothing of the scheme knows best what it does.
    if (external.protocol === "https" || (remote.address === "unix" && external.protocol === undefined))
      return undefined;
    const origin = originOf(target, deps.publicUrl(), external.host, request.headers.get("host"));
    if (origin === undefined) return undefined;
    const permanent = request.method === "GET" || request.method === "HEAD" ? 301 : 308;
    return new Response(null, {
      status: permanent,
      headers: {
        location: `${origin}${pathname}${search}`,
        "cache-control": `max-age=${REMEMBERED_SECONDS}`,
        "x-content-type-options": "nosniff",
        "x-request-id": requestId(request.headers.get("x-request-id")),
      },
    });
  };
}

function originOf(
  target: RedirectTarget,
  publicUrl: string,
  forwardedHost: string | undefined,
  hostHeader: string | null,
): string | undefined {
  const configured = publicUrl.startsWith("https:") ? URL.parse(publicUrl)?.origin : undefined;
  if (configured !== undefined) return configured;
  // The proxy's https port is not ours, and is the usual one.
  const forwarded = forwardedHost === undefined ? undefined : nameOf(forwardedHost);
  if (forwarded !== undefined) return `https://${forwarded}`;
  const asked = hostHeader === null ? undefined : nameOf(hostHeader);
  const ours = asked !== undefined && target.isOurs(asked.replace(/^\[|\]$/g, "")) ? asked : target.primary;
  if (ours === undefined) return undefined;
  return `https://${ours}${target.port === 443 ? "" : `:${target.port}`}`;
}

/** "Music.Example.com:9763" -> "music.example.com"; undefined when it is no plain host. */
function nameOf(host: string): string | undefined {
  const match = /^([a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i.exec(host);
  const name = match?.[1]?.toLowerCase();
  return name === undefined ? undefined : URL.parse(`https://${name}`)?.hostname;
}

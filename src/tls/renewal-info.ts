import { X509Certificate } from "node:crypto";
import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import forge from "node-forge";

/** When an ACME server wants a certificate to be renewed, Unix ms. */
export interface RenewalWindow {
  start: number;
  end: number;
}

const Directory = Type.Object({ renewalInfo: Type.Optional(Type.String()) });
const RenewalInfo = Type.Object({
  suggestedWindow: Type.Object({ start: Type.String(), end: Type.String() }),
});

const DEADLINE_MS = 15_000;
const MAX_REPLY = 64 << 10;

/**
 * Asks an ACME server (ARI) when to renew. A server that revokes early says so here, days before the certificate ends.
 * @returns undefined when the server has no such service or no answer that we can read
 * @see RFC 9773
 */
export async function fetchRenewalWindow(
  directoryUrl: string,
  certificate: string,
  ca: string | undefined,
): Promise<RenewalWindow | undefined> {
  const id = renewalId(certificate);
  const directory = await getJson(directoryUrl, ca);
  if (id === undefined || !Value.Check(Directory, directory) || directory.renewalInfo === undefined) return undefined;
  const reply = await getJson(`${directory.renewalInfo}/${id}`, ca);
  if (!Value.Check(RenewalInfo, reply)) return undefined;
  const [start, end] = [Date.parse(reply.suggestedWindow.start), Date.parse(reply.suggestedWindow.end)];
  return Number.isNaN(start) || Number.isNaN(end) || end < start ? undefined : { start, end };
}

/** The certificate's name at its server: base64url of its authority's key identifier and of its serial number. */
export function renewalId(certificate: string): string | undefined {
  const der = new X509Certificate(certificate).raw.toString("latin1");
  const tbs = children(children(forge.asn1.fromDer(der))[0]);
  const serial = tbs[1]?.value;
  const authority = authorityKeyIdentifier(tbs);
  if (typeof serial !== "string" || authority === undefined) return undefined;
  return `${base64url(authority)}.${base64url(serial)}`;
}

function authorityKeyIdentifier(tbs: forge.asn1.Asn1[]): string | undefined {
  const oid = forge.asn1.oidToDer("2.5.29.35").getBytes();
  const list = children(
    tbs.find((item) => item.tagClass === forge.asn1.Class.CONTEXT_SPECIFIC && Number(item.type) === 3),
  );
  for (const extension of children(list[0])) {
    const parts = children(extension);
    const value = parts.at(-1)?.value;
    if (parts[0]?.value !== oid || typeof value !== "string") continue;
    const [identifier] = children(forge.asn1.fromDer(value));
    if (typeof identifier?.value === "string") return identifier.value;
  }
  return undefined;
}

function children(node: forge.asn1.Asn1 | undefined): forge.asn1.Asn1[] {
  return Array.isArray(node?.value) ? node.value : [];
}

function base64url(binary: string): string {
  return Buffer.from(binary, "latin1").toString("base64url");
}

async function getJson(url: string, ca: string | undefined): Promise<unknown> {
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(DEADLINE_MS),
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
    if (!response.ok) return undefined;
    const text = await response.text();
    return text.length > MAX_REPLY ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

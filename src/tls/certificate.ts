import { X509Certificate } from "node:crypto";
import { parseAddress } from "../net/address.ts";

/** A private key and the chain that belongs to it. */
export interface KeyPair {
  /** PEM, leaf first, then its chain, without the root. */
  cert: string;
  /** PEM. */
  key: string;
}

/** What a certificate says of itself; nothing here is secret. */
export interface CertificateInfo {
  subject: string;
  issuer: string;
  /** DNS names in lower case, and IP addresses. */
  names: string[];
  /** Unix ms. */
  notBefore: number;
  /** Unix ms. */
  notAfter: number;
  /** Hex. */
  serial: string;
  /** SHA-256 of the certificate, "AB:CD:…". */
  fingerprint: string;
  /** "EC prime256v1" or "RSA 2048". */
  keyType: string;
  selfSigned: boolean;
}

export const DAY_MS = 86_400_000;

/** @throws when the text holds no readable certificate */
export function readCertificate(pem: string): CertificateInfo {
  const parsed = new X509Certificate(pem);
  return {
    subject: nameText(parsed.subject),
    issuer: nameText(parsed.issuer),
    names: namesOf(parsed),
    notBefore: Date.parse(parsed.validFrom),
    notAfter: Date.parse(parsed.validTo),
    serial: parsed.serialNumber,
    fingerprint: parsed.fingerprint256,
    keyType: keyTypeOf(parsed),
    selfSigned: parsed.subject === parsed.issuer && parsed.verify(parsed.publicKey),
  };
}

/** Every PEM block of this kind, in order. */
export function pemBlocks(text: string, label: RegExp): string[] {
  const blocks = text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g);
  return [...blocks].filter((block) => label.test(block[1] ?? "")).map((block) => `${block[0]}\n`);
}

export const CERTIFICATE_LABEL = /^(?:X509 |TRUSTED )?CERTIFICATE$/;
export const PRIVATE_KEY_LABEL = /PRIVATE KEY$/;

/** Does this name of a certificate stand for the host? A wildcard stands for one label. */
export function nameCovers(pattern: string, host: string): boolean {
  if (!pattern.startsWith("*.")) return pattern === host;
  const dot = host.indexOf(".");
  return dot > 0 && host.slice(dot) === pattern.slice(1);
}

/** "CN=a\nO=b" -> "CN=a, O=b" */
function nameText(name: string): string {
  return name.split("\n").join(", ");
}

function namesOf(certificate: X509Certificate): string[] {
  const listed = (certificate.subjectAltName ?? "").split(", ").flatMap((item) => {
    const colon = item.indexOf(":");
    const kind = item.slice(0, colon);
    if (kind !== "DNS" && kind !== "IP Address") return [];
    return [canonicalHost(item.slice(colon + 1))];
  });
  return [...new Set(listed)];
}

/** Lower case; IPv6 in its shortest form, without brackets. */
export function canonicalHost(host: string): string {
  const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
  const bytes = bare.includes(":") ? parseAddress(bare) : undefined;
  if (bytes === undefined) return bare;
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16),
  );
  return URL.parse(`http://[${groups.join(":")}]/`)?.hostname.slice(1, -1) ?? bare;
}

function keyTypeOf({ publicKey }: X509Certificate): string {
  const details = publicKey.asymmetricKeyDetails ?? {};
  const type = (publicKey.asymmetricKeyType ?? "?").toUpperCase();
  return `${type} ${details.modulusLength ?? details.namedCurve ?? ""}`.trimEnd();
}

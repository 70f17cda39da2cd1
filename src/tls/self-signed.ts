import { createPrivateKey, createPublicKey, generateKeyPair } from "node:crypto";
import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import { domainToASCII } from "node:url";
import { promisify } from "node:util";
import { AppError } from "../core/errors.ts";
import { canonicalHost, DAY_MS, type KeyPair, readCertificate } from "./certificate.ts";

export type KeyType = "ec" | "rsa";

export interface SelfSignedOptions {
  /** Host names (wildcards too) and IP addresses. */
  names: readonly string[];
  keyType: KeyType;
  /** Days of life; browsers refuse more than 398, iOS more than 825. */
  days?: number;
  /** Signs the certificate; without it the certificate signs itself. */
  authority?: KeyPair | undefined;
  now: number;
}

const ORGANIZATION = "LX Music API Server";
const AUTHORITY_DAYS = 3650;
export const LEAF_DAYS = 397;
/** Phones whose clock is behind must not see a certificate from the future. */
const CLOCK_SLACK_MS = DAY_MS;

/** A certificate for our own use. The chain does not hold the authority: those who trust it have it. */
export async function createSelfSigned(options: SelfSignedOptions): Promise<KeyPair> {
  const { keyType, authority, now, days = LEAF_DAYS } = options;
  const names = options.names.map(hostOf);
  const [first] = names;
  if (first === undefined) throw new AppError("invalid_request", "a certificate needs at least one name or address");
  const { encodeCertificate } = await import("./x509.ts");
  const key = await createKey(keyType);
  const own = { commonName: first, organization: ORGANIZATION };
  const cert = encodeCertificate({
    subject: own,
    issuer: authority === undefined ? own : { commonName: authorityName(authority), organization: ORGANIZATION },
    publicKey: createPublicKey(key),
    signer: createPrivateKey(authority === undefined ? key : authority.key),
    notBefore: now - CLOCK_SLACK_MS,
    notAfter: now + days * DAY_MS,
    use: { kind: "server", names },
  });
  return { cert, key };
}

/** A small CA of our own, which a phone is told to trust once. It may sign servers, and no further CA. */
export async function createAuthority(keyType: KeyType, now: number): Promise<KeyPair> {
  const { encodeCertificate } = await import("./x509.ts");
  const key = await createKey(keyType);
  // Two servers in one house are told apart by the day and the host's name.
  const commonName = `LX Music CA ${hostname().slice(0, 30)} ${new Date(now).toISOString().slice(0, 10)}`;
  const name = { commonName, organization: ORGANIZATION };
  const cert = encodeCertificate({
    subject: name,
    issuer: name,
    publicKey: createPublicKey(key),
    signer: createPrivateKey(key),
    notBefore: now - CLOCK_SLACK_MS,
    notAfter: now + AUTHORITY_DAYS * DAY_MS,
    use: { kind: "ca" },
  });
  return { cert, key };
}

function authorityName(authority: KeyPair): string {
  return /CN=([^,]*)/.exec(readCertificate(authority.cert).subject)?.[1] ?? "";
}

const generate = promisify(generateKeyPair);

/** @returns PKCS#8 PEM */
export async function createKey(type: KeyType): Promise<string> {
  const encoding = {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  } as const;
  const pair =
    type === "ec"
      ? await generate("ec", { namedCurve: "P-256", ...encoding })
      : await generate("rsa", { modulusLength: 2048, ...encoding });
  return pair.privateKey;
}

const HOST_NAME = /^(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * A name as certificates have it: lower case, punycode, IPv6 in its shortest form.
 * @throws AppError `invalid_request` when it is neither a host name nor an address
 */
export function hostOf(name: string): string {
  const plain = canonicalHost(name.trim());
  if (isIP(plain) !== 0) return plain;
  const wildcard = plain.startsWith("*.") ? "*." : "";
  const ascii = wildcard + domainToASCII(plain.slice(wildcard.length));
  // domainToASCII cuts a path or port off, where a slip of the finger should be told.
  if (/[\s/:?#@\\%]/.test(plain) || ascii.length > 253 || !HOST_NAME.test(ascii)) {
    throw new AppError(
      "invalid_request",
      `"${name}" is neither a host name nor an IP address (no http://, no port, no path)`,
    );
  }
  return ascii;
}

/** The name as `hostOf` has it; nothing when it is none. */
export function hostsAmong(name: string): string[] {
  try {
    return [hostOf(name)];
  } catch {
    return [];
  }
}

/** How this machine is reached at home: localhost, its name, and its addresses in the local network. */
export function localNames(): string[] {
  const rows = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const addresses = rows
    .filter((row) => !row.internal && !row.address.toLowerCase().startsWith("fe80:"))
    .map((row) => canonicalHost(row.address));
  const host = hostname().toLowerCase();
  const named =
    HOST_NAME.test(host) && isIP(host) === 0 ? [host, ...(host.includes(".") ? [] : [`${host}.local`])] : [];
  return [...new Set(["localhost", ...named, "127.0.0.1", "::1", ...addresses])];
}

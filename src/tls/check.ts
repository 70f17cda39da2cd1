import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { AppError } from "../core/errors.ts";
import {
  CERTIFICATE_LABEL,
  type CertificateInfo,
  DAY_MS,
  type KeyPair,
  PRIVATE_KEY_LABEL,
  pemBlocks,
  readCertificate,
} from "./certificate.ts";

export interface CheckedPair {
  /** The chain in the order that clients want: leaf, its issuer, and so on. */
  pair: KeyPair;
  info: CertificateInfo;
  /** What works but should be known. */
  warnings: string[];
}

/** Where the two texts came from, for messages. */
export interface PairNames {
  cert: string;
  key: string;
}

/**
 * Proves that certificate and key belong together and brings the chain into order. An expired certificate is only a
 * warning: it still says who we are, and nothing better is at hand.
 *
 * @throws AppError `invalid_request` that says what is wrong, in which file, and what to do
 */
export function checkPair(certText: string, keyText: string, from: PairNames, now: number): CheckedPair {
  const key = readKey(keyText, from.key);
  const certificates = readChain(certText, from.cert);
  const leaf = certificates.find((item) => item.certificate.checkPrivateKey(key.object));
  if (leaf === undefined) {
    throw wrong(`the private key in ${from.key} does not belong to the certificate in ${from.cert}`, [
      `the certificate is for ${certificates[0]?.certificate.subject.split("\n").join(", ")}`,
    ]);
  }
  const { ordered, unused } = orderChain(leaf, certificates);
  const info = readCertificate(leaf.pem);
  const warnings = remarks(info, ordered, now).map((remark) => `${from.cert}: ${remark}`);
  if (unused > 0) warnings.push(`${from.cert}: ${unused} certificates that do not belong to the chain are left out`);
  return { pair: { cert: ordered.map((item) => item.pem).join(""), key: key.pem }, info, warnings };
}

interface ChainItem {
  pem: string;
  certificate: X509Certificate;
}

const CERTIFICATE_HELP =
  'a certificate is a text that begins with "-----BEGIN CERTIFICATE-----"; for a .pfx file: openssl pkcs12 -in FILE -nodes -out FILE.pem';

function readChain(text: string, from: string): ChainItem[] {
  const blocks = pemBlocks(text, CERTIFICATE_LABEL);
  if (blocks.length === 0) {
    const isKey = pemBlocks(text, PRIVATE_KEY_LABEL).length > 0;
    throw wrong(`${from} holds ${isKey ? "a private key, but" : ""} no certificate`, [CERTIFICATE_HELP]);
  }
  return blocks.map((pem, index) => {
    try {
      return { pem, certificate: new X509Certificate(pem) };
    } catch {
      throw wrong(`certificate ${index + 1} in ${from} is damaged`, []);
    }
  });
}

function readKey(text: string, from: string): { pem: string; object: KeyObject } {
  const [pem] = pemBlocks(text, PRIVATE_KEY_LABEL);
  if (pem === undefined) {
    const isCertificate = pemBlocks(text, CERTIFICATE_LABEL).length > 0;
    throw wrong(`${from} holds ${isCertificate ? "a certificate, but" : ""} no private key`, [
      'a key is a text that begins with "-----BEGIN PRIVATE KEY-----"',
    ]);
  }
  if (/BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(pem)) {
    throw wrong(`the private key in ${from} is locked with a passphrase`, [
      `unlock it with: openssl pkey -in ${from} -out NEW_FILE`,
    ]);
  }
  try {
    return { pem, object: createPrivateKey(pem) };
  } catch {
    throw wrong(`the private key in ${from} is damaged`, []);
  }
}

/** From the leaf up, each one's issuer next; the root stays at home, clients have it or do not trust it. */
function orderChain(leaf: ChainItem, all: ChainItem[]): { ordered: ChainItem[]; unused: number } {
  const ordered = [leaf];
  const rest = all.filter((item) => item.certificate.fingerprint256 !== leaf.certificate.fingerprint256);
  let roots = 0;
  for (let at = leaf; ; ) {
    const index = rest.findIndex((item) => at.certificate.checkIssued(item.certificate));
    const [issuer] = index === -1 ? [] : rest.splice(index, 1);
    if (issuer === undefined) break;
    if (issuer.certificate.checkIssued(issuer.certificate)) {
      roots++;
      break;
    }
    ordered.push(issuer);
    at = issuer;
  }
  const copies = all.length - 1 - rest.length - (ordered.length - 1) - roots;
  return { ordered, unused: rest.length + copies };
}

/** Below this many bits browsers refuse an RSA key. */
const LEAST_RSA_BITS = 2048;
/** Two clocks are never quite the same. */
const CLOCK_SLACK_MS = 300_000;

function remarks(info: CertificateInfo, chain: ChainItem[], now: number): string[] {
  const found: string[] = [];
  if (info.notAfter <= now) found.push(`expired on ${dayText(info.notAfter)}`);
  else if (info.notAfter - now < 7 * DAY_MS) found.push(`expires on ${dayText(info.notAfter)}`);
  if (info.notBefore - now > CLOCK_SLACK_MS)
    found.push(`is valid only from ${dayText(info.notBefore)}; is this machine's clock right?`);
  if (info.names.length === 0) found.push("names no host (no subjectAltName), so clients refuse it");
  const bits = /^RSA (\d+)/.exec(info.keyType)?.[1];
  if (bits !== undefined && Number(bits) < LEAST_RSA_BITS) found.push(`its RSA key of ${bits} bits is too weak`);
  if (chain.length === 1 && !info.selfSigned) {
    found.push("there is no intermediate certificate beside it; use the fullchain file, or some clients refuse it");
  }
  return found;
}

export function dayText(unixMs: number): string {
  return new Date(unixMs).toISOString().slice(0, 10);
}

function wrong(what: string, hints: string[]): AppError {
  return new AppError("invalid_request", [what.replace("  ", " "), ...hints].join("; "));
}

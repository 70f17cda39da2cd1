import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import forge from "node-forge";
import { parseAddress } from "../net/address.ts";

const { asn1, util } = forge;
const { Class, Type } = asn1;
type Node = forge.asn1.Asn1;

/** What goes into a certificate. Both key types: node-forge writes the structure, the platform's crypto signs it. */
export interface CertificateRequest {
  subject: { commonName: string; organization: string };
  /** The same form; equal to `subject` when self-signed. */
  issuer: { commonName: string; organization: string };
  publicKey: KeyObject;
  /** Signs; belongs to the issuer. */
  signer: KeyObject;
  /** Unix ms. */
  notBefore: number;
  notAfter: number;
  /** A CA signs leaves and nothing else; a leaf is a server with these names and addresses. */
  use: { kind: "ca" } | { kind: "server"; names: readonly string[] };
}

/** @see RFC 5280 section 4.1 */
export function encodeCertificate(request: CertificateRequest): string {
  const algorithm = signatureAlgorithm(request.signer);
  const tbs = sequence(
    context(0, true, [integer("\x02")]),
    integer(serialNumber()),
    algorithm(),
    distinguishedName(request.issuer),
    sequence(time(request.notBefore), time(request.notAfter)),
    distinguishedName(request.subject),
    asn1.fromDer(publicDer(request.publicKey)),
    context(3, true, [sequence(...extensions(request))]),
  );
  const der = Buffer.from(asn1.toDer(tbs).getBytes(), "latin1");
  const signature = sign("sha256", der, request.signer).toString("latin1");
  const certificate = sequence(tbs, algorithm(), primitive(Type.BITSTRING, `\x00${signature}`));
  return toPem(asn1.toDer(certificate).getBytes());
}

/** ecdsa-with-SHA256 (RFC 5758) or sha256WithRSAEncryption (RFC 4055). */
function signatureAlgorithm(signer: KeyObject): () => Node {
  if (signer.asymmetricKeyType === "ec") return () => sequence(oid("1.2.840.10045.4.3.2"));
  return () => sequence(oid("1.2.840.113549.1.1.11"), primitive(Type.NULL, ""));
}

function extensions(request: CertificateRequest): Node[] {
  const { use, publicKey, signer } = request;
  const identifiers = [
    extension("2.5.29.14", false, primitive(Type.OCTETSTRING, keyIdentifier(publicKey))),
    extension("2.5.29.35", false, sequence(context(0, false, keyIdentifier(createPublicKey(signer))))),
  ];
  if (use.kind === "ca") {
    const caWithoutSubordinates = sequence(primitive(Type.BOOLEAN, "\xff"), integer("\x00"));
    // keyCertSign and cRLSign
    return [
      ...identifiers,
      extension("2.5.29.19", true, caWithoutSubordinates),
      extension("2.5.29.15", true, bits(1, 0x06)),
    ];
  }
  // digitalSignature; keyEncipherment as well where the key can do it
  const usage = publicKey.asymmetricKeyType === "rsa" ? bits(5, 0xa0) : bits(7, 0x80);
  return [
    ...identifiers,
    extension("2.5.29.19", true, sequence()),
    extension("2.5.29.15", true, usage),
    extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1"))),
    extension("2.5.29.17", false, sequence(...use.names.map(generalName))),
  ];
}

function generalName(name: string): Node {
  if (isIP(name) === 0) return context(2, false, name);
  return context(7, false, String.fromCharCode(...addressBytes(name)));
}

/** 4 or 16 bytes in network order. */
function addressBytes(address: string): number[] {
  const bytes = parseAddress(address) ?? new Uint8Array(16);
  return [...(isIP(address) === 4 ? bytes.subarray(12) : bytes)];
}

/** RFC 7093, method 1: the key's hash, cut to 160 bits. */
function keyIdentifier(key: KeyObject): string {
  return createHash("sha256").update(publicDer(key), "latin1").digest().subarray(0, 20).toString("latin1");
}

function publicDer(key: KeyObject): string {
  return key.export({ type: "spki", format: "der" }).toString("latin1");
}

/** 127 random bits, never zero and never negative. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes.toString("latin1");
}

function distinguishedName({ commonName, organization }: CertificateRequest["subject"]): Node {
  const field = (id: string, value: string) =>
    asn1.create(Class.UNIVERSAL, Type.SET, true, [
      sequence(oid(id), primitive(Type.UTF8, util.encodeUtf8(value.slice(0, 64)))),
    ]);
  return sequence(field("2.5.4.10", organization), field("2.5.4.3", commonName));
}

/** Years from 2050 on need the longer form. */
function time(unixMs: number): Node {
  const text = new Date(unixMs).toISOString().replace(/[-:T]|\.\d+/g, "");
  return Number(text.slice(0, 4)) < 2050
    ? primitive(Type.UTCTIME, text.slice(2))
    : primitive(Type.GENERALIZEDTIME, text);
}

const primitive = (type: forge.asn1.Type, value: string): Node => asn1.create(Class.UNIVERSAL, type, false, value);
const sequence = (...items: Node[]): Node => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, items);
const context = (tag: number, constructed: boolean, value: string | Node[]): Node =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, constructed, value);
const integer = (bytes: string): Node => primitive(Type.INTEGER, bytes);
const oid = (dotted: string): Node => primitive(Type.OID, asn1.oidToDer(dotted).getBytes());
const bits = (unused: number, value: number): Node =>
  primitive(Type.BITSTRING, String.fromCharCode(unused) + String.fromCharCode(value));
const extension = (id: string, critical: boolean, value: Node): Node =>
  sequence(
    oid(id),
    ...(critical ? [primitive(Type.BOOLEAN, "\xff")] : []),
    primitive(Type.OCTETSTRING, asn1.toDer(value).getBytes()),
  );

function toPem(der: string): string {
  const lines = util.encode64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

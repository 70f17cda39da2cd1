import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseAddress } from "../../src/access/address.ts";
import { createPeerReader, type ProxyRules } from "../../src/access/peer.ts";

const DEFAULT: ProxyRules = { allow_proxy: true, allow_public_ip: false, real_ip_header: "X-Real-IP", trusted: [] };
const PUBLIC = "93.184.216.34";
const LAN = "192.168.1.10";

interface Case {
  name: string;
  rules?: Partial<ProxyRules>;
  peer: string;
  headers?: Record<string, string>;
  address: string;
  forwarded?: boolean;
  refused?: boolean;
}

const cases: Case[] = [
  { name: "no header: the peer itself", peer: PUBLIC, address: PUBLIC },
  { name: "an IPv4-mapped peer is IPv4", peer: "::ffff:8.8.8.8", address: "8.8.8.8" },
  {
    name: "a private peer names the client",
    peer: LAN,
    headers: { "x-real-ip": "8.8.4.4" },
    address: "8.8.4.4",
    forwarded: true,
  },
  {
    name: "loopback names the client",
    peer: "127.0.0.1",
    headers: { "x-real-ip": "8.8.4.4" },
    address: "8.8.4.4",
    forwarded: true,
  },
  {
    name: "the Unix socket names the client",
    peer: "unix",
    headers: { "x-real-ip": "8.8.4.4" },
    address: "8.8.4.4",
    forwarded: true,
  },
  {
    name: "a public peer that names one is refused",
    peer: PUBLIC,
    headers: { "x-real-ip": "8.8.4.4" },
    address: PUBLIC,
    refused: true,
  },
  {
    name: "a public peer's other headers are merely not believed",
    peer: PUBLIC,
    headers: { "x-forwarded-for": "127.0.0.1", forwarded: "for=127.0.0.1" },
    address: PUBLIC,
  },
  {
    name: "a documentation address is local for the original, but no proxy of ours",
    peer: "203.0.113.9",
    headers: { "x-real-ip": "8.8.4.4" },
    address: "203.0.113.9",
  },
  {
    name: "allow_public_ip: everyone may name one, as in the original",
    rules: { allow_public_ip: true },
    peer: PUBLIC,
    headers: { "x-real-ip": "8.8.4.4" },
    address: "8.8.4.4",
    forwarded: true,
  },
  {
    name: "allow_proxy off: nobody is believed, nobody refused",
    rules: { allow_proxy: false },
    peer: LAN,
    headers: { "x-real-ip": "8.8.4.4" },
    address: LAN,
  },
  {
    name: "allow_proxy off, public peer",
    rules: { allow_proxy: false },
    peer: PUBLIC,
    headers: { "x-real-ip": "8.8.4.4" },
    address: PUBLIC,
  },
  {
    name: "a listed proxy is believed",
    rules: { trusted: ["93.184.216.0/24"] },
    peer: PUBLIC,
    headers: { "x-real-ip": "8.8.4.4" },
    address: "8.8.4.4",
    forwarded: true,
  },
  {
    name: "with a list a private peer is not believed",
    rules: { trusted: ["93.184.216.0/24"] },
    peer: LAN,
    headers: { "x-real-ip": "8.8.4.4" },
    address: LAN,
  },
  {
    name: "with a list and allow_public_ip others are not believed, nor refused",
    rules: { trusted: ["10.0.0.1"], allow_public_ip: true },
    peer: PUBLIC,
    headers: { "x-real-ip": "8.8.4.4" },
    address: PUBLIC,
  },
  {
    name: "another header name",
    rules: { real_ip_header: "CF-Connecting-IP" },
    peer: LAN,
    headers: { "cf-connecting-ip": "2001:DB8::1", "x-real-ip": "8.8.4.4" },
    address: "2001:db8::1",
    forwarded: true,
  },
  {
    name: "X-Forwarded-For from the right",
    peer: LAN,
    headers: { "x-forwarded-for": "6.6.6.6, 8.8.4.4" },
    address: "8.8.4.4",
    forwarded: true,
  },
  {
    name: "X-Forwarded-For past trusted hops",
    peer: LAN,
    headers: { "x-forwarded-for": "6.6.6.6, 8.8.4.4, 10.0.0.2,10.0.0.3" },
    address: "8.8.4.4",
    forwarded: true,
  },
  {
    name: "X-Forwarded-For of private hops only: the first of them",
    peer: LAN,
    headers: { "x-forwarded-for": "10.0.0.9, 10.0.0.3" },
    address: "10.0.0.9",
    forwarded: true,
  },
  {
    name: "X-Forwarded-For stops at what is no address",
    peer: LAN,
    headers: { "x-forwarded-for": "8.8.4.4, unknown, 10.0.0.3" },
    address: "10.0.0.3",
    forwarded: true,
  },
  {
    name: "allow_public_ip does not make every hop a proxy",
    rules: { allow_public_ip: true },
    peer: PUBLIC,
    headers: { "x-forwarded-for": "127.0.0.1, 8.8.4.4" },
    address: "8.8.4.4",
    forwarded: true,
  },
  {
    name: "X-Forwarded-For as the configured header",
    rules: { real_ip_header: "X-Forwarded-For" },
    peer: LAN,
    headers: { "x-forwarded-for": "1.1.1.1, 8.8.4.4" },
    address: "8.8.4.4",
    forwarded: true,
  },
  {
    name: "Forwarded, RFC 7239",
    peer: LAN,
    headers: { forwarded: 'for=6.6.6.6;proto=http, For="[2001:db8:cafe::17]:4711";by=10.0.0.1' },
    address: "2001:db8:cafe::17",
    forwarded: true,
  },
  { name: "Forwarded without for", peer: LAN, headers: { forwarded: "proto=https" }, address: LAN, forwarded: true },
  {
    name: "a proxy that sends rubbish is the client itself",
    peer: LAN,
    headers: { "x-real-ip": "global" },
    address: LAN,
  },
  {
    name: "a peer that cannot be told is a stranger",
    peer: "",
    headers: { "x-real-ip": "127.0.0.1" },
    address: "0.0.0.0",
  },
];

describe("who is asking", () => {
  test.each(cases.map((row) => [row.name, row] as const))("%s", (_, row) => {
    const reader = createPeerReader({ ...DEFAULT, ...row.rules });
    const caller = reader.read(new Headers(row.headers ?? {}), row.peer);
    expect({ address: caller.peer.address, forwarded: caller.peer.forwarded, refused: caller.refused }).toEqual({
      address: row.address,
      forwarded: row.forwarded ?? false,
      refused: row.refused ?? false,
    });
    expect(caller.peer.loopback).toBe(row.address.startsWith("127."));
  });
});

const headerValue = fc.oneof(
  fc.string().filter((text) => !/[^\x20-\x7e]/.test(text)),
  fc
    .array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant("unknown"), fc.constant('"[::1]:1"')), { maxLength: 40 })
    .map((hops) => hops.join(", ")),
  fc.stringMatching(/^[for=;", 0-9a-f:.[\]]{0,80}$/),
);
const headers = fc.record(
  { "x-real-ip": headerValue, "x-forwarded-for": headerValue, forwarded: headerValue },
  { requiredKeys: [] },
);

test("never throws, and never takes a header from a peer that is not trusted", () => {
  const reader = createPeerReader({ ...DEFAULT, trusted: ["10.0.0.0/8"] });
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), headers, (peer, values) => {
      const caller = reader.read(new Headers(values), peer);
      const own = parseAddress(peer);
      const trusted = own?.family === 4 && own.text.startsWith("10.");
      if (!trusted && peer !== "unix") expect(caller.peer.address).toBe(own?.text ?? "0.0.0.0");
      if (!trusted && peer !== "unix") expect(caller.peer.forwarded).toBe(false);
      expect(parseAddress(caller.peer.address)).toBeDefined();
    }),
    { numRuns: 2000 },
  );
});

test.each([
  [
    "a trusted proxy's",
    LAN,
    { "x-forwarded-proto": "https", "x-forwarded-host": "music.example.com:8443" },
    { protocol: "https", host: "music.example.com:8443" },
  ],
  ["nobody else's", PUBLIC, { "x-forwarded-proto": "https", "x-forwarded-host": "evil.example" }, {}],
  ["only sane ones", LAN, { "x-forwarded-proto": "gopher", "x-forwarded-host": "a'b/c" }, {}],
])("scheme and host: %s", (_, peer, values, expected) => {
  const origin = createPeerReader(DEFAULT).externalOrigin(new Headers(values as Record<string, string>), peer);
  expect(origin).toEqual(expected as typeof origin);
});

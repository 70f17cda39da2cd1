import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import { pemBlocks, readCertificate } from "../../src/tls/certificate.ts";
import { loadPair, stampOf } from "../../src/tls/files.ts";
import { type Chain, makeChain } from "./openssl.ts";

let folder: string;
let good: Chain;
let other: Chain;
const now = Date.now();
const file = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-check-"));
  good = await makeChain(folder, { organization: "Good", names: ["music.example.com", "*.example.org", "192.0.2.7"] });
  other = await makeChain(folder, { organization: "Other" });
  const old = await makeChain(folder, { organization: "Old", from: "20240101000000Z", until: "20240401000000Z" });
  const early = await makeChain(folder, { organization: "Early", from: "20400101000000Z", until: "20400401000000Z" });
  const weak = await makeChain(folder, { organization: "Weak", keyType: "rsa:1024" });
  const soon = await makeChain(folder, { organization: "Soon", days: 3 });
  const texts: Record<string, string> = {
    "good.key": good.key,
    "good.pem": good.leaf + good.intermediate,
    "leaf.pem": good.leaf,
    "reversed.pem": good.root + good.intermediate + good.leaf,
    "stranger.pem": good.leaf + good.intermediate + other.root,
    "twice.pem": good.leaf + good.leaf + good.intermediate,
    "combined.pem": good.key + good.leaf + good.intermediate,
    "other.key": other.key,
    "old.pem": old.leaf + old.intermediate,
    "old.key": old.key,
    "early.pem": early.leaf + early.intermediate,
    "early.key": early.key,
    "weak.pem": weak.leaf + weak.intermediate,
    "weak.key": weak.key,
    "soon.pem": soon.leaf + soon.intermediate,
    "soon.key": soon.key,
    "garbage.pem": "hello",
    "empty.pem": "",
    "damaged.pem": good.leaf.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA"),
    "damaged.key": good.key.replace(/\n.{20}/, "\nAAAAAAAAAAAAAAAAAAAA"),
    "crlf.pem": (good.leaf + good.intermediate).replaceAll("\n", "\r\n"),
    "bag.pem": `Bag Attributes\n    friendlyName: x\n${good.leaf}\nsubject=x\n${good.intermediate}`,
  };
  for (const [name, text] of Object.entries(texts)) await Bun.write(file(name), text);
  await $`openssl x509 -in ${file("leaf.pem")} -outform der -out ${file("leaf.der")}`.quiet();
  await $`openssl pkey -in ${file("good.key")} -aes256 -passout pass:secret -out ${file("locked.key")}`.quiet();
  await $`openssl ec -in ${file("good.key")} -out ${file("sec1.key")}`.quiet();
  await $`openssl pkcs12 -export -in ${file("good.pem")} -inkey ${file("good.key")} -passout pass:x -out ${file("bundle.pfx")}`.quiet();
  await mkdir(file("folder"));
  await Bun.write(file("huge.pem"), new Uint8Array((1 << 20) + 1));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const load = (cert: string, privkey: string) =>
  loadPair({ cert: cert === "" ? "" : file(cert), privkey: privkey === "" ? "" : file(privkey) }, now);

describe("certificates that work", () => {
  const cases: { name: string; cert: string; key: string; chain: number; warnings: RegExp[] }[] = [
    { name: "leaf and intermediate", cert: "good.pem", key: "good.key", chain: 2, warnings: [] },
    {
      name: "wrong order with the root: ordered, root left out",
      cert: "reversed.pem",
      key: "good.key",
      chain: 2,
      warnings: [],
    },
    { name: "one file with everything", cert: "combined.pem", key: "combined.pem", chain: 2, warnings: [] },
    { name: "Windows line ends", cert: "crlf.pem", key: "good.key", chain: 2, warnings: [] },
    { name: "text between the blocks", cert: "bag.pem", key: "good.key", chain: 2, warnings: [] },
    { name: "EC key in its own form", cert: "good.pem", key: "sec1.key", chain: 2, warnings: [] },
    { name: "leaf alone", cert: "leaf.pem", key: "good.key", chain: 1, warnings: [/no intermediate/] },
    { name: "binary leaf", cert: "leaf.der", key: "good.key", chain: 1, warnings: [/no intermediate/] },
    {
      name: "a certificate of another chain",
      cert: "stranger.pem",
      key: "good.key",
      chain: 2,
      warnings: [/1 certificates that do not belong/],
    },
    {
      name: "the leaf twice",
      cert: "twice.pem",
      key: "good.key",
      chain: 2,
      warnings: [/1 certificates that do not belong/],
    },
    { name: "expired", cert: "old.pem", key: "old.key", chain: 2, warnings: [/expired on 2024-04-01/] },
    {
      name: "not yet valid",
      cert: "early.pem",
      key: "early.key",
      chain: 2,
      warnings: [/valid only from 2040-01-01.*clock/],
    },
    { name: "expires in days", cert: "soon.pem", key: "soon.key", chain: 2, warnings: [/expires on /] },
    { name: "weak RSA key", cert: "weak.pem", key: "weak.key", chain: 2, warnings: [/1024 bits is too weak/] },
  ];
  test.each(cases)("$name", async ({ cert, key, chain, warnings }) => {
    const found = await load(cert, key);
    expect(pemBlocks(found.pair.cert, /^CERTIFICATE$/)).toHaveLength(chain);
    expect(found.warnings.join("\n")).toMatch(warnings.length === 0 ? /^$/ : /./);
    for (const [index, pattern] of warnings.entries()) expect(found.warnings[index]).toMatch(pattern);
    expect(found.warnings).toHaveLength(warnings.length);
    expect(pemBlocks(found.pair.key, /PRIVATE KEY$/)).toHaveLength(1);
  });

  test("the leaf comes first, and says who it is", async () => {
    const { pair, info } = await load("reversed.pem", "good.key");
    expect(readCertificate(pair.cert).fingerprint).toBe(readCertificate(good.leaf).fingerprint);
    expect(info.names).toEqual(["music.example.com", "*.example.org", "192.0.2.7"]);
    expect(info).toMatchObject({ keyType: "EC prime256v1", selfSigned: false });
    expect(info.issuer).toContain("Intermediate");
  });
});

describe("what is said of files that do not work", () => {
  const cases: { name: string; cert: string; key: string; says: RegExp }[] = [
    {
      name: "key of another certificate",
      cert: "good.pem",
      key: "other.key",
      says: /other\.key does not belong to the certificate in .*good\.pem/,
    },
    {
      name: "key in the place of the certificate",
      cert: "good.key",
      key: "good.key",
      says: /good\.key holds a private key, but no certificate/,
    },
    {
      name: "certificate in the place of the key",
      cert: "good.pem",
      key: "leaf.pem",
      says: /leaf\.pem holds a certificate, but no private key/,
    },
    {
      name: "key with a passphrase",
      cert: "good.pem",
      key: "locked.key",
      says: /locked with a passphrase.*openssl pkey/,
    },
    { name: "PKCS#12", cert: "bundle.pfx", key: "good.key", says: /no certificate; .*openssl pkcs12/ },
    { name: "no PEM at all", cert: "garbage.pem", key: "good.key", says: /garbage\.pem holds no certificate/ },
    { name: "empty file", cert: "empty.pem", key: "good.key", says: /empty\.pem holds no certificate/ },
    {
      name: "damaged certificate",
      cert: "damaged.pem",
      key: "good.key",
      says: /certificate 1 in .*damaged\.pem is damaged/,
    },
    { name: "damaged key", cert: "good.pem", key: "damaged.key", says: /damaged\.key is damaged/ },
    {
      name: "missing certificate",
      cert: "absent.pem",
      key: "good.key",
      says: /certificate file .*absent\.pem cannot be read: it does not exist/,
    },
    {
      name: "missing key",
      cert: "good.pem",
      key: "absent.key",
      says: /private key file .*absent\.key cannot be read: it does not exist/,
    },
    { name: "folder", cert: "folder", key: "good.key", says: /it is a folder, not a file/ },
    { name: "far too large", cert: "huge.pem", key: "good.key", says: /too large for a certificate/ },
    { name: "no file set", cert: "", key: "good.key", says: /no file is set for the certificate \(common\.ssl_info\)/ },
  ];
  test.each(cases)("$name", async ({ cert, key, says }) => {
    const failure = await load(cert, key).then(
      () => undefined,
      (error) => error,
    );
    expect(failure).toMatchObject({ kind: "invalid_request" });
    expect(failure.message).toMatch(says);
    expect(failure.message).not.toContain("PRIVATE KEY-----\n");
  });
});

test("a stamp changes when a file does, and when one goes", async () => {
  const files = [file("watched.pem"), file("never.pem")];
  const absent = await stampOf(files);
  await Bun.write(file("watched.pem"), "one");
  const first = await stampOf(files);
  expect(await stampOf(files)).toBe(first);
  await Bun.write(file("watched.pem"), "other");
  const second = await stampOf(files);
  await rm(file("watched.pem"));
  expect(new Set([absent, first, second]).size).toBe(3);
  expect(await stampOf(files)).toBe(absent);
});

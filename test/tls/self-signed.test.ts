import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import fc from "fast-check";
import { DAY_MS, readCertificate } from "../../src/tls/certificate.ts";
import { createAuthority, createSelfSigned, hostOf, localNames } from "../../src/tls/self-signed.ts";

let folder: string;
const now = Date.now();
const file = (name: string) => join(folder, name);
const KEYS = ["ec", "rsa"] as const;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-selfsigned-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("openssl agrees", () => {
  test.each(KEYS.flatMap((ca) => KEYS.map((leaf) => ({ name: `${leaf} certificate of an ${ca} CA`, ca, leaf }))))(
    "$name",
    async ({ ca, leaf }) => {
      const authority = await createAuthority(ca, now);
      const names = ["music.example.com", "*.example.org", "192.0.2.7", "2001:db8::7"];
      const made = await createSelfSigned({ names, keyType: leaf, authority, now });
      await Bun.write(file("ca.pem"), authority.cert);
      await Bun.write(file("leaf.pem"), made.cert);
      for (const [option, value] of [
        ["-verify_hostname", "music.example.com"],
        ["-verify_hostname", "any.example.org"],
        ["-verify_ip", "192.0.2.7"],
        ["-verify_ip", "2001:db8::7"],
      ]) {
        const checked =
          await $`openssl verify -x509_strict -purpose sslserver -CAfile ${file("ca.pem")} ${option} ${value} ${file("leaf.pem")}`.text();
        expect(checked).toContain(": OK");
      }
      const stranger =
        await $`openssl verify -CAfile ${file("ca.pem")} -verify_hostname a.b.example.org ${file("leaf.pem")}`
          .nothrow()
          .quiet();
      expect(stranger.exitCode).not.toBe(0);
    },
  );

  test("a CA that may sign servers and nothing else", async () => {
    const authority = await createAuthority("ec", now);
    await Bun.write(file("ca.pem"), authority.cert);
    const text = await $`openssl x509 -in ${file("ca.pem")} -noout -text`.text();
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    expect(text).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
  });

  test("one that signs itself is trusted as itself", async () => {
    const made = await createSelfSigned({ names: ["localhost"], keyType: "ec", now });
    await Bun.write(file("self.pem"), made.cert);
    const checked = await $`openssl verify -x509_strict -CAfile ${file("self.pem")} ${file("self.pem")}`.text();
    expect(checked).toContain(": OK");
    expect(readCertificate(made.cert).selfSigned).toBe(true);
  });
});

test("valid from yesterday, for as many days as browsers accept", async () => {
  const info = readCertificate((await createSelfSigned({ names: ["a.test"], keyType: "ec", now })).cert);
  expect(Math.round((now - info.notBefore) / DAY_MS)).toBe(1);
  expect(Math.round((info.notAfter - now) / DAY_MS)).toBe(397);
  expect((info.notAfter - info.notBefore) / DAY_MS).toBeLessThanOrEqual(398.01);
});

test("no two certificates share a serial number", async () => {
  const authority = await createAuthority("ec", now);
  const serials = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const made = await createSelfSigned({ names: ["a.test"], keyType: "ec", authority, now });
      return readCertificate(made.cert).serial;
    }),
  );
  expect(new Set(serials).size).toBe(20);
  for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{31}$/);
});

describe("names", () => {
  test.each([
    { name: "lower case", given: "Music.Example.COM", host: "music.example.com" },
    { name: "wildcard", given: "*.Example.com", host: "*.example.com" },
    { name: "international", given: "音乐.example", host: "xn--fjq180p.example" },
    { name: "international wildcard", given: "*.münchen.de", host: "*.xn--mnchen-3ya.de" },
    { name: "IPv4", given: "192.168.1.2", host: "192.168.1.2" },
    { name: "IPv6 in brackets", given: "[2001:DB8:0:0::1]", host: "2001:db8::1" },
    { name: "spaces around", given: " a.test ", host: "a.test" },
    { name: "single label", given: "nas", host: "nas" },
  ])("$name", ({ given, host }) => {
    expect(hostOf(given)).toBe(host);
  });

  test.each(
    [
      "",
      "*",
      "*.",
      "a..b",
      "http://a.test",
      "a.test:443",
      "a.test/x",
      "a b",
      "a*.test",
      "-a.test",
      `${"a".repeat(64)}.test`,
    ].map((given) => ({ given })),
  )("refused: $given", ({ given }) => {
    expect(() => hostOf(given)).toThrow(/neither a host name nor an IP address/);
  });

  test("what was accepted once is accepted again, unchanged", () => {
    fc.assert(
      fc.property(fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6()), (name) => {
        const host = hostOf(name);
        expect(hostOf(host)).toBe(host);
      }),
    );
  });

  test("any address goes into a certificate and comes out as it was", async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.ipV4(), fc.ipV6()).map(hostOf), async (address) => {
        const made = await createSelfSigned({ names: [address], keyType: "ec", now });
        expect(readCertificate(made.cert).names).toEqual([address]);
      }),
      { numRuns: 40 },
    );
  });

  test("of this machine: localhost and every address but link-local ones", () => {
    const names = localNames();
    expect(names).toContain("localhost");
    expect(names).toContain("127.0.0.1");
    expect(names).toContain("::1");
    expect(names.filter((name) => name.startsWith("fe80:"))).toEqual([]);
    for (const name of names) expect(hostOf(name)).toBe(name);
  });
});

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { inNetwork, isPublic, parseAddress, parseNetwork } from "../../src/net/address.ts";

const publicity: [string, boolean][] = [
  ["8.8.8.8", true],
  ["1.1.1.1", true],
  ["223.5.5.5", true],
  ["172.15.255.255", true],
  ["172.32.0.0", true],
  ["100.63.255.255", true],
  ["100.128.0.0", true],
  ["0.0.0.0", false],
  ["10.1.2.3", false],
  ["100.64.0.1", false],
  ["100.100.100.200", false],
  ["127.0.0.1", false],
  ["127.255.255.255", false],
  ["168.63.129.16", false],
  ["169.254.169.254", false],
  ["172.16.0.1", false],
  ["172.31.255.255", false],
  ["192.0.0.192", false],
  ["192.168.1.1", false],
  ["198.18.0.1", false],
  ["224.0.0.251", false],
  ["255.255.255.255", false],
  ["2400:3200::1", true],
  ["2606:4700:4700::1111", true],
  ["::", false],
  ["::1", false],
  ["::ffff:127.0.0.1", false],
  ["::ffff:7f00:1", false],
  ["::ffff:8.8.8.8", true],
  ["::127.0.0.1", false],
  ["64:ff9b::7f00:1", false],
  ["64:ff9b::169.254.169.254", false],
  ["64:ff9b::8.8.8.8", true],
  ["64:ff9b:1::1", false],
  ["2002:7f00:1::", false],
  ["2002:a00:1::1", false],
  ["2002:808:808::1", true],
  ["2001::1", false],
  ["2001:db8::1", false],
  ["fc00::1", false],
  ["fd00:ec2::254", false],
  ["fe80::1", false],
  ["fec0::1", false],
  ["ff02::1", false],
  ["4000::1", false],
];

test.each(publicity)("%s public: %p", (text, expected) => {
  const address = parseAddress(text);
  expect(address).toBeDefined();
  if (address !== undefined) expect(isPublic(address)).toBe(expected);
});

test.each([
  "",
  "1.2.3",
  "256.1.1.1",
  "0x7f.0.0.1",
  "017700000001",
  "1.2.3.4.5",
  ":::",
  "1::2::3",
  "12345::",
  "::g",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "fe80::1%eth0",
])("%p is no address", (text) => expect(parseAddress(text)).toBeUndefined());

describe("networks", () => {
  test("IPv4 in its mapped form is in the IPv4 network", () => {
    const network = parseNetwork("10.0.0.0/8");
    const address = parseAddress("::ffff:10.9.9.9");
    expect(network !== undefined && address !== undefined && inNetwork(address, network)).toBe(true);
  });
  test.each(["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "x/8", "::/129", "10.0.0.0/-1"])("%p is no network", (text) =>
    expect(parseNetwork(text)).toBeUndefined(),
  );
  test("a network holds exactly the addresses that share its leading bits", () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), fc.integer({ min: 0, max: 32 }), (a, b, prefix) => {
        const dotted = (n: number) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255].join(".");
        const network = parseNetwork(`${dotted(a)}/${prefix}`);
        const address = parseAddress(dotted(b));
        const same = prefix === 0 || a >>> (32 - prefix) === b >>> (32 - prefix);
        return network !== undefined && address !== undefined && inNetwork(address, network) === same;
      }),
    );
  });
});

import { describe, expect, test } from "bun:test";
import { isIP } from "node:net";
import fc from "fast-check";
import { clientNetwork, inNetwork, parseAddress, parseHop, parseNetwork } from "../../src/access/address.ts";
import { isLocal, isLoopback, networkSet } from "../../src/access/networks.ts";
import vectors from "../fixtures/access/vectors.json";

describe("one spelling", () => {
  test.each([
    ["1.2.3.4", "1.2.3.4"],
    ["::ffff:1.2.3.4", "1.2.3.4"],
    ["::FFFF:102:304", "1.2.3.4"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:0:0:0:1", "2001:db8:0:1::1"],
    ["2001:0:0:1:0:0:1:1", "2001::1:0:0:1:1"],
    ["1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"],
    ["fe80::1%eth0", "fe80::1"],
    ["::", "::"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ])("%s -> %s", (input, text) => expect(parseAddress(input)?.text).toBe(text));
});

test.each([
  "",
  "abc",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
  "01.2.3.4",
  "1.2.3.4 ",
  "0x7f.1",
  "127.1",
  "1..2.3",
  "1:2",
  ":::",
  "1::2::3",
  "12345::",
  "g::",
  "::1.2.3",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:1.2.3.4",
  "[::1]",
  "localhost",
  "1.2.3.4/8",
  "::ffff:1.2.3.4.5",
])("%p is no address", (input) => expect(parseAddress(input)).toBeUndefined());

test("agrees with the runtime's own parser, whatever the text", () => {
  const texts = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.string(),
    fc.stringMatching(/^[0-9a-f:.]{0,40}$/),
    fc.stringMatching(/^[0-9.]{0,16}$/),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const ours = parseAddress(text);
      const [address = ""] = text.split("%");
      // The runtime also knows zones; ours drops them.
      expect(ours !== undefined).toBe(text.includes("%") ? isIP(address) === 6 : isIP(text) !== 0);
      if (ours !== undefined) expect(parseAddress(ours.text)).toEqual(ours);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ["1.2.3.4:5678", "1.2.3.4"],
  ['"[2001:db8::1]:4711"', "2001:db8::1"],
  ["[::1]", "::1"],
  [" 10.0.0.1 ", "10.0.0.1"],
  ["unknown", undefined],
  ["_hidden", undefined],
  ["[1.2.3.4", undefined],
  ["1.2.3.4, 5.6.7.8", undefined],
  [`${"1".repeat(70)}`, undefined],
])("hop %p is %p", (input, text) => expect(parseHop(input)?.text).toBe(text));

test.each([
  ["10.0.0.0/8", "10.255.0.1", true],
  ["10.0.0.0/8", "11.0.0.1", false],
  ["10.1.2.3/8", "10.9.9.9", true],
  ["0.0.0.0/0", "8.8.8.8", true],
  ["0.0.0.0/0", "::1", false],
  ["1.2.3.4", "1.2.3.4", true],
  ["1.2.3.4", "1.2.3.5", false],
  ["2001:db8::/33", "2001:db8:7fff::1", true],
  ["2001:db8::/33", "2001:db8:8000::1", false],
  ["::ffff:10.0.0.0/8", "10.1.1.1", true],
])("%s holds %s: %p", (network, address, expected) => {
  const [a, n] = [parseAddress(address), parseNetwork(network)];
  expect(a !== undefined && n !== undefined && inNetwork(a, n)).toBe(expected);
});

test.each(["10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/a", "/8", "10.0.0.0/8/8"])("%s is no network", (text) =>
  expect(parseNetwork(text)).toBeUndefined(),
);

test.each([
  ["1.2.3.4", "1.2.3.4"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
])("limits of %s are those of %s", (address, network) => {
  const parsed = parseAddress(address);
  expect(parsed && clientNetwork(parsed).text).toBe(network);
});

test.each(vectors.is_local_ip.map(([address, local]) => [String(address), Boolean(local)] as const))(
  "the original calls %s local: %p",
  (text, local) => {
    const address = parseAddress(text);
    expect(address !== undefined && isLocal(address)).toBe(local);
  },
);

test.each([
  ["127.0.0.1", true],
  ["127.8.9.1", true],
  ["::1", true],
  ["::ffff:127.0.0.1", true],
  ["128.0.0.1", false],
  ["::2", false],
  ["10.0.0.1", false],
])("loopback %s: %p", (text, expected) => {
  const address = parseAddress(text);
  expect(address !== undefined && isLoopback(address)).toBe(expected);
});

test("a set knows words, addresses and networks, and says what it does not know", () => {
  const set = networkSet(["loopback", "private", "8.8.8.0/24", "nonsense", "300.1.1.1"]);
  const has = (text: string) => {
    const address = parseAddress(text);
    return address !== undefined && set.has(address);
  };
  expect([has("127.0.0.1"), has("192.168.1.1"), has("fd00::1"), has("8.8.8.8")]).toEqual([true, true, true, true]);
  expect([has("8.8.9.1"), has("2001:db8::1"), has("100.64.0.1")]).toEqual([false, false, false]);
  expect(set.invalid).toEqual(["nonsense", "300.1.1.1"]);
});

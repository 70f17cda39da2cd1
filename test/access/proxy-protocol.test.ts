import { expect, test } from "bun:test";
import { connect } from "node:net";
import fc from "fast-check";
import { networkSet } from "../../src/access/networks.ts";
import { readProxyHeader } from "../../src/access/proxy-protocol.ts";
import { startProxyRelay } from "../../src/access/proxy-relay.ts";
import { silentLogger } from "../../src/ops/log.ts";

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];

/** A version 2 header as section 2.2 of the specification lays it out. */
function v2(command: number, family: number, addresses: number[], tlv: number[] = []): Buffer {
  const size = addresses.length + tlv.length;
  return Buffer.from([...SIGNATURE, 0x20 | command, family, size >> 8, size & 255, ...addresses, ...tlv]);
}
const ipv4 = [192, 0, 2, 7, 10, 0, 0, 1, 0x30, 0x39, 0, 80];
const ipv6 = [
  0x20,
  0x01,
  0x0d,
  0xb8,
  ...new Array<number>(11).fill(0),
  5,
  ...new Array<number>(16).fill(0),
  0,
  1,
  0,
  2,
];

test.each([
  ["v1 TCP4", Buffer.from("PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\nGET /"), "192.0.2.7", 40],
  ["v1 TCP6", Buffer.from("PROXY TCP6 2001:DB8::5 ::1 12345 80\r\n"), "2001:db8::5", 37],
  ["v1 UNKNOWN names nobody", Buffer.from("PROXY UNKNOWN\r\n"), undefined, 15],
  ["v2 IPv4", v2(1, 0x11, ipv4), "192.0.2.7", 28],
  ["v2 IPv4 with a TLV", v2(1, 0x11, ipv4, [3, 0, 1, 9]), "192.0.2.7", 32],
  ["v2 IPv6", v2(1, 0x21, ipv6), "2001:db8::5", 52],
  ["v2 LOCAL names nobody", v2(0, 0, []), undefined, 16],
])("%s", (_, bytes, address, length) => {
  expect(readProxyHeader(bytes)).toEqual({ kind: "header", address, length });
  for (let cut = 0; cut < length; cut++) expect(readProxyHeader(bytes.subarray(0, cut)).kind).toBe("more");
});

test.each([
  ["plain HTTP", "GET / HTTP/1.1\r\n"],
  ["an address that is none", "PROXY TCP4 1.2.3.400 10.0.0.1 1 2\r\n"],
  ["IPv6 under TCP4", "PROXY TCP4 ::1 ::1 1 2\r\n"],
  ["a line that never ends", `PROXY TCP4 ${"1".repeat(200)}`],
  ["an unknown version", Buffer.from([...SIGNATURE, 0x31, 0x11, 0, 0]).toString("latin1")],
  ["a header larger than any", Buffer.from([...SIGNATURE, 0x21, 0x11, 0xff, 0xff]).toString("latin1")],
])("%s is refused", (_, text) => {
  expect(readProxyHeader(Buffer.from(text, "latin1"))).toEqual({ kind: "invalid" });
});

test("any bytes at all are read without an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, signed) => {
      const found = readProxyHeader(Buffer.from(signed ? [...SIGNATURE, ...bytes] : bytes));
      return found.kind !== "header" || found.length <= bytes.length + SIGNATURE.length;
    }),
  );
});

/** Sends text to a port and gives all that comes back until the other side closes. */
function talk(port: number, text: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk) => (answer += chunk));
    socket.on("error", () => resolve(answer));
    socket.on("close", () => resolve(answer));
  });
}

async function withServer(trusted: string[], work: (port: number) => Promise<void>): Promise<void> {
  let relay: Awaited<ReturnType<typeof startProxyRelay>> | undefined;
  const inner = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request, server) {
      const peer = server.requestIP(request);
      return new Response(`client=${relay?.clientOf(peer?.port ?? 0) ?? "?"} ${new URL(request.url).pathname}`);
    },
  });
  relay = await startProxyRelay({
    host: "127.0.0.1",
    port: 0,
    target: { host: "127.0.0.1", port: inner.port ?? 0 },
    trusted: networkSet(trusted),
    log: silentLogger,
  });
  try {
    await work(relay.port);
  } finally {
    await relay.close();
    await inner.stop(true);
  }
}

test("the client of the header is known for every request of the connection", async () => {
  await withServer(["loopback"], async (port) => {
    const two = "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const answer = await talk(port, `PROXY TCP4 192.0.2.7 10.0.0.1 12345 80\r\n${two}`);
    expect(answer).toContain("client=192.0.2.7 /a");
    expect(answer).toContain("client=192.0.2.7 /b");
    const binary = Buffer.concat([
      v2(1, 0x21, ipv6),
      Buffer.from("GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    ]);
    expect(await talk(port, binary)).toContain("client=2001:db8::5 /c");
  });
});

test("without a header, or from a peer that is not trusted, nothing is answered", async () => {
  await withServer(["loopback"], async (port) => {
    expect(await talk(port, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).toBe("");
  });
  await withServer(["10.0.0.0/8"], async (port) => {
    expect(await talk(port, "PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).toBe("");
  });
});

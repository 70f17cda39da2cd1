import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "node:net";
import { type RunningServer, startServer } from "./server.ts";

let server: RunningServer;

beforeAll(async () => {
  server = await startServer({
    config: {
      common: { reverse_proxy: { proxy_protocol: true, trusted: ["127.0.0.1"] } },
      security: { ops: { allow: ["203.0.113.7"] } },
    },
  });
});
afterAll(() => server?.remove());

/** One request with this in front of it; the status, or 0 when the connection was closed. */
function statusAfter(header: string): Promise<number> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () =>
      socket.write(`${header}GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`),
    );
    let text = "";
    socket.setTimeout(10_000, () => socket.destroy(new Error("no answer")));
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 0)));
  });
}

test.each([
  ["the client that the header names", "PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n", 200],
  ["another client", "PROXY TCP4 203.0.113.8 10.0.0.1 4711 80\r\n", 403],
  ["no header at all", "", 0],
])("%s", async (_name, header, status) => {
  expect(await statusAfter(header)).toBe(status);
});

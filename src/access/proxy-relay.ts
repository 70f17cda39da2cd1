import { connect, createServer, type Server, type Socket } from "node:net";
import type { Logger } from "../ops/log.ts";
import { parseAddress } from "./address.ts";
import type { NetworkSet } from "./networks.ts";
import { readProxyHeader } from "./proxy-protocol.ts";

export interface ProxyRelayOptions {
  host: string;
  port: number;
  /** Where the real listener is: on loopback, and reached by nobody else. */
  target: { host: string; port: number };
  /** Peers that may speak the protocol; a connection from elsewhere is closed. */
  trusted: NetworkSet;
  log: Logger;
  maxConnections?: number;
  /** Ms for the header to arrive. */
  headerDeadlineMs?: number;
}

export interface ProxyRelay {
  readonly port: number;
  /** The client behind a connection to the target, by the port it comes from; undefined = not one of ours. */
  clientOf(localPort: number): string | undefined;
  close(): Promise<void>;
}

/**
 * PROXY protocol for a server that cannot read it: `Bun.serve` has no hook before the first byte of HTTP or TLS. This
 * takes the header off and passes the rest on over loopback; the request handler asks for the client by the port that
 * `server.requestIP` shows. Costs one copy of every byte, so it runs only when `proxy_protocol` is on.
 */
export function startProxyRelay(options: ProxyRelayOptions): Promise<ProxyRelay> {
  const { target, trusted, log, maxConnections = 10_000, headerDeadlineMs = 5000 } = options;
  const clients = new Map<number, string>();
  const open = new Set<Socket>();

  function accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    const peer = parseAddress(socket.remoteAddress ?? "");
    if (peer === undefined || !trusted.has(peer) || open.size >= maxConnections) {
      log.warn("PROXY connection refused", { peer: peer?.text, open: open.size });
      socket.destroy();
      return;
    }
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    let received = Buffer.alloc(0);
    const deadline = setTimeout(() => socket.destroy(), headerDeadlineMs);
    const read = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const header = readProxyHeader(received);
      if (header.kind === "more") return;
      clearTimeout(deadline);
      socket.off("data", read);
      if (header.kind === "invalid") {
        socket.destroy();
        return;
      }
      socket.pause();
      forward(socket, header.address ?? peer.text, received.subarray(header.length));
    };
    socket.on("data", read);
    socket.on("close", () => clearTimeout(deadline));
  }

  function forward(socket: Socket, client: string, rest: Buffer): void {
    const inner = connect(target.port, target.host, () => {
      const local = inner.localPort ?? 0;
      clients.set(local, client);
      inner.on("close", () => clients.delete(local));
      if (rest.length > 0) inner.write(rest);
      socket.pipe(inner);
      inner.pipe(socket);
    });
    inner.on("error", () => socket.destroy());
    inner.on("close", () => socket.destroy());
    socket.on("close", () => inner.destroy());
  }

  const server = createServer({ pauseOnConnect: false }, accept);
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      resolve({
        port: portOf(server),
        clientOf: (localPort) => clients.get(localPort),
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            for (const socket of open) socket.destroy();
          }),
      });
    });
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

import { networkSet } from "./access/networks.ts";
import { type ProxyRelay, startProxyRelay } from "./access/proxy-relay.ts";
import { type Listener, type ListenerOptions, startListener } from "./tls/listener.ts";

export interface ProxiedListenerOptions extends ListenerOptions {
  /** Who may speak the PROXY protocol; empty = private addresses. */
  trusted: readonly string[];
}

/** Loopback ports that the system chooses stand behind the configured ones. */
const INNER_HOST = "127.0.0.1";

/**
 * The listener behind relays that take the PROXY header off each connection (`reverse_proxy.proxy_protocol`). A
 * connection that reached the inner port by another way has no client that we know: it counts as a stranger's.
 */
export async function listenBehindProxy(options: ProxiedListenerOptions): Promise<Listener> {
  const relays: ProxyRelay[] = [];
  const clientOf = (port: number) => relays.map((relay) => relay.clientOf(port)).find((found) => found !== undefined);
  const { tls, hosts, log } = options;
  const inner = await startListener({
    ...options,
    hosts: [INNER_HOST],
    ports: options.ports.map(() => 0),
    ...(tls === undefined ? {} : { tls: { ...tls, http3: false, ports: tls.ports.map(() => 0) } }),
    handle: (request, connection) =>
      options.handle(
        request,
        connection.local
          ? connection
          : {
              address: clientOf(connection.port) ?? "",
              port: connection.port,
              secure: connection.secure,
              local: false,
            },
      ),
  });
  const outer = [
    ...options.ports.map((port) => ({ scheme: "http", port })),
    ...(tls?.ports ?? []).map((port) => ({ scheme: "https", port })),
  ];
  const targets = inner.addresses
    .filter((address) => !address.startsWith("unix:"))
    .map((address) => Number(address.split(":").at(-1)));
  const trusted = networkSet(options.trusted.length === 0 ? ["private"] : options.trusted);
  const addresses: string[] = [];
  try {
    for (const host of hosts) {
      for (const [index, { scheme, port }] of outer.entries()) {
        const target = { host: INNER_HOST, port: targets[index] ?? 0 };
        const relay = await startProxyRelay({ host, port, target, trusted, log });
        relays.push(relay);
        addresses.push(`${scheme}://${host.includes(":") ? `[${host}]` : host}:${relay.port}`);
      }
    }
  } catch (error) {
    await Promise.all(relays.map((relay) => relay.close()));
    await inner.stop(0);
    throw error;
  }
  return {
    addresses,
    securePorts: tls?.ports ?? [],
    swapCertificates: (...given) => inner.swapCertificates(...given),
    async stop(deadlineMs) {
      await inner.stop(deadlineMs);
      await Promise.all(relays.map((relay) => relay.close()));
    },
  };
}

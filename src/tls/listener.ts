import { chmodSync, existsSync, rmSync } from "node:fs";
import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";

/** One certificate with the name that selects it (SNI); without a name it is the default. */
export interface TlsEntry {
  serverName?: string;
  /** PEM, leaf first, then its chain. */
  cert: string;
  /** PEM. */
  key: string;
}

/** How a connection came in. */
export interface Connection {
  /** The peer's address; empty for a Unix socket. */
  address: string;
  secure: boolean;
  /** The request came through our Unix socket: a proxy on this machine stands in front. */
  local: boolean;
}

export interface ListenerOptions {
  hosts: string[];
  ports: number[];
  unixSocket?: string | undefined;
  tls?:
    | { ports: number[]; entries: TlsEntry[]; http2: boolean; http3: boolean; options?: Record<string, unknown> }
    | undefined;
  handle: (request: Request, connection: Connection) => Response | Promise<Response>;
  /** Seconds without traffic after which a connection is closed. */
  idleSeconds: number;
  /** Bytes; larger bodies are cut off by the server itself. */
  maxBodyBytes: number;
  log: Logger;
}

export interface Listener {
  /** "http://0.0.0.0:9763", as opened (port 0 shows the real one). */
  readonly addresses: string[];
  /** Serves these certificates from now on; running responses finish on the old ones. */
  swapCertificates(entries: TlsEntry[]): Promise<void>;
  /** Stops accepting and waits for running requests; after `deadlineMs` they are cut. */
  stop(deadlineMs: number): Promise<void>;
}

type Server = ReturnType<typeof Bun.serve>;

interface Opened {
  server: Server;
  open: (entries: TlsEntry[]) => Server;
  secure: boolean;
}

/** Opens every configured address. One that cannot be opened is an error only when none could. */
export function startListener(options: ListenerOptions): Listener {
  const opened: Opened[] = [];
  const problems: string[] = [];
  const tryOpen = (what: string, secure: boolean, open: (entries: TlsEntry[]) => Server) => {
    try {
      opened.push({ server: open(options.tls?.entries ?? []), open, secure });
    } catch (error) {
      const reason = describeProblem(error);
      problems.push(`${what}: ${reason}`);
      options.log.error("cannot listen", { address: what, reason });
    }
  };
  for (const host of options.hosts) {
    for (const port of options.ports)
      tryOpen(display("http", host, port), false, () => plainServer(options, host, port));
    for (const port of options.tls?.ports ?? []) {
      tryOpen(display("https", host, port), true, (entries) => tlsServer(options, host, port, entries));
    }
  }
  const { unixSocket } = options;
  if (unixSocket) tryOpen(`unix:${unixSocket}`, false, () => unixServer(options, unixSocket));
  if (opened.length === 0) throw new AppError("conflict", `cannot listen anywhere:\n${problems.join("\n")}`);

  return {
    addresses: opened.map(({ server, secure }) =>
      server.port === undefined
        ? `unix:${unixSocket}`
        : display(secure ? "https" : "http", server.hostname ?? "", server.port),
    ),
    async swapCertificates(entries) {
      for (const item of opened) {
        if (!item.secure) continue;
        const old = item.server;
        // `reload` keeps the old certificate; a second server on the same port (reusePort) takes over instead.
        item.server = item.open(entries);
        await old.stop();
      }
    },
    async stop(deadlineMs) {
      const graceful = Promise.all(opened.map(({ server }) => server.stop()));
      const timer = setTimeout(() => void Promise.all(opened.map(({ server }) => server.stop(true))), deadlineMs);
      await graceful.catch(() => undefined);
      clearTimeout(timer);
      if (unixSocket) rmSync(unixSocket, { force: true });
    },
  };
}

function common(options: ListenerOptions, secure: boolean, local: boolean) {
  return {
    idleTimeout: Math.min(255, options.idleSeconds),
    maxRequestBodySize: options.maxBodyBytes,
    development: false,
    fetch: (request: Request, server: Server) =>
      options.handle(request, { address: local ? "" : (server.requestIP(request)?.address ?? ""), secure, local }),
    error: (error: unknown) => {
      options.log.error("unhandled failure in the server", { error });
      return new Response('{"code":4,"msg":"内部服务器错误","data":null}', {
        status: 500,
        headers: { "content-type": "application/json; charset=utf-8" },
      });
    },
  };
}

function plainServer(options: ListenerOptions, hostname: string, port: number): Server {
  return Bun.serve({ ...common(options, false, false), hostname, port });
}

function tlsServer(options: ListenerOptions, hostname: string, port: number, entries: TlsEntry[]): Server {
  const { http2 = false, http3 = false, options: extra = {} } = options.tls ?? {};
  // `http2` and `http3` are newer than the type package's options.
  const settings = {
    ...common(options, true, false),
    hostname,
    port,
    reusePort: true,
    tls: entries.map((entry) => ({ ...entry, ...extra })),
    http2,
    http3,
  };
  return Bun.serve(settings as Parameters<typeof Bun.serve>[0]);
}

function unixServer(options: ListenerOptions, path: string): Server {
  if (existsSync(path)) rmSync(path);
  const server = Bun.serve({ ...common(options, false, true), unix: path } as Parameters<typeof Bun.serve>[0]);
  chmodSync(path, 0o660);
  return server;
}

function display(scheme: string, host: string, port: number): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function describeProblem(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "EADDRINUSE") return "the port is in use by another program";
  if (code === "EADDRNOTAVAIL") return "this machine has no such address; see --host and common.hosts";
  if (code === "EACCES") return "no permission (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
  return error instanceof Error ? error.message : String(error);
}

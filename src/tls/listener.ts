import { rmSync } from "node:fs";
import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { within } from "../ops/shutdown.ts";
import { type Connection, type Door, openPlain, openSecure, openUnix, type TlsEntry } from "./door.ts";

export type { Connection, TlsEntry };

/** HTTPS as it is to be opened. */
export interface SecureOptions {
  ports: number[];
  /** The first one answers clients that name no host, or one that we do not know. */
  entries: TlsEntry[];
  http2: boolean;
  http3: boolean;
  /** Further options of each entry: versions, cipher suites. */
  options?: Record<string, unknown>;
}

export interface ListenerOptions {
  hosts: string[];
  ports: number[];
  unixSocket?: string | undefined;
  tls?: SecureOptions | undefined;
  handle: (request: Request, connection: Connection) => Response | Promise<Response>;
  /** Seconds without traffic after which a connection is closed. */
  idleSeconds: number;
  /** Bytes; larger bodies are cut off by the server itself. */
  maxBodyBytes: number;
  /** Ms in which clients of a replaced certificate move over of their own accord. */
  drainMs?: number;
  log: Logger;
}

export interface Listener {
  /** "http://0.0.0.0:9763", as opened (port 0 shows the real one). */
  readonly addresses: string[];
  /** Ports on which HTTPS is open, in the order of the config. */
  readonly securePorts: number[];
  /**
   * Serves these certificates from now on. No request is lost: what runs ends on the old certificate, connections move
   * over between two requests. Resolves when no connection gets the old certificate any more.
   */
  swapCertificates(entries: TlsEntry[], options?: Record<string, unknown>): Promise<void>;
  /** Stops accepting and waits for running requests; after `deadlineMs` they are cut. */
  stop(deadlineMs: number): Promise<void>;
}

const DRAIN_MS = 5000;
/** A download on the old certificate may take this long before it is cut. */
const RETIREMENT_MS = 3_600_000;

/** Opens every configured address. One that cannot be opened is an error only when none could. */
export async function startListener(options: ListenerOptions): Promise<Listener> {
  const { log, unixSocket, drainMs = DRAIN_MS } = options;
  const doors: Door[] = [];
  const retired = new Set<Promise<unknown>>();
  const problems: string[] = [];
  const tryOpen = async (address: string, open: () => Door | Promise<Door>) => {
    try {
      doors.push(await open());
    } catch (error) {
      const reason = describeProblem(error);
      problems.push(`${address}: ${reason}`);
      log.error("cannot listen", { address, reason });
    }
  };
  for (const host of options.hosts) {
    for (const port of options.ports) await tryOpen(display("http", host, port), () => openPlain(options, host, port));
    const { tls } = options;
    for (const port of tls?.ports ?? []) {
      if (tls !== undefined) await tryOpen(display("https", host, port), () => openSecure(options, tls, host, port));
    }
  }
  if (unixSocket) await tryOpen(`unix:${unixSocket}`, () => openUnix(options, unixSocket));
  if (doors.length === 0) throw new AppError("conflict", `cannot listen anywhere:\n${problems.join("\n")}`);

  async function retire(door: Door): Promise<void> {
    door.drain();
    await Bun.sleep(drainMs);
    const ended = door.server.stop();
    const running = within(RETIREMENT_MS, ended).then((inTime) => (inTime ? undefined : door.server.stop(true)));
    retired.add(running);
    void running.finally(() => retired.delete(running));
  }

  return {
    get addresses() {
      return doors.map(({ server, secure }) =>
        server.port === undefined
          ? `unix:${unixSocket}`
          : display(secure ? "https" : "http", server.hostname ?? "", server.port),
      );
    },
    get securePorts() {
      return [...new Set(doors.flatMap(({ secure, server }) => (secure ? [server.port ?? 0] : [])))];
    },
    async swapCertificates(entries, extra) {
      const old: Door[] = [];
      try {
        for (const [index, door] of doors.entries()) {
          if (door.reopen === undefined) continue;
          doors[index] = door.reopen(entries, extra);
          old.push(door);
        }
      } finally {
        await Promise.all(old.map(retire));
      }
    },
    async stop(deadlineMs) {
      const graceful = Promise.all([...doors.map(({ server }) => server.stop()), ...retired]);
      const timer = setTimeout(() => void Promise.all(doors.map(({ server }) => server.stop(true))), deadlineMs);
      await within(deadlineMs + 1000, graceful).catch(() => undefined);
      clearTimeout(timer);
      if (unixSocket) rmSync(unixSocket, { force: true });
    },
  };
}

function display(scheme: string, host: string, port: number): string {
  return `${scheme}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function describeProblem(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "EADDRINUSE") return "the port is in use by another program";
  if (code === "EADDRNOTAVAIL") return "this machine has no such address; see --host and common.hosts";
  if (code === "ERR_SSL_NO_CIPHER_MATCH") return "common.ssl_info.ciphers names no cipher suite that is known here";
  if (code === "EACCES") return "no permission (ports below 1024 need root or CAP_NET_BIND_SERVICE)";
  return error instanceof Error ? error.message : String(error);
}

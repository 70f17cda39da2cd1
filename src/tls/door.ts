import { chmodSync, lstatSync, rmSync } from "node:fs";
import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { preferNewestListener } from "./newest-first.ts";

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
  /** The peer's address; `unix` for a Unix socket; empty when the peer has left before anybody asked. */
  readonly address: string;
  /** The peer's port; 0 for a Unix socket. */
  readonly port: number;
  readonly secure: boolean;
  /** The request came through our Unix socket: a proxy on this machine stands in front. */
  readonly local: boolean;
}

type Server = ReturnType<typeof Bun.serve>;

const UNIX: Connection = Object.freeze({ address: "unix", port: 0, secure: false, local: true });

/** The kernel is asked for the peer when somebody wants to know it: that takes as long as all of a small answer. */
class TcpConnection implements Connection {
  readonly local = false;
  private known: { address: string; port: number } | undefined;

  constructor(
    private readonly request: Request,
    private readonly server: Server,
    readonly secure: boolean,
  ) {}

  private get peer() {
    this.known ??= this.server.requestIP(this.request) ?? { address: "", port: 0 };
    return this.known;
  }
  get address() {
    return this.peer.address;
  }
  get port() {
    return this.peer.port;
  }
}

/** One open address. */
export interface Door {
  readonly server: Server;
  readonly secure: boolean;
  /** From now on every HTTP/1.1 answer ends its connection, so that clients come back through the next door. */
  drain(): void;
  /** The same address with other certificates, beside this one; absent where there are none. */
  reopen?: (entries: TlsEntry[], extra: Record<string, unknown> | undefined) => Door;
}

export interface DoorOptions {
  hosts: string[];
  handle: (request: Request, connection: Connection) => Response | Promise<Response>;
  idleSeconds: number;
  maxBodyBytes: number;
  log: Logger;
}

export interface SecureDoorOptions {
  entries: TlsEntry[];
  http2: boolean;
  http3: boolean;
  options?: Record<string, unknown>;
}

export function openPlain(options: DoorOptions, host: string, port: number): Door {
  const { settings, drain } = common(options, { secure: false, local: false });
  // `development: false` alone implies reusePort: a second server on the port would get half of our connections.
  const server = Bun.serve({ ...settings, ...address(options, host, port), reusePort: false });
  return { server, secure: false, drain };
}

/** @throws what `Bun.serve` throws; EADDRINUSE also when the other program would share the port */
export function openSecure(options: DoorOptions, tls: SecureDoorOptions, host: string, port: number): Door {
  // With reusePort a second server of the same user would get half of our connections and nobody would know.
  if (port !== 0) Bun.listen({ ...address(options, host, port), socket: { data() {} } }).stop(true);
  const door = secureDoor(options, tls, host, port);
  if (!preferNewestListener(door.server.port ?? port)) {
    options.log.debug("new connections are spread over old and new listener while certificates are swapped");
  }
  return door;
}

function secureDoor(options: DoorOptions, tls: SecureDoorOptions, host: string, port: number): Door {
  const { settings, drain } = common(options, { secure: true, local: false });
  const { entries, http2, http3, options: extra = {} } = tls;
  // `http2` and `http3` are newer than the type package's options.
  const all = {
    ...settings,
    ...address(options, host, port),
    reusePort: true,
    tls: entries.map((entry) => ({ ...entry, ...extra })),
    http2,
    http3,
  };
  const server = Bun.serve(all as Parameters<typeof Bun.serve>[0]);
  const open = server.port ?? port;
  return {
    server,
    secure: true,
    drain,
    // `reload` keeps the old certificate; a second server on the same port (reusePort) takes over instead.
    reopen: (next, more = extra) => secureDoor(options, { ...tls, entries: next, options: more }, host, open),
  };
}

/** A socket file that a killed server left behind is replaced; anything else at that path is not ours to remove. */
export async function openUnix(options: DoorOptions, path: string): Promise<Door> {
  const there = lstatSync(path, { throwIfNoEntry: false });
  if (there !== undefined) {
    if (!there.isSocket()) throw new AppError("invalid_request", "there is a file with this name that is no socket");
    if (await answers(path)) throw new AppError("invalid_request", "another program listens on this socket");
    rmSync(path);
  }
  const { settings, drain } = common(options, { secure: false, local: true });
  const server = Bun.serve({ ...settings, unix: path } as Parameters<typeof Bun.serve>[0]);
  chmodSync(path, 0o660);
  return { server, secure: false, drain };
}

async function answers(path: string): Promise<boolean> {
  try {
    const socket = await Bun.connect({ unix: path, socket: { data() {} } });
    socket.end();
    return true;
  } catch {
    return false;
  }
}

/** "::" also takes IPv4, unless IPv4 has a listener of its own. */
function address({ hosts }: DoorOptions, hostname: string, port: number) {
  return { hostname, port, ipv6Only: hostname === "::" && hosts.includes("0.0.0.0") };
}

function common(options: DoorOptions, kind: { secure: boolean; local: boolean }) {
  let draining = false;
  const { handle } = options;
  const { secure, local } = kind;
  const answer = (request: Request, server: Server) =>
    handle(request, local ? UNIX : new TcpConnection(request, server, secure));
  const settings = {
    idleTimeout: Math.min(255, options.idleSeconds),
    maxRequestBodySize: options.maxBodyBytes,
    development: false,
    fetch(request: Request, server: Server): Response | Promise<Response> {
      if (!draining) return answer(request, server);
      return Promise.resolve(answer(request, server)).then(closing);
    },
    error(error: unknown): Response {
      // A file that went away between our look at it and the runtime's opening of it.
      const gone = error instanceof Error && "code" in error && error.code === "ENOENT";
      if (!gone) options.log.error("unhandled failure in the server", { error });
      const body = gone
        ? '{"code":6,"msg":"未找到您所请求的资源","data":null}'
        : '{"code":4,"msg":"内部服务器错误","data":null}';
      return new Response(body, {
        status: gone ? 404 : 500,
        headers: { "content-type": "application/json; charset=utf-8" },
      });
    },
  };
  return {
    settings,
    drain: () => {
      draining = true;
    },
  };
}

/** HTTP/2 and HTTP/3 know no such header and drop it; they are told by GOAWAY. */
function closing(response: Response): Response {
  response.headers.set("connection", "close");
  return response;
}

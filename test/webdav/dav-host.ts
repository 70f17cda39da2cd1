import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { webdavServerSection } from "../../src/config/sections/webdav.ts";
import { contentTypeOf, serveFile } from "../../src/http/serve-file.ts";
import { openDatabase } from "../../src/ops/database.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createDavServer, type DavServer, type DavServerDeps, type DavUser } from "../../src/webdav/server.ts";
import { temporary } from "./upstreams.ts";

export interface DavHost extends AsyncDisposable {
  url: string;
  folder: string;
  server: DavServer;
  changes: string[];
}

const USERS: Record<string, { password: string; role: DavUser["role"] }> = {
  admin: { password: "admin-pass", role: "admin" },
  second: { password: "second-pass", role: "admin" },
  viewer: { password: "viewer-pass", role: "viewer" },
};

function userOf(request: Request): DavUser {
  const [, encoded = ""] = (request.headers.get("authorization") ?? "").split(" ");
  const [name = "", password = ""] = Buffer.from(encoded, "base64").toString().split(":");
  const known = Object.hasOwn(USERS, name) ? USERS[name] : undefined;
  const good = known !== undefined && known.password === password;
  return { name: good ? name : "", role: good ? known.role : "none", authorised: good };
}

export const loginOf = (name: string) => `Basic ${btoa(`${name}:${USERS[name]?.password ?? "wrong"}`)}`;

/** Our server at a real socket: `/dav/Upload` to write in, `/dav/Music` and a view to read. */
export async function openDav(
  change: Partial<DavServerDeps["config"]> = {},
  more: Partial<Pick<DavServerDeps, "views" | "now">> = {},
): Promise<DavHost> {
  const home = await temporary("lx-davhost-");
  const folder = home.path;
  for (const name of ["Upload", "Music"]) await mkdir(join(folder, name));
  const db = openDatabase(join(folder, "lx.db"), silentLogger);
  const changes: string[] = [];
  const server = createDavServer({
    db,
    log: silentLogger,
    config: { ...Value.Create(webdavServerSection), ...change },
    prefix: "/dav",
    mounts: [
      { name: "Upload", path: join(folder, "Upload"), writable: true },
      { name: "Music", path: join(folder, "Music"), writable: false },
    ],
    serveFile,
    contentTypeOf,
    changed: (path) => changes.push(path),
    ...more,
  });
  const socket = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 30,
    fetch: (request) => server.handle(request, userOf(request)),
  });
  return {
    url: `http://127.0.0.1:${socket.port}/dav`,
    folder,
    server,
    changes,
    async [Symbol.asyncDispose]() {
      await socket.stop(true);
      db.close();
      await home[Symbol.asyncDispose]();
    },
  };
}

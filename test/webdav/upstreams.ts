import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface Upstream extends AsyncDisposable {
  url: string;
  /** The folder that it serves. */
  folder: string;
  /** Ends it, as a crash would. */
  kill(): Promise<void>;
}

export const USER = "müller";
export const PASSWORD = 'p:ä ss"word';

export async function temporary(name: string): Promise<{ path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), name));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** A port that was free a moment ago, for servers that cannot pick one. */
export function freePort(): number {
  const probe = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const port = probe.port ?? 0;
  probe.stop(true);
  return port;
}

/** `rclone serve webdav` over a folder. */
export async function startRclone(folder: string, more: string[] = []): Promise<Upstream> {
  const port = freePort();
  const child = Bun.spawn(
    [
      "rclone",
      "serve",
      "webdav",
      folder,
      "--addr",
      `127.0.0.1:${port}`,
      "--user",
      USER,
      "--pass",
      PASSWORD,
      "--dir-cache-time",
      "0s",
      "--config",
      "/dev/null",
      ...more,
    ],
    { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  );
  return await ready(child, port, folder, "");
}

/** nginx with its dav modules over a folder. */
export async function startNginx(folder: string): Promise<Upstream> {
  const home = await mkdtemp(join(tmpdir(), "lx-nginx-"));
  const port = freePort();
  const hash = Bun.spawnSync(["openssl", "passwd", "-apr1", PASSWORD]).stdout.toString().trim();
  await writeFile(join(home, "users"), `${USER}:${hash}\n`);
  await mkdir(join(home, "tmp"));
  await writeFile(
    join(home, "nginx.conf"),
    `load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
daemon off; worker_processes 1; pid ${home}/pid; error_log ${home}/error.log; user ${process.env["USER"] ?? "root"};
events { worker_connections 64; }
http {
  access_log off; client_body_temp_path ${home}/tmp; proxy_temp_path ${home}/tmp; fastcgi_temp_path ${home}/tmp;
  uwsgi_temp_path ${home}/tmp; scgi_temp_path ${home}/tmp; client_max_body_size 0;
  dav_ext_lock_zone zone=locks:1m;
  server {
    listen 127.0.0.1:${port};
    location /files/ {
      alias ${folder}/; charset utf-8;
      auth_basic "music"; auth_basic_user_file ${home}/users;
      dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS LOCK UNLOCK; dav_ext_lock zone=locks;
    }
  }
}
`,
  );
  const child = Bun.spawn(["nginx", "-p", home, "-c", join(home, "nginx.conf")], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
  });
  return await ready(child, port, folder, "/files", () => rm(home, { recursive: true, force: true }));
}

async function ready(
  child: Bun.Subprocess,
  port: number,
  folder: string,
  path: string,
  cleanUp = async () => {},
): Promise<Upstream> {
  const url = `http://127.0.0.1:${port}${path}`;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`upstream ended with ${child.exitCode}`);
    const answer = await fetch(`${url}/`).catch(() => undefined);
    if (answer !== undefined) break;
    await Bun.sleep(20);
  }
  const kill = async () => {
    child.kill("SIGTERM");
    await child.exited;
  };
  return {
    url,
    folder,
    kill,
    async [Symbol.asyncDispose]() {
      await kill();
      await cleanUp();
    },
  };
}

/** Writes files given as path and content. */
export async function plant(folder: string, files: Record<string, string | Uint8Array>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
}

import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";

/** A redis-server of our own, gone with the test. */
export interface RedisServer extends AsyncDisposable {
  readonly port: number;
  signal(name: NodeJS.Signals): void;
  kill(): Promise<void>;
  /** On the same port, empty. */
  restart(): Promise<void>;
  /** For looking into it; closed with the server. */
  client(): Redis;
  command(name: string, ...args: string[]): Promise<unknown>;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

/** Waits until `test` is true; fails after `ms`. */
export async function until(test: () => boolean | Promise<boolean>, what: string, ms = 10_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`never came: ${what}`);
    await Bun.sleep(5);
  }
}

export async function startRedis(...options: string[]): Promise<RedisServer> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), "lx-redis-"));
  const clients: Redis[] = [];
  const auth = options.indexOf("--requirepass");
  const password = auth === -1 ? undefined : options[auth + 1];

  function client(): Redis {
    const made = new Redis({ port, host: "127.0.0.1", protocol: 2, ...(password === undefined ? {} : { password }) });
    made.on("error", () => undefined);
    clients.push(made);
    return made;
  }

  async function spawn() {
    const child = Bun.spawn(
      ["redis-server", "--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--dir", folder, ...options],
      { stdout: "ignore", stderr: "ignore" },
    );
    await until(async () => {
      const probe = Bun.spawn(["redis-cli", "-p", `${port}`, "ping"], { stdout: "pipe", stderr: "ignore" });
      return /PONG|NOAUTH/.test(await new Response(probe.stdout).text());
    }, "redis-server");
    return child;
  }

  let child = await spawn();
  let eye: Redis | undefined;
  return {
    port,
    client,
    signal: (name) => child.kill(name),
    async kill() {
      child.kill("SIGKILL");
      await child.exited;
    },
    async restart() {
      child.kill("SIGKILL");
      await child.exited;
      child = await spawn();
    },
    command(name, ...args) {
      eye ??= client();
      return eye.call(name, ...args);
    },
    async [Symbol.asyncDispose]() {
      for (const made of clients) made.disconnect();
      child.kill("SIGCONT");
      child.kill("SIGKILL");
      await child.exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

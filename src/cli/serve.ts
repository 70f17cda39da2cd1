import { networkInterfaces } from "node:os";
import type { App } from "../app.ts";
import { stopOnSignals } from "../ops/shutdown.ts";
import type { Command } from "./command.ts";

/** Besides running requests: time for caches, database and log to be written. */
const FLUSH_MS = 5000;
const SETTLED_MS = 1500;

/** `serve`: the default command. Ends on SIGTERM or SIGINT after running requests are done; SIGHUP: see `stopOnSignals`. */
export function serveCommand(version: string): Command {
  return {
    name: "serve",
    summary: "start the server (default command)",
    options: { host: { type: "string" }, port: { type: "string" } },
    help: [
      "--host ADDRESS    listen here instead of common.hosts",
      "--port N          listen here instead of common.ports; 0: any free port",
    ].join("\n"),
    arity: [0, 0],
    async run(context) {
      const app = await context.app();
      // Before the first address is open: who reads "listening" may stop us at once.
      const deadlineMs = () => app.config().common.shutdown_deadline * 1000 + FLUSH_MS;
      const reload = process.stdout.isTTY ? undefined : () => void app.reload();
      const stopped = stopOnSignals({ stop: () => app.close(), reload, deadlineMs, log: app.log });
      const addresses = await app.start();
      context.say(welcome(version, app, addresses));
      // What only the start needed goes back to the system while nobody waits.
      setTimeout(() => Bun.gc(true), SETTLED_MS).unref();
      return stopped;
    },
  };
}

function welcome(version: string, app: App, addresses: string[]): string {
  const reachable = addresses.flatMap(reach);
  const first = reachable.find((address) => !address.includes("127.0.0.1")) ?? reachable[0];
  const lines = [`lx-music-api-server ${version} is listening on ${addresses.join(" ")}`];
  if (first !== undefined && app.config().common.allow_download_script) {
    const base = app.config().common.public_url.replace(/\/+$/, "") || first;
    lines.push("LX Music: 设置 -> 自定义源 -> 在线导入 / Settings -> Custom source -> Import online:");
    lines.push(`  ${base}/script${app.scriptQuery()}`);
  }
  if (app.setupToken !== undefined) {
    lines.push("首次设置令牌，创建管理员时用一次 / set-up token, used once to make the first admin:");
    lines.push(`  ${app.setupToken}`);
  }
  return lines.join("\n");
}

/** "http://0.0.0.0:9763" is reached at each address of this machine. */
function reach(address: string): string[] {
  const match = /^(https?):\/\/(0\.0\.0\.0|\[::\]):(\d+)$/.exec(address);
  if (match === null) return address.startsWith("http") ? [address] : [];
  const [, scheme, , port] = match;
  const own = Object.values(networkInterfaces()).flatMap((rows) => rows ?? []);
  const usable = own.filter((row) => row.family === "IPv4" && !row.internal).map((row) => row.address);
  return [...usable, "127.0.0.1"].map((host) => `${scheme}://${host}:${port}`);
}

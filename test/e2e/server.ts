import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";

export interface RunningServer {
  /** "http://127.0.0.1:12345" */
  url: string;
  dataDir: string;
  pid: number;
  /** Everything it printed so far. */
  output(): string;
  get(path: string, init?: RequestInit): Promise<Response>;
  /** Sends the signal and waits for the end. @returns the exit code */
  stop(signal?: NodeJS.Signals): Promise<number>;
  /** Stops it and removes its folder. */
  remove(): Promise<void>;
}

export interface ServerOptions {
  /** Nested config, merged over `common.ports: [0]` and `common.hosts: [127.0.0.1]`. */
  config?: Record<string, unknown>;
  env?: Record<string, string>;
  dataDir?: string;
  args?: string[];
}

const BINARY = join(import.meta.dir, "../../dist/lx-music-api-server");
const START_DEADLINE_MS = 15_000;

export function binaryPath(): string {
  if (!existsSync(BINARY)) throw new Error(`${BINARY} is missing: run "make build" first`);
  return BINARY;
}

/** A scrubbed environment: what the machine has set must not reach the server. */
export function cleanEnvironment(extra: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env["PATH"] ?? "", HOME: tmpdir(), TZ: "Asia/Shanghai", ...extra };
}

/** Starts the built executable in an own data folder with an own port. */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "lx-e2e-")));
  const base = { common: { hosts: ["127.0.0.1"], ports: [0] } };
  const configFile = join(dataDir, "config", "config.yml");
  if (!existsSync(configFile) || options.config !== undefined)
    await Bun.write(configFile, stringify(merge(base, options.config ?? {})));
  const child = Bun.spawn([binaryPath(), "serve", "--data", dataDir, ...(options.args ?? [])], {
    cwd: dataDir,
    env: cleanEnvironment(options.env),
    stdout: "pipe",
    stderr: "pipe",
    stdin: "ignore",
  });
  let output = "";
  const collect = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const chunk of stream) output += decoder.decode(chunk, { stream: true });
  };
  void collect(child.stdout);
  void collect(child.stderr);
  const deadline = Date.now() + START_DEADLINE_MS;
  let url: string | undefined;
  while (url === undefined) {
    url = /is listening on (?:\S+ )*?(http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
    if (url !== undefined) break;
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill("SIGKILL");
      throw new Error(`the server did not start:\n${output}`);
    }
    await Bun.sleep(10);
  }
  const address = url;
  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    child.kill(signal);
    return child.exited;
  };
  return {
    url: address,
    dataDir,
    pid: child.pid,
    output: () => output,
    get: (path, init) => fetch(`${address}${path}`, init),
    stop,
    remove: async () => {
      if (child.exitCode === null) await stop("SIGKILL");
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function merge(a: Record<string, unknown>, b: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = { ...a };
  for (const [name, value] of Object.entries(b)) {
    const before = result[name];
    const both = isObject(before) && isObject(value);
    result[name] = both ? merge(before, value) : value;
  }
  return result;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { rmSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Value } from "@sinclair/typebox/value";
import { scriptsSection } from "../../src/config/sections/scripts.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { SCRIPT_HOST_ARGUMENT } from "../../src/scripts/child.ts";
import { parseHeader } from "../../src/scripts/header.ts";
import { limitsOf, type ScriptsConfig } from "../../src/scripts/limits.ts";
import type { LoadMessage, ScriptEnv, ScriptLimits, ScriptNetwork } from "../../src/scripts/protocol.ts";
import { createSupervisor, type ScriptEvent, type ScriptRun, type Supervisor } from "../../src/scripts/supervisor.ts";

/**
 * How tests make a script process: bun with a small entry file and the worker, each bundled once for this run, because
 * reading some sixty modules for every process would take longer than the tests.
 */
export const COMMAND = await bundledCommand();

async function bundledCommand(): Promise<string[]> {
  const outdir = join(import.meta.dir, "../../.cache/script-process", String(process.pid));
  const entrypoints = [join(import.meta.dir, "child-entry.ts"), join(import.meta.dir, "../../src/scripts/worker.ts")];
  const built = await Bun.build({ entrypoints, outdir, target: "bun", naming: "[name].[ext]" });
  if (!built.success) throw new Error(built.logs.join("\n"));
  process.on("exit", () => rmSync(outdir, { recursive: true, force: true }));
  const worker = pathToFileURL(join(outdir, "worker.js")).href;
  return [process.execPath, join(outdir, "child-entry.js"), SCRIPT_HOST_ARGUMENT, worker];
}

/** Stands for the internet in tests: on loopback, but let through; 127.0.0.1 stays refused. */
export const OUTSIDE = "127.0.0.2";

export function defaultConfig(): ScriptsConfig {
  const config: unknown = Value.Create(scriptsSection);
  if (!Value.Check(scriptsSection, config)) throw new Error("the section's defaults are not valid");
  return config;
}

export const HEADER = "/*\n * @name Test\n * @version 1\n */\n";

export interface LoadOptions {
  env?: ScriptEnv;
  limits?: Partial<ScriptLimits>;
  network?: Partial<ScriptNetwork>;
}

export function loadMessage(script: string, options: LoadOptions = {}): LoadMessage {
  const header = parseHeader(script, new Date(0));
  if (header === undefined) throw new Error("a script begins with a comment");
  return {
    type: "load",
    script,
    header,
    env: options.env ?? "desktop",
    limits: { ...limitsOf(defaultConfig()), ...options.limits },
    network: { allowPrivate: [`${OUTSIDE}/32`], dns: [], ...options.network },
  };
}

export interface Bed {
  supervisor: Supervisor;
  /** Starts a script and waits until its start has ended. */
  start(script: string, options?: LoadOptions): Promise<Started>;
  close(): Promise<void>;
}

export interface Started extends ScriptRun {
  events: ScriptEvent[];
}

export function makeBed(spares = 1, command: readonly string[] = COMMAND): Bed {
  const supervisor = createSupervisor({ command, spares: () => spares, log: silentLogger });
  return {
    supervisor,
    async start(script, options) {
      const events: ScriptEvent[] = [];
      const run = supervisor.run(loadMessage(script, options), "Test", 1_000, (event) => void events.push(event));
      await run.started;
      return Object.assign(run, { events });
    },
    close: () => supervisor.close(),
  };
}

/** A script whose handler answers `musicUrl` by evaluating this body: `info`, `source`, `action` are in scope. */
export const answering = (body: string, before = "") => `${HEADER}${before}
lx.on(lx.EVENT_NAMES.request, async ({ source, action, info }) => { ${body} });
lx.send(lx.EVENT_NAMES.inited, { sources: { kw: { name: "kw", type: "music", actions: ["musicUrl"], qualitys: ["128k", "320k"] } } });
`;

import { Database } from "bun:sqlite";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MusicInfo, SourceId } from "../../src/core/types.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { createSchedule, type Schedule } from "../../src/ops/schedule.ts";
import { createScriptHost, type ScriptHost } from "../../src/scripts/host.ts";
import type { ScriptsConfig } from "../../src/scripts/limits.ts";
import { COMMAND, defaultConfig, OUTSIDE } from "./bed.ts";

/** An MP3 frame header and what could follow it. */
export const MP3 = new Uint8Array(1_024).fill(0x55);
MP3.set([0xff, 0xfb, 0x90, 0x64]);

export interface Upstream {
  origin: string;
  /** Script texts by path; the rest of the paths: /audio/…, /page, /slow. */
  files: Map<string, string>;
  /** Requests by path. */
  seen: { path: string; headers: Headers }[];
  stop(): Promise<void>;
}

export function startUpstream(): Upstream {
  const files = new Map<string, string>();
  const seen: Upstream["seen"] = [];
  const server = Bun.serve({
    hostname: OUTSIDE,
    port: 0,
    async fetch(request) {
      const { pathname } = new URL(request.url);
      seen.push({ path: pathname, headers: request.headers });
      const text = files.get(pathname);
      if (text !== undefined) {
        const etag = `"${Bun.hash(text)}"`;
        if (request.headers.get("if-none-match") === etag) return new Response(null, { status: 304 });
        return new Response(text, { headers: { etag } });
      }
      if (pathname.startsWith("/audio/")) return new Response(MP3, { headers: { "content-type": "audio/mpeg" } });
      if (pathname === "/page") {
        return new Response("<html>404</html>", { headers: { "content-type": "audio/mpeg" } });
      }
      return new Response("no", { status: 404 });
    },
  });
  return { origin: `http://${OUTSIDE}:${server.port}`, files, seen, stop: () => server.stop(true) };
}

export interface HostBed {
  host: ScriptHost;
  /** What tests change while it runs. */
  config: ScriptsConfig;
  clock: { skewMs: number };
  db: Database;
  dataDir: string;
  schedule: Schedule;
  upstream: Upstream;
  /** A second one on the same folder, as a command has it. */
  another(): ScriptHost;
  /** Adds a text and waits until it runs. @returns its id */
  ready(text: string): Promise<string>;
  close(): Promise<void>;
}

export async function makeHostBed(change: (config: ScriptsConfig) => void = () => {}): Promise<HostBed> {
  const dataDir = await mkdtemp(join(tmpdir(), "lx-scripts-"));
  const db = new Database(join(dataDir, "lx.db"), { create: true, strict: true });
  db.run("PRAGMA journal_mode = WAL");
  db.run("PRAGMA foreign_keys = ON");
  const upstream = startUpstream();
  const config = defaultConfig();
  config.allow_private = [`${OUTSIDE}/32`];
  config.spare = 0;
  change(config);
  const clock = { skewMs: 0 };
  const opened: { host: ScriptHost; db: Database }[] = [];
  const make = (database: Database): ScriptHost => {
    const host = createScriptHost({
      config,
      db: database,
      dataDir,
      log: silentLogger,
      command: COMMAND,
      now: () => Date.now() + clock.skewMs,
    });
    opened.push({ host, db: database });
    return host;
  };
  const host = make(db);
  const schedule = createSchedule(silentLogger);
  return {
    host,
    config,
    clock,
    db,
    dataDir,
    schedule,
    upstream,
    another: () => make(new Database(join(dataDir, "lx.db"), { strict: true })),
    async ready(text) {
      const { id } = await host.addText(text);
      await until(() => host.get(id).state === "ready", `${id} to be ready`);
      return id;
    },
    async close() {
      await schedule.stop();
      for (const one of opened) {
        await one.host.close();
        one.db.close();
      }
      await upstream.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await Bun.sleep(10);
  }
}

export interface ScriptOptions {
  name?: string;
  version?: string;
  sources?: Record<string, { actions?: string[]; qualitys?: string[] }>;
  before?: string;
}

/** @param body answers a call: `source`, `action`, `info` and `get(url)` are in scope */
export function scriptText(body: string, options: ScriptOptions = {}): string {
  const { name = "Test", version = "1", before = "" } = options;
  const sources = Object.entries(options.sources ?? { kw: {} }).map(([id, one]) => [
    id,
    { name: id, type: "music", actions: one.actions ?? ["musicUrl"], qualitys: one.qualitys ?? ["128k", "320k"] },
  ]);
  return `/*
 * @name ${name}
 * @version ${version}
 */
const get = (url) => new Promise((resolve, reject) =>
  lx.request(url, {}, (error, response, body) => error ? reject(error) : resolve(body)));
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
${before}
lx.on(lx.EVENT_NAMES.request, async ({ source, action, info }) => { ${body} });
lx.send(lx.EVENT_NAMES.inited, { sources: ${JSON.stringify(Object.fromEntries(sources))} });
`;
}

export function song(source: SourceId, songmid = "7"): MusicInfo {
  return {
    name: "晴天",
    singer: "周杰伦",
    source,
    songmid,
    interval: "04:29",
    albumName: "叶惠美",
    img: null,
    typeUrl: {},
    albumId: undefined,
    types: [],
    _types: {},
  };
}

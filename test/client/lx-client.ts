import { createContext, Script } from "node:vm";
import singlefile from "@jitl/quickjs-singlefile-mjs-release-sync";
import { newQuickJSWASMModuleFromVariant, type QuickJSContext, type QuickJSHandle } from "quickjs-emscripten-core";

/**
 * LX Music's client, as far as a custom source meets it: import checks, `globalThis.lx`, limits, checks of results.
 * Desktop: a bare context without eval. Mobile: real QuickJS with the few globals that are there.
 * @see lx-custom-source.md
 */
export interface LxClient {
  header: Record<string, string>;
  sources: Record<string, { actions: string[]; qualitys: string[] }>;
  updateAlert?: { log: string; updateUrl?: string };
  logs: string[];
  musicUrl(source: string, quality: string | null, musicInfo: object): Promise<string>;
  lyric(
    source: string,
    musicInfo: object,
  ): Promise<{ lyric: string; tlyric?: string; rlyric?: string; lxlyric?: string }>;
  pic(source: string, musicInfo: object): Promise<string>;
  close(): void;
}

type Env = "desktop" | "mobile";
type Handler = (event: { source: string; action: string; info: object }) => Promise<unknown>;

const HEADER_LIMITS: Record<string, number> = { name: 24, description: 36, author: 56, homepage: 1024, version: 36 };
const SOURCES = ["kw", "kg", "tx", "wy", "mg", "local"];
const QUALITIES = ["128k", "320k", "flac", "flac24bit"];
const CALL_DEADLINE_MS = 20_000;

export function parseHeader(text: string): Record<string, string> {
  if (!text.startsWith("/*")) throw new Error("invalid source file: it does not begin with a comment");
  const comment = /^\/\*[\s\S]+?\*\//.exec(text)?.[0];
  if (comment === undefined) throw new Error("invalid source file: no header comment");
  const header: Record<string, string> = {};
  for (const line of comment.split(/\r?\n/)) {
    const match = /^\s?\*\s?@(\w+)\s(.+)$/.exec(line);
    const [, name = "", value = ""] = match ?? [];
    const limit = HEADER_LIMITS[name];
    if (limit !== undefined)
      header[name] = value.trim().length > limit ? `${value.trim().slice(0, limit)}...` : value.trim();
  }
  return header;
}

/** Imports a script as the client does. @throws Error with the message that the user would see. */
export async function importScript(text: string, env: Env): Promise<LxClient> {
  if (text.length > 9_000_000) throw new Error("script too large");
  const header = parseHeader(text);
  const state = newState();
  const engine = env === "desktop" ? runDesktop(text, header, state) : await runMobile(text, header, state);
  const timer = setTimeout(() => state.failInit(new Error("inited was never sent")), CALL_DEADLINE_MS);
  const sources = await state.inited.finally(() => clearTimeout(timer));
  const call = async (source: string, action: string, info: object) => {
    if (!sources[source]?.actions.includes(action)) throw new Error(`${source} does not offer ${action}`);
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error("timeout")), CALL_DEADLINE_MS).unref());
    return Promise.race([engine.call(source, action, info), late]);
  };
  const client: LxClient = {
    header,
    sources,
    logs: state.logs,
    musicUrl: async (source, type, musicInfo) => checkUrl(await call(source, "musicUrl", { type, musicInfo })),
    lyric: async (source, musicInfo) => checkLyric(await call(source, "lyric", { musicInfo })),
    pic: async (source, musicInfo) => checkUrl(await call(source, "pic", { musicInfo })),
    close: engine.close,
  };
  Object.defineProperty(client, "updateAlert", { get: () => state.updateAlert });
  return client;
}

function checkUrl(value: unknown): string {
  if (typeof value !== "string" || value.length > 2048 || !/^https?:/.test(value))
    throw new Error(`failed: not an address: ${String(value).slice(0, 80)}`);
  return value;
}

function checkLyric(value: unknown): { lyric: string; tlyric?: string; rlyric?: string; lxlyric?: string } {
  const given = value as Record<string, unknown>;
  const lyric = given["lyric"];
  if (typeof lyric !== "string" || lyric.length > 51_200) throw new Error("failed: no lyric");
  const keep = (name: string, below: number) => {
    const part = given[name];
    return typeof part === "string" && part.length < below ? { [name]: part } : {};
  };
  return { lyric, ...keep("tlyric", 5120), ...keep("rlyric", 5120), ...keep("lxlyric", 8192) };
}

interface State {
  logs: string[];
  updateAlert?: { log: string; updateUrl?: string };
  inited: Promise<LxClient["sources"]>;
  init(data: unknown): void;
  failInit(error: Error): void;
  send(event: string, data: unknown): void;
}

function newState(): State {
  const settled = Promise.withResolvers<LxClient["sources"]>();
  settled.promise.catch(() => undefined);
  let inited = false;
  const state: State = {
    logs: [],
    inited: settled.promise,
    failInit: (error) => settled.reject(error),
    init(data) {
      if (inited) throw new Error("Script is inited");
      inited = true;
      settled.resolve(filterSources(data));
    },
    send(event, data) {
      if (event === "inited") return state.init(data);
      if (event !== "updateAlert") throw new Error(`The event is not supported: ${event}`);
      if (state.updateAlert !== undefined) throw new Error("The update alert can only be called once.");
      const alert = data as { log?: unknown; updateUrl?: unknown };
      if (typeof alert.log !== "string" || alert.log === "") throw new Error("log is required");
      const url =
        typeof alert.updateUrl === "string" && /^https?:/.test(alert.updateUrl) && alert.updateUrl.length <= 1024
          ? { updateUrl: alert.updateUrl }
          : {};
      state.updateAlert = { log: alert.log.slice(0, 1024), ...url };
    },
  };
  return state;
}

function filterSources(data: unknown): LxClient["sources"] {
  const given =
    (data as { sources?: Record<string, { type?: string; actions?: string[]; qualitys?: string[] }> }).sources ?? {};
  const sources: LxClient["sources"] = {};
  for (const name of SOURCES) {
    const row = given[name];
    if (row === undefined || row.type !== "music") continue;
    if (!Array.isArray(row.actions) || !Array.isArray(row.qualitys))
      throw new Error("actions and qualitys must be arrays");
    const actions = name === "local" ? ["musicUrl", "lyric", "pic"] : ["musicUrl"];
    sources[name] = {
      actions: actions.filter((item) => row.actions?.includes(item)),
      qualitys: name === "local" ? [] : QUALITIES.filter((item) => row.qualitys?.includes(item)),
    };
  }
  return sources;
}

interface Engine {
  call: (source: string, action: string, info: object) => Promise<unknown>;
  close: () => void;
}

interface RequestOptions {
  method?: string;
  timeout?: number;
  headers?: Record<string, string>;
  body?: unknown;
}

/** One HTTP request as this client makes it. The options object is required by both. */
async function httpRequest(env: Env, url: string, options: RequestOptions | undefined) {
  if (typeof options !== "object" || options === null) throw new Error("options are required");
  const defaults: Record<string, string> =
    env === "desktop"
      ? { "User-Agent": "Needle/3", Accept: "*/*" }
      : { "User-Agent": "Mozilla/5.0 Chrome/120", Accept: "application/json" };
  const response = await fetch(url, {
    method: (options.method ?? "get").toUpperCase(),
    headers: { ...defaults, ...options.headers, "accept-encoding": "identity" },
    redirect: env === "desktop" ? "manual" : "follow",
    signal: AbortSignal.timeout(Math.min(options.timeout ?? (env === "desktop" ? 60_000 : 13_000), 60_000)),
  });
  if (response.headers.get("content-encoding") !== null) throw new Error("a reply was compressed unasked");
  const text = await response.text();
  return {
    statusCode: response.status,
    statusMessage: response.statusText,
    headers: Object.fromEntries(response.headers),
    text,
  };
}

function parsedBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function runDesktop(text: string, header: Record<string, string>, state: State): Engine {
  let handler: Handler | undefined;
  const log = (...values: unknown[]) => void state.logs.push(values.map(String).join(" "));
  const lx = {
    version: "2.0.0",
    env: "desktop",
    EVENT_NAMES: { request: "request", inited: "inited", updateAlert: "updateAlert" },
    currentScriptInfo: { ...header, rawScript: text },
    request(url: string, options: RequestOptions, callback: (...results: unknown[]) => void) {
      httpRequest("desktop", url, options).then(
        (reply) => {
          const raw = Buffer.from(reply.text);
          const body = parsedBody(reply.text);
          callback(null, { ...reply, bytes: raw.length, raw, body }, body);
        },
        (error: Error) => callback(new Error(error.message), null, null),
      );
      return () => undefined;
    },
    send: async (event: string, data: unknown) => state.send(event, data),
    on: async (event: string, given: Handler) => {
      if (event !== "request") throw new Error(`The event is not supported: ${event}`);
      handler = given;
    },
    utils: {
      buffer: {
        from: (...given: Parameters<typeof Buffer.from>) => new Uint8Array(Buffer.from(...given)),
        bufToString: (buffer: Uint8Array, format: BufferEncoding) => Buffer.from(buffer).toString(format),
      },
    },
  };
  const context = createContext(
    { lx, console: { log, info: log, warn: log, error: log, group: log, groupEnd: log }, setTimeout, clearTimeout },
    {
      codeGeneration: { strings: false, wasm: false },
    },
  );
  try {
    new Script(text).runInContext(context, { timeout: 5000 });
  } catch (error) {
    state.failInit(error instanceof Error ? error : new Error(String(error)));
  }
  return {
    call: async (source, action, info) => {
      if (handler === undefined) throw new Error("no handler");
      return handler({ source, action, info: structuredClone(info) });
    },
    close: () => undefined,
  };
}

/** QuickJS has no event loop: jobs are run after every entry from outside. Values cross as JSON. */
async function runMobile(text: string, header: Record<string, string>, state: State): Promise<Engine> {
  const quickjs = await newQuickJSWASMModuleFromVariant(singlefile);
  const vm = quickjs.newContext();
  const pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  const pump = () => void vm.runtime.executePendingJobs();
  const host = (name: string, work: (...texts: string[]) => string | undefined) => {
    const handle = vm.newFunction(name, (...values: QuickJSHandle[]) => {
      const answer = work(...values.map((value) => vm.getString(value)));
      return answer === undefined ? vm.undefined : vm.newString(answer);
    });
    vm.setProp(vm.global, name, handle);
    handle.dispose();
  };
  host("__log", (line) => void state.logs.push(line ?? ""));
  host("__send", (event, data) => {
    try {
      state.send(event ?? "", JSON.parse(data ?? "null"));
      return "";
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  });
  host("__request", (id, url, options) => {
    httpRequest("mobile", url ?? "", JSON.parse(options ?? "null"))
      .then((reply) => JSON.stringify({ ...reply, body: parsedBody(reply.text) }))
      .then(
        (reply) => evaluate(vm, `__reply(${id}, null, ${reply})`),
        (error: Error) => evaluate(vm, `__reply(${id}, ${JSON.stringify(error.message)}, null)`),
      )
      .then(pump);
    return undefined;
  });
  host("__result", (id, error, value) => {
    const waiting = pending.get(Number(id));
    pending.delete(Number(id));
    if (error === "") waiting?.resolve(JSON.parse(value ?? "null"));
    else waiting?.reject(new Error(error));
    return undefined;
  });
  host("__encode", (value, from, to) =>
    Buffer.from(value ?? "", (from ?? "utf8") as BufferEncoding).toString(to as BufferEncoding),
  );
  try {
    evaluate(vm, MOBILE_PRELUDE.replace("__INFO__", JSON.stringify({ ...header, rawScript: text })));
    evaluate(vm, text);
    pump();
  } catch (error) {
    state.failInit(error instanceof Error ? error : new Error(String(error)));
  }
  let count = 0;
  return {
    call: (source, action, info) =>
      new Promise((resolve, reject) => {
        const id = ++count;
        pending.set(id, { resolve, reject });
        evaluate(vm, `__call(${id}, ${JSON.stringify({ source, action, info })})`);
        pump();
      }),
    close: () => vm.dispose(),
  };
}

function evaluate(vm: QuickJSContext, code: string): void {
  const result = vm.evalCode(code);
  if (result.error) {
    const problem = vm.dump(result.error);
    result.error.dispose();
    throw new Error(typeof problem === "object" && problem !== null ? String(problem.message) : String(problem));
  }
  result.value.dispose();
}

/** What the mobile client puts in place before a script: frozen `lx`, few globals, eval and Function that throw. */
const MOBILE_PRELUDE = `
(() => {
  const log = (...values) => __log(values.map((value) => typeof value === 'object' ? JSON.stringify(value) : String(value)).join(' '))
  globalThis.console = Object.freeze({ log, info: log, warn: log, error: log })
  const callbacks = new Map()
  let count = 0
  let handler
  globalThis.__reply = (id, error, reply) => {
    const callback = callbacks.get(id)
    callbacks.delete(id)
    if (callback) error === null ? callback(null, reply, reply.body) : callback(new Error(error), null, null)
  }
  globalThis.__call = (id, event) => {
    Promise.resolve().then(() => handler(event)).then(
      (value) => __result(String(id), '', JSON.stringify(value === undefined ? null : value)),
      (error) => __result(String(id), String((error && error.message) || error || 'failed'), ''),
    )
  }
  globalThis.lx = {
    version: '2.0.0',
    env: 'mobile',
    EVENT_NAMES: Object.freeze({ request: 'request', inited: 'inited', updateAlert: 'updateAlert' }),
    currentScriptInfo: Object.freeze(__INFO__),
    request(url, options, callback) {
      const id = ++count
      callbacks.set(id, callback)
      __request(String(id), String(url), JSON.stringify(options))
      return () => callbacks.delete(id)
    },
    send: (event, data) => {
      const problem = __send(event, JSON.stringify(data))
      return problem ? Promise.reject(new Error(problem)) : Promise.resolve()
    },
    on: (event, given) => {
      if (event !== 'request') return Promise.reject(new Error('The event is not supported: ' + event))
      handler = given
      return Promise.resolve()
    },
    utils: {
      buffer: {
        from: (value, encoding) => ({ hex: __encode(String(value), encoding || 'utf8', 'hex') }),
        bufToString: (buffer, format) => __encode(buffer.hex, 'hex', format),
      },
    },
  }
  Object.freeze(globalThis.lx)
  globalThis.eval = () => { throw new Error('eval is not available') }
  globalThis.Function = () => { throw new Error('Function is not available') }
})()
`;

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { ScriptEnv } from "../../src/scripts/protocol.ts";
import { type DnsServer, startDns } from "../net/dns-server.ts";
import { answering, type Bed, HEADER, type LoadOptions, makeBed, OUTSIDE, type Started } from "./bed.ts";
import { startUpstream, type Upstream } from "./upstream.ts";

setDefaultTimeout(30_000);

/** One attempt: the body of the script's handler; what it returns is looked at. */
interface Attempt {
  name: string;
  body: string;
  /** What the attempt may give: an exact value, or "refused" = it threw. */
  gives?: unknown;
  /** It spoils the sandbox for others: it gets one of its own. */
  alone?: boolean;
}

/** The attempt ends with an error in the script. */
const THREW = Symbol("threw");
const HOST_WORDS = /bunfs|node:|\/home|\/work|\/usr|process\.|Bun\.|quickjs-emscripten/;
const attemptInfo = JSON.stringify({ type: "128k", musicInfo: { songmid: "1" } });

let bed: Bed;
let upstream: Upstream;
/** The server's own loopback: whatever arrives here has escaped. */
let inside: Upstream;
let dns: DnsServer;
let rebound = 0;
let bystander: Started;
const health = {
  server: undefined as Bun.Server<undefined> | undefined,
  times: [] as number[],
  failed: 0,
  stop: false,
};

beforeAll(async () => {
  upstream = startUpstream();
  inside = startUpstream("127.0.0.1");
  dns = await startDns((name) =>
    name === "rebind.test" ? (rebound++ === 0 ? [OUTSIDE] : ["127.0.0.1"]) : ["127.0.0.1"],
  );
  bed = makeBed(1);
  bystander = await bed.start(answering("return 'still here'"));
  health.server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("ok") });
  void pingHealth(`http://127.0.0.1:${health.server.port}/health`);
});
afterAll(async () => {
  health.stop = true;
  await bed.close();
  await Promise.all([upstream.stop(), inside.stop(), dns.stop(), health.server?.stop(true)]);
});

/** Asks the server's process for a sign of life, again and again, while everything below goes on. */
async function pingHealth(url: string): Promise<void> {
  while (!health.stop) {
    const started = performance.now();
    const ok = await fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
      (response) => response.ok,
      () => false,
    );
    if (!ok && !health.stop) health.failed++;
    health.times.push(performance.now() - started);
    await Bun.sleep(20);
  }
}

const LIMITS = {
  sliceMs: 500,
  initSliceMs: 1_500,
  memoryBytes: 24 << 20,
  responseBytes: 200_000,
  requestsPerCall: 20,
  concurrentRequests: 4,
  timers: 100,
};

async function tryOut(body: string, options: LoadOptions = {}, before = ""): Promise<{ run: Started; found: unknown }> {
  const script = answering(
    `const at = ${JSON.stringify(upstream.origin)}, inside = ${inside.port}; ${body}`.replaceAll("AT", upstream.origin),
    before,
  );
  const run = await bed.start(script, { ...options, limits: { ...LIMITS, ...options.limits } });
  return { run, found: await outcomeOf(run, attemptInfo) };
}

function outcomeOf(run: Started, info: string): Promise<unknown> {
  return run
    .call("kw", "musicUrl", info, { deadlineMs: 8_000 })
    .catch((error: unknown) => `failed: ${error instanceof Error ? error.message : ""}`);
}

/** After every attempt: nothing reached the server's loopback, and another script answers as if nothing had been. */
async function nothingHappened(): Promise<void> {
  expect(inside.asked).toEqual([]);
  expect(bystander.state).toMatchObject({ state: "ready", offences: [] });
  expect(await bystander.call("kw", "musicUrl", attemptInfo, { deadlineMs: 5_000 })).toBe("still here");
}

const escapes: Attempt[] = [
  { name: "constructor chain from this", body: "return String(this?.constructor?.constructor('return process')())" },
  {
    name: "constructor chain from a function of the client",
    body: "return String(lx.request.constructor('return process')())",
  },
  {
    name: "constructor chain from an error of the host",
    body: "try { lx.utils.crypto.randomBytes(-1) } catch (e) { return String(e.constructor.constructor('return process')()) }",
  },
  {
    name: "constructor chain from bytes of the host",
    body: "return String(lx.utils.crypto.randomBytes(1).constructor.constructor('return process')())",
  },
  { name: "async function constructor", body: "return String(await (async () => {}).constructor('return process')())" },
  {
    name: "generator constructor",
    body: "return String((function* () {}).constructor('yield process')().next().value)",
  },
  {
    name: "async generator constructor",
    body: "return String((await (async function* () {}).constructor('yield process')().next()).value)",
  },
  {
    name: "the original Function by way of prototypes",
    body: "const F = Object.getPrototypeOf(Object.getPrototypeOf(async () => {}).constructor); return String(F('return process')())",
  },
  {
    name: "Reflect.construct of Function",
    body: "return String(Reflect.construct(Function, ['return process'], Object)())",
  },
  { name: "indirect eval", body: "return String((0, eval)('typeof process'))" },
  {
    name: "text as a timer",
    body: "return typeof globalThis.hit + setTimeout('globalThis.hit = 1', 1)",
    gives: "undefined0",
  },
  { name: "import of a host module", body: "return Object.keys(await import('node:fs')).join()" },
  { name: "import of bun:ffi", body: "return Object.keys(await import('bun:ffi')).join()" },
  { name: "import of a file", body: "return Object.keys(await import('/etc/passwd')).join()" },
  {
    name: "import of an address",
    body: "return Object.keys(await import(at + '/script?text=export%20default%201')).join()",
  },
  {
    name: "modules of the engine",
    body: "return [typeof std, typeof os, typeof bjson, typeof scriptArgs].join()",
    gives: "undefined,undefined,undefined,undefined",
  },
  {
    name: "host globals",
    body: "return ['process', 'Bun', 'require', 'module', 'global', 'Deno', '__dirname', 'WebAssembly', 'Worker', 'postMessage', 'importScripts', 'fetch', 'XMLHttpRequest', 'WebSocket', 'indexedDB', 'localStorage'].filter((n) => typeof globalThis[n] !== 'undefined').join()",
    gives: "",
  },
  { name: "process.abort and its like", body: "process.abort(); process.kill(process.pid, 9); process.exit(0)" },
  { name: "the caller's frames", body: "return String((function f() { return f.caller ?? f.arguments })())" },
  { name: "arguments.callee", body: "return String((function () { return arguments.callee.caller })())" },
  {
    name: "stack trace hooks",
    alone: true,
    body: "let seen = []; Error.prepareStackTrace = (e, frames) => { seen = frames ?? []; return '' }; try { lx.utils.crypto.randomBytes(-1) } catch (e) { e.stack } delete Error.prepareStackTrace; return JSON.stringify([].concat(seen).map((f) => [typeof f?.getThis?.(), typeof f?.getFunction?.()]))",
    gives: expect.not.stringMatching(/object|function/),
  },
  {
    name: "stack of a host error",
    body: "try { lx.utils.zlib.inflate(1) } catch (e) { return e.stack } try { lx.utils.crypto.randomBytes(-1) } catch (e) { return e.stack }",
    gives: expect.not.stringMatching(HOST_WORDS),
  },
  {
    name: "message of a network error",
    body: "return new Promise((done) => lx.request('http://none.invalid/', {}, (e) => done(e.message + e.stack)))",
    gives: expect.not.stringMatching(HOST_WORDS),
  },
  {
    name: "the way out, searched for in everything reachable",
    body: "const seen = new Set(); const hits = []; const walk = (v) => { if (v === null || (typeof v !== 'object' && typeof v !== 'function') || seen.has(v)) return; seen.add(v); if (typeof v === 'function' && v.name === 'native') hits.push(1); for (const k of Reflect.ownKeys(v)) { try { const d = Object.getOwnPropertyDescriptor(v, k); walk(d.value); walk(d.get); walk(d.set) } catch {} } walk(Object.getPrototypeOf(v)) }; walk(globalThis); return String(hits.length)",
    gives: "0",
  },
  {
    name: "replaced JSON.stringify sees the way out",
    alone: true,
    body: "let stolen = 'none'; const old = JSON.stringify; JSON.stringify = function (v) { if (typeof this === 'function' || typeof v === 'function') stolen = 'native'; return old(v) }; lx.utils.crypto.md5('a'); JSON.stringify = old; return stolen",
    gives: "none",
  },
  {
    name: "replaced Array methods see the way out",
    alone: true,
    body: "let stolen = 'none'; for (const n of ['map', 'filter', 'push', 'join']) { const old = Array.prototype[n]; Array.prototype[n] = function (...a) { if (typeof this === 'function' || a.some((x) => x?.name === 'native')) stolen = n; return old.apply(this, a) } } lx.utils.crypto.md5('a'); return stolen",
    gives: "none",
  },
  {
    name: "replaced call and apply",
    alone: true,
    body: "let stolen = 'none'; Function.prototype.call = function (...a) { if (this.name === 'native') stolen = 'call'; return Reflect.apply(this, a[0], a.slice(1)) }; Function.prototype.apply = function (t, a) { if (this.name === 'native') stolen = 'apply'; return Reflect.apply(this, t, a ?? []) }; lx.utils.crypto.md5('a'); return stolen",
    gives: "none",
  },
  {
    name: "replaced Map and Promise",
    alone: true,
    body: "Map.prototype.get = () => { throw new Error('x') }; const then = Promise.prototype.then; Promise.prototype.then = function (...a) { return then.apply(this, a) }; return 'survived'",
    gives: "survived",
  },
  {
    name: "polluted Object.prototype",
    alone: true,
    body: "Object.prototype.url = 'https://evil/'; Object.prototype.allowPrivate = ['127.0.0.0/8']; Object.prototype.hostname = '127.0.0.1'; const answer = await new Promise((done) => lx.request('http://127.0.0.1:' + inside + '/', {}, (e) => done(e ? 'refused' : 'reached'))); return answer",
    gives: "refused",
  },
  {
    name: "polluted toJSON",
    alone: true,
    body: "Object.prototype.toJSON = () => ({ polluted: 1 }); String.prototype.toJSON = () => 'x'; let found; try { found = lx.utils.crypto.md5('a') } catch (e) { found = 'threw' } delete Object.prototype.toJSON; delete String.prototype.toJSON; return String(found)",
    gives: expect.any(String),
  },
  {
    name: "Object.prototype.then",
    alone: true,
    body: "Object.prototype.then = function (ok) { ok('hijacked') }; return { url: 1 }",
    gives: expect.anything(),
  },
  {
    name: "proxy as options",
    body: "return lx.request(at + '/text', new Proxy({}, { get: (t, k) => k === 'headers' ? new Proxy({}, { ownKeys: () => { throw new Error('trap') } }) : undefined }), () => {})",
  },
  {
    name: "getter in options",
    body: "return lx.request(at + '/text', { get headers() { throw new Error('getter') } }, () => {})",
  },
  {
    name: "options that refer to themselves",
    body: "const o = {}; o.o = o; return lx.request(at + '/text', { body: o }, () => {})",
  },
  {
    name: "address with toString",
    body: "return new Promise((done) => lx.request({ toString: () => 'http://127.0.0.1:' + inside + '/' }, {}, (e) => done(e ? 'refused' : 'reached')))",
    gives: "refused",
  },
  {
    name: "bytes whose memory was taken away",
    body: "const b = new Uint8Array(8); b.buffer.transfer?.(); return typeof lx.utils.crypto.md5(b)",
    gives: expect.anything(),
  },
  {
    name: "length of bytes that lies",
    body: "const b = new Uint8Array(4); Object.defineProperty(b, 'byteLength', { value: 1e9 }); Object.defineProperty(b, 'byteOffset', { value: -5 }); return lx.utils.buffer.bufToString(b, 'hex')",
    gives: "00000000",
  },
  { name: "error with a throwing getter", body: "throw { get message() { throw new Error('inner') } }" },
  { name: "error that is a proxy", body: "throw new Proxy(new Error('x'), { get() { throw new Error('trap') } })" },
  {
    name: "error with a huge message",
    body: "throw new Error('x'.repeat(5e6))",
    gives: expect.stringMatching(/^failed: .{0,400}$/s),
  },
  {
    name: "answer that is a proxy",
    body: "return new Proxy({}, { get: (t, k) => k === 'then' ? undefined : () => 1 })",
    gives: null,
  },
  { name: "huge answer", body: "return 'https://' + 'x'.repeat(5e6)", gives: null },
  {
    name: "unknown requests to the host",
    body: "return [typeof lx.native, typeof native, typeof __lx_native_call__].join()",
    gives: "undefined,undefined,undefined",
  },
  {
    name: "timers with odd numbers",
    body: "clearTimeout(NaN); clearTimeout({}); setTimeout(() => {}, Infinity); setTimeout(() => {}, NaN); return 'fine'",
    gives: "fine",
  },
  {
    name: "line breaks in headers",
    body: "return new Promise((done) => lx.request(at + '/echo', { headers: { 'X-A': '1\\r\\nX-Injected: 1' } }, (e, r, b) => done(e ? 'refused' : JSON.stringify(b.headers))))",
    gives: "refused",
  },
  {
    name: "own Host header",
    body: "return new Promise((done) => lx.request(at + '/echo', { headers: { Host: 'internal.test' } }, (e, r, b) => done(b.headers.host)))",
    gives: expect.stringContaining(OUTSIDE),
  },
];

describe("escapes", () => {
  let common: Started;
  beforeAll(async () => {
    const rows = escapes.map(({ name, body }) => `${JSON.stringify(name)}: async () => { ${body} }`);
    const constants = `const at = ${JSON.stringify(upstream.origin)}, inside = ${inside.port};`;
    common = await bed.start(
      answering("return await rows[info.musicInfo.songmid]()", `${constants} const rows = { ${rows.join(",\n")} };`),
    );
  });
  afterAll(() => common.stop());

  test.each(escapes)("$name", async ({ name, body, gives = THREW, alone = false }) => {
    const own = alone ? await tryOut(body, { limits: { sliceMs: 5_000 } }) : undefined;
    const run = own?.run ?? common;
    const info = JSON.stringify({ type: "128k", musicInfo: { songmid: name } });
    const found = own?.found ?? (await outcomeOf(run, info));
    if (gives === THREW) expect(found).toMatch(/^failed: |^undefined$/);
    else expect(found).toEqual(gives);
    if (typeof found === "string") expect(found).not.toMatch(/root:x:|\[object process\]/);
    expect(run.state.offences).toEqual([]);
    await own?.run.stop();
    await nothingHappened();
  });
});

const forbidden = [
  "http://127.0.0.1:PORT/",
  "http://127.1:PORT/",
  "http://2130706433:PORT/",
  "http://0x7f000001:PORT/",
  "http://0177.0.0.1:PORT/",
  "http://localhost:PORT/",
  "http://[::1]:PORT/",
  "http://[::ffff:127.0.0.1]:PORT/",
  "http://[64:ff9b::7f00:1]:PORT/",
  "http://0.0.0.0:PORT/",
  "http://user@127.0.0.1:PORT/",
  "http://169.254.169.254/latest/meta-data/",
  "http://10.0.0.1/",
  "file:///etc/passwd",
  "unix:///run/docker.sock:/v1/info",
  "data:text/plain,x",
];

describe("network", () => {
  test.each([
    ["desktop", forbidden],
    ["mobile", forbidden],
    ["mobile", forbidden.map((url) => `AT/redirect?to=${encodeURIComponent(url)}`)],
  ] as [ScriptEnv, string[]][])("addresses that may not be reached, %s %#", async (env, urls) => {
    const list = JSON.stringify(urls).replaceAll("PORT", String(inside.port));
    const { run, found } = await tryOut(
      `const results = await Promise.all(${list}.map((url) => new Promise((done) => lx.request(url, { timeout: 3000 }, (e, r, b) => done(e ? 'refused' : [url, r.statusCode, b]))))); return JSON.stringify(results)`,
      { env },
    );
    expect(JSON.parse(String(found))).toEqual(urls.map(() => "refused"));
    await run.stop();
    await nothingHappened();
  });

  test("DNS answers that turn private", async () => {
    const { run, found } = await tryOut(
      `const ask = (port) => new Promise((done) => lx.request('http://rebind.test:' + port + '/text', { timeout: 3000 }, (e, r, b) => done(e ? 'refused' : b)));
       const first = await ask(${upstream.port});
       // Longer than a name is remembered would take too long here: another name gets the private answer at once.
       const second = await new Promise((done) => lx.request('http://private.test:' + inside + '/', { timeout: 3000 }, (e) => done(e ? 'refused' : 'reached')));
       return JSON.stringify([first, second, await ask(inside)])`,
      { network: { dns: [dns.address] } },
    );
    expect(JSON.parse(String(found))).toEqual(["plain text", "refused", "refused"]);
    await run.stop();
    await nothingHappened();
  });

  test("hosts beyond the script's own list", async () => {
    const { run, found } = await tryOut(
      "return new Promise((done) => lx.request(at + '/text', {}, (e) => done(e ? 'refused' : 'reached')))",
      { network: { allowHosts: ["only.test"] } },
    );
    expect(found).toBe("refused");
    await run.stop();
  });

  const heavy: [string, string, ScriptEnv, unknown][] = [
    ["a response without end", "ask('/endless')", "desktop", "refused"],
    ["a response without end, mobile", "ask('/endless')", "mobile", "refused"],
    ["a gzip bomb", "ask('/bomb', { headers: { 'Accept-Encoding': 'gzip' } })", "desktop", "refused"],
    ["a gzip bomb, mobile", "ask('/bomb')", "mobile", "refused"],
    ["a body nested 200,000 deep", "ask('/deep')", "desktop", "answered"],
    ["a redirect loop", `ask('/redirect?to=${encodeURIComponent("/redirect")}')`, "mobile", "answered"],
  ];
  test.each(heavy)("%s", async (_, expression, env, expected) => {
    const { run, found } = await tryOut(
      `const ask = (path, options = {}) => new Promise((done) => lx.request(at + path, options, (e) => done(e ? 'refused' : 'answered'))); return ${expression}`,
      { env },
    );
    expect(found).toBe(expected as string);
    expect(run.state).toMatchObject({ state: "ready", offences: [] });
    await run.stop();
    await nothingHappened();
  });

  test("10,000 requests at once", async () => {
    const before = upstream.asked.length;
    const { run, found } = await tryOut(
      "let ok = 0, no = 0; await new Promise((done) => { for (let i = 0; i < 10000; i++) lx.request(at + '/text', {}, (e) => { if (e) no++; else ok++; if (ok + no === 10000) done() }) }); return JSON.stringify([ok, no])",
      { limits: { sliceMs: 6_000 } },
    );
    const [ok = 0, refused = 0] = JSON.parse(String(found)) as number[];
    expect(ok + refused).toBe(10_000);
    expect(ok).toBeLessThanOrEqual(LIMITS.requestsPerCall * 3);
    expect(upstream.asked.length - before).toBe(ok);
    expect(run.events).toContainEqual({ type: "limit", name: "requests" });
    await run.stop();
    await nothingHappened();
  });
});

/** What must end with the process being killed, and why. `survives`: the engine's own limits suffice as well. */
const floods: { name: string; body: string; offence?: string; survives?: boolean }[] = [
  { name: "a loop without end", body: "for (;;);", offence: "cpu" },
  { name: "a loop of awaits", body: "for (;;) await null", offence: "cpu" },
  {
    name: "a flood of promises",
    body: "const f = () => { Promise.resolve().then(f); Promise.resolve().then(f) }; f(); return new Promise(() => {})",
    offence: "cpu|memory|crash",
  },
  { name: "a generator without end", body: "function* g() { for (;;) yield 1 } for (const x of g());", offence: "cpu" },
  { name: "catching the interruption", body: "for (;;) try { for (;;); } catch {}", offence: "cpu" },
  { name: "finally after the interruption", body: "try { for (;;); } finally { for (;;); }", offence: "cpu" },
  {
    name: "a getter without end while the answer is read",
    body: "return { get then() { for (;;); } }",
    offence: "cpu",
  },
  {
    name: "toString without end",
    body: "return lx.utils.crypto.aesEncrypt('a', { toString() { for (;;); } }, 'b', 'c')",
    offence: "cpu",
  },
  {
    name: "indexOf over 2^53",
    body: "return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)",
    offence: "stalled|cpu",
  },
  {
    name: "fill over 2^53",
    body: "return Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)",
    offence: "stalled|cpu",
  },
  {
    name: "a slow search in text",
    body: "return 'a'.repeat(4e6).indexOf('a'.repeat(2e6) + 'b')",
    offence: "stalled|cpu",
    survives: true,
  },
  {
    name: "a regular expression that backtracks",
    body: "return /^(a+)+$/.test('a'.repeat(60) + 'b')",
    offence: "cpu|stalled",
  },
  {
    name: "waiting on shared memory",
    body: "return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)",
    offence: "stalled",
    survives: true,
  },
  {
    name: "an interval that computes",
    body: "setInterval(() => { const end = Date.now() + 300; while (Date.now() < end); }, 1); return 'answered'",
    offence: "background",
  },
  { name: "2 GB at once", body: "return new ArrayBuffer(2 ** 31 - 1).byteLength", survives: true, offence: "memory" },
  { name: "2 GB of text", body: "return 'x'.repeat(2 ** 29).length", survives: true, offence: "memory" },
  {
    name: "memory bit by bit",
    body: "const kept = []; for (;;) kept.push(new Uint8Array(1 << 20))",
    survives: true,
    offence: "memory",
  },
  {
    name: "memory by doubling",
    body: "let a = [1]; for (;;) a = a.concat(a)",
    survives: true,
    offence: "memory|stalled|cpu",
  },
  {
    name: "memory, with the failure caught",
    body: "const kept = []; try { for (;;) kept.push('x'.repeat(1e6) + kept.length) } catch {} return 'caught'",
    survives: true,
    offence: "memory",
  },
  { name: "a stack bomb", body: "const f = () => f() + 1; return f()", survives: true },
  { name: "a stack bomb in a native callback", body: "const f = () => [1].map(f); return f()", survives: true },
  {
    name: "a stack bomb in JSON",
    body: "let o = {}; for (let i = 0; i < 1e6; i++) o = { o }; return JSON.stringify(o)",
    survives: true,
    offence: "memory|cpu|crash|stalled",
  },
  {
    name: "a stack bomb across the border",
    body: "let o = {}; for (let i = 0; i < 50000; i++) o = { o }; return lx.request(at, { body: o }, () => {})",
    survives: true,
    offence: "memory|crash",
  },
  {
    name: "a stack bomb in a regular expression",
    body: "return new RegExp('('.repeat(50000) + ')'.repeat(50000)).test('a')",
    survives: true,
    offence: "crash|cpu",
  },
  {
    name: "100,000 timers",
    body: "for (let i = 0; i < 100000; i++) setTimeout(() => {}, 1000); return 'made'",
    survives: true,
  },
  {
    name: "a flood of console lines",
    body: "for (let i = 0; i < 5000; i++) console.log('x'.repeat(5000)); return 'printed'",
    survives: true,
    offence: "cpu",
  },
  {
    name: "a flood of errors",
    body: "for (let i = 0; i < 5000; i++) Promise.reject(new Error('x')); return 'thrown'",
    survives: true,
    offence: "cpu",
  },
];

describe("floods", () => {
  test.each(floods)("$name", async ({ body, offence, survives = false }) => {
    const { run, found } = await tryOut(body);
    if (!survives) {
      const until = Date.now() + 8_000;
      while (run.state.offences.length === 0 && Date.now() < until) await Bun.sleep(10);
      expect(run.state.offences.length).toBeGreaterThan(0);
    }
    // On a machine that has no time to spare, what fills the memory reaches the limit of time first.
    const named = offence?.includes("memory") ? `${offence}|stalled|cpu` : (offence ?? "none");
    for (const item of run.state.offences) expect(item.offence).toMatch(new RegExp(`^(?:${named})$`));
    // Whatever it was: the call has ended in time, and not with success where there can be none.
    expect(typeof found === "string" || typeof found === "number" || typeof found === "boolean" || found === null).toBe(
      true,
    );
    await nothingHappened();
    await run.stop();
  });

  test.each([
    ["a loop while starting", "for (;;);"],
    ["a native loop while starting", "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)"],
    ["memory while starting", "const kept = []; for (;;) kept.push(new Uint8Array(1 << 20))"],
    ["a stack bomb while starting", "(function f() { f() })()"],
  ])("%s", async (_, code) => {
    const run = await bed.start(`${HEADER}${code}`, { limits: { ...LIMITS, initSliceMs: 500 } });
    expect(run.state.state).toMatch(/blocked|failed/);
    await run.stop();
    await nothingHappened();
  });

  test("a script that offends again and again is blocked; one offence only restarts it", async () => {
    const run = await bed.start(answering("if (info.musicInfo.songmid === '1') for (;;); return 'fine'"), {
      limits: LIMITS,
    });
    const good = JSON.stringify({ type: "128k", musicInfo: { songmid: "2" } });
    const states: string[] = [];
    for (let i = 0; i < 3; i++) {
      const until = Date.now() + 8_000;
      while (run.state.state !== "ready" && Date.now() < until) await Bun.sleep(5);
      expect(await run.call("kw", "musicUrl", good, { deadlineMs: 5_000 })).toBe("fine");
      await run.call("kw", "musicUrl", attemptInfo, { deadlineMs: 5_000 }).catch(() => {});
      states.push(run.state.state);
    }
    expect(states).toEqual(["starting", "starting", "blocked"]);
    expect(run.state.retryAt).toBeGreaterThan(Date.now());
    await run.stop();
  });
});

test("two scripts see nothing of each other", async () => {
  const one = await bed.start(
    answering("return String(globalThis.secret)", "globalThis.secret = 'one'; Array.prototype.secret = 'one';"),
  );
  const two = await bed.start(answering("return String([globalThis.secret, [].secret])"));
  expect(await two.call("kw", "musicUrl", attemptInfo, { deadlineMs: 2_000 })).toBe(",");
  expect(one.state.pid).not.toBe(two.state.pid);
  await one.stop();
  await two.stop();
});

test("a script process has none of the server's environment and open files", async () => {
  process.env["LX_SECRET_FOR_TEST"] = "secret";
  const run = await bed.start(answering("return 'x'"));
  const environment = await Bun.file(`/proc/${run.state.pid}/environ`).text();
  delete process.env["LX_SECRET_FOR_TEST"];
  expect(environment).not.toContain("LX_");
  expect(environment).not.toContain("HOME=");
  await run.stop();
});

test("no process is left behind, and the server answered throughout", async () => {
  const run = await bed.start(answering("return 'x'"));
  const pid = run.state.pid ?? 0;
  await run.stop();
  expect(() => process.kill(pid, 0)).toThrow();
  const sorted = health.times.toSorted((a, b) => a - b);
  expect(health.failed).toBe(0);
  expect(sorted.length).toBeGreaterThan(50);
  expect(sorted[Math.floor(sorted.length / 2)]).toBeLessThan(100);
});

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { constants, createCipheriv, generateKeyPairSync, publicEncrypt } from "node:crypto";
import { SCRIPT_ENVS, type ScriptEnv } from "../../src/scripts/protocol.ts";
import { answering, type Bed, HEADER, makeBed, type Started } from "./bed.ts";
import { startUpstream, type Upstream } from "./upstream.ts";

setDefaultTimeout(30_000);

interface Row {
  name: string;
  /** Body of an async function in the script; `at` is the test server, `ask` a promise form of lx.request. */
  code: string;
  /** What both clients give, or each. */
  gives?: unknown;
  desktop?: unknown;
  mobile?: unknown;
}

const ask = `const ask = (path, options = {}) => new Promise((resolve) => {
  lx.request(at + path, options, (err, resp, body) => resolve([err, resp, body]));
});
const failure = async (work) => { try { await work(); return "no error"; } catch (error) { return error.message; } };
`;
const keys = generateKeyPairSync("rsa", { modulusLength: 1024 });
const pem = keys.publicKey.export({ type: "spki", format: "pem" }).toString();
const cipher = (mode: string, key: string, iv: string | null) => {
  const made = createCipheriv(mode, key, iv);
  return made.update("hello", "utf8", "hex") + made.final("hex");
};
const CHROME = expect.stringMatching(/^Mozilla\/5\.0 .*Chrome/);

const language: Row[] = [
  { name: "version", code: "return lx.version", gives: "2.0.0" },
  { name: "env", code: "return lx.env", desktop: "desktop", mobile: "mobile" },
  {
    name: "EVENT_NAMES",
    code: "return lx.EVENT_NAMES",
    gives: { request: "request", inited: "inited", updateAlert: "updateAlert" },
  },
  {
    name: "the members of lx, and no platform",
    code: "return Object.keys(lx).sort()",
    gives: ["EVENT_NAMES", "currentScriptInfo", "env", "on", "request", "send", "utils", "version"],
  },
  {
    name: "currentScriptInfo holds the header",
    code: "const { rawScript, ...info } = lx.currentScriptInfo; return info",
    gives: { name: "Test", description: "", version: "1", author: "", homepage: "" },
  },
  {
    name: "rawScript is the exact text",
    code: "return [lx.currentScriptInfo.rawScript.startsWith('/*\\n * @name Test'), lx.currentScriptInfo.rawScript.endsWith('/* 结尾 */\\n')]",
    gives: [true, true],
  },
  {
    name: "lx cannot be changed",
    code: "'use strict'; return [await failure(() => { lx.version = '1' }), await failure(() => { lx.utils.crypto.md5 = 1 }), lx.version].map((x) => x !== 'no error')",
    gives: [true, true, true],
  },
  {
    name: "lx cannot be replaced",
    code: "try { globalThis.lx = 1 } catch {} return typeof lx.request",
    gives: "function",
  },
  {
    name: "built-ins keep their values on mobile",
    code: "try { Array.prototype.map = 1 } catch {} const kept = typeof [].map; Array.prototype.map = [].map; return kept",
    mobile: "function",
  },
  { name: "own globals can be made", code: "globalThis.mine = 1; return mine", gives: 1 },
  {
    name: "own toString on objects",
    code: "const o = {}; o.toString = () => 'x'; return String(o)",
    gives: "x",
  },
  { name: "globalThis and window", code: "return [typeof globalThis, window === globalThis]", gives: ["object", true] },
  {
    name: "the page holds the script's text",
    code: "return document.getElementsByTagName('script')[0].innerText === lx.currentScriptInfo.rawScript",
    gives: true,
  },
  { name: "eval throws", code: "return (await failure(() => eval('1'))) !== 'no error'", gives: true },
  {
    name: "Function throws",
    code: "return (await failure(() => new Function('return 1')())) !== 'no error'",
    gives: true,
  },
  {
    name: "every function constructor throws",
    code: `const makers = [() => {}, async () => {}, function* () {}, async function* () {}];
      return Promise.all(makers.map((f) => failure(() => f.constructor('return 1')())).map(async (m) => (await m) !== 'no error'))`,
    gives: [true, true, true, true],
  },
  { name: "instanceof Function", code: "return (() => {}) instanceof Function", gives: true },
  {
    name: "functions of the client show no source",
    code: "return [/native code/.test(lx.request.toString()), /native code/.test(String(setTimeout)), /mine/.test((() => 'mine').toString())]",
    gives: [true, true, true],
  },
  {
    name: "no modules, no processes, no Bun",
    code: "return [typeof require, typeof process, typeof Bun, typeof module, typeof fetch, typeof WebAssembly]",
    gives: Array(6).fill("undefined"),
  },
];

const timers: Row[] = [
  {
    name: "setTimeout passes its arguments",
    code: "return new Promise((done) => setTimeout((a, b) => done([a, b]), 5, 1, 'x'))",
    gives: [1, "x"],
  },
  {
    name: "clearTimeout",
    code: "let ran = false; clearTimeout(setTimeout(() => { ran = true }, 5)); await new Promise((done) => setTimeout(done, 30)); return ran",
    gives: false,
  },
  { name: "clearTimeout of nothing", code: "clearTimeout(undefined); clearTimeout(99999); return 1", gives: 1 },
  { name: "setInterval", code: "return typeof setInterval", desktop: "function", mobile: "undefined" },
  {
    name: "setInterval repeats until it is cleared",
    code: "return new Promise((done) => { let n = 0; const id = setInterval(() => { if (++n === 3) { clearInterval(id); done(n) } }, 4) })",
    desktop: 3,
  },
  {
    name: "setTimeout of no function",
    code: "return failure(() => setTimeout('x', 1))",
    desktop: "no error",
    mobile: "callback required a function",
  },
  {
    name: "negative time",
    code: "return failure(() => setTimeout(() => {}, -1))",
    desktop: "no error",
    mobile: "timeout required a number",
  },
  {
    name: "timers run in order of time",
    code: "const seen = []; return new Promise((done) => { setTimeout(() => { seen.push(2); done(seen) }, 40); setTimeout(() => seen.push(1), 5) })",
    gives: [1, 2],
  },
  {
    name: "microtasks before timers",
    code: "const seen = []; return new Promise((done) => { setTimeout(() => { seen.push('t'); done(seen) }, 0); Promise.resolve().then(() => seen.push('m')) })",
    gives: ["m", "t"],
  },
];

const web: Row[] = [
  {
    name: "console",
    code: "console.log(1, {a: 1}, null, undefined, Symbol('x')); console.info('i'); console.warn('w'); console.error(new Error('e')); return ['log', 'info', 'warn', 'error'].map((n) => typeof console[n])",
    gives: Array(4).fill("function"),
  },
  { name: "console.group", code: "return typeof console.group", desktop: "function", mobile: "undefined" },
  {
    name: "what only a page has",
    code: "return ['atob', 'btoa', 'TextEncoder', 'TextDecoder', 'URL', 'URLSearchParams', 'queueMicrotask'].map((n) => typeof globalThis[n])",
    desktop: Array(7).fill("function"),
  },
  {
    name: "btoa, atob",
    code: "return [btoa('hé\\u0000'), atob(' aGk= '), await failure(() => btoa('中') ).then((m) => m !== 'no error'), await failure(() => atob('a')).then((m) => m !== 'no error')]",
    desktop: ["aOkA", "hi", true, true],
  },
  {
    name: "TextEncoder",
    code: "const e = new TextEncoder(); return [[...e.encode('a中😀')], e.encodeInto('中a', new Uint8Array(3)), e.encoding]",
    desktop: [[97, 228, 184, 173, 240, 159, 152, 128], { read: 1, written: 3 }, "utf-8"],
  },
  {
    name: "TextDecoder",
    code: "return [new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 228, 184, 173])), new TextDecoder('gbk').decode(new Uint8Array([0xd6, 0xd0])), await failure(() => new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([255]))).then((m) => m !== 'no error'), await failure(() => new TextDecoder('nope')).then((m) => m !== 'no error')]",
    desktop: ["中", "中", true, true],
  },
  {
    name: "URL",
    code: "const u = new URL('/a b?x=1#h', 'HTTP://User:pw@Exam.test:80/q'); u.searchParams.append('y', 'ä &'); u.hash = 'z'; return [u.href, u.origin, u.host, u.pathname, u.search, u.username, String(u), JSON.stringify(u), URL.canParse('x')]",
    desktop: [
      "http://User:pw@exam.test/a%20b?x=1&y=%C3%A4+%26#z",
      "http://exam.test",
      "exam.test",
      "/a%20b",
      "?x=1&y=%C3%A4+%26",
      "User",
      "http://User:pw@exam.test/a%20b?x=1&y=%C3%A4+%26#z",
      '"http://User:pw@exam.test/a%20b?x=1&y=%C3%A4+%26#z"',
      false,
    ],
  },
  { name: "URL that is none", code: "return failure(() => new URL('no'))", desktop: "Invalid URL" },
  {
    name: "URLSearchParams",
    code: "const p = new URLSearchParams('?a=1&a=2&b=%E4%B8%AD+x&c'); p.delete('a', '1'); p.set('d', '~!'); p.sort(); return [p.get('b'), p.getAll('a'), p.has('c'), p.get('none'), p.size, String(p), [...new URLSearchParams({ x: 1 })], String(new URLSearchParams([['k', 'v']]))]",
    desktop: ["中 x", ["2"], true, null, 4, "a=2&b=%E4%B8%AD+x&c=&d=%7E%21", [["x", "1"]], "k=v"],
  },
  {
    name: "crypto.getRandomValues",
    code: "const a = crypto.getRandomValues(new Uint8Array(64)); return a.some((x) => x > 0)",
    desktop: true,
  },
];

const utils: Row[] = [
  {
    name: "md5 of text",
    code: "return lx.utils.crypto.md5('中文\\u0000 text')",
    gives: new Bun.CryptoHasher("md5").update("中文\0 text").digest("hex"),
  },
  {
    name: "md5 of bytes",
    code: "return lx.utils.crypto.md5(new Uint8Array([0, 1, 255]))",
    gives: new Bun.CryptoHasher("md5").update(new Uint8Array([0, 1, 255])).digest("hex"),
  },
  {
    name: "randomBytes",
    code: "const b = lx.utils.crypto.randomBytes(16); return [b instanceof Uint8Array, b.length]",
    gives: [true, 16],
  },
  {
    name: "aesEncrypt, whatever the mode",
    code: "const hex = (b) => lx.utils.buffer.bufToString(b, 'hex'); const { aesEncrypt } = lx.utils.crypto; const b = lx.utils.buffer.from('hello'); return [hex(aesEncrypt(b, 'aes-128-cbc', '0123456789abcdef', 'fedcba9876543210')), hex(aesEncrypt('hello', 'aes-128-ecb', lx.utils.buffer.from('0123456789abcdef'), '')), hex(aesEncrypt(b, 'aes-256-cbc', '0123456789abcdef0123456789abcdef', '0123456789abcdef'))]",
    gives: [
      cipher("aes-128-cbc", "0123456789abcdef", "fedcba9876543210"),
      cipher("aes-128-ecb", "0123456789abcdef", null),
      cipher("aes-256-cbc", "0123456789abcdef0123456789abcdef", "0123456789abcdef"),
    ],
  },
  {
    name: "aesEncrypt with a wrong key or mode throws",
    code: "return [await failure(() => lx.utils.crypto.aesEncrypt('a', 'aes-128-cbc', 'short', 'x')), await failure(() => lx.utils.crypto.aesEncrypt('a', 'rot13', 'x', 'x'))].map((m) => m !== 'no error')",
    gives: [true, true],
  },
  {
    name: "rsaEncrypt without padding",
    code: `return lx.utils.buffer.bufToString(lx.utils.crypto.rsaEncrypt(lx.utils.buffer.from('secret'), ${JSON.stringify(pem)}), 'hex')`,
    gives: publicEncrypt(
      { key: pem, padding: constants.RSA_NO_PADDING },
      Buffer.concat([Buffer.alloc(122), Buffer.from("secret")]),
    ).toString("hex"),
  },
  {
    name: "rsaEncrypt of more than 128 bytes throws",
    code: `return (await failure(() => lx.utils.crypto.rsaEncrypt(new Uint8Array(129), ${JSON.stringify(pem)}))) !== 'no error'`,
    gives: true,
  },
  {
    name: "buffer.from",
    code: "const { from } = lx.utils.buffer; return [from('中'), from('6869', 'hex'), from('aGk', 'base64'), from('\\u00ff', 'binary'), from([1, 257]), from(new Uint8Array([7]).buffer), from(new Uint8Array([8]))].map((b) => [b instanceof Uint8Array, ...b])",
    gives: [
      [true, 228, 184, 173],
      [true, 104, 105],
      [true, 104, 105],
      [true, 255],
      [true, 1, 1],
      [true, 7],
      [true, 8],
    ],
  },
  {
    name: "bufToString",
    code: "const { from, bufToString } = lx.utils.buffer; const b = from('中a'); return [bufToString(b), bufToString(b, 'utf8'), bufToString(b, 'hex'), bufToString(b, 'base64'), bufToString(b, 'binary'), bufToString([104, 105], 'utf-8'), bufToString('hi', 'hex')]",
    gives: ["中a", "中a", "e4b8ad61", "5LitYQ==", "\u00e4\u00b8\u00ada", "hi", "6869"],
  },
  {
    name: "bufToString keeps NUL",
    code: "return lx.utils.buffer.bufToString(new Uint8Array([97, 0, 98]), 'utf8').length",
    gives: 3,
  },
  {
    name: "zlib",
    code: "const z = lx.utils.zlib; const p = z.deflate(lx.utils.buffer.from('text')); const back = await z.inflate(await p); return [p instanceof Promise, lx.utils.buffer.bufToString(back, 'utf8'), await failure(() => z.inflate(new Uint8Array([1, 2]))).then((m) => m !== 'no error')]",
    gives: [true, "text", true],
  },
  {
    name: "arguments beyond 1,048,576 characters",
    code: "return failure(() => lx.utils.crypto.md5('x'.repeat(1048577)))",
    desktop: "no error",
    mobile: "Input too long",
  },
];

const echoed = (fields: object) => [
  null,
  expect.objectContaining({ statusCode: 200 }),
  expect.objectContaining(fields),
];
const headersOf = (headers: object) => echoed({ headers: expect.objectContaining(headers) });

const requests: Row[] = [
  {
    name: "the options are required",
    code: "return (await failure(() => lx.request(at + '/text', undefined, () => {}))) !== 'no error'",
    gives: true,
  },
  {
    name: "GET by default",
    code: "return ask('/echo?a=1')",
    gives: echoed({ method: "GET", query: "?a=1", body: "" }),
  },
  {
    name: "default headers",
    code: "return ask('/echo')",
    desktop: headersOf({ "user-agent": expect.stringMatching(/^Needle\//), accept: "*/*" }),
    mobile: headersOf({ "user-agent": CHROME, accept: "application/json" }),
  },
  {
    name: "own headers win",
    code: "return ask('/echo', { headers: { 'User-Agent': 'mine', Accept: 'text/x', 'X-Number': 5 } })",
    gives: headersOf({ "user-agent": "mine", accept: "text/x", "x-number": "5" }),
  },
  {
    name: "a text body",
    code: "return ask('/echo', { method: 'post', body: 'a=1', headers: { 'Content-Type': 'text/plain' } })",
    gives: echoed({ method: "POST", body: "a=1", headers: expect.objectContaining({ "content-type": "text/plain" }) }),
  },
  {
    name: "an object body",
    code: "return ask('/echo', { method: 'POST', body: { a: 1, b: { c: 'x y' }, d: [1, 2] } })",
    desktop: echoed({
      body: "a=1&b[c]=x%20y&d[0]=1&d[1]=2",
      headers: expect.objectContaining({ "content-type": "application/x-www-form-urlencoded" }),
    }),
    mobile: echoed({
      body: '{"a":1,"b":{"c":"x y"},"d":[1,2]}',
      headers: expect.objectContaining({ "content-type": "application/json" }),
    }),
  },
  {
    name: "an object body as application/json",
    code: "return ask('/echo', { method: 'POST', body: { a: 1 }, headers: { 'Content-Type': 'application/json' } })",
    gives: echoed({ body: '{"a":1}' }),
  },
  {
    name: "not exactly application/json",
    code: "return ask('/echo', { method: 'POST', body: { a: 1 }, headers: { 'Content-Type': 'application/json; charset=utf-8' } })",
    desktop: echoed({ body: "a=1" }),
  },
  {
    name: "a body on GET replaces the query",
    code: "return ask('/echo?old=1', { body: { a: 'b c' } })",
    desktop: echoed({ query: "?a=b%20c", body: "" }),
    mobile: echoed({ query: "?old=1", body: "" }),
  },
  {
    name: "form",
    code: "return ask('/echo', { method: 'post', form: { a: '1 2', b: '中' } })",
    gives: echoed({
      body: "a=1%202&b=%E4%B8%AD",
      headers: expect.objectContaining({ "content-type": "application/x-www-form-urlencoded" }),
    }),
  },
  {
    name: "formData",
    code: "return ask('/echo', { method: 'post', formData: { a: 1 } })",
    desktop: echoed({
      body: "a=1",
      headers: expect.objectContaining({ "content-type": "application/x-www-form-urlencoded" }),
    }),
  },
  {
    name: "formData without a content-type",
    code: "return failure(() => ask('/echo', { method: 'post', formData: { a: 1 } }))",
    desktop: "no error",
    mobile: "formData needs a content-type",
  },
  {
    name: "body before form before formData",
    code: "return [(await ask('/echo', { method: 'post', body: 'b', form: { f: 1 }, formData: { d: 1 } }))[2].body, (await ask('/echo', { method: 'post', form: { f: 1 }, formData: { d: 1 } }))[2].body]",
    desktop: ["b", "f=1"],
  },
  {
    name: "a body of bytes",
    code: "return ask('/echo', { method: 'post', body: lx.utils.buffer.from('bytes') })",
    gives: echoed({ body: "bytes" }),
  },
  {
    name: "the response's members",
    code: "const [err, resp, body] = await ask('/text'); return [err, Object.keys(resp).sort(), resp.statusCode, resp.statusMessage, resp.headers['x-own'], body, resp.body]",
    desktop: [
      null,
      ["body", "bytes", "headers", "raw", "statusCode", "statusMessage"],
      201,
      "Created",
      "1",
      "plain text",
      "plain text",
    ],
    mobile: [null, ["body", "headers", "statusCode", "statusMessage"], 201, "Created", "1", "plain text", "plain text"],
  },
  {
    name: "raw and bytes",
    code: "const [, resp] = await ask('/bytes'); return [resp.raw instanceof Uint8Array, [...resp.raw], resp.bytes]",
    desktop: [true, [0, 255, 1, 65], 4],
  },
  {
    name: "binary on mobile",
    code: "const [, resp, body] = await ask('/bytes', { binary: true }); return [...body]",
    mobile: [0, 255, 1, 65],
  },
  { name: "a JSON body is parsed", code: "return typeof (await ask('/echo'))[2]", gives: "object" },
  {
    name: "an empty body",
    code: "const [, resp, body] = await ask('/empty'); return [resp.statusCode, body]",
    gives: [204, ""],
  },
  { name: "a body with NUL is whole", code: "return (await ask('/nul'))[2].length", gives: 3 },
  {
    name: "several cookies",
    code: "return (await ask('/cookies'))[1].headers['set-cookie']",
    desktop: ["a=1", "b=2"],
    mobile: "a=1, b=2",
  },
  {
    name: "redirects",
    code: "const [, resp, body] = await ask('/redirect'); return [resp.statusCode, resp.headers.location ?? body]",
    desktop: [302, "/text"],
    mobile: [201, "plain text"],
  },
  {
    name: "bytes that were compressed unasked",
    code: "const [, resp, body] = await ask('/gzip'); return resp.raw ? [...resp.raw.slice(0, 2)] : body",
    desktop: [0x1f, 0x8b],
    mobile: "packed",
  },
  {
    name: "compressed on demand",
    code: "return (await ask('/gzip', { headers: { 'Accept-Encoding': 'gzip' } }))[2]",
    gives: "packed",
  },
  {
    name: "the timeout",
    code: "const [err, resp, body] = await ask('/slow?ms=3000', { timeout: 50 }); return [err instanceof Error, err.message.length > 0, resp, body]",
    gives: [true, true, null, null],
  },
  {
    name: "errors give null, null",
    code: "return new Promise((done) => lx.request('http://127.0.0.1:9/', {}, (err, resp, body) => done([err instanceof Error, resp, body])))",
    gives: [true, null, null],
  },
  {
    name: "cancel calls back with an error",
    code: "return new Promise((done) => { const cancel = lx.request(at + '/slow?ms=3000', {}, (err, resp) => done([typeof cancel, err instanceof Error, resp])); cancel(); cancel() })",
    gives: ["function", true, null],
  },
  {
    name: "cancel after the answer does nothing",
    code: "return new Promise((done) => { let n = 0; const cancel = lx.request(at + '/text', {}, () => { n++; cancel(); setTimeout(() => done(n), 20) }) })",
    gives: 1,
  },
  {
    name: "an address without a scheme",
    code: "return new Promise((done) => lx.request(at.slice(7) + '/text', {}, (err, resp, body) => done(body)))",
    desktop: "plain text",
  },
  {
    name: "a method that clients cannot send",
    code: "return (await failure(() => ask('/text', { method: 'CONNECT' }))) !== 'no error'",
    gives: true,
  },
  { name: "the default timeout is longer than this", code: "return (await ask('/slow?ms=300'))[2]", gives: "late" },
];

const events: Row[] = [
  {
    name: "on returns a promise",
    code: "const p = lx.on('request', globalThis.handler); return p instanceof Promise",
    gives: true,
  },
  {
    name: "on of another event rejects",
    code: "return [await failure(() => lx.on('inited', () => {})), await failure(() => lx.on('x', () => {}))]",
    gives: ["The event is not supported: inited", "The event is not supported: x"],
  },
  {
    name: "send of an unknown event rejects",
    code: "return failure(() => lx.send('x', {}))",
    gives: "The event is not supported: x",
  },
  {
    name: "a second inited rejects",
    code: "return failure(() => lx.send('inited', { sources: {} }))",
    gives: "Script is inited",
  },
];

const TABLES: [string, Row[]][] = [
  ["language and lx", language],
  ["timers", timers],
  ["web", web],
  ["utils", utils],
  ["request", requests],
  ["events", events],
];

let bed: Bed;
let upstream: Upstream;
const running = new Map<ScriptEnv, Started>();

function tableScript(): string {
  const functions = TABLES.flatMap(([, rows]) => rows).map(
    (row) => `${JSON.stringify(row.name)}: async () => { ${row.code} }`,
  );
  return `${HEADER}const at = ${JSON.stringify(upstream.origin)};\n${ask}
const rows = { ${functions.join(",\n")} };
globalThis.handler = async ({ info }) => JSON.stringify(await rows[info.musicInfo.songmid]() ?? null);
lx.on('request', globalThis.handler);
lx.send('inited', { sources: { kw: { type: 'music', actions: ['musicUrl'], qualitys: ['128k'] } } });
/* 结尾 */
`;
}

async function runRow(env: ScriptEnv, name: string): Promise<unknown> {
  const run = running.get(env);
  if (run === undefined) throw new Error("not started");
  const info = JSON.stringify({ type: "128k", musicInfo: { songmid: name } });
  return JSON.parse(String(await run.call("kw", "musicUrl", info, { deadlineMs: 10_000 })));
}

beforeAll(async () => {
  upstream = startUpstream();
  bed = makeBed(2);
  for (const env of SCRIPT_ENVS) running.set(env, await bed.start(tableScript(), { env }));
});
afterAll(async () => {
  await bed.close();
  await upstream.stop();
});

for (const [title, rows] of TABLES) {
  for (const env of SCRIPT_ENVS) {
    const cases = rows
      .map((row) => ({ name: row.name, expected: row[env] ?? row.gives }))
      .filter((row) => row.expected !== undefined);
    describe(`${title}, ${env}`, () => {
      test.each(cases)("$name", async ({ name, expected }) => expect(await runRow(env, name)).toEqual(expected));
    });
  }
}

const online = (more: object = {}) => ({ type: "music", actions: ["musicUrl"], qualitys: ["128k"], ...more });
const sending = (data: unknown) => `${HEADER}lx.send('inited', ${JSON.stringify(data)});`;

const starts: { name: string; script: string; state: object }[] = [
  {
    name: "sources are filtered",
    script: sending({
      sources: {
        kw: online({ actions: ["musicUrl", "dance"], qualitys: ["128k", "9k", "flac24bit"] }),
        kg: online({ type: "video" }),
        xm: online(),
      },
    }),
    state: { state: "ready", sources: { kw: { actions: ["musicUrl"], qualitys: ["128k", "flac24bit"] } } },
  },
  {
    name: "qualities beyond the clients' four are kept",
    script: sending({
      sources: { tx: online({ qualitys: ["hires", "master", "atmos", "atmos_plus", "dolby", "sky"] }) },
    }),
    state: {
      state: "ready",
      sources: { tx: { qualitys: ["hires", "atmos", "atmos_plus", "dolby", "sky", "master"] } },
    },
  },
  {
    name: "local has actions and no quality",
    script: sending({ sources: { local: { type: "music", actions: ["musicUrl", "lyric", "pic"] } } }),
    state: { state: "ready", sources: { local: { actions: ["musicUrl", "lyric", "pic"], qualitys: [] } } },
  },
  {
    name: "missing actions fail",
    script: sending({ sources: { kw: { type: "music", qualitys: [] } } }),
    state: { state: "failed", problem: { message: "sources.kw.actions must be an array" } },
  },
  {
    name: "missing qualitys fail",
    script: sending({ sources: { kw: { type: "music", actions: [] } } }),
    state: { state: "failed", problem: { message: "sources.kw.qualitys must be an array" } },
  },
  { name: "no data fails", script: `${HEADER}lx.send('inited')`, state: { state: "failed" } },
  { name: "no sources fail", script: sending({}), state: { state: "failed" } },
  {
    name: "an error while starting, with its line",
    script: `${HEADER}\nthrow new Error('broken at start')`,
    state: { state: "failed", problem: { message: "broken at start", line: 6 } },
  },
  {
    name: "a syntax error, with its line",
    script: `${HEADER}let a = = 1`,
    state: { state: "failed", problem: { line: 5 } },
  },
  {
    name: "an unhandled rejection while starting",
    script: `${HEADER}(async () => { await null; throw new Error('rejected at start') })(); setTimeout(() => {}, 5000)`,
    state: { state: "failed", problem: { message: "rejected at start" } },
  },
  {
    name: "an error in a timer while starting",
    script: `${HEADER}setTimeout(() => { throw new Error('in a timer') }, 1)`,
    state: { state: "failed", problem: { message: "in a timer" } },
  },
  {
    name: "a message of more than 1,024 characters is cut",
    script: `${HEADER}throw new Error('x'.repeat(5000))`,
    state: { state: "failed", problem: { message: "x".repeat(1024) } },
  },
  {
    name: "a rejection that is handled later is none",
    script: `${HEADER}const p = Promise.reject(new Error('no')); p.catch(() => lx.send('inited', { sources: {} }))`,
    state: { state: "ready" },
  },
  {
    name: "nothing more to run and no inited",
    script: `${HEADER}var a = 1`,
    state: { state: "failed" },
  },
  {
    name: "inited after asking a server",
    script: `${HEADER}lx.request('UPSTREAM/text', {}, (err, resp, body) => lx.send('inited', { sources: body === 'plain text' ? { mg: ${JSON.stringify(online())} } : {} }))`,
    state: { state: "ready", sources: { mg: { actions: ["musicUrl"] } } },
  },
];

describe.each([...SCRIPT_ENVS])("starting on %s", (env) => {
  test.each(starts)("$name", async ({ script, state }) => {
    const run = await bed.start(script.replace("UPSTREAM", upstream.origin), { env });
    expect(run.state).toMatchObject(state);
    await run.stop();
  });

  test("updateAlert: once, cut, and a bad address is left out", async () => {
    const run = await bed.start(
      `${HEADER}
const results = [];
const note = (work) => work.then(() => results.push('ok'), (error) => results.push(error.message));
(async () => {
  await note(lx.send('updateAlert', { log: 'x'.repeat(2000), updateUrl: 'ftp://no' }));
  await note(lx.send('updateAlert', { log: 'again' }));
  lx.on('request', async () => JSON.stringify(results));
  lx.send('inited', { sources: {} });
})();`,
      { env },
    );
    expect(run.events.filter((event) => event.type === "alert")).toEqual([
      { type: "alert", log: `${"x".repeat(1024)}...`, updateUrl: null },
    ]);
    const info = JSON.stringify({ type: "128k", musicInfo: {} });
    expect(JSON.parse(String(await run.call("kw", "musicUrl", info, { deadlineMs: 2_000 })))).toEqual([
      "ok",
      "The update alert can only be called once.",
    ]);
    await run.stop();
  });

  test.each([
    ["no log", "{ updateUrl: 'https://x.test/' }", "log is required."],
    ["no object", "'text'", "parameter format error."],
  ])("updateAlert with %s rejects", async (_, data, message) => {
    const script = `${HEADER}lx.send('updateAlert', ${data}).catch((error) => { throw error })`;
    const run = await bed.start(script, { env });
    expect(run.state.problem?.message).toBe(message);
    await run.stop();
  });

  test("updateAlert passes a good address on", async () => {
    const run = await bed.start(
      `${HEADER}lx.send('updateAlert', { log: 'new', updateUrl: 'https://x.test/a.js' }); lx.send('inited', { sources: {} })`,
      { env },
    );
    expect(run.events).toContainEqual({ type: "alert", log: "new", updateUrl: "https://x.test/a.js" });
    await run.stop();
  });
});

const answers: { name: string; body: string; before?: string; outcome: unknown }[] = [
  {
    name: "gets source, action and info",
    body: "return JSON.stringify([source, action, info])",
    outcome: '["kw","musicUrl",{"type":"128k","musicInfo":{"songmid":"1"}}]',
  },
  {
    name: "this is lx",
    body: "",
    before: "const own = function () { return Promise.resolve(String(this === lx)) };",
    outcome: "true",
  },
  { name: "a rejection", body: "throw new Error('not here')", outcome: "error: Test：not here" },
  { name: "a rejection with a text", body: "throw 'just text'", outcome: "error: Test：just text" },
  { name: "服务器繁忙", body: "throw new Error('服务器繁忙')", outcome: "error: 服务器繁忙" },
  { name: "no string", body: "return { url: 1 }", outcome: null },
  {
    name: "no promise",
    body: "",
    before: "const own = () => 'https://x.test/';",
    outcome: "error: Test：The request handler must return a promise",
  },
  {
    name: "the last handler wins",
    body: "return 'last'",
    before: "lx.on('request', async () => 'first');",
    outcome: "last",
  },
];

describe.each([...SCRIPT_ENVS])("answers on %s", (env) => {
  test.each(answers)("$name", async ({ body, before = "", outcome }) => {
    const own = before.startsWith("const own");
    const script = own
      ? `${HEADER}${before}\nlx.on('request', own); lx.send('inited', { sources: { kw: { type: 'music', actions: ['musicUrl'], qualitys: [] } } });`
      : answering(body, before);
    const run = await bed.start(script, { env });
    const info = JSON.stringify({ type: "128k", musicInfo: { songmid: "1" } });
    const found = await run
      .call("kw", "musicUrl", info, { deadlineMs: 2_000 })
      .catch((error: unknown) => `error: ${error instanceof Error ? error.message : ""}`);
    expect(found).toEqual(outcome);
    await run.stop();
  });

  test("no handler", async () => {
    const run = await bed.start(`${HEADER}lx.send('inited', { sources: {} })`, { env });
    const call = run.call("kw", "musicUrl", "{}", { deadlineMs: 2_000 });
    expect(call).rejects.toThrow("Request event is not defined");
    await call.catch(() => {});
    await run.stop();
  });

  test("an answer that never comes ends at the deadline", async () => {
    const run = await bed.start(answering("return new Promise(() => {})"), { env });
    const call = run.call("kw", "musicUrl", "{}", { deadlineMs: 100 });
    expect(call).rejects.toThrow("request timeout");
    await call.catch(() => {});
    expect(run.state).toMatchObject({ state: "ready", pending: 0 });
    await run.stop();
  });

  test("lyric passes its four texts and nothing else", async () => {
    const run = await bed.start(
      answering("return { lyric: '[00:00]a', tlyric: 't', rlyric: null, lxlyric: 5, more: 1 }"),
      { env },
    );
    expect(await run.call("local", "lyric", '{"musicInfo":{}}', { deadlineMs: 2_000 })).toEqual({
      lyric: "[00:00]a",
      tlyric: "t",
      rlyric: null,
      lxlyric: 5,
    });
    await run.stop();
  });
});

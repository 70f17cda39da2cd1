import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { songByKey } from "../platforms/catalog.ts";
import type { Emulator } from "../platforms/emulator.ts";
import { startAllPlatforms } from "../platforms/index.ts";
import { rawRequest } from "./raw-http.ts";
import { binaryPath, cleanEnvironment, type RunningServer, startServer } from "./server.ts";

const KEY = "right-key-1234";
let emulator: Emulator;
let server: RunningServer;
let keyed: RunningServer;

beforeAll(async () => {
  emulator = startAllPlatforms();
  const common = { upstream_gateway: emulator.origin, remote_cache: { enable: false } };
  server = await startServer({ config: { common } });
  keyed = await startServer({
    config: { common, security: { key: { enable: true, ban: false, values: [KEY] }, whitelist_host: [] } },
  });
});
afterAll(async () => {
  await server?.remove();
  await keyed?.remove();
  await emulator?.stop();
});

interface Ask {
  target: string;
  method?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Whatever was sent: no 500, no stack, no word of our insides; the form of the dialect. */
function expectCalm(target: string, reply: { status: number; headers: Record<string, string>; body: string }): void {
  expect(reply.status).toBeGreaterThanOrEqual(200);
  expect(reply.status).toBeLessThan(500);
  expect(reply.body).not.toMatch(/at \S+ \(|\.ts:\d+|\/\$bunfs|node_modules|TypeError|ReferenceError|SyntaxError/);
  if (reply.body === "" || !reply.headers["content-type"]?.startsWith("application/json")) return;
  const body = JSON.parse(reply.body) as Record<string, unknown>;
  if (target.startsWith("/api/")) expect("data" in body || "error" in body).toBe(true);
  else expect(typeof body["code"]).toBe("number");
}

const send = (to: RunningServer, { target, method = "GET", headers, body }: Ask) =>
  rawRequest(to.url, {
    method,
    target,
    host: "127.0.0.1",
    ...(headers && { headers }),
    ...(body === undefined ? {} : { body }),
  });

const base64url = (text: string | Uint8Array<ArrayBuffer>) => Buffer.from(text).toString("base64url");
const hash = songByKey("plain").ids.kg.hash;

const unknown = { code: 1, msg: "未知的源或不支持的方法", data: null };
const wrong = { code: 6, msg: "请求参数有错", data: null };
const notFound = { code: 6, msg: "未找到您所请求的资源", data: null };
const off = { code: 4, msg: "此平台已停止服务", data: null, "Your IP": "127.0.0.1" };
const any = expect.anything();

describe("the answers of the contract", () => {
  const rows: [name: string, ask: Ask, status: number, body: unknown][] = [
    ["unknown source", { target: "/url/xx/1/128k" }, 200, unknown],
    ["unknown source of info", { target: "/info/xx/1" }, 404, off],
    ["a source of capitals", { target: "/url/KG/1/128k" }, 200, unknown],
    ["unknown method", { target: "/steal/kg/1/128k" }, 200, unknown],
    ["a method that is a word of the language", { target: "/__proto__/kg/1" }, 200, unknown],
    ["unknown quality", { target: "/url/kg/1/8d" }, 400, { code: 6, msg: '不支持的音质 "8d"', data: null }],
    ["a quality of another platform", { target: `/url/mg/1/master` }, 400, { ...wrong, msg: any }],
    ["an id with an encoded slash", { target: "/url/kg/a%2Fb/128k" }, 400, { ...wrong, msg: any }],
    ["a broken escape", { target: "/url/kg/%/128k" }, 400, wrong],
    ["a broken escape of two", { target: "/url/kg/%zz/128k" }, 400, wrong],
    ["half a character", { target: "/url/kg/%e6%99/128k" }, 400, wrong],
    ["NUL", { target: "/url/kg/%00/128k" }, 400, wrong],
    ["NUL in info", { target: "/info/kg/a%00b" }, 400, wrong],
    ["line breaks", { target: "/lyric/wy/1%0d%0aX-Evil:%201" }, 400, wrong],
    ["an id of 8 KB", { target: `/url/kg/${"a".repeat(8000)}/128k` }, 400, { ...wrong, msg: any }],
    ["an id of 9 KB", { target: `/url/kg/${"a".repeat(9000)}/128k` }, 400, { ...wrong, msg: any }],
    ["an id of 300", { target: `/url/kg/${"a".repeat(300)}/128k` }, 400, wrong],
    ["no id", { target: "/url/kg//128k" }, 404, any],
    ["too much", { target: "/url/kg/1/128k/x/y" }, 404, notFound],
    ["broken base64 in info", { target: `/url/kg/${hash}/128k?info=***` }, 200, expect.objectContaining({ code: 0 })],
    [
      "base64 that is no JSON",
      { target: `/url/kg/${hash}/128k?info=${base64url("{")}` },
      200,
      expect.objectContaining({ code: 0 }),
    ],
    [
      "base64 of bytes",
      { target: `/url/kg/${hash}/128k?info=${base64url(new Uint8Array([255, 0, 254]))}` },
      200,
      expect.objectContaining({ code: 0 }),
    ],
    [
      "a musicInfo of other types",
      { target: `/url/kg/${hash}/128k?info=${base64url('{"name":{},"types":5}')}` },
      200,
      expect.objectContaining({ code: 0 }),
    ],
    [
      "unknown parameters",
      { target: `/url/kg/${hash}/128k?_=1&x[]=2&__proto__=3` },
      200,
      expect.objectContaining({ code: 0 }),
    ],
    ["no query of a search", { target: "/search/kg/song" }, 400, { ...wrong, msg: '需要参数"query"' }],
    ["a page that is none", { target: "/search/kg/song?query=a&page=-1" }, 400, { ...wrong, msg: any }],
    ["a size that is too much", { target: "/board/kg/1?size=100000" }, 400, { ...wrong, msg: any }],
    ["local without q", { target: "/local/u" }, 404, wrong],
    ["local with broken base64", { target: "/local/c?q=%%%" }, any as unknown as number, any],
    ["local with no JSON", { target: `/local/c?q=${base64url("[")}` }, 404, wrong],
    [
      "local out of the folder",
      { target: `/local/u?q=${base64url('{"p":"../../../../etc/passwd"}')}` },
      404,
      { code: 2, msg: "未找到文件", data: null },
    ],
    ["cache out of the folder", { target: "/cache/..%2F..%2Fetc%2Fpasswd" }, 404, notFound],
    ["cache out of the folder, as it is", { target: "/cache/../../etc/passwd" }, 404, any],
    ["another method", { target: "/url/kg/1/128k", method: "POST", body: "{}" }, 404, notFound],
    ["DELETE", { target: "/", method: "DELETE" }, 404, notFound],
    ["an absolute target", { target: "http://evil.test/url/xx/1/128k" }, 200, unknown],
    ["a fragment", { target: "/url/xx/1/128k#x" }, any as unknown as number, any],
    ["two slashes", { target: "//url/kg/1/128k" }, any as unknown as number, any],
    ["backslashes", { target: "/url\\kg\\1\\128k" }, any as unknown as number, any],
    ["dots", { target: "/url/../../etc/passwd" }, any as unknown as number, any],
    ["a script key that is wrong does nothing here", { target: "/script?key=wrong" }, 200, any],
  ];
  test.each(rows.map(([name, ask, status, body]) => ({ name, ask, status, body })))(
    "$name",
    async ({ ask, status, body }) => {
      const reply = await send(server, ask);
      expectCalm(ask.target, reply);
      expect(reply.status).toEqual(status);
      if (reply.headers["content-type"]?.startsWith("application/json")) expect(JSON.parse(reply.body)).toEqual(body);
      expect(reply.headers["set-cookie"]).toBeUndefined();
      expect(reply.headers["x-evil"]).toBeUndefined();
    },
  );
});

describe("by query", () => {
  test.each([
    ["nothing", "/url", 404],
    ["unknown source", "/url?source=xx&songId=1&quality=128k", 404],
    ["unknown quality", "/url?source=kg&songId=1&quality=8d", 404],
    ["NUL", "/url?source=kg&songId=%00&quality=128k", 404],
    ["broken escape", "/url?source=kg&songId=%&quality=128k", 404],
    ["8 KB", `/lyric?source=kg&songId=${"a".repeat(7900)}`, 404],
    ["a list", "/info?source=kg&source=tx&songId=1", any as unknown as number],
    ["a song that is not there", `/url?source=kg&songId=${"0".repeat(32)}&quality=128k`, 404],
  ])("%s", async (_name, target, status) => {
    const reply = await send(server, { target });
    expectCalm(target, reply);
    expect(reply.status).toEqual(status);
    expect(JSON.parse(reply.body)).toEqual({ code: reply.status, message: expect.any(String) });
  });
});

describe("keys", () => {
  const refused = { code: 1, msg: "key验证失败", data: null };
  test.each([
    ["none", {}, "/url/kg/1/128k", 403, refused],
    ["wrong", { "X-Request-Key": "wrong" }, "/url/kg/1/128k", 403, refused],
    ["empty", { "X-Request-Key": "" }, "/url/kg/1/128k", 403, refused],
    ["8 KB", { "X-Request-Key": "a".repeat(8000) }, "/url/kg/1/128k", 403, refused],
    ["Latin-1", { "X-Request-Key": "\u00ff\u00fe" }, "/url/kg/1/128k", 403, refused],
    ["the right one and more", { "X-Request-Key": `${KEY}x` }, "/url/kg/1/128k", 403, refused],
    ["by query", {}, "/url?source=kg&songId=1&quality=128k", 403, { code: 403, message: "key验证失败" }],
    ["script", {}, "/script?key=wrong", 403, { code: 6, msg: "key验证失败", data: null }],
    ["files", {}, "/cache/a.mp3", 403, refused],
    ["a forged signature", {}, "/cache/a.mp3?t=AAAAAAAAAAAAAAAAAAAAAA&e=9999999999", 403, refused],
    ["broken Basic", { Authorization: "Basic %%%" }, "/url/kg/1/128k", any as unknown as number, any],
    ["broken Bearer", { Authorization: "Bearer ..." }, "/api/v1/keys", 401, any],
    ["a session that is none", { Cookie: "lx_session=%00%ff" }, "/api/v1/keys", 401, any],
  ] as [string, Record<string, string>, string, number, unknown][])(
    "%s",
    async (_name, headers, target, status, body) => {
      const reply = await send(keyed, { target, headers });
      expectCalm(target, reply);
      expect(reply.status).toEqual(status);
      expect(JSON.parse(reply.body)).toEqual(body);
      expect(reply.body).not.toContain(KEY);
    },
  );

  test("the right one opens", async () => {
    const reply = await send(keyed, { target: `/url/kg/${hash}/128k`, headers: { "X-Request-Key": KEY } });
    expect(JSON.parse(reply.body)).toMatchObject({ code: 0 });
  });
});

describe("a Host header opens nothing and breaks nothing", () => {
  const song = `url/kg/${hash}/128k`;
  const hosts = [
    "x",
    "xx",
    "nas",
    "a.b",
    "x:1",
    "%2f",
    "x,y",
    "",
    "x/docs",
    "x?",
    "x#/docs",
    "a@b",
    "x y",
    "[::1",
    "x:abc",
  ];

  test.each(hosts)("%p: no key, no song", async (host) => {
    for (const before of ["ca", "docs", "x", "xxx", "docs/..", "1234567/ca", "docs/../ca"]) {
      const reply = await rawRequest(keyed.url, { method: "GET", target: `/${before}/${song}`, host });
      expect([403, 404]).toContain(reply.status);
    }
    const reply = await rawRequest(keyed.url, { method: "GET", target: `/${song}`, host });
    expect(reply.status).toBe(403);
  });

  test.each([
    ["/webdav-proxy?url=http://x/", 403],
    ["/webdav-proxy?#&url=http://x/", 400],
    ["/webdav-proxy?a#&url=http://x/", 400],
    [`/script?#&key=${KEY}`, 403],
    [`/script#?key=${KEY}`, 403],
    [`/docs#/../${song}`, 200],
    [`/${song}#`, 403],
  ])("a fragment opens nothing: %s", async (target, status) => {
    expect((await rawRequest(keyed.url, { method: "GET", target, host: "127.0.0.1" })).status).toBe(status);
  });

  test.each(hosts)("%p: the right answers", async (host) => {
    const ask = (method: string, target: string) => rawRequest(server.url, { method, target, host });
    expect(JSON.parse((await ask("GET", `/${song}`)).body)).toMatchObject({ code: 0 });
    expect(JSON.parse((await ask("GET", `/url?source=kg&songId=${hash}&quality=128k`)).body)).toMatchObject({
      code: 200,
    });
    expect((await ask("HEAD", `/${song}`)).status).toBe(200);
    expect((await ask("HEAD", "/health")).status).toBe(200);
    expect((await ask("GET", "/script")).body).toStartWith("/*");
    expect((await ask("GET", "/nothing")).status).toBe(404);
    expect((await ask("POST", "/api/v1/auth/login")).status).toBe(400);
  });
});

describe("management", () => {
  const json = { "Content-Type": "application/json" };
  test.each<{ name: string; ask: Ask; status: number; code: string }>([
    { name: "no sign-in", ask: { target: "/api/v1/keys" }, status: 401, code: "UNAUTHORIZED" },
    { name: "no such route", ask: { target: "/api/v1/nothing" }, status: 401, code: "UNAUTHORIZED" },
    {
      name: "broken JSON",
      ask: { target: "/api/v1/auth/login", method: "POST", headers: json, body: '{"name":' },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "no object",
      ask: { target: "/api/v1/auth/login", method: "POST", headers: json, body: "[1]" },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "null",
      ask: { target: "/api/v1/auth/login", method: "POST", headers: json, body: "null" },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "empty",
      ask: { target: "/api/v1/auth/login", method: "POST", headers: json, body: "" },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "other fields",
      ask: { target: "/api/v1/auth/login", method: "POST", headers: json, body: '{"name":1,"password":{}}' },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "XML",
      ask: {
        target: "/api/v1/auth/login",
        method: "POST",
        headers: { "Content-Type": "application/xml" },
        body: "<a/>",
      },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "no content type",
      ask: { target: "/api/v1/auth/login", method: "POST", body: '{"name":"a"}' },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "a broken content type",
      ask: { target: "/api/v1/auth/login", method: "POST", headers: { "Content-Type": ";;;=" }, body: "{}" },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "broken multipart",
      ask: {
        target: "/api/v1/auth/login",
        method: "POST",
        headers: { "Content-Type": "multipart/form-data; boundary=x" },
        body: "--y",
      },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "multipart without a boundary",
      ask: {
        target: "/api/v1/auth/login",
        method: "POST",
        headers: { "Content-Type": "multipart/form-data" },
        body: "x",
      },
      status: 400,
      code: "VALIDATION_ERROR",
    },
    {
      name: "deep nesting",
      ask: { target: "/api/v1/auth/login", method: "POST", headers: json, body: "[".repeat(200_000) },
      status: 400,
      code: "VALIDATION_ERROR",
    },
  ])("$name", async ({ ask, status, code }) => {
    const reply = await send(server, ask);
    expectCalm(ask.target, reply);
    expect(reply.status).toBe(status);
    expect((JSON.parse(reply.body) as { error: { code: string } }).error.code).toBe(code);
  });
});

describe("bodies", () => {
  const MIB = 1 << 20;

  test.each([
    ["management", "/api/v1/auth/login", { error: { code: "VALIDATION_ERROR", message: "请求体过大" } }],
    ["anything else", "/url/kg/1/128k", { code: 6, msg: "请求体过大", data: null }],
    ["by query", "/url", { code: 413, message: "请求体过大" }],
  ])("too large, with a length: %s", async (_name, target, body) => {
    const reply = await send(server, { target, method: "POST", body: "x".repeat(MIB + 1) });
    expect(reply.status).toBe(413);
    expect(JSON.parse(reply.body)).toEqual(body);
  });

  test("too large, chunked and endless: refused before it is all here", async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    const chunk = Buffer.from(`10000\r\n${"x".repeat(0x10000)}\r\n`);
    let sent = 0;
    let text = "";
    const answered = new Promise<void>((resolve) => {
      socket.on("data", (data) => {
        text += data.toString();
        resolve();
      });
      socket.on("close", () => resolve());
      socket.on("error", () => resolve());
    });
    socket.write(
      "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    let over = false;
    void answered.then(() => {
      over = true;
    });
    while (!over && sent < 64 * MIB) {
      if (!socket.write(chunk)) await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), answered]);
      sent += 0x10000;
      await new Promise(setImmediate);
    }
    socket.destroy();
    expect(sent).toBeLessThan(64 * MIB);
    expect(text).toStartWith("HTTP/1.1 413");
    expect((await server.get("/")).status).toBe(200);
  });

  test("a body that is announced and never comes holds nobody up", async () => {
    const { hostname, port } = new URL(server.url);
    const sockets = Array.from({ length: 20 }, () => {
      const socket = connect(Number(port), hostname);
      socket.on("error", () => {});
      socket.write(
        "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{",
      );
      return socket;
    });
    expect((await server.get("/")).status).toBe(200);
    for (const socket of sockets) socket.destroy();
  });
});

describe("what is hardly HTTP", () => {
  test.each([
    ["garbage", "\u0000\u0001\u0002\r\n\r\n"],
    ["a method of one's own", "BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["no version", "GET /\r\n\r\n"],
    ["no host", "GET / HTTP/1.1\r\n\r\n"],
    ["two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
    ["a host that is none", "GET / HTTP/1.1\r\nHost: <script>\r\n\r\n"],
    ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
    [
      "length and chunks",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["a length that is none", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"],
    ["a chunk that is none", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"],
    ["headers without end", `GET / HTTP/1.1\r\nHost: a\r\n${"X-A: b\r\n".repeat(5000)}\r\n`],
    ["one endless header", `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${"b".repeat(100_000)}\r\n\r\n`],
    ["a TLS hello", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc"],
  ])("%s: refused or answered, and the server goes on", async (_name, text) => {
    const { hostname, port } = new URL(server.url);
    const reply = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), hostname, () => socket.write(Buffer.from(text, "latin1")));
      let got = "";
      const end = () => {
        socket.destroy();
        resolve(got);
      };
      socket.on("data", (data) => {
        got += data.toString();
        end();
      });
      socket.on("close", end);
      socket.on("error", end);
      socket.setTimeout(1500, end);
    });
    // 505 is the true answer to a request without a version.
    if (reply !== "") expect(reply).toMatch(/^HTTP\/1\.1 (?:[234]\d\d|505) /);
    expect(reply).not.toMatch(/<script>|\.ts:\d+/);
    expect((await server.get("/")).status).toBe(200);
  });
});

test("nothing of all this was a fault of ours", () => {
  for (const running of [server, keyed]) {
    expect(running.output()).not.toMatch(/request failed|unhandled|ERROR/);
  }
});

describe("a config that is broken stops the start, and says why", () => {
  let folder = "";
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lx-config-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function run(text: string | Uint8Array<ArrayBuffer>, env: Record<string, string> = {}) {
    const file = join(folder, "config", "config.yml");
    await Bun.write(file, text);
    const child = Bun.spawn([binaryPath(), "serve", "--data", folder], {
      cwd: folder,
      env: cleanEnvironment(env),
      stdout: "pipe",
      stderr: "pipe",
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
    const [out, err, code] = [
      await new Response(child.stdout).text(),
      await new Response(child.stderr).text(),
      await child.exited,
    ];
    clearTimeout(timer);
    return { code, said: out + err };
  }

  test.each<{ name: string; text: string | Uint8Array<ArrayBuffer>; says: string[]; env?: Record<string, string> }>([
    { name: "no YAML", text: "a: [b", says: ["config is not YAML", "config.yml"] },
    { name: "bytes", text: new Uint8Array([0xff, 0xfe, 0x00, 0x01, 0x80]), says: ["config.yml"] },
    { name: "a list", text: "- a", says: ["config"] },
    { name: "a text", text: "hello", says: ["config"] },
    {
      name: "an unknown key",
      text: "common: {prots: [1]}",
      says: ["common.prots", "unknown key", 'did you mean "common.ports"'],
    },
    { name: "a wrong type", text: "common: {ports: yes}", says: ["common.ports", "a list"] },
    { name: "out of range", text: "common: {ports: [70000]}", says: ["common.ports[0]", "65535"] },
    { name: "a key twice", text: "common: {ports: [1]}\ncommon: {ports: [2]}", says: ["config is not YAML"] },
    { name: "a contradiction", text: "security: {key: {enable: true, values: []}}", says: ["security.key.values"] },
    {
      name: "a bomb of aliases",
      text: `a: &a [x]\n${"bcdefghij"
        .split("")
        .map((n, i) => `${n}: &${n} [${Array(9).fill(`*${"abcdefghij"[i]}`).join(",")}]`)
        .join("\n")}`,
      says: ["config"],
    },
    {
      name: "a secret is not repeated",
      text: "module: {wy: {user: {cookie: [s3cret-cookie]}}}",
      says: ["module.wy.user.cookie"],
    },
    {
      name: "the environment",
      text: "",
      env: { LX__COMMON__PORTZ: "1" },
      says: ["LX__COMMON__PORTZ", "LX__COMMON__PORTS"],
    },
  ])("$name", async ({ text, says, env }) => {
    const { code, said } = await run(text, env);
    expect(code).toBe(2);
    for (const word of says) expect(said).toContain(word);
    expect(said).not.toMatch(/at \S+ \(|\/\$bunfs|s3cret/);
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server as TcpServer } from "node:net";
import fc from "fast-check";
import { isAppError } from "../../src/core/errors.ts";
import { createHttpClient, type HttpClientOptions, type HttpRequest, throughGateway } from "../../src/net/fetch.ts";

interface Seen {
  method: string;
  path: string;
  host: string;
  headers: Record<string, string>;
  body: string;
}

/** A platform on loopback that notes what it is asked. */
function upstream(answer: (request: Request, count: number) => Response | Promise<Response>) {
  const seen: Seen[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const headers = Object.fromEntries(request.headers);
      seen.push({
        method: request.method,
        path: pathname + search,
        host: headers["host"] ?? "",
        headers,
        body: await request.text(),
      });
      return answer(request, seen.length);
    },
  });
  return {
    seen,
    url: `http://127.0.0.1:${server.port}`,
    port: server.port,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

const client = (options: Partial<HttpClientOptions> = {}) =>
  createHttpClient({ deadlineMs: 3000, maxBytes: 1 << 16, retries: 1, sleep: async () => {}, ...options });

/** Drips, until its reader leaves. */
function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(to) {
      await Bun.sleep(5);
      to.enqueue(new Uint8Array(1));
    },
  });
}

async function failureOf(work: Promise<unknown>) {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!isAppError(error)) throw new Error(`no AppError: ${String(error)}`);
  return error;
}

describe("what is sent", () => {
  test("method, headers, body and query arrive as they were given", async () => {
    await using server = upstream(() => new Response("ok"));
    const reply = await client()({
      url: `${server.url}/a%20b/%E4%B8%AD?q=1+2&r=%2F`,
      method: "POST",
      headers: { "X-Router": "media.store.kugou.com", Cookie: "a=1; b=2" },
      body: "x=1",
    });
    expect(reply.text()).toBe("ok");
    expect(server.seen).toHaveLength(1);
    expect(server.seen[0]).toMatchObject({ method: "POST", path: "/a%20b/%E4%B8%AD?q=1+2&r=%2F", body: "x=1" });
    expect(server.seen[0]?.headers).toMatchObject({ "x-router": "media.store.kugou.com", cookie: "a=1; b=2" });
  });

  test("bytes go out and come back unchanged", async () => {
    await using server = upstream(async () => new Response(new Uint8Array([0, 255, 13, 10, 128])));
    const reply = await client()({ url: server.url, method: "POST", body: new Uint8Array([1, 0, 2]) });
    expect([...reply.bytes]).toEqual([0, 255, 13, 10, 128]);
    expect(server.seen[0]?.body).toBe("\u0001\u0000\u0002");
  });

  test("text() drops a byte-order mark, which some platforms send before JSON", async () => {
    await using server = upstream(() => new Response("\ufeff{}"));
    expect((await client()({ url: server.url })).json()).toEqual({});
  });

  test("a gateway gets scheme, host and path; host and body stay", async () => {
    await using gateway = upstream(() => new Response("via"));
    const http = client({ gateway: `${gateway.url}/` });
    expect((await http({ url: "https://u.y.qq.com:8443/cgi-bin/musicu.fcg?sign=zz%3D", method: "GET" })).text()).toBe(
      "via",
    );
    await http({ url: "http://trackercdn.kugou.com?x=1" });
    expect(gateway.seen.map((row) => row.path)).toEqual([
      "/https/u.y.qq.com:8443/cgi-bin/musicu.fcg?sign=zz%3D",
      "/http/trackercdn.kugou.com/?x=1",
    ]);
  });

  test("a proxy is used for its scheme only, and sees the absolute target", async () => {
    await using proxy = upstream(() => new Response("proxied"));
    await using direct = upstream(() => new Response("direct"));
    const url = `${direct.url}/p?q=1`;
    expect((await client({ proxy: { http: proxy.url } })({ url })).text()).toBe("proxied");
    expect(proxy.seen[0]?.host).toBe(`127.0.0.1:${direct.port}`);
    expect(direct.seen).toHaveLength(0);
    expect((await client({ proxy: { https: proxy.url } })({ url })).text()).toBe("direct");
  });

  test.each([
    ["not absolute", "/a"],
    ["another scheme", "ftp://h/a"],
    ["empty", ""],
  ])("throughGateway refuses what is %s", (_name, url) => {
    expect(() => throughGateway("http://g", url)).toThrow("内部服务器错误");
  });

  test("throughGateway keeps path and query of any address", () => {
    const path = fc.stringMatching(/^[\w%./~-]{0,30}$/).map((text) => `/${text}`);
    const query = fc.option(
      fc.stringMatching(/^[\w%&=+/?-]{0,30}$/).map((text) => `?${text}`),
      { nil: "" },
    );
    fc.assert(
      fc.property(fc.constantFrom("http", "https"), fc.domain(), path, query, (scheme, host, where, search) => {
        const through = throughGateway("http://g:1/x//", `${scheme}://${host}${where}${search}#f`);
        expect(through).toBe(`http://g:1/x/${scheme}/${host}${where}${search}`);
      }),
    );
  });
});

describe("retries", () => {
  const faults: [name: string, request: Partial<HttpRequest>, status: number, asked: number][] = [
    ["GET 502", {}, 502, 2],
    ["GET 503", {}, 503, 2],
    ["GET 504", {}, 504, 2],
    ["HEAD 503", { method: "HEAD" }, 503, 2],
    ["GET 500 says something", {}, 500, 1],
    ["GET 429 must rest", {}, 429, 1],
    ["GET 404", {}, 404, 1],
    ["POST may have done its work", { method: "POST", body: "x" }, 503, 1],
    ["POST that only reads", { method: "POST", body: "x", retry: true }, 503, 2],
    ["GET that must not be repeated", { retry: false }, 503, 1],
  ];
  test.each(faults.map(([name, request, status, asked]) => ({ name, request, status, asked })))(
    "$name: asked $asked times",
    async ({ request, status, asked }) => {
      await using server = upstream(() => new Response("no", { status }));
      expect((await client()({ url: server.url, ...request })).status).toBe(status);
      expect(server.seen).toHaveLength(asked);
    },
  );

  test("the second try's answer counts", async () => {
    await using server = upstream((_request, count) => new Response("x", { status: count === 1 ? 502 : 200 }));
    expect((await client()({ url: server.url })).status).toBe(200);
  });

  test("a pause between tries grows and varies", async () => {
    await using server = upstream(() => new Response("no", { status: 503 }));
    const pauses: number[] = [];
    const rolls = [0, 0.5, 0.999];
    const http = client({
      retries: 3,
      sleep: async (ms) => void pauses.push(Math.round(ms)),
      random: () => rolls.shift() ?? 0,
    });
    await http({ url: server.url });
    expect(pauses).toEqual([75, 300, 899]);
  });

  test("all requests share a budget: a platform that is down is not struck twice for ever", async () => {
    await using server = upstream(() => new Response("no", { status: 503 }));
    const http = client();
    for (let i = 0; i < 100; i++) await http({ url: server.url });
    // 20 at once, then one in five.
    expect(server.seen.length).toBeLessThanOrEqual(100 + 20 + 25);
    expect(server.seen.length).toBeGreaterThan(100 + 20);
  });

  test("a caller that left is not asked for again", async () => {
    const leaving = new AbortController();
    await using server = upstream(() => {
      leaving.abort();
      return new Promise(() => {});
    });
    const error = await failureOf(client({ retries: 5 })({ url: server.url, signal: leaving.signal }));
    expect(error.kind).toBe("upstream_unreachable");
    expect(server.seen).toHaveLength(1);
  });
});

describe("connections that break", () => {
  let tcp: TcpServer;
  let connections = 0;
  let reply: string | undefined;
  let url = "";

  beforeAll(async () => {
    tcp = createServer((socket) => {
      connections++;
      socket.on("error", () => {});
      socket.once("data", () => {
        if (reply !== undefined) socket.write(reply);
        socket.destroy();
      });
    });
    await new Promise<void>((done) => tcp.listen(0, "127.0.0.1", done));
    const address = tcp.address();
    url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/`;
  });
  afterAll(() => void tcp.close());

  test.each([
    { name: "reset before the answer", sent: undefined, method: "GET", tries: 2 },
    { name: "reset before the answer to a POST", sent: undefined, method: "POST", tries: 1 },
    {
      name: "cut in the middle of the body",
      sent: "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
      method: "GET",
      tries: 2,
    },
    {
      name: "cut in the middle of a chunk",
      sent: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{",
      method: "GET",
      tries: 2,
    },
    { name: "no HTTP at all", sent: "220 smtp ready\r\n\r\n", method: "GET", tries: 2 },
  ])("$name", async ({ sent, method, tries }) => {
    connections = 0;
    reply = sent;
    const error = await failureOf(client()({ url, method }));
    expect(error.kind).toBe("upstream_unreachable");
    expect(error.message).toBe("无法连接平台，请稍后重试");
    expect(connections).toBe(tries);
  });

  test("nobody listens", async () => {
    await using gone = upstream(() => new Response());
    const { url: address } = gone;
    await gone[Symbol.asyncDispose]();
    expect((await failureOf(client()({ url: address }))).kind).toBe("upstream_unreachable");
  });
});

describe("limits", () => {
  test.each([
    { name: "no answer", answer: () => new Promise<Response>(() => {}) },
    { name: "a body that never ends", answer: async () => new Response(endless()) },
  ])("deadline: $name", async ({ answer }) => {
    await using server = upstream(answer);
    const from = performance.now();
    const error = await failureOf(client({ maxBytes: 1 << 30 })({ url: server.url, deadlineMs: 150 }));
    expect(error).toMatchObject({ kind: "upstream_unreachable", message: "平台响应超时，请稍后重试" });
    expect(performance.now() - from).toBeLessThan(2500);
    expect(server.seen).toHaveLength(1);
  });

  test("the deadline is for all tries together", async () => {
    await using server = upstream(() => new Response("no", { status: 503 }));
    const http = createHttpClient({ deadlineMs: 200, maxBytes: 100, retries: 50, random: () => 0.5 });
    const from = performance.now();
    await http({ url: server.url }).catch(() => undefined);
    expect(performance.now() - from).toBeLessThan(2500);
    expect(server.seen.length).toBeLessThan(10);
  });

  const sizes: [string, (size: number) => Response][] = [
    ["with a length", (size) => new Response(new Uint8Array(size))],
    [
      "without a length",
      (size) =>
        new Response(
          new ReadableStream({
            start(to) {
              for (let sent = 0; sent < size; sent += 100) to.enqueue(new Uint8Array(Math.min(100, size - sent)));
              to.close();
            },
          }),
        ),
    ],
    [
      "compressed",
      (size) => new Response(Bun.gzipSync(new Uint8Array(size)), { headers: { "content-encoding": "gzip" } }),
    ],
  ];
  test.each(sizes.map(([name, answer]) => ({ name, answer })))("size: $name", async ({ answer }) => {
    await using fits = upstream(() => answer(1000));
    expect((await client({ maxBytes: 1000 })({ url: fits.url })).bytes).toHaveLength(1000);
    await using large = upstream(() => answer(1001));
    const error = await failureOf(client({ maxBytes: 1000 })({ url: large.url }));
    expect(error).toMatchObject({ kind: "upstream_changed", message: "平台返回的数据过大" });
    expect(large.seen).toHaveLength(1);
  });

  test("HEAD of a large file is not a large reply", async () => {
    await using server = upstream(() => new Response(new Uint8Array(5000)));
    const reply = await client({ maxBytes: 1000 })({ url: server.url, method: "HEAD" });
    expect(reply.headers.get("content-length")).toBe("5000");
    expect(reply.bytes).toHaveLength(0);
  });
});

describe("redirects", () => {
  const hop = (location: string, status = 302) => new Response(null, { status, headers: { location } });
  const secrets = { Cookie: "MUSIC_U=s3cret", Authorization: "x", By: "s3cret", "User-Agent": "ua" };

  test("are followed on the same host with all headers", async () => {
    await using server = upstream((request) =>
      new URL(request.url).pathname === "/" ? hop("/next?a=1#f") : new Response("there"),
    );
    const reply = await client()({ url: `${server.url}/`, headers: secrets });
    expect(reply.text()).toBe("there");
    expect(server.seen[1]?.path).toBe("/next?a=1");
    expect(server.seen[1]?.headers).toMatchObject({ cookie: "MUSIC_U=s3cret", by: "s3cret" });
  });

  test("another host gets no header that could be a credential", async () => {
    await using other = upstream(() => new Response("there"));
    await using server = upstream(() => hop(`http://localhost:${other.port}/x`));
    expect((await client()({ url: server.url, headers: secrets })).text()).toBe("there");
    expect(other.seen[0]?.headers).toMatchObject({ "user-agent": "ua" });
    expect(JSON.stringify(other.seen)).not.toContain("s3cret");
  });

  test("stay behind the gateway", async () => {
    await using gateway = upstream((request) =>
      request.url.endsWith("/http/a.test/1") ? hop("https://b.test/2") : new Response("there"),
    );
    const reply = await client({ gateway: gateway.url })({ url: "http://a.test/1" });
    expect(reply.text()).toBe("there");
    expect(gateway.seen.map((row) => row.path)).toEqual(["/http/a.test/1", "/https/b.test/2"]);
  });

  test.each([
    [301, "GET", ""],
    [302, "GET", ""],
    [303, "GET", ""],
    [307, "POST", "a=1"],
    [308, "POST", "a=1"],
  ])("%d after a POST asks with %s", async (status, method, body) => {
    await using server = upstream((request) =>
      new URL(request.url).pathname === "/" ? hop("/next", status) : new Response("ok"),
    );
    await client()({ url: `${server.url}/`, method: "POST", headers: { "Content-Type": "text/x" }, body: "a=1" });
    expect(server.seen[1]).toMatchObject({ method, body });
  });

  test("a body goes to no other host", async () => {
    await using other = upstream(() => new Response("there"));
    await using server = upstream(() => hop(other.url.replace("127.0.0.1", "localhost"), 307));
    const reply = await client()({ url: server.url, method: "POST", body: "password=1" });
    expect(reply.status).toBe(307);
    expect(other.seen).toHaveLength(0);
  });

  test("manual: the answer itself", async () => {
    await using server = upstream(() => hop("http://music.test/a.mp3"));
    const reply = await client()({ url: server.url, redirect: "manual" });
    expect(reply.status).toBe(302);
    expect(reply.headers.get("location")).toBe("http://music.test/a.mp3");
  });

  test.each([
    { name: "error: none is accepted", redirect: "error" as const, asked: 1 },
    { name: "a circle ends after five", redirect: "follow" as const, asked: 6 },
  ])("$name", async ({ redirect, asked }) => {
    await using server = upstream(() => hop("/again"));
    expect((await failureOf(client()({ url: server.url, redirect }))).kind).toBe("upstream_changed");
    expect(server.seen).toHaveLength(asked);
  });

  test("to no web address: the answer itself", async () => {
    await using server = upstream(() => hop("orpheus://song/1"));
    expect((await client()({ url: server.url })).status).toBe(302);
  });
});

test.each([
  { status: 200, kind: "upstream_changed" },
  { status: 403, kind: "upstream_changed" },
  { status: 500, kind: "upstream_unreachable" },
])("json() of an HTML page with $status is $kind", async ({ status, kind }) => {
  await using server = upstream(() => new Response("<html>", { status }));
  const reply = await client({ retries: 0 })({ url: server.url });
  expect(() => reply.json()).toThrow(expect.objectContaining({ kind }));
});

test("no error shows the address that was asked: it may hold a token", async () => {
  await using gone = upstream(() => new Response("<"));
  const url = `${gone.url}/?token=s3cret`;
  const reply = await client()({ url });
  const errors = [await failureOf(Promise.resolve().then(() => reply.json()))];
  await gone[Symbol.asyncDispose]();
  errors.push(await failureOf(client()({ url })));
  for (const error of errors) {
    expect(error.message).not.toContain("s3cret");
    expect(JSON.stringify(error.detail)).not.toContain("s3cret");
  }
});

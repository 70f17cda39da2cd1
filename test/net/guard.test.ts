import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isAppError } from "../../src/core/errors.ts";
import { createGuardedClient, type GuardedClient, type GuardedRequest } from "../../src/net/guard.ts";
import { makeAuthority } from "./certificates.ts";
import { type DnsServer, startDns } from "./dns-server.ts";

/** 127.0.0.2 stands for the internet: it is let through; 127.0.0.1 stays private. */
const OUTSIDE = "127.0.0.2";
const authority = makeAuthority();
const seen: { path: string; headers: Headers; method: string; body: string }[] = [];
let secretAsked = 0;
let outside: Bun.Server<undefined>;
let inside: Bun.Server<undefined>;
let secure: Bun.Server<undefined>;
let dns: DnsServer;
let client: GuardedClient;
let rebound = 0;
let at = "";

async function answer(request: Request): Promise<Response> {
  const url = new URL(request.url);
  seen.push({
    path: url.pathname + url.search,
    headers: request.headers,
    method: request.method,
    body: await request.text(),
  });
  const to = url.searchParams.get("to");
  switch (url.pathname) {
    case "/redirect":
      return new Response(null, {
        status: Number(url.searchParams.get("status") ?? 302),
        headers: { location: to ?? "/" },
      });
    case "/loop":
      return new Response(null, { status: 302, headers: { location: "/loop" } });
    case "/bomb":
      return new Response(bomb, { headers: { "content-encoding": "gzip" } });
    case "/zip":
      return new Response(Bun.gzipSync("plain text"), { headers: { "content-encoding": "gzip" } });
    case "/nested":
      return new Response("x", { headers: { "content-encoding": "gzip, gzip" } });
    case "/endless":
      return new Response(
        new ReadableStream({
          async pull(controller) {
            await Bun.sleep(1);
            controller.enqueue(new Uint8Array(1024));
          },
        }),
      );
    case "/big":
      return new Response(new Uint8Array(300_000));
    case "/slow":
      await Bun.sleep(2_000);
      return new Response("late");
    default:
      return new Response("hello", { headers: { "x-seen": "1" } });
  }
}

const bomb = Bun.gzipSync(new Uint8Array(200 << 20), { level: 9 });

beforeAll(async () => {
  outside = Bun.serve({ hostname: OUTSIDE, port: 0, fetch: answer, idleTimeout: 30 });
  inside = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch() {
      secretAsked++;
      return new Response("secret");
    },
  });
  const tls = authority.issue("good.test");
  secure = Bun.serve({ hostname: OUTSIDE, port: 0, tls: { ...tls, serverName: "good.test" }, fetch: answer });
  dns = await startDns((name) => {
    if (name === "rebind.test") return rebound++ === 0 ? [OUTSIDE] : ["127.0.0.1"];
    if (name === "good.test" || name === "other.test") return [OUTSIDE];
    if (name === "mixed.test") return ["127.0.0.1", OUTSIDE];
    if (name === "private.test") return ["10.0.0.1"];
    if (name === "silent.test") return null;
    return undefined;
  });
  at = `http://${OUTSIDE}:${outside.port}`;
  client = createGuardedClient({
    deadlineMs: 3_000,
    maxBytes: 100_000,
    maxRedirects: 3,
    allowPrivate: [`${OUTSIDE}/32`],
    dns: [dns.address],
    ca: authority.ca,
  });
});

afterAll(async () => {
  await Promise.all([outside.stop(true), inside.stop(true), secure.stop(true), dns.stop()]);
});

/** The error kind, or the body's text. */
async function outcome(request: GuardedRequest, using = client): Promise<string> {
  try {
    return (await using.bytes(request)).text();
  } catch (error) {
    if (isAppError(error)) return error.kind;
    throw error;
  }
}

describe("addresses that may not be reached", () => {
  const spellings = [
    "http://127.0.0.1:PORT/",
    "http://127.1:PORT/",
    "http://2130706433:PORT/",
    "http://017700000001:PORT/",
    "http://0x7f000001:PORT/",
    "http://0x7f.0.0.1:PORT/",
    "http://127.0.0.1.:PORT/",
    "http://127。0。0。1:PORT/",
    "http://[::1]:PORT/",
    "http://[::ffff:127.0.0.1]:PORT/",
    "http://[::ffff:7f00:1]:PORT/",
    "http://[64:ff9b::7f00:1]:PORT/",
    "http://[2002:7f00:1::]:PORT/",
    "http://0.0.0.0:PORT/",
    "http://0:PORT/",
    "http://10.0.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.100.100.200/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://private.test/",
  ];
  test.each(spellings)("%s", async (url) => {
    const before = secretAsked;
    expect(await outcome({ url: url.replace("PORT", String(inside.port)) })).toBe("forbidden");
    expect(secretAsked).toBe(before);
  });

  test.each([
    "file:///etc/passwd",
    "ftp://example.test/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "unix:///var/run/docker.sock",
    "//no-scheme",
    "http://",
    "http://user:password@good.test/",
    "http://user@127.0.0.1/",
  ])("%s is not asked at all", async (url) => expect(await outcome({ url })).toBe("invalid_request"));

  test("localhost by the system's resolver", async () => {
    const system = createGuardedClient({ deadlineMs: 3_000, maxBytes: 1000, maxRedirects: 0 });
    expect(await outcome({ url: `http://localhost:${inside.port}/` }, system)).toBe("forbidden");
  });

  test("a private host is reached when the operator names it", async () => {
    const allowed = createGuardedClient({
      deadlineMs: 3_000,
      maxBytes: 1000,
      maxRedirects: 0,
      allowPrivate: [`127.0.0.1:${inside.port}`],
    });
    expect(await outcome({ url: `http://127.0.0.1:${inside.port}/` }, allowed)).toBe("secret");
    expect(await outcome({ url: `http://127.0.0.1:${outside.port}/` }, allowed)).toBe("forbidden");
  });
});

describe("names", () => {
  test("the connection goes to the address that was checked, with the name as Host", async () => {
    expect(await outcome({ url: `http://good.test:${outside.port}/x?y=1` })).toBe("hello");
    expect(seen.at(-1)?.headers.get("host")).toBe(`good.test:${outside.port}`);
    expect(seen.at(-1)?.path).toBe("/x?y=1");
  });

  test("an answer of the DNS that turns private is refused, and the private server is never asked", async () => {
    const before = secretAsked;
    const outcomes: string[] = [];
    for (let i = 0; i < 3; i++) {
      // A client of its own each time: nothing is remembered between the requests.
      const fresh = createGuardedClient({
        deadlineMs: 3_000,
        maxBytes: 1000,
        maxRedirects: 0,
        allowPrivate: [`${OUTSIDE}/32`],
        dns: [dns.address],
      });
      outcomes.push(await outcome({ url: `http://rebind.test:${i === 0 ? outside.port : inside.port}/` }, fresh));
    }
    expect(outcomes).toEqual(["hello", "forbidden", "forbidden"]);
    expect(secretAsked).toBe(before);
  });

  test("one exchange asks the DNS once: check and connection cannot see two answers", async () => {
    let asked = 0;
    const turning = createGuardedClient({
      deadlineMs: 3_000,
      maxBytes: 1000,
      maxRedirects: 0,
      allowPrivate: [`${OUTSIDE}/32`],
      resolve: async () => (asked++ === 0 ? [OUTSIDE] : ["127.0.0.1"]),
    });
    expect(await outcome({ url: `http://turning.test:${outside.port}/` }, turning)).toBe("hello");
    expect(asked).toBe(1);
  });

  test("of mixed answers only the public one is used", async () => {
    expect(await outcome({ url: `http://mixed.test:${outside.port}/` })).toBe("hello");
  });

  test("unknown and silent names fail within the deadline", async () => {
    expect(await outcome({ url: "http://unknown.test/" })).toBe("upstream_unreachable");
    expect(await outcome({ url: "http://silent.test/", deadlineMs: 300 })).toBe("upstream_unreachable");
  });

  test("TLS is checked against the name, and a connection of one name does not serve another", async () => {
    const port = secure.port;
    expect(await outcome({ url: `https://good.test:${port}/` })).toBe("hello");
    expect(await outcome({ url: `https://other.test:${port}/` })).toBe("upstream_unreachable");
    expect(await outcome({ url: `https://good.test:${port}/` })).toBe("hello");
    const trusting = createGuardedClient({
      deadlineMs: 3_000,
      maxBytes: 1000,
      maxRedirects: 0,
      allowPrivate: [`${OUTSIDE}/32`],
      dns: [dns.address],
    });
    expect(await outcome({ url: `https://good.test:${port}/` }, trusting)).toBe("upstream_unreachable");
  });

  test("an allow-list holds for redirects too", async () => {
    const url = `http://good.test:${outside.port}/`;
    expect(await outcome({ url, allowHosts: ["good.test"] })).toBe("hello");
    expect(await outcome({ url, allowHosts: [".test"] })).toBe("hello");
    expect(await outcome({ url, allowHosts: ["est"] })).toBe("forbidden");
    const to = encodeURIComponent(`http://other.test:${outside.port}/`);
    expect(await outcome({ url: `${url}redirect?to=${to}`, allowHosts: ["good.test"] })).toBe("forbidden");
  });
});

describe("redirects", () => {
  test.each([
    ["loopback", "http://127.0.0.1:PORT/", "forbidden"],
    ["decimal", "http://2130706433:PORT/", "forbidden"],
    ["a private name", "http://private.test/", "forbidden"],
    ["a file", "file:///etc/passwd", "invalid_request"],
    ["no address", "http://", "upstream_unreachable"],
    ["the same server", "/ok", "hello"],
  ])("to %s", async (_, to, expected) => {
    const before = secretAsked;
    const location = encodeURIComponent(to.replace("PORT", String(inside.port)));
    expect(await outcome({ url: `${at}/redirect?to=${location}` })).toBe(expected);
    expect(secretAsked).toBe(before);
  });

  test("end after the limit, and are an answer when none is followed", async () => {
    expect(await outcome({ url: `${at}/loop` })).toBe("upstream_unreachable");
    const reply = await client.bytes({ url: `${at}/loop`, maxRedirects: 0 });
    expect([reply.status, reply.headers.get("location")]).toEqual([302, "/loop"]);
  });

  test.each([
    [302, "POST", "GET", ""],
    [303, "POST", "GET", ""],
    [307, "POST", "POST", "body"],
    [308, "PUT", "PUT", "body"],
  ])("%i of %s asks with %s", async (status, method, expected, body) => {
    await client.bytes({ url: `${at}/redirect?status=${status}&to=/end`, method, body: "body" });
    expect([seen.at(-1)?.method, seen.at(-1)?.body]).toEqual([expected, body]);
  });

  test("credentials stay with the origin they were given for", async () => {
    const headers = { Authorization: "Bearer x", Cookie: "a=1", "X-Kept": "1" };
    const to = encodeURIComponent(`http://good.test:${outside.port}/end`);
    await client.bytes({ url: `${at}/redirect?to=${to}`, headers });
    const last = seen.at(-1)?.headers;
    expect([last?.get("authorization"), last?.get("cookie"), last?.get("x-kept")]).toEqual([null, null, "1"]);
  });

  test("every host on the way is told", async () => {
    const hosts: string[] = [];
    const to = encodeURIComponent(`http://good.test:${outside.port}/end`);
    await client.bytes({ url: `${at}/redirect?to=${to}`, onHost: (host) => void hosts.push(host) });
    expect(hosts).toEqual([`${OUTSIDE}:${outside.port}`, `good.test:${outside.port}`]);
  });
});

describe("limits", () => {
  test.each([
    ["a body beyond the limit", "/big", "too_large"],
    ["a body without end", "/endless", "too_large"],
    ["a gzip bomb", "/bomb", "too_large"],
    ["nested encodings", "/nested", "upstream_unreachable"],
    ["a compressed body within the limit", "/zip", "plain text"],
  ])("%s", async (_, path, expected) => expect(await outcome({ url: at + path })).toBe(expected));

  test("a bomb costs no more memory than the limit allows", async () => {
    Bun.gc(true);
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 5; i++) expect(await outcome({ url: `${at}/bomb` })).toBe("too_large");
    expect(process.memoryUsage().rss - before).toBeLessThan(100 << 20);
  });

  test("deadlines hold for headers and for the whole", async () => {
    expect(await outcome({ url: `${at}/slow`, headersMs: 100 })).toBe("upstream_unreachable");
    expect(await outcome({ url: `${at}/slow`, deadlineMs: 100 })).toBe("upstream_unreachable");
    expect(await outcome({ url: `${at}/endless`, deadlineMs: 200, maxBytes: 1 << 30 })).toBe("upstream_unreachable");
  });

  test("the caller's signal ends it", async () => {
    const abort = new AbortController();
    const running = outcome({ url: `${at}/slow`, signal: abort.signal });
    abort.abort();
    expect(await running).toBe("upstream_unreachable");
  });

  test("undecoded bytes on demand, asked for without an encoding", async () => {
    const reply = await client.bytes({ url: `${at}/zip`, decompress: false });
    expect(new TextDecoder().decode(Bun.gunzipSync(reply.bytes))).toBe("plain text");
    expect(seen.at(-1)?.headers.get("accept-encoding") ?? "").toBe("");
  });

  test("a stream can be left before its end", async () => {
    const response = await client.stream({ url: `${at}/endless`, maxBytes: 1 << 30 });
    const reader = response.body.getReader();
    expect((await reader.read()).value?.byteLength).toBeGreaterThan(0);
    response.cancel();
    expect(
      await reader.read().then(
        () => "read",
        (error: unknown) => isAppError(error) && error.kind,
      ),
    ).toBe("upstream_unreachable");
  });
});

describe("headers", () => {
  test("those of the connection are ours", async () => {
    await client.bytes({
      url: `${at}/h`,
      headers: { Host: "evil.test", Connection: "upgrade", "Content-Length": "999", "X-Own": "1" },
    });
    const last = seen.at(-1)?.headers;
    expect([last?.get("host"), last?.get("x-own")]).toEqual([`${OUTSIDE}:${outside.port}`, "1"]);
  });
  test.each([
    ["X-A", "1\r\nX-Injected: 1"],
    ["X A", "1"],
    ["X-A\r\nX-Injected", "1"],
  ])("%j: %j is refused", async (name, value) => {
    expect(await outcome({ url: `${at}/h`, headers: { [name]: value } })).toBe("invalid_request");
  });
});

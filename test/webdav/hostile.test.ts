import { describe, expect, test } from "bun:test";
import { openSource } from "./source.ts";

type Handler = (request: Request) => Response | Promise<Response>;

function serve(handler: Handler): { url: string; port: number } & Disposable {
  const server = Bun.serve({ port: 0, hostname: "127.0.0.1", idleTimeout: 0, fetch: handler });
  const port = server.port ?? 0;
  return { url: `http://127.0.0.1:${port}/dav`, port, [Symbol.dispose]: () => void server.stop(true) };
}

const multistatus = (inner: string, head = '<?xml version="1.0"?>') =>
  new Response(`${head}<D:multistatus xmlns:D="DAV:">${inner}</D:multistatus>`, {
    status: 207,
    headers: { "content-type": "application/xml" },
  });

const item = (href: string, folder = false, size = 1) =>
  `<D:response><D:href>${href}</D:href><D:propstat><D:prop><D:resourcetype>${folder ? "<D:collection/>" : ""}</D:resourcetype>` +
  `<D:getcontentlength>${size}</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>` +
  `<D:propstat><D:prop><D:quota/><D:getetag>no</D:getetag></D:prop><D:status>HTTP/1.1 404 Not Found</D:status></D:propstat></D:response>`;

const only = { paths: { audio: "/cache_audio", local: "/cache_audio", temp: "/temp" } };

async function indexOf(handler: Handler, change: object = {}) {
  using server = serve(handler);
  await using webdav = openSource({ url: server.url, ...only, ...change });
  return await webdav.refresh().then(
    (summary) => ({
      summary,
      find: webdav.find("kw", "1", "320k"),
      local: webdav.findLocal("歌 1.mp3"),
      error: undefined,
    }),
    (error: unknown) => ({
      summary: undefined,
      find: undefined,
      local: undefined,
      error: error as { kind: string; message: string },
    }),
  );
}

describe("servers differ", () => {
  const self = item("/dav/cache_audio/", true);
  test.each<[string, string]>([
    ["encoded paths", `${self}${item("/dav/cache_audio/kw_1_320k.mp3")}${item("/dav/cache_audio/%E6%AD%8C%201.mp3")}`],
    [
      "absolute addresses",
      `${item("http://inner:5244/dav/cache_audio/", true)}${item("http://inner:5244/dav/cache_audio/kw_1_320k.mp3")}${item("http://inner:5244/dav/cache_audio/%e6%ad%8c%201.mp3")}`,
    ],
    [
      "a prefix of its own (proxy)",
      `${item("/remote.php/dav/files/u/cache_audio/", true)}${item("/remote.php/dav/files/u/cache_audio/kw_1_320k.mp3")}${item("/remote.php/dav/files/u/cache_audio/歌%201.mp3")}`,
    ],
    ["nothing encoded", `${self}${item("/dav/cache_audio/kw_1_320k.mp3")}${item("/dav/cache_audio/歌 1.mp3")}`],
    [
      "no slash after the folder",
      `${item("/dav/cache_audio", true)}${item("/dav/cache_audio/kw_1_320k.mp3")}${item("/dav/cache_audio/%E6%AD%8C%201.mp3")}`,
    ],
    [
      "children before the folder",
      `${item("/dav/cache_audio/kw_1_320k.mp3")}${item("/dav/cache_audio/%E6%AD%8C%201.mp3")}${self}`,
    ],
    ["the folder left out", `${item("/dav/cache_audio/kw_1_320k.mp3")}${item("/dav/cache_audio/%E6%AD%8C%201.mp3")}`],
    [
      "an entity in a name",
      `${self}${item("/dav/cache_audio/kw_1_320k.mp3")}${item("/dav/cache_audio/&#x6b4c;%201.mp3")}`,
    ],
  ])("%s", async (_name, body) => {
    const { summary, find, local } = await indexOf(() => multistatus(body));
    expect(summary?.files).toBe(2);
    expect(find?.path).toBe("/cache_audio/kw_1_320k.mp3");
    expect(find?.etag).toBeUndefined();
    expect(local?.path).toBe("/cache_audio/歌 1.mp3");
  });

  test("never asks for infinite depth", async () => {
    const depths: (string | null)[] = [];
    await indexOf((request) => {
      depths.push(request.headers.get("depth"));
      return multistatus(item("/dav/cache_audio/", true));
    });
    expect(new Set(depths)).toEqual(new Set(["0", "1"]));
  });

  test("a folder that fails keeps what was known below it", async () => {
    let fails = false;
    using server = serve((request) => {
      const { pathname } = new URL(request.url);
      if (pathname === "/dav/cache_audio/") return multistatus(item(pathname, true) + item(`${pathname}in/`, true));
      if (fails) return new Response("no", { status: 500 });
      return multistatus(item(pathname, true) + item(`${pathname}kw_1_320k.mp3`));
    });
    await using webdav = openSource({ url: server.url, ...only });
    await webdav.refresh();
    fails = true;
    expect((await webdav.refresh()).failed).toEqual([
      { path: "/cache_audio/in", reason: "WebDAV 列目录失败（HTTP 500）" },
    ]);
    expect(webdav.find("kw", "1", "320k")).toBeDefined();
  });
});

describe("answers that are refused", () => {
  test.each<[string, Handler, string]>([
    [
      "entity bomb",
      () => multistatus("&lol;", '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY lol "lol">]>'),
      "upstream_changed",
    ],
    ["external entity", () => multistatus("", '<!DOCTYPE l SYSTEM "http://127.0.0.1:1/x">'), "upstream_changed"],
    ["a page instead", () => new Response("<html><body><p>hi<br></body></html>", { status: 200 }), "upstream_refused"],
    ["a page as 207", () => new Response("<html><br>", { status: 207 }), "upstream_changed"],
    ["cut off", () => new Response('<D:multistatus xmlns:D="DAV:"><D:response>', { status: 207 }), "upstream_changed"],
    ["no PROPFIND", () => new Response("", { status: 405 }), "upstream_refused"],
    [
      "login refused",
      () => new Response("", { status: 401, headers: { "www-authenticate": 'Basic realm="x"' } }),
      "upstream_needs_login",
    ],
    ["nested without end", () => multistatus("<a>".repeat(1000)), "upstream_changed"],
  ])("%s", async (_name, handler, kind) => {
    const { error } = await indexOf(handler);
    expect(error?.kind).toBe(kind);
  });

  test("an answer without end is cut off", async () => {
    let sent = 0;
    const piece = new TextEncoder().encode(item("/dav/cache_audio/x".padEnd(400, "y")).repeat(200));
    const { error } = await indexOf(
      () =>
        new Response(
          new ReadableStream<Uint8Array>({
            start(out) {
              out.enqueue(new TextEncoder().encode('<D:multistatus xmlns:D="DAV:">'));
            },
            pull(out) {
              sent += piece.length;
              out.enqueue(piece);
            },
          }),
          { status: 207 },
        ),
      {},
    );
    expect(error?.kind).toBe("upstream_changed");
    expect(sent).toBeLessThan(100 << 20);
  });

  test("more files than allowed, deeper than allowed, in circles", async () => {
    const many = Array.from({ length: 50 }, (_, n) => item(`/dav/cache_audio/f${n}.mp3`)).join("");
    const few = await indexOf(() => multistatus(item("/dav/cache_audio/", true) + many), { max_files: 10 });
    expect(few.summary).toMatchObject({ files: 10, truncated: true });
    let asked = 0;
    const deep = await indexOf(
      (request) => {
        asked++;
        const { pathname } = new URL(request.url);
        return multistatus(item(pathname, true) + item(`${pathname}again/`, true));
      },
      { max_depth: 5 },
    );
    expect(deep.summary?.truncated).toBe(true);
    expect(asked).toBeLessThan(10);
  });

  test.each([
    ["..", "/dav/cache_audio/.."],
    ["encoded ..", "/dav/cache_audio/%2e%2e"],
    ["encoded separator", "/dav/cache_audio/..%2f..%2fetc%2fpasswd.mp3"],
    ["backslash", "/dav/cache_audio/..%5cx.mp3"],
    ["zero byte", "/dav/cache_audio/a%00.mp3"],
  ])("a name that leads out: %s", async (_name, href) => {
    const { summary } = await indexOf(() => multistatus(item("/dav/cache_audio/", true) + item(href)));
    expect(summary?.files).toBe(0);
  });
});

describe("the password stays with the configured server", () => {
  test.each([301, 302, 303, 307, 308])(
    "a redirect (%d) to another host is refused and nothing reaches it",
    async (status) => {
      const reached: Request[] = [];
      using thief = serve((request) => {
        reached.push(request);
        return new Response("gotcha");
      });
      let login = "";
      using server = serve((request) => {
        login ||= request.headers.get("authorization") ?? "";
        const { pathname, search } = new URL(request.url);
        return new Response(null, {
          status,
          headers: { location: `http://127.0.0.1:${thief.port}${pathname}${search}` },
        });
      });
      await using webdav = openSource({ url: server.url });
      expect(webdav.refresh()).rejects.toMatchObject({ kind: "upstream_refused" });
      await webdav.refresh().catch(() => undefined);
      expect(webdav.remote.send({ method: "GET", path: "/x.mp3" })).rejects.toMatchObject({ kind: "upstream_refused" });
      await webdav.remote.send({ method: "GET", path: "/x.mp3" }).catch(() => undefined);
      expect(login).toStartWith("Basic ");
      expect(reached).toEqual([]);
    },
  );

  test("within the folder a redirect is followed; out of the folder or for a PUT it is not", async () => {
    const seen: string[] = [];
    using server = serve((request) => {
      const { pathname } = new URL(request.url);
      seen.push(`${request.method} ${pathname}`);
      const to = { "/dav/moved.mp3": "/dav/here.mp3", "/dav/out.mp3": "/other/x", "/dav/loop": "/dav/loop" }[pathname];
      return to === undefined ? new Response("here") : new Response(null, { status: 302, headers: { location: to } });
    });
    await using webdav = openSource({ url: server.url });
    const { remote } = webdav;
    expect(await (await remote.send({ method: "GET", path: "/moved.mp3" })).text()).toBe("here");
    for (const [method, path] of [
      ["GET", "/out.mp3"],
      ["PUT", "/moved.mp3"],
      ["GET", "/loop"],
    ] as const) {
      expect(remote.send({ method, path, ...(method === "PUT" ? { body: () => "x" } : {}) })).rejects.toMatchObject({
        kind: "upstream_refused",
      });
      await remote.send({ method, path, ...(method === "PUT" ? { body: () => "x" } : {}) }).catch(() => undefined);
    }
    expect(seen.some((line) => line.includes("/other"))).toBe(false);
  });

  test("Digest: the server sees no password, every method and path is signed", async () => {
    const seen: string[] = [];
    const md5 = (text: string) => new Bun.CryptoHasher("md5").update(text).digest("hex");
    using server = serve((request) => {
      const header = request.headers.get("authorization");
      seen.push(header ?? "none");
      const values = new Map([...(header ?? "").matchAll(/(\w+)="?([^",]*)"?/g)].map((match) => [match[1], match[2]]));
      const ha1 = md5("u:music:geheim");
      const ha2 = md5(`${request.method}:${new URL(request.url).pathname}`);
      const good = md5(`${ha1}:n1:${values.get("nc")}:${values.get("cnonce")}:auth:${ha2}`);
      if (values.get("response") === good) return new Response("ok");
      return new Response("", {
        status: 401,
        headers: { "www-authenticate": 'Basic realm="music", Digest realm="music", nonce="n1", qop="auth"' },
      });
    });
    await using webdav = openSource({ url: server.url, username: "u", password: "geheim" });
    for (const method of ["GET", "HEAD", "GET"]) {
      expect((await webdav.remote.send({ method, path: "/歌.mp3" })).status).toBe(200);
    }
    expect(seen[0]).toBe("none");
    expect(seen.slice(1).every((header) => header.startsWith("Digest ") && !header.includes("geheim"))).toBe(true);
    expect(seen.length).toBe(4);
  });

  test("Digest: a server that fails at the first question sees no password either", async () => {
    const seen: string[] = [];
    using server = serve((request) => {
      const header = request.headers.get("authorization");
      seen.push(header ?? "none");
      if (seen.length === 1) return new Response("", { status: 500 });
      if (header?.startsWith("Digest ")) return new Response("ok");
      return new Response("", {
        status: 401,
        headers: { "www-authenticate": 'Digest realm="m", nonce="n", qop="auth"' },
      });
    });
    await using webdav = openSource({ url: server.url, username: "u", password: "geheim" });
    expect((await webdav.remote.send({ method: "GET", path: "/a.mp3" })).status).toBe(200);
    expect(seen.map((header) => header.split(" ")[0])).toEqual(["none", "none", "Digest"]);
  });
});

describe("a dead server", () => {
  test("costs one deadline, then none until its rest is over", async () => {
    let asked = 0;
    let dead = true;
    using server = serve(async () => {
      asked++;
      if (dead) await new Promise(() => {});
      return new Response("alive");
    });
    await using webdav = openSource({ url: server.url, username: "", password: "", timeout: 0.2, rest: 0.5 });
    const started = performance.now();
    for (let n = 0; n < 20; n++) {
      const error = await webdav.remote.send({ method: "GET", path: "/x" }).catch((problem: unknown) => problem);
      expect(error).toMatchObject({ kind: "upstream_unreachable" });
    }
    expect(asked).toBe(1);
    expect(performance.now() - started).toBeLessThan(2000);
    dead = false;
    for (;;) {
      const answer = await webdav.remote.send({ method: "GET", path: "/x" }).catch(() => undefined);
      if (answer?.status === 200) break;
      await Bun.sleep(20);
    }
    expect(asked).toBe(2);
  });

  test("that stops in the middle of a file ends the transfer", async () => {
    using server = serve(
      () =>
        new Response(
          new ReadableStream({
            start(out) {
              out.enqueue(new Uint8Array(1000));
            },
          }),
        ),
    );
    await using webdav = openSource({ url: server.url, username: "", password: "", idle_timeout: 0.2 });
    const response = await webdav.remote.send({ method: "GET", path: "/x" });
    expect(response.bytes()).rejects.toMatchObject({ kind: "upstream_unreachable" });
    await response.body?.cancel().catch(() => undefined);
  });
});

describe("certificates", () => {
  test("are checked unless switched off", async () => {
    await using folder = await (await import("./upstreams.ts")).temporary("lx-tls-");
    const [key, cert] = [`${folder.path}/key.pem`, `${folder.path}/cert.pem`];
    const made = Bun.spawnSync(
      [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-out",
        cert,
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
      ],
      { stderr: "ignore" },
    );
    expect(made.exitCode).toBe(0);
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { key: Bun.file(key), cert: Bun.file(cert) },
      fetch: () => new Response("ok"),
    });
    const url = `https://127.0.0.1:${server.port}/`;
    const quiet = { url, username: "", password: "" };
    await using strict = openSource(quiet);
    expect(strict.remote.send({ method: "GET", path: "/x" })).rejects.toMatchObject({ kind: "upstream_unreachable" });
    await strict.remote.send({ method: "GET", path: "/x" }).catch(() => undefined);
    await using loose = openSource({ ...quiet, ssl_verify: false });
    expect(await (await loose.remote.send({ method: "GET", path: "/x" })).text()).toBe("ok");
    server.stop(true);
  });
});

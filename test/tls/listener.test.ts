import { afterEach, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, constants } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import { type Fields, silentLogger } from "../../src/ops/log.ts";
import type { KeyPair } from "../../src/tls/certificate.ts";
import { type Listener, type ListenerOptions, startListener } from "../../src/tls/listener.ts";
import { protocolOptions } from "../../src/tls/protocol.ts";
import { createSelfSigned } from "../../src/tls/self-signed.ts";
import { tlsEntries } from "../../src/tls/sni.ts";
import { fingerprintOf, handshake } from "./openssl.ts";

const opened: Listener[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((listener) => listener.stop(100)));
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true, force: true })));
});

const certificate = (...names: string[]) => createSelfSigned({ names, keyType: "ec", now: Date.now() });
const modern = protocolOptions({ min_version: "TLSv1.2", max_version: "TLSv1.3", ciphers: "" });
const said: { message: string; fields: Fields | undefined }[] = [];
const log = { ...silentLogger, error: (message: string, fields?: Fields) => void said.push({ message, fields }) };

async function start(options: Partial<ListenerOptions>): Promise<Listener> {
  said.length = 0;
  const listener = await startListener({
    hosts: ["127.0.0.1"],
    ports: [],
    handle: (request, { address, port, secure, local }) =>
      Response.json({ path: new URL(request.url).pathname, address, port, secure, local }),
    idleSeconds: 30,
    maxBodyBytes: 1 << 20,
    drainMs: 300,
    log,
    ...options,
  });
  opened.push(listener);
  return listener;
}

const secure = (main: KeyPair, more: Partial<NonNullable<ListenerOptions["tls"]>> = {}) => ({
  ports: [0],
  entries: tlsEntries(main, [], []),
  http2: true,
  http3: false,
  options: modern,
  ...more,
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "lx-listen-"));
  folders.push(made);
  return made;
}

const portOf = (address: string | undefined) => Number(/:(\d+)$/.exec(address ?? "")?.[1]);

describe("addresses", () => {
  test("several hosts and ports, HTTP and HTTPS, IPv4 and IPv6", async () => {
    const main = await certificate("localhost");
    const listener = await start({ hosts: ["127.0.0.1", "::1"], ports: [0, 0], tls: secure(main, { ports: [0] }) });
    expect(listener.addresses).toHaveLength(6);
    for (const address of listener.addresses) {
      const reply = await fetch(`${address}/x`, { tls: { rejectUnauthorized: false } });
      expect(await reply.json()).toMatchObject({
        path: "/x",
        secure: address.startsWith("https:"),
        local: false,
        address: address.includes("[::1]") ? "::1" : "127.0.0.1",
      });
    }
    expect(listener.securePorts).toHaveLength(2);
  });

  test("0.0.0.0 and :: on one port", async () => {
    const free = Bun.serve({ port: 0, fetch: () => new Response() });
    const port = free.port ?? 0;
    await free.stop(true);
    const listener = await start({ hosts: ["0.0.0.0", "::"], ports: [port] });
    expect(listener.addresses).toEqual([`http://0.0.0.0:${port}`, `http://[::]:${port}`]);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    expect((await fetch(`http://[::1]:${port}/`)).status).toBe(200);
  });

  test(":: alone takes IPv4 as well", async () => {
    const listener = await start({ hosts: ["::"], ports: [0] });
    const port = portOf(listener.addresses[0]);
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
    expect((await fetch(`http://[::1]:${port}/`)).status).toBe(200);
  });
});

describe("an address that cannot be opened is said, and the others open", () => {
  test("HTTPS port of another program that would share it", async () => {
    const main = await certificate("localhost");
    const first = await start({ tls: secure(main) });
    const port = portOf(first.addresses[0]);
    const second = await start({ ports: [0], tls: secure(main, { ports: [port] }) });
    expect(second.addresses).toHaveLength(1);
    expect(second.securePorts).toEqual([]);
    expect(said).toEqual([
      {
        message: "cannot listen",
        fields: { address: `https://127.0.0.1:${port}`, reason: "the port is in use by another program" },
      },
    ]);
  });

  test("address of another machine", async () => {
    const listener = await start({ hosts: ["127.0.0.1", "192.0.2.99"], ports: [0] });
    expect(listener.addresses).toHaveLength(1);
    expect(String(said[0]?.fields?.["reason"])).toMatch(/no such address; see --host/);
  });

  test("unknown cipher suites", async () => {
    const main = await certificate("localhost");
    const options = protocolOptions({ min_version: "TLSv1.2", max_version: "TLSv1.3", ciphers: "NONSENSE" });
    const listener = await start({ ports: [0], tls: secure(main, { options }) });
    expect(listener.securePorts).toEqual([]);
    expect(String(said[0]?.fields?.["reason"])).toContain("common.ssl_info.ciphers names no cipher suite");
  });

  test("nothing opens: the start fails with every reason", async () => {
    const first = await start({ ports: [0] });
    const port = portOf(first.addresses[0]);
    const failure = await start({ ports: [port] }).catch((error) => error);
    expect(failure).toMatchObject({ kind: "conflict" });
    expect(failure.message).toBe(
      `cannot listen anywhere:\nhttp://127.0.0.1:${port}: the port is in use by another program`,
    );
  });
});

describe("Unix socket", () => {
  const ask = (path: string) => fetch("http://localhost/u", { unix: path });

  test("for a proxy in front, gone after the stop", async () => {
    const path = join(await folder(), "lx.sock");
    const listener = await start({ unixSocket: path });
    expect(await (await ask(path)).json()).toEqual({
      path: "/u",
      secure: false,
      local: true,
      address: "unix",
      port: 0,
    });
    await listener.stop(100);
    expect(existsSync(path)).toBe(false);
  });

  test("a dead one of a killed server is replaced", async () => {
    const path = join(await folder(), "lx.sock");
    await $`python3 -c ${`import socket; s=socket.socket(socket.AF_UNIX); s.bind("${path}")`}`.quiet();
    expect(existsSync(path)).toBe(true);
    await start({ unixSocket: path });
    expect((await ask(path)).status).toBe(200);
  });

  test("a living one stays", async () => {
    const path = join(await folder(), "lx.sock");
    await start({ unixSocket: path });
    await expect(start({ unixSocket: path })).rejects.toThrow("another program listens on this socket");
    expect((await ask(path)).status).toBe(200);
  });

  test("a file with that name stays", async () => {
    const path = join(await folder(), "lx.sock");
    await Bun.write(path, "precious");
    await expect(start({ unixSocket: path })).rejects.toThrow("a file with this name that is no socket");
    expect(await Bun.file(path).text()).toBe("precious");
  });
});

describe("names (SNI)", () => {
  test("each its certificate, exact before wildcard, the main one for all others", async () => {
    const main = await certificate("main.example.com", "www.example.com", "127.0.0.1");
    const one = await certificate("one.example.net");
    const wild = await certificate("*.example.com", "*.example.net");
    const entries = tlsEntries(
      main,
      ["main.example.com", "www.example.com", "127.0.0.1"],
      [
        { pair: one, names: ["one.example.net"] },
        { pair: wild, names: ["*.example.com", "*.example.net"] },
      ],
    );
    const listener = await start({ tls: secure(main, { entries }) });
    const port = portOf(listener.addresses[0]);
    const rows: [string | null, KeyPair][] = [
      ["one.example.net", one],
      ["ONE.Example.Net", one],
      ["two.example.net", wild],
      ["any.example.com", wild],
      ["main.example.com", main],
      ["www.example.com", main],
      ["deep.any.example.com", main],
      ["example.com", main],
      ["stranger.test", main],
      [null, main],
    ];
    const seen = await Promise.all(rows.map(async ([name]) => [name, (await handshake(port, name)).fingerprint]));
    expect(seen).toEqual(rows.map(([name, pair]) => [name, fingerprintOf(pair.cert)]));
  });

  test("the first of two certificates for one name has it, and addresses take no place", async () => {
    const [main, first, second] = await Promise.all([
      certificate("a.test"),
      certificate("a.test"),
      certificate("a.test"),
    ]);
    const entries = tlsEntries(
      main,
      ["a.test"],
      [
        { pair: first, names: ["a.test", "192.0.2.1"] },
        { pair: second, names: ["a.test", "b.test"] },
      ],
    );
    expect(entries.map(({ serverName, cert }) => [serverName, cert])).toEqual([
      [undefined, main.cert],
      ["a.test", first.cert],
      ["b.test", second.cert],
    ]);
  });

  test("without others there is only the default", async () => {
    const main = await certificate("a.test");
    expect(tlsEntries(main, ["a.test"], [])).toEqual([{ cert: main.cert, key: main.key }]);
  });
});

describe("versions", () => {
  test.each([
    {
      name: "TLS 1.2 and 1.3",
      min: "TLSv1.2",
      max: "TLSv1.3",
      good: ["-tls1_2", "-tls1_3"],
      bad: ["-tls1", "-tls1_1"],
    },
    { name: "1.3 only", min: "TLSv1.3", max: "TLSv1.3", good: ["-tls1_3"], bad: ["-tls1_1", "-tls1_2"] },
    { name: "1.2 only", min: "TLSv1.2", max: "TLSv1.2", good: ["-tls1_2"], bad: ["-tls1_1", "-tls1_3"] },
    {
      name: "a maximum below the minimum counts as the minimum",
      min: "TLSv1.3",
      max: "TLSv1.2",
      good: ["-tls1_3"],
      bad: ["-tls1_2"],
    },
  ] as const)("$name", async ({ min, max, good, bad }) => {
    const main = await certificate("localhost");
    const options = protocolOptions({ min_version: min, max_version: max, ciphers: "" });
    const listener = await start({ tls: secure(main, { options }) });
    const port = portOf(listener.addresses[0]);
    const weak = ["-cipher", "ALL:@SECLEVEL=0"];
    for (const version of good) expect((await handshake(port, null, { args: [version] })).subjects).toHaveLength(1);
    for (const version of bad) expect((await handshake(port, null, { args: [version, ...weak] })).subjects).toEqual([]);
  });
});

describe("protocols", () => {
  test.each([
    { name: "HTTP/1.1", option: "--http1.1", http2: true, version: "1.1" },
    { name: "HTTP/2", option: "--http2", http2: true, version: "2" },
    { name: "HTTP/2 switched off", option: "--http2", http2: false, version: "1.1" },
  ])("curl: $name", async ({ option, http2, version }) => {
    const listener = await start({ tls: secure(await certificate("localhost"), { http2 }) });
    const shown =
      await $`curl -sk ${option} -o /dev/null -w ${"%{http_version} %{http_code}"} ${listener.addresses[0] ?? ""}/`.text();
    expect(shown).toBe(`${version} 200`);
  });

  test("HTTP/3 is announced and its UDP port is open", async () => {
    const listener = await start({ tls: secure(await certificate("localhost"), { http3: true }) });
    const port = portOf(listener.addresses[0]);
    const reply = await fetch(`https://127.0.0.1:${port}/`, { tls: { rejectUnauthorized: false } });
    expect(reply.headers.get("alt-svc")).toContain(`h3=":${port}"`);
    const hex = port.toString(16).toUpperCase().padStart(4, "0");
    expect(await Bun.file("/proc/net/udp").text()).toContain(`0100007F:${hex}`);
  });
});

describe("certificates are swapped while requests run", () => {
  /** 4 MB in 40 parts, over two seconds. */
  const slowly = () => {
    let parts = 0;
    return new ReadableStream({
      async pull(controller) {
        controller.enqueue(new Uint8Array(100_000));
        if (++parts === 40) controller.close();
        else await Bun.sleep(50);
      },
    });
  };
  const handle: ListenerOptions["handle"] = (request) =>
    new Response(new URL(request.url).pathname === "/slow" ? slowly() : "ok");

  test("keep-alive clients, new connections, HTTP/2 and slow downloads lose nothing", async () => {
    const [first, second, third] = await Promise.all([
      certificate("a.test"),
      certificate("b.test"),
      certificate("c.test"),
    ]);
    const listener = await start({ tls: secure(first), handle });
    const address = listener.addresses[0] ?? "";
    const port = portOf(address);
    const wrk = Bun.spawn(["wrk", "-t1", "-c8", "-d4s", `${address}/`], { stdout: "pipe" });
    const download = (version: string) =>
      $`curl -sk ${version} -o /dev/null -w ${"%{http_code} %{size_download} %{exitcode}"} ${address}/slow`
        .nothrow()
        .text();
    const downloads = [download("--http1.1"), download("--http2")];
    const multiplexed = countHttp2(address);
    const newcomers = countNewConnections(port);
    await Bun.sleep(400);
    for (const next of [second, third]) {
      const swapping = listener.swapCertificates(tlsEntries(next, [], []), modern);
      // From here on nobody gets the old one.
      for (let i = 0; i < 5; i++) expect((await handshake(port, null)).fingerprint).toBe(fingerprintOf(next.cert));
      await swapping;
    }
    const load = await new Response(wrk.stdout).text();
    expect(load).not.toContain("Socket errors");
    expect(load).not.toContain("Non-2xx");
    expect(Number(/(\d+) requests in/.exec(load)?.[1])).toBeGreaterThan(50);
    expect(await Promise.all(downloads)).toEqual(["200 4000000 0", "200 4000000 0"]);
    const { answered, failed, sessions } = await multiplexed.stop();
    expect(await newcomers.stop()).toMatchObject({ failed: 0 });
    expect({ failed, several: sessions > 1, many: answered > 20 }).toEqual({ failed: [], several: true, many: true });
  });

  test("what cannot be opened leaves the old certificate in place", async () => {
    const first = await certificate("a.test");
    const listener = await start({ tls: secure(first), handle });
    const port = portOf(listener.addresses[0]);
    const stranger = await certificate("b.test");
    const mismatched = [{ cert: stranger.cert, key: first.key }];
    await expect(listener.swapCertificates(mismatched, modern)).rejects.toThrow();
    expect((await handshake(port, null)).fingerprint).toBe(fingerprintOf(first.cert));
    expect((await fetch(`https://127.0.0.1:${port}/`, { tls: { rejectUnauthorized: false } })).status).toBe(200);
  });

  test("other versions come with the swap", async () => {
    const first = await certificate("a.test");
    const listener = await start({ tls: secure(first), handle });
    const port = portOf(listener.addresses[0]);
    expect((await handshake(port, null, { args: ["-tls1_2"] })).subjects).toHaveLength(1);
    const only13 = protocolOptions({ min_version: "TLSv1.3", max_version: "TLSv1.3", ciphers: "" });
    await listener.swapCertificates(tlsEntries(first, [], []), only13);
    expect((await handshake(port, null, { args: ["-tls1_2"] })).subjects).toEqual([]);
  });

  test("a stop ends servers that are still giving out a download, after the deadline", async () => {
    const listener = await start({ tls: secure(await certificate("a.test")), handle });
    const response = await fetch(`${listener.addresses[0]}/slow`, { tls: { rejectUnauthorized: false } });
    await listener.swapCertificates(tlsEntries(await certificate("b.test"), [], []), modern);
    const reading = response.arrayBuffer().then(
      () => "whole",
      () => "cut",
    );
    const startedAt = performance.now();
    await listener.stop(100);
    expect(performance.now() - startedAt).toBeLessThan(1900);
    expect(["whole", "cut"]).toContain(await reading);
  });
});

/** A client that makes a connection for every request. */
function countNewConnections(port: number) {
  const child = Bun.spawn(["bun", join(import.meta.dir, "new-connections.ts"), String(port)], { stdout: "pipe" });
  return {
    async stop(): Promise<{ answered: number; failed: number }> {
      child.kill("SIGINT");
      return JSON.parse(await new Response(child.stdout).text());
    },
  };
}

/** One HTTP/2 client that asks one thing after another, and takes a new connection when it is told to go. */
function countHttp2(address: string) {
  let running = true;
  let sessions = 0;
  let answered = 0;
  const failed: string[] = [];
  const open = () => {
    sessions++;
    const session = connect(address, { rejectUnauthorized: false });
    const state = { session, leaving: false };
    session.on("goaway", () => {
      state.leaving = true;
    });
    session.on("close", () => {
      state.leaving = true;
    });
    session.on("error", () => {
      state.leaving = true;
    });
    return state;
  };
  const ask = (state: ReturnType<typeof open>) =>
    new Promise<void>((resolve) => {
      const stream = state.session.request({ ":path": "/" });
      let status = 0;
      stream.on("response", (headers) => {
        status = Number(headers[":status"]);
      });
      stream.on("error", () => undefined);
      stream.on("data", () => undefined);
      stream.on("close", () => {
        if (status === 200) answered++;
        // Refused and past the GOAWAY: the server has not looked at it, and clients send it again.
        else if (stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM && !state.leaving)
          failed.push(`rst ${stream.rstCode}`);
        resolve();
      });
    });
  const loop = (async () => {
    let state = open();
    while (running) {
      if (state.leaving) {
        state.session.close();
        state = open();
      }
      await ask(state);
      await Bun.sleep(5);
    }
    state.session.close();
  })();
  return {
    async stop() {
      running = false;
      await loop;
      return { answered, failed, sessions };
    },
  };
}

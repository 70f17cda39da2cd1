import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { type TlsSettings, tlsSection } from "../../src/config/sections/tls.ts";
import { type Fields, type Logger, silentLogger } from "../../src/ops/log.ts";
import { createMetrics } from "../../src/ops/metrics.ts";
import { createSchedule } from "../../src/ops/schedule.ts";
import { DAY_MS, readCertificate } from "../../src/tls/certificate.ts";
import type { DomainCertificates } from "../../src/tls/inventory.ts";
import { type Listener, startListener } from "../../src/tls/listener.ts";
import { createTls, type Tls } from "../../src/tls/tls.ts";
import { type Chain, fingerprintOf, handshake, makeChain } from "./openssl.ts";
import { freePorts, type Pebble, startPebble } from "./pebble.ts";

type Deep<T> = { [K in keyof T]?: T[K] extends unknown[] ? T[K] : T[K] extends object ? Deep<T[K]> : T[K] };

/** A running HTTPS server with its certificates, whose settings and clock a test moves. */
interface Rig {
  tls: Tls;
  listener: Listener;
  port: number;
  settings: TlsSettings;
  said: { level: string; message: string; fields: Fields }[];
  /** ms added to the clock. */
  clock: { offset: number };
  domains: { files: { name: string; cert: string; privkey: string }[]; names: string[] };
  text(): string;
  /** Fingerprint of what a client gets. */
  served(name?: string | null): Promise<string>;
  until(what: () => boolean | Promise<boolean>): Promise<void>;
  metrics(): Promise<string>;
}

let folder: string;
const stops: (() => Promise<void>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-tls-"));
});
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
  await rm(folder, { recursive: true, force: true });
});

function settingsOf(given: Deep<TlsSettings>): TlsSettings {
  const merge = (base: unknown, more: unknown): unknown => {
    if (typeof base !== "object" || base === null || Array.isArray(base)) return more ?? base;
    const extra = (more ?? {}) as Record<string, unknown>;
    return Object.fromEntries(Object.entries(base).map(([name, value]) => [name, merge(value, extra[name])]));
  };
  const settings = merge(Value.Create(tlsSection), { enable: true, ssl_ports: [0], watch_interval: 1, ...given });
  return Value.Parse(tlsSection, settings);
}

async function start(given: Deep<TlsSettings>, more: Partial<DomainCertificates> = {}): Promise<Rig> {
  const said: Rig["said"] = [];
  const clock = { offset: 0 };
  const note =
    (level: string) =>
    (message: string, fields: Fields = {}) =>
      void said.push({ level, message, fields });
  const log: Logger = { debug() {}, info: note("info"), warn: note("warn"), error: note("error"), child: () => log };
  const settings = settingsOf(given);
  const domains = { files: [...(more.files ?? [])], names: [...(more.names ?? [])] };
  const metrics = createMetrics("0");
  const now = () => Date.now() + clock.offset;
  const tls = createTls({
    settings: () => settings,
    domains: () => domains,
    dataDir: folder,
    log,
    metrics,
    now,
    random: () => 0.5,
  });
  const listener = await startListener({
    hosts: ["127.0.0.1"],
    ports: [0],
    tls: await tls.prepare(),
    handle: () => new Response("ok"),
    idleSeconds: 30,
    maxBodyBytes: 1024,
    drainMs: 50,
    log,
  });
  const schedule = createSchedule(log, () => 0.5);
  tls.start(listener, schedule);
  stops.push(async () => {
    await schedule.stop();
    await listener.stop(100);
  });
  const port = listener.securePorts[0] ?? 0;
  const text = () =>
    said.map(({ level, message, fields }) => `${level} ${message} ${JSON.stringify(fields)}`).join("\n");
  return {
    tls,
    listener,
    port,
    settings,
    said,
    clock,
    domains,
    text,
    served: async (name = null) => (await handshake(port, name)).fingerprint,
    async until(what) {
      const deadline = Date.now() + 10_000;
      while (!(await what())) {
        if (Date.now() > deadline) throw new Error(`it did not happen; the log:\n${text()}`);
        await Bun.sleep(30);
      }
    },
    metrics: () => metrics.text(),
  };
}

async function write(chain: Chain, name: string): Promise<{ cert: string; privkey: string }> {
  const files = { cert: join(folder, `${name}.pem`), privkey: join(folder, `${name}.key`) };
  await Bun.write(files.cert, chain.leaf + chain.intermediate);
  await Bun.write(files.privkey, chain.key);
  return files;
}

describe("switched on and nothing else", () => {
  test("a certificate of our own CA, the same after a restart", async () => {
    const first = await start({});
    const ca = await first.tls.authority();
    await Bun.write(join(folder, "ca.crt"), ca?.pem ?? "");
    expect((await handshake(first.port, null, { ca: join(folder, "ca.crt") })).verified).toBe(true);
    expect(ca?.info.fingerprint).toBe(fingerprintOf(ca?.pem ?? ""));
    const again = await start({});
    expect(await again.served()).toBe(await first.served());
    expect(again.tls.health()).toBe(true);
    expect((await again.tls.list())[0]).toMatchObject({
      id: "main",
      source: "self-signed",
      daysLeft: 396,
      alarm: false,
    });
    expect(await again.metrics()).toMatch(
      /lx_certificate_expiry_seconds\{certificate="main",source="self-signed"\} \d+/,
    );
  });

  test("a new name brings a new certificate, the CA stays", async () => {
    const rig = await start({});
    const [before, ca] = [await rig.served(), (await rig.tls.authority())?.pem];
    rig.settings.names = ["music.home.arpa"];
    await rig.tls.refresh();
    expect(await rig.served()).not.toBe(before);
    expect((await rig.tls.list())[0]?.names).toContain("music.home.arpa");
    expect((await rig.tls.authority())?.pem).toBe(ca ?? "");
  });

  test("names of the domain profiles are in it", async () => {
    const rig = await start({}, { names: ["profile.example.com"] });
    expect((await rig.tls.list())[0]?.names).toContain("profile.example.com");
  });

  test("renewed when a third of its life is left", async () => {
    const rig = await start({});
    const before = await rig.served();
    rig.clock.offset = 200 * DAY_MS;
    await rig.tls.refresh();
    expect(await rig.served()).toBe(before);
    rig.clock.offset = 300 * DAY_MS;
    await rig.tls.refresh();
    expect(await rig.served()).not.toBe(before);
  });

  test("without a CA it signs itself", async () => {
    const rig = await start({ local_ca: false });
    expect((await rig.tls.list())[0]).toMatchObject({ selfSigned: true });
    expect(await rig.tls.authority()).toBeUndefined();
  });

  test("a folder that cannot be written: temporary, and said", async () => {
    await Bun.write(join(folder, "certs"), "a file where the folder belongs");
    const rig = await start({});
    expect((await rig.tls.list())[0]).toMatchObject({ source: "temporary" });
    expect(rig.text()).toMatch(/error certificate cannot be used .*cannot be/);
    expect(rig.text()).toContain("HTTPS is served with a temporary self-signed certificate");
  });
});

describe("own files", () => {
  test("are served with their chain in order", async () => {
    const chain = await makeChain(folder, { names: ["music.example.com"] });
    const rig = await start({ path: await write(chain, "own") });
    const seen = await handshake(rig.port, "music.example.com");
    expect(seen.fingerprint).toBe(fingerprintOf(chain.leaf));
    expect(seen.subjects).toEqual(["O = Test, CN = leaf", "O = Test, CN = Intermediate"]);
    expect(rig.tls.health()).toBe(true);
  });

  test("replaced on disk: picked up by itself; a key that comes later is waited for", async () => {
    const [first, second] = [
      await makeChain(folder, { organization: "One" }),
      await makeChain(folder, { organization: "Two" }),
    ];
    const files = await write(first, "own");
    const rig = await start({ path: files });
    await Bun.write(files.cert, second.leaf + second.intermediate);
    await rig.until(() => rig.text().includes("does not belong to the certificate"));
    expect(await rig.served()).toBe(fingerprintOf(first.leaf));
    expect(rig.tls.health()).toMatch(/main: the private key/);
    await Bun.write(files.privkey, second.key);
    await rig.until(async () => (await rig.served()) === fingerprintOf(second.leaf));
    expect(rig.text()).toContain("info certificate is good again");
    expect(rig.tls.health()).toBe(true);
  });

  const broken: {
    name: string;
    spoil: (files: { cert: string; privkey: string }) => Promise<unknown>;
    says: RegExp;
  }[] = [
    {
      name: "wrong key",
      spoil: async ({ privkey }) => Bun.write(privkey, (await makeChain(folder, { organization: "X" })).key),
      says: /does not belong/,
    },
    { name: "missing file", spoil: ({ cert }) => rm(cert), says: /it does not exist/ },
    { name: "a folder", spoil: ({ cert }) => rm(cert).then(() => mkdir(cert)), says: /it is a folder/ },
    { name: "no PEM", spoil: ({ cert }) => Bun.write(cert, "hello"), says: /holds no certificate/ },
  ];
  test.each(broken)("$name: said, a temporary one until it is mended", async ({ spoil, says }) => {
    const chain = await makeChain(folder);
    const files = await write(chain, "own");
    await spoil(files);
    const rig = await start({ path: files, redirect_http: true });
    expect(rig.text()).toMatch(says);
    expect((await rig.tls.list())[0]).toMatchObject({ source: "temporary" });
    expect((await rig.tls.list())[0]?.problem).toMatch(says);
    expect(rig.tls.secureTarget()).toBeUndefined();
    await rm(files.cert, { recursive: true, force: true });
    await write(chain, "own");
    await rig.until(async () => (await rig.served()) === fingerprintOf(chain.leaf));
    expect(rig.tls.secureTarget()).toMatchObject({ port: rig.port, primary: "music.example.com" });
  });

  test("expired: served all the same, and an alarm", async () => {
    const chain = await makeChain(folder, { from: "20240101000000Z", until: "20240401000000Z" });
    const rig = await start({ path: await write(chain, "own") });
    expect(await rig.served()).toBe(fingerprintOf(chain.leaf));
    await rig.until(() => rig.text().includes("error a certificate has expired"));
    expect((await rig.tls.list())[0]).toMatchObject({ alarm: true });
    expect(rig.tls.health()).toBe("main: ends 2024-04-01");
    expect(await rig.metrics()).toContain('lx_certificate_alarm{certificate="main",source="files"} 1');
  });

  test.each([
    { name: "ten days left: quiet", days: 10, alarm: false },
    { name: "six days left: alarm", days: 6, alarm: true },
  ])("$name", async ({ days, alarm }) => {
    const chain = await makeChain(folder, { days: 90 });
    const rig = await start({ path: await write(chain, "own") });
    rig.clock.offset = (90 - days) * DAY_MS;
    await rig.tls.refresh();
    expect((await rig.tls.list())[0]?.alarm).toBe(alarm);
    expect(rig.text().includes("a certificate is about to expire")).toBe(alarm);
  });

  test("cannot be renewed by us", async () => {
    const chain = await makeChain(folder);
    const rig = await start({ path: await write(chain, "own") });
    expect(await rig.tls.renew({ force: true }).catch((error) => error)).toMatchObject({ kind: "unsupported" });
  });
});

describe("further names", () => {
  test("from the config and from domain profiles; a broken one harms no other", async () => {
    const make = (organization: string, names: string[]) => makeChain(folder, { organization, names });
    const [main, one, two] = [
      await make("Main", ["main.test"]),
      await make("One", ["x.test"]),
      await make("Two", ["two.test", "*.two.test"]),
    ];
    const rig = await start(
      {
        path: await write(main, "main"),
        sni: [
          { name: "one.test", ...(await write(one, "one")) },
          { name: "gone.test", cert: "/nonexistent.pem", privkey: "/nonexistent.key" },
        ],
      },
      { files: [{ name: "", ...(await write(two, "two")) }] },
    );
    const rows: [string | null, Chain][] = [
      ["one.test", one],
      ["two.test", two],
      ["any.two.test", two],
      ["gone.test", main],
      ["x.test", main],
      [null, main],
    ];
    for (const [name, chain] of rows) expect([name, await rig.served(name)]).toEqual([name, fingerprintOf(chain.leaf)]);
    expect((await rig.tls.list()).map(({ id }) => id)).toEqual(["main", "sni 1 one.test", "sni 3"]);
    expect(rig.tls.health()).toMatch(/^sni 2 gone\.test: .*does not exist/);
    const target = rig.tls.secureTarget();
    const ours = ["one.test", "any.two.test", "localhost", "127.0.0.1", "main.test"];
    expect(ours.filter((host) => target?.isOurs(host) !== true)).toEqual([]);
    expect(target?.isOurs("evil.test")).toBe(false);
  });
});

describe("ACME", () => {
  let pebble: Pebble;
  const stopPebble = () => pebble[Symbol.asyncDispose]();

  /** A server whose own HTTP listener answers the proofs, as in the application. */
  async function startWithProofs(given: Deep<TlsSettings>, httpPort: number): Promise<Rig> {
    const rig = await start(given);
    const answering = Bun.serve({
      port: httpPort,
      hostname: "127.0.0.1",
      async fetch(request) {
        const answer = await rig.tls.challenge(new URL(request.url).pathname.split("/").at(-1) ?? "");
        return answer === undefined ? new Response(null, { status: 404 }) : new Response(answer);
      },
    });
    stops.push(() => answering.stop(true));
    return rig;
  }

  const acme = (more: Deep<TlsSettings["acme"]> = {}) => ({
    directory_url: pebble.directory,
    ca_file: pebble.caFile,
    names: ["music.example.com"],
    ...more,
  });

  test("temporary first, then the real one, then renewals", async () => {
    pebble = await startPebble({ nonceReject: 10 });
    stops.push(stopPebble);
    const rig = await startWithProofs({ acme: acme() }, pebble.httpPort);
    expect(rig.text()).toContain("temporary self-signed certificate");
    await rig.until(async () => (await rig.tls.list())[0]?.source === "acme");
    const [main] = await rig.tls.list();
    expect(main).toMatchObject({ names: ["music.example.com"], failures: 0 });
    const file = join(folder, "certs/acme.pem");
    expect(((await stat(file)).mode & 0o777).toString(8)).toBe("600");
    await rig.until(async () => (await rig.served()) === main?.fingerprint);

    await rig.tls.refresh();
    expect(await rig.served()).toBe(main?.fingerprint ?? "");
    expect(await rig.tls.renew({ force: true })).toBe(true);
    const renewed = await rig.served();
    expect(renewed).not.toBe(main?.fingerprint ?? "");

    // Pebble's certificates live for five years; two thirds of that later the next one is due.
    const { notBefore, notAfter } = readCertificate((await rig.tls.store.load("acme"))?.cert ?? "");
    rig.clock.offset = (notAfter - notBefore) * 0.7;
    await rig.tls.refresh();
    expect(await rig.served()).not.toBe(renewed);
  });

  test("another name, and another server, make a new certificate", async () => {
    pebble = await startPebble();
    stops.push(stopPebble);
    const rig = await startWithProofs({ acme: acme() }, pebble.httpPort);
    await rig.until(async () => (await rig.tls.list())[0]?.source === "acme");
    rig.settings.acme.names = ["music.example.com", "more.example.com"];
    await rig.tls.refresh();
    expect((await rig.tls.list())[0]?.names.toSorted()).toEqual(["more.example.com", "music.example.com"]);
    const before = await rig.served();
    await using other = await startPebble({ httpPort: pebble.httpPort });
    Object.assign(rig.settings.acme, { directory_url: other.directory, ca_file: other.caFile });
    await rig.tls.refresh();
    expect(await rig.served()).not.toBe(before);
  });

  test("the server is down at the start: temporary, said, tried again, and then good", async () => {
    pebble = await startPebble();
    stops.push(stopPebble);
    const rig = await startWithProofs(
      { acme: acme({ directory_url: "http://127.0.0.1:1/dir", retry_after: 1 }) },
      pebble.httpPort,
    );
    await rig.until(() => rig.text().includes("no certificate from the ACME server"));
    expect(rig.text()).toContain("无法连接证书服务器 127.0.0.1:1（ECONNREFUSED）");
    expect((await rig.tls.list())[0]).toMatchObject({ source: "temporary" });
    expect(rig.tls.secureTarget()).toBeUndefined();
    rig.settings.acme.directory_url = pebble.directory;
    await rig.until(async () => (await rig.tls.list())[0]?.source === "acme");
    expect(rig.tls.health()).toBe(true);
  });

  test("a failing proof: the reason, waiting longer each time, also over a restart", async () => {
    pebble = await startPebble();
    stops.push(stopPebble);
    const failing = { acme: acme({ retry_after: 3600 }) };
    const first = await start(failing);
    await first.until(() => first.text().includes("no certificate from the ACME server"));
    const [before] = await first.tls.list();
    expect(before).toMatchObject({ source: "temporary", failures: 1 });
    expect(before?.problem).toMatch(/music\.example\.com 验证失败：/);
    const wait = (before?.nextAttemptAt ?? 0) - Date.now();
    expect(Math.round(wait / 60_000)).toBe(60);

    const second = await start(failing);
    await second.tls.refresh();
    expect(second.text()).not.toContain("asking for a certificate");
    second.clock.offset = 3_700_000;
    await second.tls.refresh();
    const [after] = await second.tls.list();
    expect(after).toMatchObject({ failures: 2 });
    expect(Math.round(((after?.nextAttemptAt ?? 0) - Date.now() - second.clock.offset) / 60_000)).toBe(120);
    // Another order is another matter, and what a person asks for is tried at once.
    second.settings.acme.names = ["other.example.com"];
    await second.tls.refresh();
    expect((await second.tls.list())[0]).toMatchObject({ failures: 1 });
    expect(await second.tls.renew({ force: true }).catch((error) => error)).toMatchObject({ kind: "upstream_refused" });
    expect(await second.metrics()).toContain("lx_certificate_renewal_failures 2");
  });

  test("the server asks for an early renewal", async () => {
    pebble = await startPebble();
    stops.push(stopPebble);
    // Pebble has no such service: one in front of it adds the address and answers.
    let window = { start: "2099-01-01T00:00:00Z", end: "2099-01-02T00:00:00Z" };
    const front = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        const { pathname, origin } = new URL(request.url);
        if (pathname.startsWith("/ari/")) return Response.json({ suggestedWindow: window });
        const directory = await (await fetch(pebble.directory, { tls: { ca: pebble.ca } })).json();
        return Response.json({ ...Object(directory), renewalInfo: `${origin}/ari` });
      },
    });
    stops.push(() => front.stop(true));
    const rig = await startWithProofs({ acme: acme({ directory_url: `${front.url.origin}/dir` }) }, pebble.httpPort);
    await rig.until(async () => (await rig.tls.list())[0]?.source === "acme");
    const before = await rig.served();
    await rig.tls.refresh();
    expect(await rig.served()).toBe(before);
    window = { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" };
    await rig.tls.refresh();
    expect(await rig.served()).not.toBe(before);
  });

  test("another process with the same folder renews: taken over", async () => {
    pebble = await startPebble();
    stops.push(stopPebble);
    const rig = await startWithProofs({ acme: acme() }, pebble.httpPort);
    await rig.until(async () => (await rig.tls.list())[0]?.source === "acme");
    const before = await rig.served();
    const command = createTls({
      settings: () => rig.settings,
      dataDir: folder,
      log: silentLogger,
      now: Date.now,
      random: Math.random,
    });
    await command.renew({ force: true });
    await rig.until(async () => (await rig.served()) !== before);
  });
});

test("HTTPS switched off: nothing is opened, nothing is made", async () => {
  const [port = 0] = freePorts(1);
  const settings = settingsOf({ enable: false, ssl_ports: [port] });
  const tls = createTls({
    settings: () => settings,
    dataDir: folder,
    log: silentLogger,
    now: Date.now,
    random: Math.random,
  });
  expect(await tls.prepare()).toBeUndefined();
  await tls.refresh();
  expect(tls.health()).toBe(true);
  expect(await tls.authority()).toBeUndefined();
  expect(await tls.list()).toEqual([]);
  expect(await stat(join(folder, "certs")).catch(() => "absent")).toBe("absent");
});

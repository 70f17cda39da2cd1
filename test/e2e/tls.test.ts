import { afterEach, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import { fingerprintOf, handshake, makeChain } from "../tls/openssl.ts";
import { freePorts, startPebble } from "../tls/pebble.ts";
import { binaryPath, cleanEnvironment, type RunningServer, startServer } from "./server.ts";

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

interface SecureServer extends RunningServer {
  port: number;
  certificates(): Promise<string>;
}

/** A server with HTTPS; `ssl` is laid over `common.ssl_info`. */
async function start(ssl: Record<string, unknown>, common: Record<string, unknown> = {}): Promise<SecureServer> {
  const server = await startServer({
    config: { common: { ssl_info: { enable: true, ssl_ports: [0], watch_interval: 1, ...ssl }, ...common } },
  });
  stops.push(server.remove);
  const port = Number(/https:\/\/\S+?:(\d+)/.exec(server.output())?.[1]);
  return { ...server, port, certificates: () => command(server.dataDir, "cert", "list") };
}

async function command(dataDir: string, ...args: string[]): Promise<string> {
  const child = await $`${binaryPath()} ${args} --data ${dataDir}`.env(cleanEnvironment()).nothrow().quiet();
  if (child.exitCode !== 0) throw new Error(`${args.join(" ")}: exit ${child.exitCode}\n${child.stderr}`);
  return child.stdout.toString();
}

async function until(what: () => boolean | Promise<boolean>, say: () => string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error(`it did not happen:\n${say()}`);
    await Bun.sleep(50);
  }
}

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "lx-tls-e2e-"));
  stops.push(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** The local CA as a phone fetches it. */
async function caFile(server: RunningServer): Promise<string> {
  const file = join(server.dataDir, "fetched-ca.crt");
  await Bun.write(file, await (await server.get("/ca.crt")).text());
  return file;
}

describe("ACME", () => {
  test("issued at start, renewed by a command while clients are busy: nothing is lost", async () => {
    const pebble = await startPebble({ nonceReject: 10 });
    stops.push(() => pebble[Symbol.asyncDispose]());
    const music = await folder();
    await $`ffmpeg -v error -f lavfi -i sine=frequency=440:duration=25 -ar 44100 -ac 2 ${join(music, "long.wav")}`.quiet();
    const size = (await stat(join(music, "long.wav"))).size;
    const server = await start(
      { mode: "acme", names: ["music.example.com"], acme: { directory_url: pebble.directory, ca_file: pebble.caFile } },
      { ports: [pebble.httpPort], local_music: { audio_path: music } },
    );
    await until(() => server.output().includes("serving another certificate"), server.output);
    const before = (await handshake(server.port, "music.example.com")).fingerprint;
    expect(before).toBe(await storedFingerprint(server));
    await until(() => /library scanned files=1/.test(server.output()), server.output);

    const origin = `https://127.0.0.1:${server.port}`;
    const query = Buffer.from(JSON.stringify({ p: "long.wav" })).toString("base64url");
    const download = (version: string) =>
      $`curl -sk ${version} --limit-rate 700k -o /dev/null -w ${"%{http_code} %{size_download} %{exitcode}"} ${`${origin}/local/u?q=${query}`}`
        .nothrow()
        .text();
    const downloads = [download("--http1.1"), download("--http2")];
    const wrk = Bun.spawn(["wrk", "-t1", "-c8", "-d8s", `${origin}/`], { stdout: "pipe" });
    const newcomers = Bun.spawn(["bun", join(import.meta.dir, "../tls/new-connections.ts"), String(server.port)], {
      stdout: "pipe",
    });
    await Bun.sleep(500);
    expect(await command(server.dataDir, "cert", "renew", "--force")).toContain("renewed");
    const renewed = await storedFingerprint(server);
    expect(renewed).not.toBe(before);
    await until(async () => (await handshake(server.port, null)).fingerprint === renewed, server.output);

    const load = await new Response(wrk.stdout).text();
    newcomers.kill("SIGINT");
    expect(load).not.toMatch(/Socket errors|Non-2xx/);
    expect(JSON.parse(await new Response(newcomers.stdout).text())).toMatchObject({ failed: 0 });
    expect(await Promise.all(downloads)).toEqual([`200 ${size} 0`, `200 ${size} 0`]);
    const chain = await handshake(server.port, "music.example.com");
    expect(chain.subjects).toHaveLength(2);
    expect(chain.subjects[1]).toContain("Pebble Intermediate");
  }, 60_000);

  test("the ACME server is down: HTTP works, HTTPS has a temporary certificate, the log says why", async () => {
    const server = await start({
      names: ["a.example.com"],
      mode: "acme",
      acme: { directory_url: "http://127.0.0.1:1/dir" },
    });
    await until(() => server.output().includes("no certificate from the ACME server"), server.output);
    expect(server.output()).toContain("无法连接证书服务器 127.0.0.1:1（ECONNREFUSED）");
    expect((await server.get("/health")).status).toBe(200);
    expect((await handshake(server.port, null)).subjects[0]).toContain("LX Music API Server");
    const ready = await (await server.get("/ready")).json();
    expect(ready.checks).toContainEqual({
      name: "certificate",
      required: false,
      ok: false,
      reason: "temporary certificate",
    });
  });

  test("cert issue without a server answers the proof itself; dns-01 goes by the hook", async () => {
    const pebble = await startPebble();
    stops.push(() => pebble[Symbol.asyncDispose]());
    const dataDir = await folder();
    const ssl = `ssl_info: { acme: { ca_file: ${pebble.caFile}, dns_wait: 0 } }`;
    await Bun.write(
      join(dataDir, "config/config.yml"),
      `common: { hosts: [127.0.0.1], ports: [${pebble.httpPort}], ${ssl} }`,
    );
    const said = await command(dataDir, "cert", "issue", "one.example.com", "--directory", pebble.directory);
    expect(said).toMatch(/names +one\.example\.com/);
    expect(said).toContain("set common.ssl_info.enable: true and common.ssl_info.mode: acme");
    const wild = await command(
      dataDir,
      "cert",
      "issue",
      "*.example.com",
      "--directory",
      pebble.directory,
      "--challenge",
      "dns-01",
      "--hook",
      pebble.dnsHook,
      "--key-type",
      "rsa",
      "--json",
    );
    expect(JSON.parse(wild)).toMatchObject({ name: "acme", names: ["*.example.com"], keyType: "RSA 2048" });
    expect(((await stat(join(dataDir, "certs/acme.pem"))).mode & 0o777).toString(8)).toBe("600");
    expect(await command(dataDir, "cert", "show", "acme")).toMatch(/issuer +CN=Pebble/);
  });
});

async function storedFingerprint(server: RunningServer): Promise<string> {
  const text = await Bun.file(join(server.dataDir, "certs/acme.pem")).text();
  return fingerprintOf(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(text)?.[0] ?? "");
}

describe("what is wrong at the start is said, and the rest starts", () => {
  const rows: {
    name: string;
    make: (at: string) => Promise<Record<string, unknown>>;
    says: RegExp;
    subject: string;
  }[] = [
    {
      name: "wrong key",
      make: async (at) => {
        const [own, other] = [
          await makeChain(at, { organization: "Own" }),
          await makeChain(at, { organization: "Other" }),
        ];
        await Bun.write(join(at, "c.pem"), own.leaf + own.intermediate);
        await Bun.write(join(at, "k.pem"), other.key);
        return { path: { cert: join(at, "c.pem"), privkey: join(at, "k.pem") } };
      },
      says: /certificate cannot be used .*the private key in \S+k\.pem does not belong to the certificate in \S+c\.pem/,
      subject: "LX Music API Server",
    },
    {
      name: "expired certificate",
      make: async (at) => {
        const own = await makeChain(at, { organization: "Own", from: "20240101000000Z", until: "20240401000000Z" });
        await Bun.write(join(at, "c.pem"), own.leaf + own.intermediate);
        await Bun.write(join(at, "k.pem"), own.key);
        return { path: { cert: join(at, "c.pem"), privkey: join(at, "k.pem") } };
      },
      says: /certificate has a flaw .*expired on 2024-04-01/,
      subject: "O = Own",
    },
    {
      name: "file that is not there",
      make: async () => ({ path: { cert: "/nonexistent/c.pem", privkey: "/nonexistent/k.pem" } }),
      says: /certificate cannot be used .*the certificate file \/nonexistent\/c\.pem cannot be read: it does not exist/,
      subject: "LX Music API Server",
    },
    {
      name: "folder in the place of a file",
      make: async (at) => {
        await mkdir(join(at, "c.pem"));
        return { path: { cert: join(at, "c.pem"), privkey: join(at, "c.pem") } };
      },
      says: /cannot be read: it is a folder, not a file/,
      subject: "LX Music API Server",
    },
  ];
  test.each(rows)("$name", async ({ make, says, subject }) => {
    const server = await start(await make(await folder()));
    expect(server.output()).toMatch(says);
    expect((await server.get("/health")).status).toBe(200);
    expect((await handshake(server.port, null)).subjects[0]).toContain(subject);
  });

  test("port in use", async () => {
    const other = Bun.listen({ port: 0, hostname: "127.0.0.1", socket: { data() {} } });
    const server = await startServer({
      config: { common: { ssl_info: { enable: true, ssl_ports: [other.port], redirect_http: true } } },
    });
    stops.push(server.remove);
    expect(server.output()).toMatch(
      new RegExp(
        `ERROR cannot listen address=https://127.0.0.1:${other.port} reason="the port is in use by another program"`,
      ),
    );
    // Nobody is sent to a port where another program listens.
    expect((await server.get("/", { redirect: "manual" })).status).toBe(200);
    other.stop(true);
  });

  test("cipher suites that nobody knows", async () => {
    const server = await startServer({
      config: { common: { ssl_info: { enable: true, ssl_ports: [0], ciphers: "NONSENSE" } } },
    });
    stops.push(server.remove);
    expect(server.output()).toContain("common.ssl_info.ciphers names no cipher suite that is known here");
    expect((await server.get("/health")).status).toBe(200);
  });

  test("a second server on the same ports", async () => {
    const [http = 0, https = 0] = freePorts(2);
    const first = await start({ ssl_ports: [https] }, { ports: [http] });
    const second = await startServer({
      config: { common: { ports: [http], ssl_info: { enable: true, ssl_ports: [https] } } },
    }).catch((error: Error) => error);
    expect(String(second)).toContain("cannot listen anywhere");
    expect((await first.get("/health")).status).toBe(200);
  });
});

describe("clients", () => {
  test("curl with the fetched CA, HTTP/1.1 and HTTP/2; HSTS; redirects", async () => {
    const server = await start({ names: ["music.example.com"], hsts: 31_536_000, redirect_http: true });
    const ca = await caFile(server);
    const resolve = `music.example.com:${server.port}:127.0.0.1`;
    for (const [option, version] of [
      ["--http1.1", "1.1"],
      ["--http2", "2"],
    ]) {
      const shown =
        await $`curl -s ${option} --cacert ${ca} --resolve ${resolve} -w ${"%{http_version} %{http_code}"} -o /dev/null https://music.example.com:${server.port}/health`.text();
      expect(shown).toBe(`${version} 200`);
    }
    const secure = await $`curl -si --cacert ${ca} https://127.0.0.1:${server.port}/`.text();
    expect(secure.toLowerCase()).toContain("strict-transport-security: max-age=31536000");
    const ask = (path: string, init: RequestInit = {}) => server.get(path, { redirect: "manual", ...init });
    const sent = await ask("/url/kw/1/128k?a=1");
    expect([sent.status, sent.headers.get("location")]).toEqual([
      301,
      `https://127.0.0.1:${server.port}/url/kw/1/128k?a=1`,
    ]);
    expect(sent.headers.get("strict-transport-security")).toBeNull();
    expect((await ask("/script", { method: "POST" })).status).toBe(308);
    expect((await ask("/", { headers: { host: "evil.test" } })).headers.get("location")).toBe(
      `https://music.example.com:${server.port}/`,
    );
    expect((await ask("/health")).status).toBe(200);
    expect((await ask("/.well-known/acme-challenge/none")).status).toBe(404);
  });

  test("names (SNI): exact, wildcard, unknown, none", async () => {
    const at = await folder();
    const make = async (organization: string, names: string[]) => {
      const made = await makeChain(at, { organization, names });
      const files = { cert: join(at, `${organization}.pem`), privkey: join(at, `${organization}.key`) };
      await Bun.write(files.cert, made.leaf + made.intermediate);
      await Bun.write(files.privkey, made.key);
      return files;
    };
    const server = await start({
      path: await make("Main", ["main.test"]),
      sni: [
        { name: "", ...(await make("One", ["one.test"])) },
        { name: "*.wild.test", ...(await make("Wild", ["*.wild.test"])) },
      ],
    });
    const rows: [string | null, string][] = [
      ["one.test", "One"],
      ["a.wild.test", "Wild"],
      ["a.b.wild.test", "Main"],
      ["stranger.test", "Main"],
      [null, "Main"],
    ];
    for (const [name, organization] of rows) {
      const { subjects } = await handshake(server.port, name);
      expect([name, ...subjects]).toEqual([
        name,
        `O = ${organization}, CN = leaf`,
        `O = ${organization}, CN = Intermediate`,
      ]);
    }
    expect(await server.certificates()).toMatch(/main +files[\s\S]*sni 1 +files[\s\S]*sni 2 \*\.wild\.test +files/);
  });

  test("Unix socket for a proxy in front", async () => {
    const path = join(await folder(), "lx.sock");
    await start({ redirect_http: true }, { unix_socket: path });
    const ask = (headers: Record<string, string>) =>
      fetch("http://localhost/", { unix: path, redirect: "manual", headers });
    expect((await ask({})).status).toBe(200);
    expect((await ask({ "x-forwarded-proto": "https", "x-forwarded-host": "music.example.com" })).status).toBe(200);
    const sent = await ask({ "x-forwarded-proto": "http", "x-forwarded-host": "music.example.com" });
    expect([sent.status, sent.headers.get("location")]).toEqual([301, "https://music.example.com/"]);
  });
});

describe("judges", () => {
  test("sslscan: no weak version, no weak cipher", async () => {
    const server = await start({});
    const text = await $`sslscan --no-colour --show-certificate 127.0.0.1:${server.port}`.text();
    for (const version of ["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"])
      expect(text).toMatch(new RegExp(`^${version}\\s+disabled`, "m"));
    for (const version of ["TLSv1.2", "TLSv1.3"]) expect(text).toMatch(new RegExp(`^${version}\\s+enabled`, "m"));
    const accepted = [...text.matchAll(/^(?:Accepted|Preferred) +\S+ +\d+ bits +(\S+)/gm)].map(
      (match) => match[1] ?? "",
    );
    expect(accepted.length).toBeGreaterThanOrEqual(4);
    expect(
      accepted.filter(
        (cipher) => !/^(?:TLS_(?:AES|CHACHA20)|ECDHE-(?:ECDSA|RSA)-(?:AES\d+-GCM|CHACHA20))/.test(cipher),
      ),
    ).toEqual([]);
    expect(text).toContain("not vulnerable to heartbleed");
    expect(text).toMatch(/Compression disabled|does not support compression/);
    expect(text).not.toMatch(/insecure/i);
  }, 60_000);

  const heavy = process.env["LX_TEST_HEAVY"] === "1";
  test.each(
    [
      { name: "EC", key_type: "ec" },
      { name: "RSA", key_type: "rsa" },
    ].slice(0, heavy ? 2 : 1),
  )(
    "testssl.sh: $name",
    async ({ key_type }) => {
      const server = await start({ key_type, hsts: 31_536_000 });
      const ca = await caFile(server);
      const report = join(server.dataDir, "testssl.json");
      const checks = heavy ? [] : ["--protocols", "--server-defaults", "--fs", "--server-preference"];
      await $`testssl --quiet --warnings off --color 0 --ip 127.0.0.1 --add-ca ${ca} --jsonfile ${report} ${checks} localhost:${server.port}`
        .nothrow()
        .quiet();
      const rows: { id: string; severity: string; finding: string }[] = await Bun.file(report).json();
      const bad = rows.filter(
        ({ severity, id }) => /^(?:LOW|MEDIUM|HIGH|CRITICAL|FATAL)$/.test(severity) && !OF_A_LOCAL_CA.has(id),
      );
      expect(bad).toEqual([]);
      const finding = (id: string) => rows.find((row) => row.id === id)?.finding;
      expect(finding("TLS1_3")).toMatch(/offered/);
      expect(finding("TLS1_1")).toBe("not offered");
      expect(finding("FS") ?? finding("PFS")).toBe("offered");
      expect(finding("cert_chain_of_trust")).toMatch(/passed/);
      expect(finding("cert_trust")).toMatch(/Ok/);
      // Newer versions also give a grade.
      expect(finding("overall_grade") ?? "A").toMatch(/^A/);
    },
    heavy ? 600_000 : 90_000,
  );
});

/** A public CA's duties, which one for the household has not: revocation, transparency, CAA. */
const OF_A_LOCAL_CA = new Set([
  "cert_revocation",
  "cert_crlDistributionPoints",
  "cert_ocspURL",
  "OCSP_stapling",
  "DNS_CAArecord",
  "certificate_transparency",
  "cert_notAfter",
  "cert_extlifeSpan",
]);

describe("cert", () => {
  test("self-signed for another program, with every name", async () => {
    const dataDir = await folder();
    const out = join(dataDir, "out");
    const said = await command(
      dataDir,
      "cert",
      "self-signed",
      "nas.home.arpa",
      "--out",
      out,
      "--days",
      "30",
      "--key-type",
      "rsa",
    );
    expect(said).toMatch(/names +nas\.home\.arpa localhost/);
    const verified =
      await $`openssl verify -CAfile ${out}/ca.crt -verify_hostname nas.home.arpa ${out}/fullchain.pem`.text();
    expect(verified).toContain(": OK");
    for (const name of ["fullchain.pem", "privkey.pem"]) {
      expect(((await stat(join(out, name))).mode & 0o777).toString(8)).toBe("600");
    }
    expect(await command(dataDir, "cert", "show", join(out, "fullchain.pem"))).toMatch(/key +RSA 2048/);
    const alone = JSON.parse(await command(dataDir, "cert", "self-signed", "--out", out, "--no-ca", "--json"));
    expect(alone).toMatchObject({ selfSigned: true, keyType: "EC prime256v1" });
  });

  test("a running server takes a new self-signed certificate over", async () => {
    const server = await start({});
    const before = (await handshake(server.port, null)).fingerprint;
    await command(server.dataDir, "cert", "self-signed", "extra.home.arpa");
    await until(async () => (await handshake(server.port, null)).fingerprint !== before, server.output);
    expect(await server.certificates()).toContain("extra.home.arpa");
    expect(await command(server.dataDir, "cert", "show")).toContain("extra.home.arpa");
  });

  test.each([
    { name: "no such certificate", args: ["cert", "show", "acme"], code: 1, says: 'no stored certificate "acme"' },
    { name: "no such file", args: ["cert", "show", "/nonexistent.pem"], code: 1, says: "it does not exist" },
    {
      name: "no host name",
      args: ["cert", "self-signed", "http://a/", "--out", "/tmp/x"],
      code: 2,
      says: "neither a host name nor an IP address",
    },
    {
      name: "unknown key type",
      args: ["cert", "self-signed", "--out", "/tmp/x", "--key-type", "dsa"],
      code: 2,
      says: '"dsa" is none of ec, rsa',
    },
    {
      name: "options that need --out",
      args: ["cert", "self-signed", "--days", "3"],
      code: 2,
      says: "--days goes with --out",
    },
    { name: "nothing to issue", args: ["cert", "issue"], code: 2, says: "没有要签发的域名" },
    {
      name: "ACME server away",
      args: ["cert", "issue", "a.test", "--directory", "http://127.0.0.1:1/dir"],
      code: 1,
      says: "无法连接证书服务器",
    },
  ])("$name", async ({ args, code, says }) => {
    const dataDir = await folder();
    const done = await $`${binaryPath()} ${args} --data ${dataDir}`.env(cleanEnvironment()).nothrow().quiet();
    expect([done.exitCode, done.stderr.toString()]).toEqual([code, expect.stringContaining(says)]);
  });
});

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { silentLogger } from "../../src/ops/log.ts";
import { type AcmeOrder, issueCertificate, serverSlug } from "../../src/tls/acme.ts";
import { pemBlocks, readCertificate } from "../../src/tls/certificate.ts";
import { dnsProof, httpProof } from "../../src/tls/challenges.ts";
import { answerChallenges } from "../../src/tls/standalone.ts";
import { type CertificateStore, createCertificateStore } from "../../src/tls/store.ts";
import { type Pebble, startPebble } from "./pebble.ts";

let pebble: Pebble;
let folder: string;
let store: CertificateStore;

beforeAll(async () => {
  // Twice as many good nonces as pebble refuses by default.
  pebble = await startPebble({ nonceReject: 10 });
});
afterAll(() => pebble[Symbol.asyncDispose]());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-acme-"));
  store = createCertificateStore(folder, Date.now);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const deps = () => ({ store, proof: httpProof(store), log: silentLogger, now: Date.now });
const order = (names: string[], more: Partial<AcmeOrder> = {}): AcmeOrder => ({
  directoryUrl: pebble.directory,
  email: "",
  names,
  keyType: "ec",
  ca: pebble.ca,
  ...more,
});
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  );

/** Answers http-01 while the work runs. */
async function answering<T>(work: () => Promise<T>): Promise<T> {
  const listener = await answerChallenges(
    store.challenge,
    { hosts: ["127.0.0.1"], ports: [pebble.httpPort] },
    silentLogger,
  );
  expect(listener).toBeDefined();
  try {
    return await work();
  } finally {
    await listener?.stop(100);
  }
}

describe("http-01", () => {
  test.each([
    { name: "one name, EC", names: ["one.example.com"], keyType: "ec", key: "EC prime256v1" },
    {
      name: "three names, RSA",
      names: ["a.example.com", "b.example.com", "c.example.net"],
      keyType: "rsa",
      key: "RSA 2048",
    },
  ] as const)("$name", async ({ names, keyType, key }) => {
    const pair = await answering(() =>
      issueCertificate(order([...names], { keyType, email: "me@example.com" }), deps()),
    );
    const info = readCertificate(pair.cert);
    expect(info.names.toSorted()).toEqual([...names]);
    expect(info.keyType).toBe(key);
    expect(pemBlocks(pair.cert, /^CERTIFICATE$/)).toHaveLength(2);
    await Bun.write(join(folder, "root.pem"), await pebble.root());
    await Bun.write(join(folder, "chain.pem"), pair.cert);
    const verified =
      await Bun.$`openssl verify -CAfile ${join(folder, "root.pem")} -untrusted ${join(folder, "chain.pem")} ${join(folder, "chain.pem")}`.text();
    expect(verified).toContain(": OK");
    expect(await readdir(join(folder, "acme/challenges"))).toEqual([]);
  });

  test("the account is kept, in a file for the owner only", async () => {
    await answering(() => issueCertificate(order(["one.example.com"]), deps()));
    const first = await store.loadAcme(serverSlug(pebble.directory));
    await answering(() => issueCertificate(order(["two.example.com"]), deps()));
    expect(await store.loadAcme(serverSlug(pebble.directory))).toEqual(first);
    expect(first?.accountUrl).toContain("/my-account/");
    const { mode } = await stat(join(folder, "acme", `${serverSlug(pebble.directory)}.json`));
    expect((mode & 0o777).toString(8)).toBe("600");
  });

  test("an account that the server has forgotten is made anew", async () => {
    await answering(() => issueCertificate(order(["one.example.com"]), deps()));
    const server = serverSlug(pebble.directory);
    const record = await store.loadAcme(server);
    if (record === undefined) throw new Error("no record");
    await store.saveAcme(server, { ...record, accountUrl: record.accountUrl?.replace(/[^/]+$/, "9999999") ?? "" });
    await answering(() => issueCertificate(order(["one.example.com"]), deps()));
    expect((await store.loadAcme(server))?.accountUrl).toBe(record.accountUrl);
  });

  test("a renewal names what it replaces; a server that knows no such thing does not mind", async () => {
    const replaces = await answering(() => issueCertificate(order(["one.example.com"]), deps()));
    const next = await answering(() => issueCertificate(order(["one.example.com"], { replaces }), deps()));
    expect(readCertificate(next.cert).serial).not.toBe(readCertificate(replaces.cert).serial);
  });

  test("nobody answers for the name: the server's reason, and nothing left behind", async () => {
    const failure = await failureOf(issueCertificate(order(["silent.example.com"]), deps()));
    expect(failure).toMatchObject({ kind: "upstream_refused" });
    expect(failure.message).toMatch(/^silent\.example\.com 验证失败：.*connection refused/s);
    expect(await readdir(join(folder, "acme/challenges"))).toEqual([]);
  });

  test("a wrong answer: the server's reason", async () => {
    const wrong = {
      ...deps(),
      proof: { ...httpProof(store), present: (_: string, token: string) => store.putChallenge(token, "wrong") },
    };
    const failure = await failureOf(answering(() => issueCertificate(order(["one.example.com"]), wrong)));
    expect(failure.message).toMatch(/one\.example\.com 验证失败：.*key authorization/is);
  });
});

describe("dns-01", () => {
  const dnsDeps = (hook: string) => ({ ...deps(), proof: dnsProof({ hook, waitMs: 0 }) });

  test("wildcard, by the operator's program; the records are taken away", async () => {
    const pair = await issueCertificate(order(["*.wild.example.com", "other.example.com"]), dnsDeps(pebble.dnsHook));
    expect(readCertificate(pair.cert).names.toSorted()).toEqual(["*.wild.example.com", "other.example.com"]);
    const log = await Bun.file(join(dirname(pebble.dnsHook), "hook.log")).text();
    expect(log.trim().split("\n").toSorted()).toEqual([
      "cleanup _acme-challenge.other.example.com",
      "cleanup _acme-challenge.wild.example.com",
      "present _acme-challenge.other.example.com",
      "present _acme-challenge.wild.example.com",
    ]);
  });

  test.each([
    { name: "no program is set", hook: "", kind: "invalid_request", says: /需要设置 common\.ssl_info\.acme\.dns_hook/ },
    {
      name: "the program is not there",
      hook: "/nonexistent/hook",
      kind: "upstream_refused",
      says: /dns_hook 失败：\/nonexistent\/hook/,
    },
    {
      name: "the program fails",
      hook: "/bin/false",
      kind: "upstream_refused",
      says: /present _acme-challenge\.one\.example\.com: exit code 1/,
    },
  ])("$name", async ({ hook, kind, says }) => {
    const failure = await failureOf(issueCertificate(order(["one.example.com"]), dnsDeps(hook)));
    expect(failure.kind).toBe(kind);
    expect(failure.message).toMatch(says);
  });
});

describe("what cannot work is said before the server is asked", () => {
  test.each([
    { name: "no names", names: [], says: /没有要签发的域名/ },
    { name: "wildcard over http-01", names: ["*.example.com"], says: /\*\.example\.com 只能用 dns-01/ },
  ])("$name", async ({ names, says }) => {
    const failure = await failureOf(
      issueCertificate(order([...names], { directoryUrl: "http://127.0.0.1:1/dir" }), deps()),
    );
    expect(failure).toMatchObject({ kind: "invalid_request" });
    expect(failure.message).toMatch(says);
  });
});

describe("the server refuses", () => {
  test.each([
    { name: "an address where names belong", names: ["192.0.2.1"], says: /证书签发失败/ },
    { name: "a contact without a domain", names: ["a.example.com"], email: "nobody", says: /证书签发失败：/ },
  ])("$name", async ({ names, email = "", says }) => {
    const failure = await failureOf(issueCertificate(order([...names], { email }), deps()));
    expect(failure).toMatchObject({ kind: "upstream_refused" });
    expect(failure.message).toMatch(says);
  });

  test("its HTTPS is signed by a CA that we were not told of", async () => {
    const failure = await failureOf(issueCertificate({ ...order(["a.example.com"]), ca: undefined }, deps()));
    expect(failure).toMatchObject({ kind: "upstream_unreachable" });
    expect(failure.message).toMatch(
      /^无法连接证书服务器 127\.0\.0\.1:\d+（.*(?:SELF_SIGNED|UNABLE_TO|certificate).*）$/,
    );
  });

  test.each([
    { name: "it is down", directoryUrl: "http://127.0.0.1:1/dir", reason: "ECONNREFUSED" },
    { name: "it is no ACME server", directoryUrl: "", reason: "HTTP 404" },
  ])("$name", async ({ directoryUrl, reason }) => {
    const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("no", { status: 404 }) });
    const address = directoryUrl || `${other.url.origin}/dir`;
    const failure = await failureOf(issueCertificate(order(["a.example.com"], { directoryUrl: address }), deps()));
    await other.stop(true);
    expect(failure).toMatchObject({ kind: "upstream_unreachable" });
    expect(failure.message).toContain(`无法连接证书服务器 ${new URL(address).host}（${reason}）`);
  });

  test("it goes away in the middle", async () => {
    await using leaving = await startPebble();
    const proof = { ...httpProof(store), present: () => leaving.stop() };
    const asked = order(["a.example.com"], { directoryUrl: leaving.directory, ca: leaving.ca });
    const failure = await failureOf(issueCertificate(asked, { ...deps(), proof }));
    expect(failure).toMatchObject({ kind: "upstream_unreachable" });
  }, 60_000);
});

describe("external account binding", () => {
  test.each([
    {
      name: "with the right key",
      given: { kid: "kid-1", hmacKey: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W" },
      works: true,
    },
    {
      name: "with a wrong key",
      given: { kid: "kid-1", hmacKey: "AAAAZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W" },
      works: false,
    },
    { name: "without", given: undefined, works: false },
  ])("$name", async ({ given, works }) => {
    await using bound = await startPebble({
      eab: { kid: "kid-1", hmacKey: "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W" },
    });
    const asked = { ...order(["one.example.com"]), directoryUrl: bound.directory, ca: bound.ca, eab: given };
    const listener = await answerChallenges(
      store.challenge,
      { hosts: ["127.0.0.1"], ports: [bound.httpPort] },
      silentLogger,
    );
    const failure = await failureOf(issueCertificate(asked, deps()));
    await listener?.stop(100);
    expect(failure?.kind).toBe(works ? undefined : "upstream_refused");
  });
});

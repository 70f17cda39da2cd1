import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { Value } from "@sinclair/typebox/value";
import { $ } from "bun";
import { type TlsSettings, tlsSection } from "../../../src/config/sections/tls.ts";
import { type RequestContext, type Role, setContext } from "../../../src/http/context.ts";
import { qrSvg } from "../../../src/http/pages/authority.ts";
import { phoneAddress } from "../../../src/http/phone-address.ts";
import { composeRoutes } from "../../../src/http/routes/index.ts";
import { tlsRoutes } from "../../../src/http/routes/tls.ts";
import { silentLogger } from "../../../src/ops/log.ts";
import { createTls, type Tls } from "../../../src/tls/tls.ts";

let folder: string;
let tls: Tls;
const settings: TlsSettings = Value.Parse(tlsSection, { ...Value.Create(tlsSection), enable: true });
const audited: string[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-tls-routes-"));
  tls = createTls({ settings: () => settings, dataDir: folder, log: silentLogger, now: Date.now, random: Math.random });
  await tls.prepare();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function ask(target: string, role: Role = "none", init?: RequestInit): Promise<Response> {
  const request = new Request(`http://localhost${target}`, init);
  const peer = { address: "127.0.0.1", loopback: true, forwarded: false };
  setContext(request, { id: "t", peer, startedAt: 0, role, user: "me", authorised: true });
  const group = tlsRoutes({
    tls,
    phoneAddress: () => "http://192.168.1.2:9763",
    audit: ({ user }: RequestContext, action, what) => void audited.push(`${user} ${action} ${what}`),
  });
  return composeRoutes([group], silentLogger).handle(request);
}

describe("proofs", () => {
  test("the answer to a known token, byte for byte", async () => {
    await tls.store.putChallenge("tok_en-1", "tok_en-1.thumb");
    const answer = await ask("/.well-known/acme-challenge/tok_en-1");
    expect([answer.status, await answer.text()]).toEqual([200, "tok_en-1.thumb"]);
    expect(answer.headers.get("content-type")).toBe("application/octet-stream");
  });

  test.each(["unknown", "..%2f..%2facme.pem", "%2e%2e", "%00", "x".repeat(400)])("%s: 404", async (token) => {
    expect((await ask(`/.well-known/acme-challenge/${token}`)).status).toBe(404);
  });
});

describe("the local CA", () => {
  test("can be fetched, and is the one that the certificate was signed by", async () => {
    const answer = await ask("/ca.crt");
    expect(answer.headers.get("content-type")).toBe("application/x-x509-ca-cert");
    await Bun.write(join(folder, "ca.crt"), await answer.text());
    const checked = await $`openssl verify -CAfile ${join(folder, "ca.crt")} ${tls.store.fileOf("self-signed")}`.text();
    expect(checked).toContain(": OK");
    expect(await Bun.file(join(folder, "ca.crt")).text()).not.toContain("PRIVATE KEY");
  });

  test("its page shows the fingerprint and needs neither script nor inline style", async () => {
    const page = await (await ask("/ca")).text();
    expect(page).toContain((await tls.authority())?.info.fingerprint ?? "?");
    expect(page).toContain('<a href="/ca.crt">http://192.168.1.2:9763/ca.crt</a>');
    expect(page).not.toMatch(/<script|<style|style=| on\w+=|javascript:/i);
  });

  test("a phone's camera reads the address", async () => {
    const svg = /<svg[\s\S]*<\/svg>/.exec(await (await ask("/ca")).text())?.[0] ?? "";
    expect(await scan(svg)).toBe("http://192.168.1.2:9763/ca.crt");
  });

  test.each(["http://[fd00::2]:9763/ca.crt", "https://a.very.long.name.example.com:65535/some/where/ca.crt"])(
    "also %s",
    async (address) => {
      expect(await scan(qrSvg(address))).toBe(address);
    },
  );

  test("none: 404", async () => {
    settings.mode = "acme";
    const ca = await tls.store.load("ca");
    await tls.store.remove("ca");
    expect((await ask("/ca")).status).toBe(404);
    expect((await ask("/ca.crt")).status).toBe(404);
    settings.mode = "auto";
    if (ca !== undefined) await tls.store.save("ca", ca);
  });
});

describe("the address on a phone", () => {
  const lan = Object.values(networkInterfaces())
    .flatMap((rows) => rows ?? [])
    .find((row) => row.family === "IPv4" && !row.internal)?.address;
  test.each([
    { name: "of another machine: as it is", base: "https://music.example.com", to: "https://music.example.com" },
    { name: "localhost", base: "http://localhost:9763", to: `http://${lan ?? "localhost"}:9763` },
    { name: "loopback", base: "http://127.0.0.1:9763", to: `http://${lan ?? "127.0.0.1"}:9763` },
    { name: "IPv6 loopback", base: "http://[::1]:9763", to: `http://${lan ?? "[::1]"}:9763` },
    { name: "our own HTTPS", base: "https://nas:9443", plain: 9763, to: "http://nas:9763" },
    { name: "our own HTTPS on its usual port", base: "https://nas", plain: 9763, to: "http://nas:9763" },
    { name: "HTTP stays", base: "http://nas:9763", plain: 80, to: "http://nas:9763" },
  ])("$name", ({ base, to, plain }) => {
    expect(phoneAddress(base, plain)).toBe(to);
  });
});

describe("management", () => {
  test.each([
    { name: "list, nobody", path: "", method: "GET", role: "none", status: 401 },
    { name: "list, viewer", path: "", method: "GET", role: "viewer", status: 200 },
    { name: "renew, nobody", path: "/renew", method: "POST", role: "none", status: 401 },
    { name: "renew, viewer", path: "/renew", method: "POST", role: "viewer", status: 403 },
    { name: "renew, admin", path: "/renew", method: "POST", role: "admin", status: 200 },
  ] as const)("$name: $status", async ({ path, method, role, status }) => {
    expect((await ask(`/api/v1/certificates${path}`, role, { method })).status).toBe(status);
  });

  test("the list tells everything but keys", async () => {
    const body = await (await ask("/api/v1/certificates", "viewer")).json();
    expect(body.pagination).toEqual({ page: 1, pageSize: 1, total: 1, totalPages: 1 });
    expect(body.data[0]).toMatchObject({
      id: "main",
      source: "self-signed",
      alarm: false,
      problem: null,
      nextAttemptAt: null,
    });
    expect(Date.parse(body.data[0].notAfter)).toBeGreaterThan(Date.now());
    expect(JSON.stringify(body)).not.toMatch(/PRIVATE|BEGIN/);
  });

  test("renewing makes another certificate, unless only a due one is wanted; it is audited", async () => {
    audited.length = 0;
    const serial = async () => (await (await ask("/api/v1/certificates", "viewer")).json()).data[0].serial;
    const renew = (body?: object) =>
      ask("/api/v1/certificates/renew", "admin", {
        method: "POST",
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
      });
    const first = await serial();
    expect((await (await renew()).json()).data.renewed).toBe(true);
    const second = await serial();
    expect(second).not.toBe(first);
    expect((await (await renew({ force: false })).json()).data.renewed).toBe(false);
    expect(await serial()).toBe(second);
    expect(audited).toEqual(["me certificate.renew main", "me certificate.renew main"]);
  });

  test("own files cannot be renewed: the reason", async () => {
    settings.mode = "files";
    const answer = await ask("/api/v1/certificates/renew", "admin", { method: "POST" });
    settings.mode = "auto";
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect((await answer.json()).error.message).toContain("证书来自自己的文件");
  });
});

/** What an independent reader sees in the picture. */
async function scan(svg: string): Promise<string> {
  const size = Number(/viewBox="0 0 (\d+)/.exec(svg)?.[1]);
  const scale = 6;
  const pixels = new Uint8Array(size * scale * size * scale).fill(255);
  for (const [, x, y] of svg.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    for (let row = 0; row < scale; row++) {
      const start = (Number(y) * scale + row) * size * scale + Number(x) * scale;
      pixels.fill(0, start, start + scale);
    }
  }
  const file = join(folder, "qr.pgm");
  await Bun.write(file, Buffer.concat([Buffer.from(`P5 ${size * scale} ${size * scale} 255\n`), pixels]));
  return (await $`zbarimg --quiet --raw ${file}`.text()).trim();
}

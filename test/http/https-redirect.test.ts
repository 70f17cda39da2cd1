import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createPeerReader } from "../../src/access/peer.ts";
import { createHttpsRedirect, type RedirectTarget } from "../../src/http/plugins/https-redirect.ts";

const target: RedirectTarget = {
  port: 443,
  isOurs: (host) =>
    ["music.example.com", "192.168.1.2", "fd00::2", "nas"].includes(host) || host.endsWith(".wild.test"),
  primary: "music.example.com",
};
const peers = createPeerReader({
  allow_public_ip: false,
  allow_proxy: true,
  real_ip_header: "X-Real-IP",
  trusted: ["10.0.0.1"],
});

interface Row {
  url: string;
  method?: string;
  headers?: Record<string, string>;
  peer?: string;
  port?: number;
  publicUrl?: string;
  behindHttps?: boolean;
  primary?: string | undefined;
  off?: boolean;
}

function ask({ url, method = "GET", headers = {}, peer = "93.184.216.34", ...row }: Row): Response | undefined {
  const at = { ...target, port: row.port ?? 443, primary: "primary" in row ? row.primary : target.primary };
  const redirect = createHttpsRedirect({
    target: () => (row.off === true ? undefined : at),
    publicUrl: () => row.publicUrl ?? "",
    behindHttps: () => row.behindHttps ?? false,
    externalOrigin: peers.externalOrigin,
  });
  return redirect(new Request(url, { method, headers: { host: new URL(url).host, ...headers } }), { address: peer });
}

describe("where a request is sent", () => {
  const cases: (Row & { name: string; to: string })[] = [
    {
      name: "our name",
      url: "http://music.example.com/url/kw/1/320k?info=a%20b",
      to: "https://music.example.com/url/kw/1/320k?info=a%20b",
    },
    { name: "its port is not ours", url: "http://music.example.com:9763/x", to: "https://music.example.com/x" },
    {
      name: "another HTTPS port",
      url: "http://music.example.com:9763/x",
      port: 8443,
      to: "https://music.example.com:8443/x",
    },
    {
      name: "upper case",
      url: "http://localhost/x",
      headers: { host: "Music.Example.Com" },
      to: "https://music.example.com/x",
    },
    { name: "wildcard name", url: "http://a.wild.test/", to: "https://a.wild.test/" },
    { name: "LAN address", url: "http://192.168.1.2:9763/", to: "https://192.168.1.2/" },
    { name: "IPv6", url: "http://[fd00::2]:9763/x", port: 8443, to: "https://[fd00::2]:8443/x" },
    { name: "single label", url: "http://nas/", to: "https://nas/" },
    { name: "a stranger's name: our main one", url: "http://evil.example.net/x", to: "https://music.example.com/x" },
    {
      name: "userinfo in the host",
      url: "http://localhost/x",
      headers: { host: "music.example.com@evil.test" },
      to: "https://music.example.com/x",
    },
    {
      name: "path that looks like a host",
      url: "http://music.example.com//evil.test/x",
      to: "https://music.example.com//evil.test/x",
    },
    {
      name: "public address of the config",
      url: "http://evil.test/x",
      publicUrl: "https://pub.example.org:444/sub",
      to: "https://pub.example.org:444/x",
    },
    {
      name: "public address without https counts for nothing",
      url: "http://music.example.com/",
      publicUrl: "http://pub.example.org",
      to: "https://music.example.com/",
    },
    {
      name: "trusted proxy names the host",
      url: "http://music.example.com/x",
      peer: "10.0.0.1",
      headers: { "x-forwarded-proto": "http", "x-forwarded-host": "outside.example.org:80" },
      port: 8443,
      to: "https://outside.example.org/x",
    },
    {
      name: "a stranger cannot name the host",
      url: "http://music.example.com/x",
      headers: { "x-forwarded-host": "evil.test" },
      to: "https://music.example.com/x",
    },
    {
      name: "a stranger cannot say https",
      url: "http://music.example.com/x",
      headers: { "x-forwarded-proto": "https" },
      to: "https://music.example.com/x",
    },
  ];
  test.each(cases)("$name", ({ to, ...row }) => {
    const answer = ask(row);
    expect(answer?.status).toBe(301);
    expect(answer?.headers.get("location")).toBe(to);
  });
});

describe("what stays on HTTP", () => {
  const cases: (Row & { name: string })[] = [
    { name: "switched off, or only a temporary certificate", url: "http://music.example.com/", off: true },
    { name: "already HTTPS", url: "https://music.example.com/" },
    { name: "a proxy in front speaks https (config)", url: "http://music.example.com/", behindHttps: true },
    {
      name: "a trusted proxy says https",
      url: "http://music.example.com/",
      peer: "10.0.0.1",
      headers: { "x-forwarded-proto": "https" },
    },
    { name: "a proxy on the Unix socket that says nothing", url: "http://music.example.com/", peer: "unix" },
    { name: "proofs for a certificate", url: "http://music.example.com/.well-known/acme-challenge/abc" },
    { name: "probes", url: "http://music.example.com/health" },
    { name: "readiness", url: "http://music.example.com/ready" },
    { name: "the page of the CA", url: "http://music.example.com/ca" },
    { name: "the CA itself", url: "http://music.example.com/ca.crt" },
    { name: "a stranger's name while we have none of our own", url: "http://evil.test/", primary: undefined },
  ];
  test.each(cases)("$name", (row) => {
    expect(ask(row)).toBeUndefined();
  });

  test.each(["/healthy", "/.well-known/other", "/ca/x", "/health/x"])("but not %s", (path) => {
    expect(ask({ url: `http://music.example.com${path}` })?.status).toBe(301);
  });
});

test.each([
  { method: "GET", status: 301 },
  { method: "HEAD", status: 301 },
  { method: "POST", status: 308 },
  { method: "PUT", status: 308 },
  { method: "DELETE", status: 308 },
  { method: "OPTIONS", status: 308 },
])("$method: $status", ({ method, status }) => {
  expect(ask({ url: "http://music.example.com/x", method })?.status).toBe(status);
});

test.each(["/x?y", "http://[::1/x?y", "http://host:65536/x?y"])(
  "a request without a host that can be read: %s",
  (url) => {
    const request = Object.defineProperty(new Request("http://localhost/"), "url", { value: url });
    const redirect = createHttpsRedirect({
      target: () => target,
      publicUrl: () => "",
      behindHttps: () => false,
      externalOrigin: peers.externalOrigin,
    });
    const answer = redirect(request, { address: "93.184.216.34" });
    expect(answer?.headers.get("location")).toBe("https://music.example.com/x?y");
  },
);

test("carries what every answer carries", () => {
  const answer = ask({ url: "http://music.example.com/x", headers: { "x-request-id": "request-1" } });
  expect(answer?.headers.get("x-request-id")).toBe("request-1");
  expect(answer?.headers.get("x-content-type-options")).toBe("nosniff");
  expect(answer?.headers.get("cache-control")).toBe("max-age=86400");
});

test("whatever the request says, a stranger is sent to a name of ours", () => {
  const word = fc.oneof(
    fc.domain(),
    fc.webAuthority(),
    fc.string().filter((text) => /^[\x21-\x7e]*$/.test(text)),
  );
  fc.assert(
    fc.property(word, word, fc.webPath(), (host, forwarded, path) => {
      const answer = ask({
        url: `http://localhost${path}`,
        headers: { host, "x-forwarded-host": forwarded, forwarded: `host=${forwarded}` },
      });
      const location = answer?.headers.get("location");
      if (location === null || location === undefined) return;
      const { hostname, protocol } = new URL(location);
      expect(protocol).toBe("https:");
      expect(target.isOurs(hostname.replace(/^\[|\]$/g, ""))).toBe(true);
    }),
  );
});

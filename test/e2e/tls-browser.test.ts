import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { $ } from "bun";
import { cleanEnvironment, type RunningServer, startServer } from "./server.ts";

let server: RunningServer;
let home: string;
let port: number;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "lx-tls-browser-"));
  const ssl_info = { enable: true, ssl_ports: [0], http3: true, names: ["music.home.arpa"] };
  server = await startServer({ config: { common: { ssl_info } } });
  port = Number(/https:\/\/\S+?:(\d+)/.exec(server.output())?.[1]);
});
afterAll(async () => {
  await server.remove();
  await rm(home, { recursive: true, force: true });
});

/** Opens one page and leaves. @returns the page as the browser sees it, and what it complained of */
async function visit(url: string, ...options: string[]): Promise<{ page: string; complaints: string }> {
  const child = Bun.spawn(
    [
      "chromium",
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      `--user-data-dir=${join(home, "profile")}`,
      "--host-resolver-rules=MAP music.home.arpa 127.0.0.1",
      "--dump-dom",
      ...options,
      url,
    ],
    { stdin: "ignore", stdout: "pipe", stderr: "pipe", env: cleanEnvironment({ HOME: home }), timeout: 60_000 },
  );
  const [page, complaints] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { page, complaints };
}

test("before the CA is trusted the browser refuses, afterwards it does not ask", async () => {
  const url = `https://music.home.arpa:${port}/ca`;
  const before = await visit(url);
  expect(before.page).not.toContain("Trust this server");
  expect(before.complaints).toContain("ERR_CERT_AUTHORITY_INVALID");

  const ca = join(home, "ca.crt");
  await Bun.write(ca, await (await server.get("/ca.crt")).text());
  const database = `sql:${home}/.pki/nssdb`;
  await $`mkdir -p ${home}/.pki/nssdb && certutil -N -d ${database} --empty-password && certutil -A -d ${database} -n lx -t C,, -i ${ca}`.quiet();

  const picture = join(home, "page.png");
  const after = await visit(url, `--screenshot=${picture}`, "--window-size=900,1200");
  expect(after.page).toContain("信任本服务器 / Trust this server");
  expect(after.page).toContain(`${await fingerprint(ca)}`);
  expect(after.complaints).not.toContain("ERR_CERT");
  const bytes = new Uint8Array(await Bun.file(picture).arrayBuffer());
  expect([...bytes.subarray(1, 4)]).toEqual([0x50, 0x4e, 0x47]);
  expect(bytes.length).toBeGreaterThan(20_000);
}, 120_000);

test("HTTP/3", async () => {
  // For QUIC, Chromium believes only public authorities or a key that it is told of.
  const certificate = join(server.dataDir, "certs/self-signed.pem");
  const spki =
    await $`openssl x509 -in ${certificate} -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64`.text();
  const log = join(home, "net.json");
  const { page } = await visit(
    `https://music.home.arpa:${port}/ca`,
    "--enable-quic",
    `--origin-to-force-quic-on=music.home.arpa:${port}`,
    `--ignore-certificate-errors-spki-list=${spki.trim()}`,
    `--log-net-log=${log}`,
  );
  expect(page).toContain("Trust this server");
  const { constants, events }: { constants: { logEventTypes: Record<string, number> }; events: { type: number }[] } =
    await Bun.file(log).json();
  const frames = constants.logEventTypes["HTTP3_DATA_FRAME_RECEIVED"];
  expect(events.filter(({ type }) => type === frames).length).toBeGreaterThan(0);
}, 90_000);

async function fingerprint(file: string): Promise<string> {
  const text = await $`openssl x509 -in ${file} -noout -fingerprint -sha256`.text();
  return text.split("=")[1]?.trim() ?? "";
}

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { binaryPath, cleanEnvironment, type RunningServer, startServer } from "./server.ts";

/** The files of config/ that put the server into service, each tried with the tool that reads it, or by what it says. */
setDefaultTimeout(60_000);
const root = join(import.meta.dir, "../..");
const text = (path: string) => readFileSync(join(root, "config", path), "utf8");

let folder: string;
let server: RunningServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "lx-deploy-"));
  mkdirSync(join(folder, "music"));
  await Bun.write(join(folder, "music", "silence.wav"), silence(2));
  server = await startServer({
    config: { common: { local_music: { audio_path: join(folder, "music") } }, module: { kg: { enable: false } } },
  });
});
afterAll(async () => {
  await server?.remove();
  await rm(folder, { recursive: true, force: true });
});

async function run(argv: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe", env: cleanEnvironment(env), timeout: 30_000 });
  const [out, error] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { code: await child.exited, text: `${out}${error}` };
}

/** The settings are ones that the server knows and takes. */
async function expectGoodSettings(env: Record<string, string>): Promise<void> {
  const data = await mkdtemp(join(folder, "data-"));
  await Bun.write(join(data, "config", "config.yml"), "");
  expect(await run([binaryPath(), "config", "check", "--data", data], env)).toMatchObject({ code: 0 });
}

describe("systemd", () => {
  const unit = text("systemd/lx-music-api-server.service");

  test("systemd-analyze finds no fault, and little exposure", async () => {
    const path = join(folder, "lx-music-api-server.service");
    await Bun.write(path, unit.replace("/usr/local/bin/lx-music-api-server", binaryPath()));
    expect(await run(["systemd-analyze", "verify", path])).toEqual({ code: 0, text: "" });
    expect(
      await run(["systemd-analyze", "security", "--offline=true", "--threshold=25", "--no-pager", path]),
    ).toMatchObject({ code: 0 });
  });

  test("starts a command that there is, with the folder that systemd makes", () => {
    expect(unit).toContain("ExecStart=/usr/local/bin/lx-music-api-server serve --data /var/lib/lx-music-api-server\n");
    expect(unit).toContain("StateDirectory=lx-music-api-server\n");
  });
});

describe("docker", () => {
  const lines = text("docker/Dockerfile")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  const instruction = (name: string) =>
    lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
  const settings = Object.fromEntries(
    instruction("ENV").flatMap((line) => line.split(" ").map((pair) => pair.split("=") as [string, string])),
  );

  test("the Dockerfile has only instructions, and copies only what the build makes", () => {
    expect(
      lines.filter((line) => !/^(?:FROM|RUN|COPY|ENV|USER|VOLUME|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD) \S/.test(line)),
    ).toEqual([]);
    expect(instruction("COPY")).toEqual(["--chmod=755 dist/lx-music-api-server /usr/local/bin/lx-music-api-server"]);
    expect(text("docker/Dockerfile.dockerignore")).toContain("!dist/lx-music-api-server");
    expect(instruction("USER")).toEqual(["lx"]);
    expect([...JSON.parse(instruction("ENTRYPOINT")[0] ?? ""), ...JSON.parse(instruction("CMD")[0] ?? "")]).toEqual([
      "lx-music-api-server",
      "serve",
    ]);
  });

  test("its settings are good", () => expectGoodSettings(settings));

  test("the health check tells a running server from a dead one", async () => {
    const argv = JSON.parse(/CMD (\[.*\])$/.exec(instruction("HEALTHCHECK")[0] ?? "")?.[1] ?? "") as string[];
    const at = (port: string) => argv.map((word) => word.replace("/9763", `/${port}`));
    expect((await run(at(new URL(server.url).port))).code).toBe(0);
    expect((await run(at(String(await freePort())))).code).not.toBe(0);
    const wrong = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("no", { status: 503 }) });
    expect((await run(at(String(wrong.port)))).code).not.toBe(0);
    await wrong.stop(true);
  });

  test("compose.yml builds from that file and opens its port", async () => {
    const { lx } = parse(text("docker/compose.yml")).services;
    expect(existsSync(join(root, "config/docker", lx.build.context, lx.build.dockerfile))).toBe(true);
    expect(lx.ports).toEqual([`9763:${instruction("EXPOSE")[0]}`]);
    expect(lx.volumes).toEqual([`data:${settings["LX_DATA_DIR"]}`]);
    const comments = [...text("docker/compose.yml").matchAll(/# (LX__\w+): (\S+)/g)].map(
      ([, name = "", value = ""]) => [name, value],
    );
    await expectGoodSettings({ ...lx.environment, ...Object.fromEntries(comments) });
  });
});

interface Manifest {
  kind: string;
  metadata: { name: string };
  spec: {
    replicas?: number;
    selector: Record<string, unknown>;
    ports: { port: number; targetPort: string }[];
    template: { metadata: { labels: Record<string, string> }; spec: { containers: Container[] } };
  };
}
interface Container {
  env?: { name: string; value?: string }[];
  ports: { name: string; containerPort: number }[];
  readinessProbe: { httpGet?: { path: string } };
  livenessProbe: { httpGet?: { path: string } };
}

describe("kubernetes", () => {
  const all = ["lx-music-api-server.yml", "redis.yml"].flatMap((file) =>
    parseAllDocuments(text(`kubernetes/${file}`)).map((document) => document.toJS() as Manifest),
  );
  const find = (kind: string, name: string) => {
    const found = all.find((item) => item.kind === kind && item.metadata.name === name);
    if (found === undefined) throw new Error(`no ${kind} ${name}`);
    return found;
  };
  const pods = find("Deployment", "lx-music-api-server").spec.template;
  const [container] = pods.spec.containers;

  test("what is selected has these labels, and services lead to ports that there are", () => {
    for (const name of ["lx-music-api-server", "lx-music-redis"]) {
      const { selector, template } = find("Deployment", name).spec;
      expect(template.metadata.labels).toEqual(selector["matchLabels"] as Record<string, string>);
      expect(find("Service", name).spec.selector).toEqual(template.metadata.labels);
      expect(template.spec.containers[0]?.ports.map((port) => port.name)).toContain(
        find("Service", name).spec.ports[0]?.targetPort ?? "",
      );
    }
  });

  test("settings are good, and several instances share what they must", async () => {
    const env = Object.fromEntries(
      (container?.env ?? []).map(({ name, value }) => [name, (value ?? "").replace("$(LX_KEY)", "c0ffee")]),
    );
    await expectGoodSettings(env);
    expect(find("Deployment", "lx-music-api-server").spec.replicas).toBe(2);
    expect(env).toMatchObject({
      LX__COMMON__CACHE__ADAPTER: "redis",
      LX__COMMON__CACHE__REDIS__HOST: "lx-music-redis",
      LX__SECURITY__RATE_LIMIT__SHARED: "true",
    });
  });

  test("probes ask for what the server answers", async () => {
    for (const probe of [container?.readinessProbe, container?.livenessProbe])
      expect((await server.get(probe?.httpGet?.path ?? "")).status).toBe(200);
  });
});

describe("prometheus", () => {
  test("promtool takes the config, the alerts and what the server tells", async () => {
    expect(await run(["promtool", "check", "config", join(root, "config/prometheus/prometheus.yml")])).toMatchObject({
      code: 0,
    });
    const path = join(folder, "metrics.txt");
    await Bun.write(path, await (await server.get("/metrics")).text());
    expect(await run(["sh", "-c", `promtool check metrics < ${path}`])).toEqual({ code: 0, text: "" });
  });

  test("alerts ask only for metrics that there are", async () => {
    const known = new Set(
      [...(await (await server.get("/metrics")).text()).matchAll(/^# TYPE (\w+)/gm)].map((match) => match[1] ?? ""),
    );
    const asked = [...text("prometheus/alerts.yml").matchAll(/\b(lx_\w+)/g)].map((match) =>
      (match[1] ?? "").replace(/_(?:bucket|count|sum)$/, ""),
    );
    expect(asked.length).toBeGreaterThan(5);
    expect(asked.filter((name) => !known.has(name))).toEqual([]);
  });
});

describe("nginx", () => {
  let nginx: ReturnType<typeof Bun.spawn>;
  let ports: { http: number; https: number };

  beforeAll(async () => {
    ports = { http: await freePort(), https: await freePort() };
    const out = join(folder, "cert");
    expect(
      await run([
        binaryPath(),
        "cert",
        "self-signed",
        "music.example.com",
        "--out",
        out,
        "--no-ca",
        "--data",
        join(folder, "tls"),
      ]),
    ).toMatchObject({ code: 0 });
    const site = text("nginx/lx-music-api-server.conf")
      .replace("server 127.0.0.1:9763;", `server ${new URL(server.url).host};`)
      .replaceAll(/^\s*listen \[::\].*\n/gm, "")
      .replace("listen 80;", `listen 127.0.0.1:${ports.http};`)
      .replace("listen 443 ", `listen 127.0.0.1:${ports.https} `)
      .replaceAll("/etc/letsencrypt/live/music.example.com", out);
    const path = join(folder, "nginx.conf");
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${folder}/nginx-${name};`)
      .join("\n");
    await Bun.write(
      path,
      `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/nginx-error.log;\nevents {}\nhttp { access_log off; ${temporary}\n${site}\n}\n`,
    );
    const tried = await run(["nginx", "-t", "-e", `${folder}/nginx-error.log`, "-c", path]);
    expect([tried.code, tried.text]).toEqual([0, expect.stringContaining("test is successful")]);
    nginx = Bun.spawn(["nginx", "-e", `${folder}/nginx-error.log`, "-c", path], { stdout: "ignore", stderr: "ignore" });
    const deadline = Date.now() + 10_000;
    while (!(await fetch(`http://127.0.0.1:${ports.http}/`, { redirect: "manual" }).catch(() => undefined))) {
      if (Date.now() > deadline) throw new Error(readFileSync(`${folder}/nginx-error.log`, "utf8"));
      await Bun.sleep(20);
    }
  });
  afterAll(async () => {
    nginx?.kill("SIGQUIT");
    await nginx?.exited;
  });

  /** From `localAddress`, to music.example.com at the proxy. */
  function ask(path: string, headers: Record<string, string> = {}, localAddress = "127.0.0.1") {
    return new Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }>((resolve, reject) => {
      const options = {
        host: "127.0.0.1",
        port: ports.https,
        path,
        localAddress,
        servername: "music.example.com",
        rejectUnauthorized: false,
      };
      const sent = request({ ...options, headers: { Host: "music.example.com", ...headers } }, (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part) => parts.push(part));
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }),
        );
      });
      sent.on("error", reject);
      sent.end();
    });
  }

  test("names the client, whatever the client says itself", async () => {
    const path = "/url/kg/00000000000000000000000000000000/128k";
    expect(JSON.parse((await ask(path, {}, "127.0.0.2")).body.toString())["Your IP"]).toBe("127.0.0.2");
    const forged = { "X-Real-IP": "203.0.113.9", "X-Forwarded-For": "203.0.113.9", Forwarded: "for=203.0.113.9" };
    expect(JSON.parse((await ask(path, forged, "127.0.0.2")).body.toString())["Your IP"]).toBe("127.0.0.2");
  });

  test("the script and the landing page carry the outer address", async () => {
    expect((await ask("/script")).body.toString()).toContain('"https://music.example.com"');
    expect((await ask("/", { Accept: "text/html" })).body.toString()).toContain("https://music.example.com/script");
  });

  test("passes Range on, and leaves a long address alone", async () => {
    const query = Buffer.from(JSON.stringify({ p: "silence.wav" })).toString("base64url");
    const whole = silence(2);
    const deadline = Date.now() + 10_000;
    while ((await server.get(`/local/u?q=${query}`)).status !== 200 && Date.now() < deadline) await Bun.sleep(50);
    const part = await ask(`/local/u?q=${query}`, { Range: "bytes=44-143" });
    expect([part.status, part.headers["content-range"]]).toEqual([206, `bytes 44-143/${whole.length}`]);
    expect(part.body.equals(whole.subarray(44, 144))).toBe(true);
    const long = await ask(`/url/xx/1/128k?info=${"A".repeat(6000)}`);
    expect(JSON.parse(long.body.toString())).toMatchObject({ code: 1 });
  });

  test("sends plain HTTP to HTTPS", async () => {
    const answer = await fetch(`http://127.0.0.1:${ports.http}/script?key=a`, {
      redirect: "manual",
      headers: { Host: "music.example.com" },
    });
    expect([answer.status, answer.headers.get("location")]).toEqual([301, "https://music.example.com/script?key=a"]);
  });
});

/** A WAV file of silence: 8 kHz, 16 bit, mono. */
function silence(seconds: number): Buffer {
  const bytes = seconds * 16_000;
  const head = Buffer.alloc(44);
  head.write("RIFF", 0);
  head.writeUInt32LE(36 + bytes, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(8000, 24);
  head.writeUInt32LE(16_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(bytes, 40);
  return Buffer.concat([head, Buffer.alloc(bytes)]);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}

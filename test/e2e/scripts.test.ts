import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import obfuscator from "javascript-obfuscator";
import { makeAudio } from "../platforms/audio.ts";
import { songByKey } from "../platforms/catalog.ts";
import type { Emulator } from "../platforms/emulator.ts";
import { startAllPlatforms } from "../platforms/index.ts";
import { binaryPath, type RunningServer, startServer } from "./server.ts";

/** A published script as they are: header, request to its own server, inited. */
const script = (name: string, api: string, body: string) => `/*!
 * @name ${name}
 * @version 1
 */
const { EVENT_NAMES, on, send, request } = globalThis.lx
const ask = (path) => new Promise((resolve, reject) => request('${api}' + path, { method: 'get' }, (error, response) => error ? reject(error) : resolve(response.body)))
${body}
`;
const GOOD = `on(EVENT_NAMES.request, async ({ source, action, info }) => (await ask('/resolve/' + source + '/' + info.musicInfo.hash + '/' + info.type)).url)
send(EVENT_NAMES.inited, { sources: { kg: { name: 'kg', type: 'music', actions: ['musicUrl'], qualitys: ['128k', '320k'] } } })`;
const ENDLESS = `on(EVENT_NAMES.request, () => { for (;;) {} })
send(EVENT_NAMES.inited, { sources: { wy: { name: 'wy', type: 'music', actions: ['musicUrl'], qualitys: ['128k'] } } })`;

let emulator: Emulator;
let upstream: ReturnType<typeof Bun.serve>;
let server: RunningServer;
const resolved: string[] = [];

beforeAll(async () => {
  emulator = startAllPlatforms();
  const audio = await makeAudio({ seconds: 3, format: "mp3", bitrate: 128, tone: 999 });
  upstream = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch(request) {
      const { pathname, origin } = new URL(request.url);
      const api = `http://127.0.0.1:${upstream.port}`;
      if (pathname === "/good.js") return new Response(script("good", api, GOOD));
      if (pathname === "/endless.js") return new Response(script("endless", api, ENDLESS));
      if (pathname === "/hidden.js") {
        const [header = ""] = /^\/\*[\s\S]+?\*\//.exec(script("hidden", api, GOOD)) ?? [];
        const code = script(
          "hidden",
          api,
          GOOD.replaceAll("kg", "tx").replace("info.musicInfo.hash", "info.musicInfo.songmid"),
        ).slice(header.length);
        return new Response(
          header + obfuscator.obfuscate(code, { optionsPreset: "medium-obfuscation" }).getObfuscatedCode(),
        );
      }
      if (pathname.startsWith("/resolve/")) {
        resolved.push(pathname);
        return Response.json({ url: `${origin}/audio.mp3` });
      }
      return pathname === "/audio.mp3" ? new Response(Bun.file(audio.path)) : new Response("?", { status: 404 });
    },
  });
  const base = `http://127.0.0.1:${upstream.port}`;
  server = await startServer({
    config: {
      common: {
        upstream_gateway: emulator.origin,
        remote_cache: { enable: false },
        external_scripts: {
          urls: [`${base}/good.js`, `${base}/endless.js`, `${base}/hidden.js`],
          allow_private: ["127.0.0.0/8"],
          limits: { slice_ms: 3000 },
        },
      },
    },
  });
}, 60_000);

afterAll(async () => {
  await server?.remove();
  await emulator?.stop();
  await upstream?.stop(true);
});

async function ask(path: string) {
  return (await (await server.get(path)).json()) as { code: number; msg: string; data: string };
}

/** The answer once the scripts have started. */
async function untilGood(path: string): Promise<string> {
  let last = "";
  for (let tries = 0; tries < 150; tries++) {
    const answer = await ask(path);
    if (answer.code === 0) return answer.data;
    last = answer.msg;
    await Bun.sleep(100);
  }
  throw new Error(`${path}: ${last}\n${server.output()}`);
}

const member = songByKey("member");

describe("a song that the platform refuses", () => {
  test("comes from a third-party script", async () => {
    // A refusal is kept for a while: no-cache asks again each time until the script is up.
    let answer = await ask(`/url/kg/${member.ids.kg.hash}/128k`);
    for (let tries = 0; answer.code !== 0 && tries < 100; tries++) {
      await Bun.sleep(100);
      answer = (await (
        await server.get(`/url/kg/${member.ids.kg.hash}/128k`, { headers: { "cache-control": "no-cache" } })
      ).json()) as typeof answer;
    }
    expect(answer).toMatchObject({ code: 0, data: `http://127.0.0.1:${upstream.port}/audio.mp3` });
    expect(resolved.some((path) => path.startsWith("/resolve/kg/"))).toBe(true);
  }, 30_000);

  test("and from an obfuscated one", async () => {
    let answer = await ask(`/url/tx/${member.ids.tx.mid}/128k`);
    for (let tries = 0; answer.code !== 0 && tries < 100; tries++) {
      await Bun.sleep(100);
      answer = (await (
        await server.get(`/url/tx/${member.ids.tx.mid}/128k`, { headers: { "cache-control": "no-cache" } })
      ).json()) as typeof answer;
    }
    expect(answer).toMatchObject({ code: 0, data: `http://127.0.0.1:${upstream.port}/audio.mp3` });
  }, 30_000);
});

test("a script that loops for ever disturbs nobody", async () => {
  const stuck = server.get(`/url/wy/${member.ids.wy.id}/128k`, { headers: { "cache-control": "no-cache" } });
  for (let round = 0; round < 20; round++) {
    const from = performance.now();
    expect((await server.get("/health")).status).toBe(200);
    expect(performance.now() - from).toBeLessThan(1000);
    await Bun.sleep(25);
  }
  expect(((await (await stuck).json()) as { code: number }).code).toBe(2);
  expect(await untilGood(`/url/kg/${songByKey("plain").ids.kg.hash}/128k`)).toStartWith("http");
}, 40_000);

test("script commands work beside the running server", async () => {
  const list = Bun.spawnSync([binaryPath(), "script", "list", "--json", "--data", server.dataDir]);
  const rows = JSON.parse(list.stdout.toString()) as { name: string; enabled: boolean }[];
  expect(rows.map((row) => row.name).sort()).toEqual(["endless", "good", "hidden"]);
});

test("each script is measured", async () => {
  const text = await (await server.get("/metrics")).text();
  for (const name of ["good", "endless", "hidden"]) {
    expect(text).toMatch(new RegExp(`^lx_script_up\\{script="${name}",id="[0-9a-f]{8}"\\} [01]$`, "m"));
  }
  expect(text).toMatch(/^lx_script_memory_bytes\{script="good",id="[0-9a-f]{8}"\} \d{7,}$/m);
  expect(text).toMatch(/^lx_script_failures_total\{script="endless",id="[0-9a-f]{8}"\} [1-9]/m);
});

test("a script of the config that was removed beside the running server is gone, also after the next start", async () => {
  const run = (...words: string[]) => Bun.spawnSync([binaryPath(), "script", ...words, "--data", server.dataDir]);
  const removed = run("remove", "endless");
  expect([removed.exitCode, removed.stderr.toString()]).toEqual([0, ""]);
  // The running server takes it over within seconds.
  for (let tries = 0; tries < 150; tries++) {
    if (!(await (await server.get("/metrics")).text()).includes('lx_script_up{script="endless"')) break;
    await Bun.sleep(100);
  }
  expect(await (await server.get("/metrics")).text()).not.toContain('lx_script_up{script="endless"');
  await server.stop();
  const again = await startServer({ dataDir: server.dataDir });
  try {
    for (let tries = 0; tries < 150; tries++) {
      if (/lx_script_up\{script="good"[^}]*\} 1/.test(await (await again.get("/metrics")).text())) break;
      await Bun.sleep(100);
    }
    const rows = JSON.parse(run("list", "--json").stdout.toString()) as { name: string }[];
    expect(rows.map((row) => row.name).sort()).toEqual(["good", "hidden"]);
  } finally {
    await again.stop();
  }
}, 60_000);

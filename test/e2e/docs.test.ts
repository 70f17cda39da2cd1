import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { importScript } from "../client/lx-client.ts";
import { type Browser, openBrowser, type Page } from "./browser.ts";
import { rawRequest } from "./raw-http.ts";
import { type RunningServer, startServer } from "./server.ts";

const QUALITIES = { kg: ["128k", "320k", "flac"], tx: ["128k"], wy: ["128k", "320k"], mg: [], kw: ["128k"] };
const HTML = { accept: "text/html,application/xhtml+xml" };

setDefaultTimeout(30_000);

let server: RunningServer;
let browser: Browser;

beforeAll(async () => {
  [server, browser] = await Promise.all([
    startServer({ config: { common: { download_config: { quality: QUALITIES } }, module: { kw: { enable: false } } } }),
    openBrowser(),
  ]);
});
afterAll(async () => {
  await browser?.close();
  await server?.remove();
});

/** Nothing went wrong in the page, and nothing was asked of anyone but the server. */
function expectClean(page: Page, base: string): void {
  expect(page.faults).toEqual([]);
  expect(page.requests.filter((url) => !url.startsWith(`${base}/`) && !url.startsWith("data:"))).toEqual([]);
}

const landingText = async (from: RunningServer, headers: Record<string, string> = {}) =>
  (await from.get("/", { headers: { ...HTML, ...headers } })).text();

describe("/docs in a browser without internet", () => {
  test("lists every operation, and one can be tried out", async () => {
    const page = await browser.page();
    await page.open(`${server.url}/docs`);
    const shown = await page.until<number>("document.querySelectorAll('.opblock').length");
    expect(shown).toBe(operations(await openApi()).length);
    const health = "document.querySelector('#operations-ops-getHealth')";
    await page.evaluate(`${health}.querySelector('.opblock-summary-control').click()`);
    await page.until(`${health}.querySelector('.execute') !== null`);
    await page.evaluate(`${health}.querySelector('.execute').click()`);
    expect(
      await page.until<string>(
        `${health}.querySelector('.live-responses-table tbody .response-col_status')?.innerText`,
      ),
    ).toStartWith("200");
    expectClean(page, server.url);
  });

  test("follows the system's dark mode", async () => {
    const page = await browser.page({ width: 800, height: 600, dark: true });
    await page.open(`${server.url}/docs`);
    await page.until("document.querySelector('.opblock') !== null");
    const [red = 255] = await page.evaluate<number[]>(
      "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)",
    );
    expect(red).toBeLessThan(64);
  });

  test("its files are packed only for those who ask, and not sent twice", async () => {
    const path = "/docs/swagger-ui-bundle.js";
    const plain = await rawRequest(server.url, { method: "GET", target: path, host: "localhost" });
    expect(plain.headers["content-encoding"]).toBeUndefined();
    const packed = await rawRequest(server.url, {
      method: "GET",
      target: path,
      host: "localhost",
      headers: { "Accept-Encoding": "br, gzip" },
    });
    expect(packed.headers["content-encoding"]).toBe("gzip");
    expect(Number(packed.headers["content-length"])).toBeLessThan(Number(plain.headers["content-length"]) / 2);
    const again = await server.get(path, { headers: { "if-none-match": plain.headers["etag"] ?? "" } });
    expect([again.status, (await again.text()).length]).toEqual([304, 0]);
  });
});

describe("the landing page", () => {
  test("shows the address, copies it, and has a code for phones", async () => {
    const page = await browser.page();
    await page.open(server.url);
    expect(await page.evaluate<string>("document.querySelector('#address').innerText")).toBe(`${server.url}/script`);
    await page.evaluate("document.querySelector('#copy').click()");
    await page.until("document.querySelector('#copy.done') !== null");
    expect(await page.until<number>("document.querySelector('.code').naturalWidth")).toBeGreaterThan(20);
    expect(await page.evaluate<string>("document.querySelector('footer a').href")).toBe(`${server.url}/docs`);
    expectClean(page, server.url);
  });

  test("tells what the script offers: platforms that are off, or offer nothing, are marked", async () => {
    const page = await browser.page();
    await page.open(server.url);
    const rows = await page.evaluate<[string, string[], boolean][]>(
      "[...document.querySelectorAll('.platforms li')].map((row) => [row.querySelector('b').innerText, [...row.querySelectorAll('span')].map((one) => one.innerText), row.className === 'off'])",
    );
    expect(rows).toEqual([
      ["酷狗", QUALITIES.kg, false],
      ["QQ音乐", QUALITIES.tx, false],
      ["网易云", QUALITIES.wy, false],
      ["咪咕", [], true],
      ["酷我", [], true],
    ]);
  });

  test("fits a phone", async () => {
    const page = await browser.page({ width: 340, height: 700 });
    await page.open(server.url);
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(340);
  });

  test("texts from the config are shown, not run", async () => {
    const name = "<img src=x onerror=alert(1)>\"'&";
    const other = await startServer({
      config: { common: { download_config: { name, intro: "</p><script>alert(2)</script>" } } },
    });
    const page = await browser.page();
    await page.open(other.url);
    expect(await page.evaluate<string>("document.querySelector('h1').textContent")).toBe(name);
    expect(await page.evaluate<number>("document.querySelectorAll('script').length")).toBe(1);
    expectClean(page, other.url);
    await other.remove();
  });

  test.each([
    {
      name: "https under another name",
      headers: { "X-Forwarded-Proto": "https", "X-Forwarded-Host": "music.example.test" },
      base: "https://music.example.test",
    },
    {
      name: "with a port",
      headers: { "X-Forwarded-Proto": "http", "X-Forwarded-Host": "music.example.test:8080" },
      base: "http://music.example.test:8080",
    },
    {
      name: "what the trusted proxy has added stands last; what came with the request does not count",
      headers: { "X-Forwarded-Proto": "http, https", "X-Forwarded-Host": "made-up.example.test, music.example.test" },
      base: "https://music.example.test",
    },
    {
      name: "a name that is none",
      headers: { "X-Forwarded-Proto": "https", "X-Forwarded-Host": '"><script>' },
      base: undefined,
    },
    {
      name: "a scheme that is none",
      headers: { "X-Forwarded-Proto": "javascript", "X-Forwarded-Host": "music.example.test" },
      base: "http://music.example.test",
    },
  ])("behind a trusted proxy: $name", async ({ headers: named, base = server.url.replace("http:", "https:") }) => {
    const headers = { "X-Real-IP": "192.0.2.7", ...named };
    expect(await landingText(server, headers)).toContain(`<code id="address">${base}/script</code>`);
    const script = await (await server.get("/script", { headers })).text();
    const client = await importScript(script, "desktop");
    client.close();
    expect(script).toContain(JSON.stringify(base));
  });

  test("a proxy that is not trusted decides nothing", async () => {
    const wary = await startServer({ config: { common: { reverse_proxy: { trusted: ["192.0.2.1"] } } } });
    const headers = {
      "X-Forwarded-Proto": "https",
      "X-Forwarded-Host": "evil.example.test",
      "X-Forwarded-For": "192.0.2.7",
    };
    expect(await landingText(wary, headers)).toContain(`<code id="address">${wary.url}/script</code>`);
    await wary.remove();
  });

  test("says where the key goes, and nothing of the script when that is not offered", async () => {
    const keyed = await startServer({ config: { security: { key: { enable: true, values: ["hidden-key-value"] } } } });
    const text = await landingText(keyed);
    expect(text).toContain("/script?key=你的key");
    expect(text).not.toContain("hidden-key-value");
    await keyed.remove();
    const closed = await startServer({ config: { common: { allow_download_script: false } } });
    expect(await landingText(closed)).not.toContain("/script");
    await closed.remove();
  });
});

type Json = Record<string, unknown>;
interface Operation {
  path: string;
  method: string;
  operation: Json & {
    parameters?: Json[];
    responses: Record<string, Json>;
    tags: string[];
    operationId: string;
    security?: Json[];
  };
}

const openApi = async () =>
  (await (await server.get("/docs/openapi.json")).json()) as Json & {
    paths: Record<string, Json>;
    components: Record<string, Json>;
    tags: { name: string }[];
  };

function operations(document: { paths: Record<string, Json> }): Operation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      path,
      method,
      operation: operation as Operation["operation"],
    })),
  );
}

describe("the OpenAPI document", () => {
  let document: Awaited<ReturnType<typeof openApi>>;
  let all: Operation[];
  beforeAll(async () => {
    document = await openApi();
    all = operations(document);
  });

  test("every $ref leads somewhere, and no keyword is newer than OpenAPI 3.0", () => {
    const broken: string[] = [];
    const walk = (node: unknown, where: string): void => {
      if (typeof node !== "object" || node === null) return;
      for (const [name, value] of Object.entries(node)) {
        if (name === "const" || name === "patternProperties" || (name === "type" && Array.isArray(value)))
          broken.push(`${where}/${name}`);
        if (name === "$ref") {
          const target = String(value)
            .slice(2)
            .split("/")
            .reduce<unknown>((at, part) => (at as Json | undefined)?.[part], document);
          if (target === undefined) broken.push(`${where}: ${value}`);
        }
        walk(value, `${where}/${name}`);
      }
    };
    walk(document, "#");
    expect(broken).toEqual([]);
    expect(document["openapi"]).toMatch(/^3\.0\.\d$/);
  });

  test("every parameter of a path is declared, required and used", () => {
    const wrong = all.filter(({ path, operation }) => {
      const named = [...path.matchAll(/\{(\w+)\}/g)].map((match) => String(match[1])).sort();
      const declared = (operation.parameters ?? []).filter((one) => one["in"] === "path" && one["required"] === true);
      return (
        JSON.stringify(declared.map((one) => String(one["name"])).sort()) !== JSON.stringify(named) ||
        /[:*]|.\/$/.test(path)
      );
    });
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test("every operation has a summary, a group that is described, answers, failures, and an own id", () => {
    const groups = new Set(document.tags.map(({ name }) => name));
    for (const { path, method, operation } of all) {
      const where = `${method} ${path}`;
      expect([where, typeof operation["summary"]]).toEqual([where, "string"]);
      expect([where, operation.tags.filter((tag) => !groups.has(tag))]).toEqual([where, []]);
      expect([
        where,
        Object.values(operation.responses).filter((answer) => typeof answer["description"] !== "string"),
      ]).toEqual([where, []]);
      expect([where, Object.keys(operation.responses)]).toEqual([
        where,
        expect.arrayContaining(["400", "403", "429", "500"]),
      ]);
    }
    const ids = all.map(({ operation }) => operation.operationId);
    expect(ids.filter((id, index) => !/^[a-zA-Z]\w+$/.test(id) || ids.indexOf(id) !== index)).toEqual([]);
  });

  test("names the door of every operation", () => {
    const doors = (path: string) => all.find((one) => one.path === path)?.operation.security;
    expect(doors("/url/{source}/{songId}/{quality}")).toEqual([{ requestKey: [] }]);
    expect(doors("/api/v1/keys")).toEqual([{ bearer: [] }]);
    expect(doors("/script")).toBeUndefined();
    expect(doors("/api/v1/auth/login")).toBeUndefined();
    expect(Object.keys(document.components["securitySchemes"] ?? {}).sort()).toEqual(["bearer", "requestKey"]);
  });

  test.each([
    "/",
    "/url/{source}/{songId}/{quality}",
    "/lyric/{source}/{songId}",
    "/info/{source}/{songId}",
    "/pic/{source}/{songId}",
    "/search/{source}/{type}",
    "/mv/{source}/{mvId}",
    "/playlist/{source}/{id}",
    "/board/{source}",
    "/board/{source}/{id}",
    "/hot/{source}",
    "/suggest/{source}",
    "/comment/{source}/{songId}",
    "/local/u",
    "/local/l",
    "/local/p",
    "/local/c",
    "/cache/{filename}",
    "/webdav/{source}/{songId}/{quality}",
    "/webdav-proxy",
    "/script",
    "/url",
    "/info",
    "/lyric",
    "/health",
    "/ready",
    "/metrics",
  ])("has %s", (path) => {
    expect(document.paths).toHaveProperty([path, "get"]);
  });

  test("names no method that is refused", () => {
    expect(Object.keys(document.paths["/webdav-proxy"] ?? {})).toEqual(["get"]);
    expect(all.filter(({ method }) => !["get", "post", "put", "patch", "delete"].includes(method))).toEqual([]);
  });

  test("has the lyric adapter", () => {
    expect(document.paths).toHaveProperty(["/client/cgi-bin/api.fcg", "post"]);
  });
});

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { rawRequest } from "./raw-http.ts";
import { type RunningServer, startServer } from "./server.ts";

interface Row {
  id: string;
  scenario: string;
  config: Record<string, unknown>;
  request: { method: string; target: string; host?: string; headers: Record<string, string> };
  response: { status: number | null; headers?: Record<string, string>; json?: unknown };
  defect?: string;
  sleep_before?: number;
}

/** What the original answered, recorded; only rows that need no platform's data. */
const rows = readFileSync(join(import.meta.dir, "../fixtures/golden.jsonl"), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Row);

/** Rows that ask a platform: covered by the sources' own tests. */
const NEEDS_PLATFORM = new Set([
  "basic/10-head-api",
  "basic/26-method-url-as-HEAD",
  "basic/27-pct-decoded-id",
  "basic/28-space-id",
  "basic/29-unicode-id",
  "key/03-right-key",
  "key/04-key2",
  "key/06-whitelist-host-bypass",
  "modules-off/01-url-kg",
  "modules-off/05-url-wy",
]);

type Expected = { status: number; body?: unknown };
const notFound = { code: 6, msg: "未找到您所请求的资源", data: null };
const stopped = { code: 4, msg: "此平台已停止服务", data: null, "Your IP": "127.0.0.1" };
const keyRefused = { code: 1, msg: "key验证失败", data: null };

/** Where the original is wrong (`defect`), or where we differ on purpose; see api.md. */
const OURS: Record<string, Expected> = {
  // The original calls any attribute of a module by its name in the path.
  "basic/25-method-is-module": { status: 200, body: { code: 1, msg: "未知的源或不支持的方法", data: null } },
  // The md5 is that of the original's script, which is an old one to us.
  "script/02-check-update-same": {
    status: 200,
    body: {
      code: 0,
      msg: "success",
      data: {
        updateMsg: "源脚本有更新啦，更新地址:\nhttp://127.0.0.1:19763/script",
        updateUrl: "http://127.0.0.1:19763/script",
      },
    },
  },
  "basic/30-bad-pct": { status: 400, body: { code: 6, msg: "请求参数有错", data: null } },
  "basic/32-long-uri": { status: 400 },
  // The Host header is the client's word: it opens nothing unless the connection is local, which it is here.
  "key/07-rce-through-key": { status: 200, body: { code: 1, msg: "未知的源或不支持的方法", data: null } },
  // /cache and /local are under the same rules as /url.
  "key/13-local-no-key": { status: 403, body: keyRefused },
  "key/14-cache-no-key": { status: 403, body: keyRefused },
};

/** Rows whose outcome needs a peer that is not this machine: the access rules' own tests have them. */
const NEEDS_FOREIGN_PEER = /^(?:key-ban|allowed-host-ban|rate-ip\/0[3-5])/;

function nested(config: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = { security: { ops: { allow: ["all"] } } };
  for (const [path, value] of Object.entries(config)) {
    const parts = path.split(".");
    let level = result;
    for (const part of parts.slice(0, -1)) {
      level[part] ??= {};
      level = level[part] as Record<string, unknown>;
    }
    level[parts.at(-1) ?? ""] = value;
  }
  return result;
}

describe.each([...new Set(rows.map((row) => row.scenario))])("%s", (scenario) => {
  const own = rows.filter(
    (row) => row.scenario === scenario && !NEEDS_PLATFORM.has(row.id) && !NEEDS_FOREIGN_PEER.test(row.id),
  );
  let server: RunningServer;

  beforeAll(async () => {
    server = await startServer({ config: nested(rows.find((row) => row.scenario === scenario)?.config ?? {}) });
  });
  afterAll(() => server.remove());

  test.each(own.map((row) => ({ name: row.id, row })))("$name", async ({ row }) => {
    if (row.sleep_before !== undefined) await Bun.sleep(row.sleep_before * 1000);
    const reply = await rawRequest(server.url, row.request);
    const expected = OURS[row.id] ?? { status: row.response.status, body: row.response.json };
    expect(reply.status).toBe(expected.status ?? 0);
    if (row.request.target.startsWith("/script") && reply.headers["content-type"]?.startsWith("text/javascript")) {
      expect(reply.headers["content-disposition"]).toBe(disposition(row));
      return;
    }
    if (expected.body === undefined || row.request.method === "HEAD") return;
    expect(reply.headers["content-type"]).toStartWith("application/json");
    expect(withoutPort(JSON.parse(reply.body))).toEqual(withoutPort(expected.body));
    expect(reply.headers["x-request-id"]).toMatch(/^[\w.-]{8,64}$/);
  });
});

/** The recorded one, with the quotes that a name with a space needs. */
function disposition(row: Row): string {
  const recorded = row.response.headers?.["content-disposition"] ?? "";
  return recorded.replace(/filename=(.* .*)$/, 'filename="$1"');
}

/** The original listened on 19763, we on a free port; `Host` in the requests stays as recorded. */
function withoutPort(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll("\\/", "/"));
}

test("rows of switched-off platforms answer as recorded", () => {
  const off = rows.filter((row) => row.scenario === "modules-off" && row.response.status === 404);
  expect(off.map((row) => row.response.json)).toEqual(off.map(() => stopped));
  expect(rows.find((row) => row.id === "basic/11-unknown-1seg")?.response.json).toEqual(notFound);
});

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { AuditEntry } from "../../src/access/audit.ts";
import { type Role, setContext } from "../../src/http/context.ts";
import { composeRoutes } from "../../src/http/routes/index.ts";
import { scriptsAdminRoutes } from "../../src/http/routes/scripts-admin.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { type HostBed, makeHostBed, scriptText, until } from "../scripts/host-bed.ts";

// Real processes on a machine that may be busy.
setDefaultTimeout(60_000);
let bed: HostBed;
let app: ReturnType<typeof composeRoutes>;
const audited: AuditEntry[] = [];

beforeAll(async () => {
  bed = await makeHostBed();
  await bed.host.start();
  const audit = { record: (entry: AuditEntry) => void audited.push(entry) };
  app = composeRoutes([scriptsAdminRoutes({ scripts: bed.host, audit })], silentLogger);
});
afterAll(() => bed.close());

async function ask(method: string, path: string, role: Role, body?: unknown) {
  const sent =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  const request = new Request(`http://localhost/api/v1/scripts${path}`, { method, ...sent });
  setContext(request, {
    id: "r",
    peer: { address: "127.0.0.1", loopback: true, forwarded: false },
    startedAt: 0,
    role,
    user: "root",
    authorised: true,
  });
  const reply = await app.handle(request);
  const text = await reply.text();
  return { status: reply.status, text, body: () => JSON.parse(text) };
}

describe("/api/v1/scripts", () => {
  test("a script's life", async () => {
    const text = scriptText("return 1", { name: "One" });
    bed.upstream.files.set("/s.js", text);
    const added = await ask("POST", "", "admin", { url: `${bed.upstream.origin}/s.js` });
    expect(added.status).toBe(201);
    const { id } = added.body().data;
    expect((await ask("POST", "", "admin", { url: `${bed.upstream.origin}/s.js` })).status).toBe(409);
    const two = (
      await ask("POST", "", "admin", { text: scriptText("return 2", { name: "Two" }), env: "mobile" })
    ).body();
    expect(two.data).toMatchObject({ name: "Two", env: "mobile" });

    await until(async () => (await ask("GET", `/${id}`, "viewer")).body().data.state === "ready", "the script");
    expect((await ask("GET", "?pageSize=1", "viewer")).body()).toMatchObject({
      data: [{ id, name: "One", sources: { kw: { actions: ["musicUrl"] } } }],
      pagination: { total: 2, totalPages: 2 },
    });
    expect((await ask("GET", "/One/text", "admin")).text).toBe(text);

    expect((await ask("PATCH", `/${id}`, "admin", { enabled: false })).body().data).toMatchObject({ state: "off" });
    const change = { enabled: true, allowHosts: ["a.test"] };
    expect((await ask("PATCH", `/${id}`, "admin", change)).body().data).toMatchObject(change);
    expect((await ask("PATCH", `/${id}`, "admin", { allowHosts: null })).body().data.allowHosts).toBeUndefined();

    const order = await ask("PUT", "/order/kw", "admin", { scripts: ["Two", id] });
    expect(order.body().data).toEqual([two.data.id, id]);
    expect((await ask("GET", "/order", "viewer")).body().data).toMatchObject({ kw: [two.data.id, id], wy: [] });

    bed.upstream.files.set("/s.js", scriptText("return 1", { name: "One", version: "2" }));
    expect((await ask("POST", `/${id}/update`, "admin")).body().data).toMatchObject({ outcome: "updated" });
    expect((await ask("POST", "/update", "admin")).body().data).toMatchObject([{ id, outcome: "unchanged" }]);
    expect((await ask("POST", `/${id}/rollback`, "admin")).body().data.version).toBe("1");
    expect((await ask("GET", `/${id}`, "viewer")).body().data.versions).toHaveLength(2);

    const lab = (await ask("POST", "/test", "admin", { script: id })).body().data;
    expect(lab).toMatchObject({ started: true, ok: false, actions: [{ source: "kw", ok: false }, { ok: false }] });
    expect((await ask("DELETE", `/${id}`, "admin")).body()).toEqual({ data: { removed: id } });
    expect((await ask("GET", `/${id}`, "viewer")).status).toBe(404);
    expect(new Set(audited.map(({ action }) => action))).toEqual(
      new Set(["add", "change", "order", "update", "rollback", "remove"].map((word) => `script.${word}`)),
    );
    expect(audited[0]).toMatchObject({ actor: "root", address: "127.0.0.1", target: id, requestId: "r" });
  });

  test("a text is tried out without being kept", async () => {
    const before = bed.host.list().length;
    const reply = await ask("POST", "/test", "admin", { text: "/*\n * @name A\n */\nnobody();" });
    expect(reply.body().data).toMatchObject({ started: false, problem: { line: 4 } });
    expect(bed.host.list()).toHaveLength(before);
  });

  test.each<{ name: string; method: string; path: string; role: Role; body?: unknown; status: number }>([
    { name: "the list without a sign-in", method: "GET", path: "", role: "none", status: 401 },
    { name: "add as a viewer", method: "POST", path: "", role: "viewer", body: { text: "/**/" }, status: 403 },
    { name: "remove as a viewer", method: "DELETE", path: "/a", role: "viewer", status: 403 },
    { name: "the text as a viewer", method: "GET", path: "/a/text", role: "viewer", status: 403 },
    { name: "test as a viewer", method: "POST", path: "/test", role: "viewer", body: { text: "/**/" }, status: 403 },
    { name: "neither address nor text", method: "POST", path: "", role: "admin", body: {}, status: 400 },
    {
      name: "both",
      method: "POST",
      path: "",
      role: "admin",
      body: { url: "http://a.test", text: "/**/" },
      status: 400,
    },
    { name: "a text that is no script", method: "POST", path: "", role: "admin", body: { text: "x" }, status: 400 },
    {
      name: "an address of ours",
      method: "POST",
      path: "",
      role: "admin",
      body: { url: "http://127.0.0.1/s" },
      status: 403,
    },
    {
      name: "an unknown env",
      method: "POST",
      path: "",
      role: "admin",
      body: { text: "/**/", env: "web" },
      status: 400,
    },
    {
      name: "an unknown script",
      method: "PATCH",
      path: "/nobody",
      role: "admin",
      body: { enabled: true },
      status: 404,
    },
    {
      name: "an unknown platform",
      method: "PUT",
      path: "/order/xx",
      role: "admin",
      body: { scripts: [] },
      status: 400,
    },
    {
      name: "songs of no form",
      method: "POST",
      path: "/test",
      role: "admin",
      body: { text: "/**/", songs: [1] },
      status: 400,
    },
  ])("$name -> $status", async ({ method, path, role, body, status }) => {
    expect((await ask(method, path, role, body)).status).toBe(status);
  });
});

import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { Elysia } from "elysia";
import { type Role, setContext } from "../../../src/http/context.ts";
import { errorBody } from "../../../src/http/errors.ts";
import { webdavAdminRoutes } from "../../../src/http/routes/webdav-admin.ts";
import { silentLogger } from "../../../src/ops/log.ts";
import { createMirror } from "../../../src/webdav/mirror.ts";
import { openSource, webdavConfig } from "../../webdav/source.ts";
import { plant, startRclone, temporary } from "../../webdav/upstreams.ts";

test("state, index and retry, for those who may", async () => {
  await using folder = await temporary("lx-davadmin-");
  await plant(folder.path, { "cache_audio/kw_1_320k.mp3": "x", "audio/a.mp3": "y" });
  await using upstream = await startRclone(folder.path);
  const db = new Database(":memory:", { strict: true });
  const config = webdavConfig({ url: upstream.url });
  await using webdav = openSource(config, db);
  const mirror = createMirror({ db, log: silentLogger, config, webdav });
  const ask = (method: string, path: string, role: Role = "admin") => {
    const app = new Elysia({ strictPath: true })
      .onRequest(({ request }) => {
        const peer = { address: "127.0.0.1", loopback: true, forwarded: false };
        setContext(request, { id: "t", peer, startedAt: 0, role, authorised: true });
      })
      .onError(({ error }) => {
        const { status, body } = errorBody(error, "api");
        return Response.json(body, { status });
      })
      .use(webdavAdminRoutes({ webdav, mirror }));
    return app.handle(new Request(`http://localhost/api/v1/webdav${path}`, { method }));
  };
  expect((await ask("GET", "", "none")).status).toBe(401);
  expect((await ask("POST", "/index", "viewer")).status).toBe(403);
  expect((await ask("POST", "/mirror/retry", "viewer")).status).toBe(403);
  const index = await ask("POST", "/index?wait=true");
  expect((await index.json()).data).toMatchObject({ files: 2, failed: [] });
  const state = await (await ask("GET", "", "viewer")).json();
  expect(state.data).toMatchObject({
    enabled: true,
    files: 2,
    lastError: null,
    mirror: { enabled: false, waiting: 0 },
  });
  expect(JSON.stringify(state)).not.toContain(config.password);
  expect((await ask("POST", "/index")).status).toBe(202);
  await webdav.refresh();
  expect((await ask("POST", "/mirror/retry")).status).toBe(200);
  await mirror.close();
});

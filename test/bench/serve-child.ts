/** `/cache` as the server has it, over the folder `<argument>/cache_audio`, on a free port, which is printed. */
import { Database } from "bun:sqlite";
import { createAudioCache } from "../../src/audio/index.ts";
import { inlineWork } from "../../src/audio/work.ts";
import { cacheFileRoutes } from "../../src/http/routes/cache-files.ts";
import { composeRoutes } from "../../src/http/routes/index.ts";
import { createHandler } from "../../src/http/server.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { audioConfig } from "../audio/rig.ts";

const config = audioConfig({ verify_found: false });
const audio = createAudioCache({
  dataDir: process.argv[2] ?? "",
  config: () => config,
  db: new Database(":memory:", { strict: true }),
  log: silentLogger,
  now: Date.now,
  fetchStream: () => Promise.reject(new Error("nothing is downloaded here")),
  work: inlineWork,
});
await audio.start();
const routes = composeRoutes([cacheFileRoutes({ audio, authorise() {} })], silentLogger);
const handle = createHandler({
  routes,
  access: {
    check: () => ({ role: "none", authorised: true }),
    peerOf: (_headers, { address }) => ({ address, loopback: true, forwarded: false }),
  },
  headers: { forAnswer: () => ({ "x-content-type-options": "nosniff" }), preflight: () => undefined },
  log: silentLogger,
  debug: () => false,
});
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (request) => handle(request, { address: "127.0.0.1" }),
});
process.stdout.write(`port ${server.port}\n`);

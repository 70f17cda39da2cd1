import { createAddressStore } from "../../src/cache/adapters.ts";
import { createCache } from "../../src/cache/index.ts";
import { AppError, toAppError } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/ops/log.ts";
import { cacheSettings } from "./settings.ts";

/**
 * One server process with a cache: GET /<songId> answers `status url` or `kind message`; what is not stored it asks
 * the platform at the address that it is given. Arguments: Redis port, database file, platform.
 */
const [redisPort = "", databasePath = "", platform = "", lock = "5"] = process.argv.slice(2);
const settings = cacheSettings({ adapter: "redis", redis: { port: Number(redisPort) }, lock: Number(lock), wait: 20 });
const cache = createCache({ config: () => settings, databasePath, log: silentLogger });
const addresses = createAddressStore(cache);

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const songId = new URL(request.url).pathname.slice(1);
    if (songId === "stats") return Response.json(cache.stats());
    const client = crypto.randomUUID();
    try {
      const answer = await addresses.through(
        { source: "kg", songId, quality: "320k", client, bypass: false },
        async () => {
          const reply = await fetch(`${platform}/${songId}`);
          if (reply.status !== 200) throw new AppError("upstream_refused", await reply.text());
          return { url: await reply.text(), quality: "320k", lifetimeSeconds: 3600, route: "kg" };
        },
      );
      return new Response(`${answer.status} ${answer.value.url}`);
    } catch (error) {
      const known = toAppError(error);
      return new Response(`${known.kind} ${known.message}`, { status: 500 });
    }
  },
});
// Connected, or given up: both are a state in which requests are answered.
await Bun.sleep(50);
console.log(server.port);

import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { LRUCache } from "lru-cache";
import { createAccess } from "./access/access.ts";
import { createAddressStore } from "./cache/adapters.ts";
import { createCache } from "./cache/index.ts";
import { renderScript } from "./client-script/render.ts";
import type { Config } from "./config/schema.ts";
import { loadConfig } from "./config/store.ts";
import { AppError } from "./core/errors.ts";
import { isSourceId, type SourceId } from "./core/types.ts";
import { baseUrl } from "./http/base-url.ts";
import { contextOf } from "./http/context.ts";
import { createFastLane } from "./http/fast-lane.ts";
import { landingPage } from "./http/pages/landing.ts";
import { createAccessGate } from "./http/plugins/access.ts";
import { createAnswerHeaders } from "./http/plugins/answer-headers.ts";
import { docsRoutes, openApi } from "./http/routes/docs.ts";
import { gcspRoutes } from "./http/routes/gcsp.ts";
import { composeRoutes } from "./http/routes/index.ts";
import { localRoutes } from "./http/routes/local.ts";
import { musicRoutes } from "./http/routes/music.ts";
import { opsRoutes } from "./http/routes/ops.ts";
import { queryRoutes } from "./http/routes/query.ts";
import { rootRoutes } from "./http/routes/root.ts";
import { scriptRoutes } from "./http/routes/script.ts";
import { createHandler } from "./http/server.ts";
import { createLibrary } from "./library/index.ts";
import { createHttpClient } from "./net/fetch.ts";
import { openDatabase } from "./ops/database.ts";
import { runHealthChecks } from "./ops/health.ts";
import { createLogger, type RootLogger } from "./ops/log.ts";
import { createMetrics } from "./ops/metrics.ts";
import { createCatalog } from "./resolve/catalog.ts";
import { musicInfoOf, songFromInfo } from "./resolve/music-info.ts";
import { createCatalogCache } from "./resolve/stored.ts";
import type { AccountRunner } from "./resolve/track.ts";
import { createTrackResolver, qualityOf } from "./resolve/track.ts";
import { createSources } from "./sources/index.ts";
import { startListener } from "./tls/listener.ts";

/** The composed application. */
export interface App {
  config(): Config;
  readonly log: RootLogger;
  /** Shown once on the first start, while there is no admin yet. */
  readonly setupToken: string | undefined;
  /** "?key=…" when `/script` wants a key. */
  scriptQuery(): string;
  /** Opens the listeners. @returns their addresses */
  start(): Promise<string[]>;
  /** Stops accepting, lets running requests end (within the configured deadline), flushes, closes. */
  close(): Promise<void>;
}

export interface AppPlace {
  dataDir: string;
  configFile: string | undefined;
  version: string;
  defaultText: string;
  environment: Record<string, string | undefined>;
  /** Addresses of the workers, made by the entry file: compiled, they are known only there. */
  workers: { libraryScan: string };
}

export async function openApp(place: AppPlace): Promise<App> {
  const dataDir = resolve(place.dataDir);
  const loaded = await loadConfig({
    dataDir,
    file: place.configFile,
    defaultText: place.defaultText,
    environment: place.environment,
  });
  const { config } = loaded;
  const log = createLogger({
    level: config.common.debug_mode ? "debug" : "info",
    format: config.common.log_format,
    lengthLimit: config.common.log_length_limit,
    ...(config.common.log_file ? { file: join(dataDir, "logs", "lx.log") } : {}),
  });
  const metrics = createMetrics(place.version);
  const startedAt = Date.now();
  const http = createHttpClient({
    deadlineMs: config.common.upstream.deadline * 1000,
    maxBytes: config.common.upstream.max_bytes,
    retries: config.common.upstream.retries,
    ...(config.common.upstream_gateway === "" ? {} : { gateway: config.common.upstream_gateway }),
    ...(config.common.proxy.enable
      ? { proxy: { http: config.common.proxy.http_value, https: config.common.proxy.https_value } }
      : {}),
  });
  const db = openDatabase(join(dataDir, "lx.db"), log);
  const cache = createCache({ config: () => config.common.cache, databasePath: join(dataDir, "cache.db"), log });
  const access = await createAccess({
    db,
    log,
    config: accessConfig(config),
    prefix: config.common.cache.redis.key_prefix,
  });
  const gate = createAccessGate({
    access,
    gcspPath: () => (config.module.gcsp.enable ? config.module.gcsp.path : undefined),
  });
  const library = createLibrary({
    db,
    log,
    config: config.common.local_music,
    dataDir,
    startWorker: () => new Worker(place.workers.libraryScan),
  });

  const sources = createSources(config.module, { http, log, now: Date.now, random: Math.random });
  const enabled = (source: SourceId) => config.module[source].enable;
  const totalDeadlineMs = () => config.common.upstream.total_deadline * 1000;
  const run: AccountRunner = (_source, need, work) => work({ signal: need.signal, step: need.step });
  const catalog = createCatalog({ sources, enabled, run, cache: createCatalogCache(cache), totalDeadlineMs });
  const track = createTrackResolver({
    sources,
    enabled,
    run,
    cache: createAddressStore(cache),
    nearby: [],
    songOf: async (source, songId, _info, ask) => (await catalog.info(source, songId, { bypass: false, ...ask })).value,
    musicInfoOf,
    songFromInfo,
    allowDowngrade: () => config.common.allow_downgrade,
    totalDeadlineMs,
    log,
  });

  const music = {
    track,
    catalog,
    qualityOf: (source: SourceId, word: string) => qualityOf(sources.get(source), word),
    normalizeId: (source: SourceId, songId: string) => normalizeId(sources.get(source)?.normalizeId, songId),
    enabled: (source: string) => isSourceId(source) && enabled(source),
    ownLink: gate.ownLink,
    mayAsk: gate.mayAsk,
    stepsOf: () => undefined,
  };
  const base = (request: Request, trusted: boolean) =>
    baseUrl(request, {
      publicUrl: config.common.public_url,
      behindHttps: config.common.ssl_info.is_https,
      trusted,
      fallback: `http://${hostname()}:${config.common.ports[0] ?? 9763}`,
    });
  const routes = composeRoutes(
    [
      openApi(place.version),
      docsRoutes(),
      rootRoutes({
        landing: (request) =>
          landingPage({
            title: config.common.download_config.name,
            intro: config.common.download_config.intro,
            version: place.version,
            scriptUrl: config.common.allow_download_script
              ? `${base(request, contextOf(request).peer.forwarded)}/script`
              : undefined,
            needsKey: config.security.key.enable,
            sources: [...sources.values()].map((source) => ({
              name: source.name,
              enabled: enabled(source.id),
              qualities: [...source.qualities],
            })),
          }),
      }),
      opsRoutes({ version: place.version, startedAt, metrics, ready: () => runHealthChecks([]) }),
      scriptRoutes({
        settings: () => ({ allowed: config.common.allow_download_script, ...config.common.download_config }),
        keyGood: gate.scriptKeyGood,
        baseUrl: base,
        render: rendered((url, key) => renderScript({ ...config.common.download_config, url, key })),
      }),
      gcspRoutes({
        settings: () => config.module.gcsp,
        now: Date.now,
        url: async (source, songId, quality, request) => {
          const { peer } = contextOf(request);
          const id = music.normalizeId(source, songId);
          return (
            await track.url({
              source,
              songId: id,
              quality,
              client: peer.address,
              bypass: false,
              signal: request.signal,
            })
          ).address;
        },
      }),
      localRoutes({ library, authorise: () => undefined }),
      queryRoutes(music),
      musicRoutes(music),
    ],
    log,
  );
  const pages = ["", "docs"];
  const answerHeaders = createAnswerHeaders(config.security.cors, { hsts: config.common.ssl_info.hsts, pages });
  const handle = createHandler({
    routes,
    access: gate,
    fastLane: createFastLane(music),
    headers: answerHeaders,
    observer: metrics,
    log,
    debug: () => config.common.debug_mode,
  });
  let listener: ReturnType<typeof startListener> | undefined;

  return {
    config: () => config,
    log,
    setupToken: access.admin.setupToken?.(),
    scriptQuery: () =>
      config.security.key.enable ? `?key=${encodeURIComponent(config.security.key.values[0] ?? "")}` : "",
    async start() {
      listener = startListener({
        hosts: config.common.hosts,
        ports: config.common.ports,
        handle: (request, connection) => handle(request, connection.address),
        idleSeconds: 60,
        maxBodyBytes: 128 << 20,
        log,
      });
      library.start();
      if (loaded.created) log.info("wrote the default config", { file: loaded.file });
      return listener.addresses;
    },
    async close() {
      await listener?.stop(config.common.shutdown_deadline * 1000);
      await library.close();
      await access.close();
      await cache.close();
      db.close();
      await log.flush();
    },
  };
}

/** Longest id that any platform has, with room. */
const MAX_ID = 200;

function normalizeId(normalize: ((id: string) => string) | undefined, songId: string): string {
  if (songId === "" || songId.length > MAX_ID || /[\p{Cc}]/u.test(songId))
    throw new AppError("invalid_request", "请求参数有错");
  return normalize?.(songId) ?? songId;
}

function accessConfig(config: Config) {
  return { security: config.security, reverse_proxy: config.common.reverse_proxy };
}

const MAX_RENDERED = 64;

/** The last few scripts: all clients of a server ask for the same one or two. */
function rendered<T>(render: (url: string, key: string) => T): (url: string, key: string) => T {
  const made = new LRUCache<string, { script: T }>({ max: MAX_RENDERED });
  return (url, key) => {
    const name = JSON.stringify([url, key]);
    const known = made.get(name);
    if (known !== undefined) return known.script;
    const script = render(url, key);
    made.set(name, { script });
    return script;
  };
}

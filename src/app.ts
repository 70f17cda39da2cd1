import type { Database } from "bun:sqlite";
import { join, resolve } from "node:path";
import type { Redis } from "ioredis";
import { type Access, createAccess } from "./access/access.ts";
import { listenBehindProxy } from "./app-listen.ts";
import { exportMetrics } from "./app-metrics.ts";
import { composeHttp } from "./app-routes.ts";
import { type AudioCache, createAudioCache } from "./audio/index.ts";
import { workerWork } from "./audio/work.ts";
import { addressKey, createAddressStore } from "./cache/adapters.ts";
import { type Cache, createCache } from "./cache/index.ts";
import { type CacheOperator, createOperator } from "./cache/operate.ts";
import { createRedisClient, isCluster } from "./cache/redis-client.ts";
import { createWarmer } from "./cache/warm.ts";
import { changedKeys } from "./config/render.ts";
import type { Config } from "./config/schema.ts";
import { loadConfig, rereadConfig } from "./config/store.ts";
import { watchConfig } from "./config/watch.ts";
import { createCredentialWriter } from "./config/write-back.ts";
import { AppError, toAppError } from "./core/errors.ts";
import { fileFault } from "./core/file-fault.ts";
import type { SourceId } from "./core/types.ts";
import { contentTypeOf, serveFile } from "./http/serve-file.ts";
import { createArtistView } from "./library/artist-view.ts";
import { createLibrary, type Library } from "./library/index.ts";
import { createMatcher } from "./library/match.ts";
import { createHttpClient, type HttpClient } from "./net/fetch.ts";
import { createGuardedClient } from "./net/guard.ts";
import { createNamedStream } from "./net/named.ts";
import { openDataFolder } from "./ops/data-folder.ts";
import { openDatabase } from "./ops/database.ts";
import { type HealthCheck, runHealthChecks } from "./ops/health.ts";
import { createLogger, type Logger, type RootLogger } from "./ops/log.ts";
import { createMetrics } from "./ops/metrics.ts";
import { createSchedule } from "./ops/schedule.ts";
import { createTraces } from "./ops/trace.ts";
import { type Catalog, createCatalog } from "./resolve/catalog.ts";
import { type AudioKeeping, createAudioKeeping } from "./resolve/keep-audio.ts";
import { musicInfoOf } from "./resolve/music-info.ts";
import { libraryFinder, webdavFinder } from "./resolve/nearby.ts";
import { scriptAsker, scriptExtras } from "./resolve/scripts.ts";
import { createCatalogCache } from "./resolve/stored.ts";
import { createTrackResolver, type TrackResolver } from "./resolve/track.ts";
import { warmDeps } from "./resolve/warm-songs.ts";
import { createScriptHost, type ScriptHost } from "./scripts/host.ts";
import { createSqliteAccountStore } from "./sources/account-store.ts";
import { type AccountPool, createAccountPool } from "./sources/accounts.ts";
import { createSources } from "./sources/index.ts";
import { createKeepAlive } from "./sources/keep-alive.ts";
import type { Source } from "./sources/source.ts";
import { type Listener, startListener } from "./tls/listener.ts";
import { createTls, type Tls } from "./tls/tls.ts";
import { createWebdavSource, type WebdavSource } from "./webdav/client.ts";
import { createMirror } from "./webdav/mirror.ts";
import { createDavServer } from "./webdav/server.ts";

/** The composed application. Commands use its features without opening a port. */
export interface App {
  config(): Config;
  readonly log: RootLogger;
  readonly db: Database;
  readonly access: Access;
  readonly cache: Cache;
  readonly sources: ReadonlyMap<SourceId, Source>;
  readonly pool: AccountPool;
  readonly catalog: Catalog;
  readonly track: TrackResolver;
  readonly library: Library;
  readonly webdav: WebdavSource;
  readonly audio: AudioCache;
  /** What the platforms know of a song, as tags for a file. */
  tagsOf: AudioKeeping["tagsOf"];
  readonly tls: Tls;
  readonly scripts: ScriptHost;
  readonly operator: CacheOperator;
  /** Shown once on the first start, while there is no admin yet. */
  readonly setupToken: string | undefined;
  /** "?key=…" when `/script` wants a key. */
  scriptQuery(): string;
  /** Takes over what has changed in the config file where that is possible; a wrong change is refused. */
  reload(): Promise<void>;
  /** Opens the listeners and starts what runs in the background. @returns the addresses */
  start(): Promise<string[]>;
  /** Stops accepting, lets running requests end (within the configured deadline), flushes, closes. Once, however often it is called. */
  close(): Promise<void>;
}

export interface AppPlace {
  dataDir: string;
  configFile: string | undefined;
  version: string;
  defaultText: string;
  environment: Record<string, string | undefined>;
  /** Addresses of the workers, made by the entry file: compiled, they are known only there. */
  workers: AppWorkers;
}

export interface AppWorkers {
  libraryScan: string;
  audioTag: string;
  /** The executable and arguments that make it a script process. */
  scriptProcess: string[];
}

/** For audio and covers: a whole file at most. */
const NAMED_DEADLINE_MS = 15 * 60_000;
const MAX_NAMED_BYTES = 2 << 30;
const DAV_PREFIX = "/dav";
const ARTIST_VIEW_MS = 60_000;

/** Seconds without traffic after which a connection is closed. */
const IDLE_SECONDS = 60;

/** Config -> application. Builds from the ground up; nothing runs in the background before `start`. */
export async function openApp(place: AppPlace): Promise<App> {
  const startedAt = Date.now();
  const dataDir = resolve(place.dataDir);
  openDataFolder(dataDir);
  const { configFile: file, defaultText, environment } = place;
  const configPlace = { dataDir, file, defaultText, environment };
  const loaded = await loadConfig(configPlace);
  let config = loaded.config;
  const current = () => config;

  const log = createLogger({
    level: config.common.debug_mode ? "debug" : "info",
    format: config.common.log_format,
    lengthLimit: config.common.log_length_limit,
    ...(config.common.log_file ? { file: join(dataDir, "logs", "lx.log") } : {}),
  });
  const metrics = createMetrics(place.version);
  const traces = createTraces();
  const schedule = createSchedule(log);
  const db = mainDatabase(join(dataDir, "lx.db"), log);
  const cache = createCache({ config: () => config.common.cache, databasePath: join(dataDir, "cache.db"), log });
  const sharedRedis = config.security.rate_limit.shared ? redisForAccess(config, log) : undefined;
  const access = await createAccess({
    db,
    log,
    config: accessConfig(config),
    prefix: config.common.cache.redis.key_prefix,
    redis: sharedRedis,
  });

  const http = platformClient(config);
  const sources = createSources(config.module, { http, log, now: Date.now, random: Math.random });
  const pool = createAccountPool({
    sources,
    store: createSqliteAccountStore(db),
    settings: () => accountSettings(config),
    log,
    now: Date.now,
    writeBack: createCredentialWriter(loaded.file),
  });
  pool.configure(config.module, config.common.cookiepool);
  const library = createLibrary({
    db,
    log,
    config: config.common.local_music,
    dataDir,
    startWorker: () => new Worker(place.workers.libraryScan),
  });

  const webdav = createWebdavSource({
    db,
    log,
    config: config.common.webdav_cache,
    createMatcher: () => {
      const { match_threshold: threshold, extensions } = config.common.local_music;
      return createMatcher({ threshold, extensions: new Set(extensions) });
    },
  });

  const enabled = (source: SourceId) => config.module[source].enable;
  const totalDeadlineMs = () => config.common.upstream.total_deadline * 1000;
  const { run } = pool;
  const guard = createGuardedClient({
    deadlineMs: NAMED_DEADLINE_MS,
    maxBytes: MAX_NAMED_BYTES,
    maxRedirects: 5,
    allowPrivate: config.common.external_scripts.allow_private,
    dns: config.common.external_scripts.dns,
  });
  const named = createNamedStream({ guard, gateway: config.common.upstream_gateway, maxBytes: MAX_NAMED_BYTES });
  const mirror = createMirror({ db, log, config: config.common.webdav_cache, webdav });
  const audio = createAudioCache({
    dataDir,
    config: () => config.common.remote_cache,
    db,
    log,
    now: Date.now,
    fetchStream: named,
    work: workerWork(place.workers.audioTag),
    onStored: (file) => void mirror.add(file.path),
    onRefused: ({ source, songId, quality }) => void cache.evict(addressKey(source, songId, quality)),
  });
  const scripts = createScriptHost({
    db,
    dataDir,
    config: config.common.external_scripts,
    log,
    command: place.workers.scriptProcess,
  });
  const catalog = createCatalog({
    sources,
    enabled,
    run,
    cache: createCatalogCache(cache),
    scripts: scriptExtras(scripts),
    totalDeadlineMs,
  });
  const keeping = createAudioKeeping({ audio, catalog, log });
  const track = createTrackResolver({
    sources,
    enabled,
    run,
    cache: createAddressStore(cache),
    nearby: [
      libraryFinder(library, {
        prefer: () => config.common.local_music.prefer,
        allowDowngrade: () => config.common.allow_downgrade,
      }),
      (request) => (config.common.remote_cache.enable ? keeping.finder(request) : undefined),
      webdavFinder(webdav),
    ],
    scripts: scriptAsker(scripts),
    resolved: (request, address) => keeping.resolved(request, address),
    avoid: (request) => keeping.avoid(request.source, request.songId, request.quality),
    songOf: async (source, songId, _info, ask) => (await catalog.info(source, songId, { bypass: false, ...ask })).value,
    musicInfoOf,
    allowDowngrade: () => config.common.allow_downgrade,
    totalDeadlineMs,
    log,
  });

  const dav = createDavServer({
    db,
    log,
    config: config.common.webdav_server,
    prefix: DAV_PREFIX,
    mounts: [
      { name: "Upload", path: library.uploadFolder, writable: true },
      { name: "Cache", path: audio.folder, writable: false },
      ...library.folders.map((path, index) => ({
        name: index === 0 ? "Library" : `Library ${index + 1}`,
        path,
        writable: false,
      })),
    ],
    views: [{ name: "Artists", ...createArtistView(library, { keepMs: ARTIST_VIEW_MS }) }],
    serveFile,
    contentTypeOf,
    changed: () => void library.scan().catch((error: unknown) => log.warn("scan after an upload failed", { error })),
  });
  exportMetrics(metrics, { cache, pool, library, webdav, access, scripts });
  const operator = createOperator({
    cache,
    config: () => config.common.cache,
    warm: createWarmer(warmDeps({ catalog, track, gapMs: () => config.common.cache.warm_gap })),
    log,
  });
  const tls = createTls({
    settings: () => config.common.ssl_info,
    dataDir,
    log,
    metrics,
    now: Date.now,
    random: Math.random,
  });
  const checks: HealthCheck[] = [
    { name: "database", required: true, check: () => db.query("SELECT 1").get() !== null || "no answer" },
    ...cache.stats().tiers.map(
      ({ name }): HealthCheck => ({
        name: `cache ${name}`,
        required: false,
        check: () => cache.stats().tiers.find((tier) => tier.name === name)?.state === "up" || "down",
      }),
    ),
    { name: "certificate", required: false, check: tls.health },
    { name: "library", required: false, check: () => library.status().lastError ?? true },
  ];
  const handle = composeHttp({
    version: place.version,
    startedAt,
    config: current,
    log,
    metrics,
    traces,
    ready: () => runHealthChecks(checks),
    access,
    sources,
    pool,
    track,
    catalog,
    library,
    webdav,
    mirror,
    audio,
    dav,
    davPrefix: DAV_PREFIX,
    tls,
    scripts,
    operator,
  });
  let listener: Listener | undefined;
  let watcher: { close(): void } | undefined;
  let closing: Promise<void> | undefined;

  async function reload(): Promise<void> {
    if (closing !== undefined) return;
    try {
      const next = await rereadConfig(loaded.file, configPlace);
      const changes = changedKeys(config, next);
      if (changes.length === 0) return;
      config = next;
      access.configure(accessConfig(next));
      pool.configure(next.module, next.common.cookiepool);
      void tls.refresh();
      void scripts.reconfigure(next.common.external_scripts);
      log.setLevel(next.common.debug_mode ? "debug" : "info");
      const later = changes.filter((change) => change.restart).map((change) => change.path);
      log.info("config changed", { keys: changes.map((change) => change.path), afterRestart: later });
    } catch (error) {
      log.error("changed config refused, the old one stays in force", { reason: toAppError(error).message });
    }
  }

  return {
    config: current,
    log,
    db,
    access,
    cache,
    sources,
    pool,
    catalog,
    track,
    library,
    webdav,
    audio,
    tagsOf: keeping.tagsOf,
    operator,
    tls,
    scripts,
    setupToken: access.admin.setupToken(),
    scriptQuery: () =>
      config.security.key.enable ? `?key=${encodeURIComponent(config.security.key.values[0] ?? "")}` : "",
    reload,
    async start() {
      const { common } = config;
      const { proxy_protocol, trusted } = common.reverse_proxy;
      const listen = proxy_protocol ? listenBehindProxy : startListener;
      listener = await listen({
        trusted,
        hosts: common.hosts,
        ports: common.ports,
        tls: await tls.prepare(),
        unixSocket: common.unix_socket,
        handle,
        idleSeconds: IDLE_SECONDS,
        maxBodyBytes: Math.max(config.security.body_limit, common.local_music.upload.max_bytes),
        log,
      });
      if (loaded.created) log.info("wrote the default config", { file: loaded.file });
      tls.start(listener, schedule);
      library.start();
      webdav.start();
      mirror.start();
      // A WebDAV client can only write into a folder that is there.
      if (common.webdav_server.enable) await library.makeUploadFolder();
      await audio.start();
      scripts.start().catch((error: unknown) => log.warn("scripts did not start", { error }));
      scripts.schedule(schedule);
      createKeepAlive({ pool, log, now: Date.now, random: Math.random }).start(schedule);
      watcher = watchConfig(loaded.file, () => void reload());
      return listener.addresses;
    },
    close() {
      closing ??= shutDown();
      return closing;
    },
  };

  /** In the order in which they lean on each other, the nearest to the client first. */
  async function shutDown(): Promise<void> {
    watcher?.close();
    await listener?.stop(config.common.shutdown_deadline * 1000);
    await schedule.stop();
    await scripts.close();
    await audio.close();
    await mirror.close();
    await webdav.close();
    await library.close();
    await access.close();
    sharedRedis?.disconnect();
    await cache.close();
    db.close();
    await log.flush();
  }
}

/** Without it nothing works, so that its failure is the operator's to solve. */
function mainDatabase(path: string, log: RootLogger): Database {
  try {
    return openDatabase(path, log);
  } catch (error) {
    throw new AppError("storage_failed", `cannot open the database ${path}: ${fileFault(error, path)}`, {
      cause: error,
    });
  }
}

function accessConfig(config: Config) {
  return { security: config.security, reverse_proxy: config.common.reverse_proxy };
}

function accountSettings({ common: { accounts } }: Config) {
  return {
    guestFirst: accounts.guest_first,
    coolDownMs: accounts.cool_down * 1000,
    dailyBudget: accounts.daily_budget,
    minimumGapMs: accounts.minimum_gap,
    writeBack: accounts.write_back,
    warnBeforeMs: accounts.warn_before * 1000,
  };
}

/** The client for the platforms' own addresses. */
function platformClient({ common }: Config): HttpClient {
  const { upstream, proxy, upstream_gateway: gateway } = common;
  return createHttpClient({
    deadlineMs: upstream.deadline * 1000,
    maxBytes: upstream.max_bytes,
    retries: upstream.retries,
    ...(gateway === "" ? {} : { gateway }),
    ...(proxy.enable ? { proxy: { http: proxy.http_value, https: proxy.https_value } } : {}),
  });
}

/** The scripts of the access rules work on one server's keys; a cluster would spread them. */
function redisForAccess(config: Config, log: Logger): Redis | undefined {
  const client = createRedisClient(config.common.cache.redis, log);
  if (!isCluster(client)) return client;
  client.disconnect();
  log.warn("rate_limit.shared does not work with a Redis cluster, counting alone");
  return undefined;
}

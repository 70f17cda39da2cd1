import { hostname } from "node:os";
import { LRUCache } from "lru-cache";
import type { Access } from "./access/access.ts";
import type { Remote } from "./access/peer.ts";
import type { AudioCache } from "./audio/index.ts";
import type { CacheOperator } from "./cache/operate.ts";
import { renderScript } from "./client-script/render.ts";
import type { Config } from "./config/schema.ts";
import { AppError } from "./core/errors.ts";
import { isSourceId, type SourceId } from "./core/types.ts";
import { baseUrl } from "./http/base-url.ts";
import { contextOf } from "./http/context.ts";
import { createFastLane } from "./http/fast-lane.ts";
import { landingPage } from "./http/pages/landing.ts";
import { phoneAddress } from "./http/phone-address.ts";
import { createAccessGate } from "./http/plugins/access.ts";
import { createAnswerHeaders } from "./http/plugins/answer-headers.ts";
import { createHttpsRedirect } from "./http/plugins/https-redirect.ts";
import { accessAdminRoutes } from "./http/routes/access-admin.ts";
import { accountRoutes } from "./http/routes/accounts.ts";
import { audioAdminRoutes } from "./http/routes/audio-admin.ts";
import { authRoutes } from "./http/routes/auth.ts";
import { cacheAdminRoutes } from "./http/routes/cache-admin.ts";
import { cacheFileRoutes } from "./http/routes/cache-files.ts";
import { docsRoutes, openApi } from "./http/routes/docs.ts";
import { gcspRoutes } from "./http/routes/gcsp.ts";
import { composeRoutes } from "./http/routes/index.ts";
import { libraryAdminRoutes } from "./http/routes/library-admin.ts";
import { localRoutes } from "./http/routes/local.ts";
import { type MusicDeps, musicRoutes } from "./http/routes/music.ts";
import { opsRoutes } from "./http/routes/ops.ts";
import { queryRoutes } from "./http/routes/query.ts";
import { aliveAnswer, rootRoutes } from "./http/routes/root.ts";
import { createScriptLane, type ScriptDeps, scriptRoutes } from "./http/routes/script.ts";
import { scriptsAdminRoutes } from "./http/routes/scripts-admin.ts";
import { tlsRoutes } from "./http/routes/tls.ts";
import { traceRoutes } from "./http/routes/traces.ts";
import { webdavRoutes } from "./http/routes/webdav.ts";
import { webdavAdminRoutes } from "./http/routes/webdav-admin.ts";
import { createHandler } from "./http/server.ts";
import type { Library } from "./library/index.ts";
import type { HealthReport } from "./ops/health.ts";
import type { Logger } from "./ops/log.ts";
import type { Metrics } from "./ops/metrics.ts";
import type { Traces } from "./ops/trace.ts";
import type { Catalog } from "./resolve/catalog.ts";
import { qualityOf, type TrackResolver } from "./resolve/track.ts";
import type { ScriptHost } from "./scripts/host.ts";
import type { AccountPool } from "./sources/accounts.ts";
import type { Source } from "./sources/source.ts";
import type { Tls } from "./tls/tls.ts";
import type { WebdavSource } from "./webdav/client.ts";
import type { Mirror } from "./webdav/mirror.ts";
import type { DavServer } from "./webdav/server.ts";

/** Every feature that answers over HTTP. */
export interface RouteFeatures {
  version: string;
  startedAt: number;
  config: () => Config;
  log: Logger;
  metrics: Metrics;
  traces: Traces;
  ready: () => Promise<HealthReport>;
  access: Access;
  sources: ReadonlyMap<SourceId, Source>;
  pool: AccountPool;
  track: TrackResolver;
  catalog: Catalog;
  library: Library;
  webdav: WebdavSource;
  mirror: Mirror;
  audio: AudioCache;
  dav: DavServer;
  davPrefix: string;
  tls: Tls;
  scripts: ScriptHost;
  operator: CacheOperator;
}

/** Longest id that any platform has, with room. */
const MAX_ID = 200;
const MAX_RENDERED = 64;
/** First path segments that answer with pages of ours. */
const PAGES = ["", "docs", "ca"];
/** Further ones that everyone may see. */
const OPEN_SEGMENTS = ["ca", "ca.crt"];

/** The whole HTTP surface: rules, routes, headers. */
export function composeHttp(features: RouteFeatures) {
  const { config, access, sources, track, catalog, log } = features;
  const gate = createAccessGate({
    access,
    openSegments: OPEN_SEGMENTS,
    gcspPath: () => (config().module.gcsp.enable ? config().module.gcsp.path : undefined),
  });
  const music: MusicDeps = {
    track,
    catalog,
    qualityOf: (source, word) => qualityOf(sources.get(source), word),
    normalizeId: (source, songId) => normalizeId(sources.get(source), songId),
    enabled: (source) => isSourceId(source) && config().module[source].enable,
    ownLink: gate.ownLink,
    mayAsk: gate.mayAsk,
    stepsOf: (context) => features.traces.recorder(context.id),
  };
  const base = (request: Request, trusted: boolean) =>
    baseUrl(request, {
      publicUrl: config().common.public_url,
      behindHttps: config().common.ssl_info.is_https,
      trusted,
      fallback: `http://${hostname()}:${config().common.ports[0] ?? 9763}`,
    });
  const isHttps = (request: Request) => base(request, contextOf(request).peer.viaProxy === true).startsWith("https:");
  const download = () => config().common.download_config;

  const script: ScriptDeps = {
    settings: remade(config, ({ common }) => ({ allowed: common.allow_download_script, ...common.download_config })),
    keyGood: gate.scriptKeyGood,
    baseUrl: base,
    render: remembered((url, key) => renderScript({ ...download(), url, key }), download),
  };

  const groups: unknown[] = [
    openApi(features.version, () => groups),
    docsRoutes(),
    rootRoutes({ landing: (request) => landing(features, base(request, contextOf(request).peer.viaProxy === true)) }),
    opsRoutes(features),
    scriptRoutes(script),
    gcspRoutes({
      settings: () => config().module.gcsp,
      now: Date.now,
      async url(source, songId, quality, request) {
        const client = contextOf(request).peer.address;
        const id = music.normalizeId(source, songId);
        return (await track.url({ source, songId: id, quality, client, bypass: false, signal: request.signal }))
          .address;
      },
    }),
    localRoutes({ library: features.library, authorise: () => undefined, ownLink: gate.ownLink }),
    queryRoutes(music),
    authRoutes({ access, isHttps }),
    accessAdminRoutes({ access }),
    accountRoutes({ pool: features.pool }),
    cacheAdminRoutes({ operator: features.operator, audit: access.audit, log }),
    libraryAdminRoutes({ library: features.library }),
    scriptsAdminRoutes({ scripts: features.scripts, audit: access.audit }),
    tlsRoutes({
      tls: features.tls,
      phoneAddress(request, viaProxy) {
        const { public_url, ports, ssl_info } = config().common;
        const direct = public_url === "" && !viaProxy && !ssl_info.is_https;
        return phoneAddress(base(request, viaProxy), direct ? ports.find((port) => port !== 0) : undefined);
      },
      audit: ({ user = "", peer, id }, action, target) =>
        access.audit.record({ actor: user, address: peer.address, action, target, requestId: id }),
    }),
    cacheFileRoutes({ audio: features.audio, authorise: () => undefined }),
    audioAdminRoutes({ audio: features.audio, audit: access.audit }),
    webdavAdminRoutes({ webdav: features.webdav, mirror: features.mirror }),
    webdavRoutes({ webdav: features.webdav, authorise: () => undefined }),
    traceRoutes(features.traces),
    musicRoutes(music),
  ];
  const headers = remade(config, ({ security, common }) =>
    createAnswerHeaders(security.cors, { hsts: common.ssl_info.hsts, pages: PAGES }),
  );
  const urlLane = createFastLane(music);
  const scriptLane = createScriptLane(script);
  const redirect = createHttpsRedirect({
    target: () => (config().common.ssl_info.redirect_http ? features.tls.secureTarget() : undefined),
    publicUrl: () => config().common.public_url,
    behindHttps: () => config().common.ssl_info.is_https,
    externalOrigin: (sent, peerAddress) => access.peers.externalOrigin(sent, peerAddress),
  });
  const handle = createHandler({
    routes: composeRoutes(groups, log),
    access: gate,
    mounts: [
      {
        prefix: `${features.davPrefix}/`,
        async handle(request, context) {
          if (!config().common.webdav_server.enable) throw new AppError("not_found", "未找到您所请求的资源");
          const { user = "", role, authorised } = context;
          return features.dav.handle(request, { name: user, role, authorised });
        },
      },
    ],
    fastLane(request, target, context) {
      if (target.path === "/") return aliveAnswer(request);
      if (target.path === "/script") return scriptLane(request, context);
      // With a preferred library the client's own words decide: no path says enough.
      if (target.query !== "" && config().common.local_music.prefer) return undefined;
      return urlLane(request, target, context);
    },
    bodyLimit: (method, path) =>
      isUpload(method, path, `${features.davPrefix}/`) ? undefined : config().security.body_limit,
    headers: {
      forAnswer: (request, target) => headers().forAnswer(request, target),
      preflight: (request) => headers().preflight(request),
    },
    observer: features.metrics,
    log,
    debug: () => config().common.debug_mode,
  });
  return (request: Request, remote: Remote) => redirect(request, remote) ?? handle(request, remote);
}

/** Bodies that their routes stream, with limits of their own. */
const UPLOADS = new Set(["/api/v1/library/upload", "/api/v1/cache/import"]);

function isUpload(method: string, path: string, dav: string): boolean {
  return UPLOADS.has(path) || (method === "PUT" && path.startsWith(dav));
}

function landing(features: RouteFeatures, base: string): string {
  const { common, security, module } = features.config();
  return landingPage({
    title: common.download_config.name,
    intro: common.download_config.intro,
    version: features.version,
    scriptUrl: common.allow_download_script ? `${base}/script` : undefined,
    needsKey: security.key.enable,
    sources: [...features.sources.values()].map((source) => ({
      name: source.name,
      enabled: module[source.id].enable,
      qualities: common.download_config.quality[source.id],
    })),
  });
}

function normalizeId(source: Source | undefined, songId: string): string {
  if (songId === "" || songId.length > MAX_ID || /\p{Cc}/u.test(songId))
    throw new AppError("invalid_request", "请求参数有错");
  return source?.normalizeId(songId) ?? songId;
}

/** A value made from the config, made anew when the config is another one. */
function remade<T>(config: () => Config, make: (config: Config) => T): () => T {
  let from: Config | undefined;
  let value: T | undefined;
  return () => {
    const now = config();
    if (from !== now || value === undefined) {
      from = now;
      value = make(now);
    }
    return value;
  };
}

/** The last few scripts: all clients of a server ask for the same one or two. */
function remembered<T>(
  render: (url: string, key: string) => T,
  settings: () => object,
): (url: string, key: string) => T {
  const made = new LRUCache<string, { script: T; from: object }>({ max: MAX_RENDERED });
  return (url, key) => {
    const name = JSON.stringify([url, key]);
    const known = made.get(name);
    if (known?.from === settings()) return known.script;
    const script = render(url, key);
    made.set(name, { script, from: settings() });
    return script;
  };
}

import type { StoredAddress } from "../cache/codecs.ts";
import type { Asker } from "../cache/heal.ts";
import type { CacheNote } from "../cache/store.ts";
import { AppError, isAppError, toAppError } from "../core/errors.ts";
import {
  isQuality,
  type MusicInfo,
  type PlayableUrl,
  type Quality,
  SOURCE_NAMES,
  type Song,
  type SourceId,
} from "../core/types.ts";
import type { Logger } from "../ops/log.ts";
import type { Call, Source } from "../sources/source.ts";
import { isInfoOf } from "./music-info.ts";

/** A playable address that is already ours: from the library, the audio cache or the WebDAV server. */
export interface NearbyHit {
  /** A path of ours ("/cache/…"), or an absolute address. */
  address: string;
  quality: Quality;
  kind: "library" | "audio" | "webdav";
}

export interface TrackRequest {
  source: SourceId;
  songId: string;
  quality: Quality;
  /**
   * The client's own knowledge of the song (`?info=`). For third-party scripts only, and only when it is of this song:
   * answers are shared, so that nobody may put another song's address under this id.
   */
  info?: MusicInfo | undefined;
  /** Who asks, for self-healing: asked again within seconds means that the address was bad. */
  client: string;
  /** Skip what is stored. */
  bypass: boolean;
  signal?: AbortSignal | undefined;
  step?: Call["step"];
  /** Told how the address cache answered, failures included. */
  note?: ((status: CacheNote) => void) | undefined;
}

/** What is asked of our own files; who asks does not matter there. */
export type NearbyRequest = Pick<TrackRequest, "source" | "songId" | "quality" | "info" | "step">;

export interface TrackAnswer {
  address: string;
  quality: Quality;
  /** Answered without asking a platform. */
  cached: boolean;
  nearby?: NearbyHit["kind"];
  /** Unix seconds until which the address plays; undefined = no known end. */
  expiresAt?: number;
  cacheStatus: string;
}

export interface Cached<T> {
  value: T;
  status: "hit" | "miss" | "stale" | "bypass";
  tier?: string | undefined;
  /** Until when it is served; Unix ms, Infinity = no end. */
  expiresAt: number;
  /** The platform's own end of an address; Unix ms. */
  realExpiresAt?: number | undefined;
}

/** The address cache, as the resolver needs it; made from `cache/` in app.ts. */
export interface AddressCache {
  /** Memory only, at once. */
  peek(key: string, asker: Asker): Cached<StoredAddress> | undefined;
  keyOf(source: SourceId, songId: string, quality: Quality): string;
  through(
    request: TrackRequest,
    load: (avoid: ReadonlySet<string>, signal: AbortSignal) => Promise<StoredAddress>,
  ): Promise<Cached<StoredAddress>>;
}

/** Runs one call with the right account (or none), and tries the next one when an account fails. */
export type AccountRunner = <T>(
  source: Source,
  need: { quality?: Quality | undefined; signal?: AbortSignal | undefined; step?: Call["step"] },
  work: (call: Call) => Promise<T>,
) => Promise<T>;

export interface ScriptAsker {
  /** Is there a script that wants to be asked before (or after) the own source? */
  wants(when: "before" | "after", source: SourceId, quality: Quality): boolean;
  musicUrl(
    source: SourceId,
    quality: Quality,
    info: MusicInfo,
    options: { signal?: AbortSignal | undefined; step?: Call["step"]; avoid: ReadonlySet<string> },
  ): Promise<{ url: string; script: string }>;
}

export interface TrackDeps {
  sources: ReadonlyMap<SourceId, Source>;
  enabled: (source: SourceId) => boolean;
  run: AccountRunner;
  cache: AddressCache;
  /** Nearest first. */
  nearby: ((request: NearbyRequest) => NearbyHit | undefined)[];
  scripts?: ScriptAsker | undefined;
  /** Song info for scripts and tags when the client sent none. */
  songOf: (
    source: SourceId,
    songId: string,
    info: MusicInfo | undefined,
    call: Pick<TrackRequest, "signal" | "step">,
  ) => Promise<Song | undefined>;
  musicInfoOf: (song: Song) => MusicInfo;
  /** Routes that gave a fake for this lately: to be asked last. */
  avoid?: (request: TrackRequest) => ReadonlySet<string>;
  /** Told of every address that a platform or script has given. */
  resolved?: (request: TrackRequest, address: StoredAddress) => void;
  allowDowngrade: () => boolean;
  totalDeadlineMs: () => number;
  log: Logger;
}

export interface TrackResolver {
  /**
   * Finds a playable address, nearest first: library, audio cache, WebDAV, address cache, the platform, scripts.
   *
   * @throws AppError `source_disabled`, `unsupported` (unknown quality of this source), or the most telling
   *   `upstream_*` when every step answered and none had it.
   */
  url(request: TrackRequest): Promise<TrackAnswer>;
  /** The answer when it is in memory already; the same object for the same hit. */
  peek(place: TrackPlace, asker: Asker): TrackAnswer | undefined;
  placeOf(source: SourceId, songId: string, quality: Quality): TrackPlace;
}

/** A song in a quality with its key; worth keeping, because a hot song is asked for thousands of times. */
export interface TrackPlace {
  readonly source: SourceId;
  readonly songId: string;
  readonly quality: Quality;
  readonly key: string;
}

export function createTrackResolver(deps: TrackDeps): TrackResolver {
  function nearbyAnswer(request: NearbyRequest): TrackAnswer | undefined {
    for (const find of deps.nearby) {
      const hit = find(request);
      if (hit === undefined) continue;
      request.step?.("nearby", { kind: hit.kind });
      return {
        address: hit.address,
        quality: hit.quality,
        cached: true,
        nearby: hit.kind,
        cacheStatus: `lx; hit; detail=${hit.kind}`,
      };
    }
    return undefined;
  }

  return {
    placeOf: (source, songId, quality) => ({ source, songId, quality, key: deps.cache.keyOf(source, songId, quality) }),

    peek(place, asker) {
      if (!deps.enabled(place.source)) return undefined;
      const near = nearbyAnswer(place);
      if (near !== undefined) return near;
      const hit = deps.cache.peek(place.key, asker);
      return hit === undefined ? undefined : answerOfHit(hit);
    },

    async url(request) {
      const source = deps.sources.get(request.source);
      if (source === undefined || source.url === undefined) throw new AppError("unsupported", "未知的源或不支持的方法");
      if (!deps.enabled(request.source)) throw new AppError("source_disabled", "此平台已停止服务");
      if (!source.qualities.includes(request.quality)) {
        throw new AppError("invalid_request", `${SOURCE_NAMES[request.source]}: 不支持的音质 "${request.quality}"`);
      }
      const near = nearbyAnswer(request);
      if (near !== undefined) return near;
      const stored = await deps.cache.through(request, (avoid, signal) =>
        resolveFresh(deps, source, { ...request, signal }, avoid),
      );
      if (stored.status === "miss" || stored.status === "bypass") deps.resolved?.(request, stored.value);
      return answerOf(stored);
    },
  };
}

/** Answers of hits, by the cache's own answer object: a hot address is made into an answer once. */
const madeOfHits = new WeakMap<Cached<StoredAddress>, TrackAnswer>();

function answerOfHit(stored: Cached<StoredAddress>): TrackAnswer {
  let answer = madeOfHits.get(stored);
  if (answer === undefined) {
    answer = Object.freeze(answerOf(stored));
    madeOfHits.set(stored, answer);
  }
  return answer;
}

/** A fresh answer tells when it leaves our cache; a hit tells the platform's own end, as the original does. */
function answerOf(stored: Cached<StoredAddress>): TrackAnswer {
  const cached = stored.status === "hit" || stored.status === "stale";
  const { value } = stored;
  const answer: TrackAnswer = {
    address: value.url,
    quality: value.quality,
    cached,
    cacheStatus: cached
      ? `lx; hit${stored.tier === undefined ? "" : `; detail=${stored.tier}`}`
      : `lx; fwd=${stored.status}`,
  };
  if (value.lifetimeSeconds !== undefined) {
    const end = cached ? (stored.realExpiresAt ?? stored.expiresAt) : stored.expiresAt;
    answer.expiresAt = Math.trunc(end / 1000);
  }
  return answer;
}

async function resolveFresh(
  deps: TrackDeps,
  source: Source,
  request: TrackRequest,
  avoid: ReadonlySet<string>,
): Promise<StoredAddress> {
  const deadline = AbortSignal.timeout(deps.totalDeadlineMs());
  const signal = request.signal === undefined ? deadline : AbortSignal.any([request.signal, deadline]);
  const failures: AppError[] = [];
  const fakes = deps.avoid?.(request);
  const bad = fakes === undefined || fakes.size === 0 ? avoid : new Set([...avoid, ...fakes]);
  const timed = { ...request, signal };
  for (const way of ways(deps, request, bad)) {
    if (signal.aborted) break;
    try {
      const work = way === "source" ? askSource(deps, source, timed) : askScripts(deps, timed, bad);
      const found = await untilAborted(signal, work);
      if (found !== undefined) return found;
    } catch (error) {
      const known = toAppError(error);
      request.step?.(way, { failed: known.kind, message: known.message, upstreamCode: known.upstreamCode });
      if (!isAppError(error))
        deps.log.error("resolution step failed", { source: source.id, songId: request.songId, way, error });
      failures.push(known);
    }
  }
  throw mostTelling(failures);
}

/** Whoever does not heed the signal is not waited for. @throws AppError `upstream_unreachable` */
async function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const onAbort = () => late.reject(new AppError("upstream_unreachable", "平台响应超时，请稍后重试"));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([work, late.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    work.catch(() => undefined);
  }
}

function ways(deps: TrackDeps, request: TrackRequest, avoid: ReadonlySet<string>): ("source" | "scripts")[] {
  const order: ("source" | "scripts")[] = [];
  if (deps.scripts?.wants("before", request.source, request.quality)) order.push("scripts");
  // A route whose address turned out bad goes last, but is not given up.
  order.push("source");
  if (deps.scripts?.wants("after", request.source, request.quality) && !order.includes("scripts"))
    order.push("scripts");
  return avoid.has(request.source) && order.length > 1 ? order.reverse() : order;
}

async function askSource(deps: TrackDeps, source: Source, request: TrackRequest): Promise<StoredAddress> {
  const { url: ask } = source;
  if (ask === undefined) throw new AppError("unsupported", "未知的源或不支持的方法");
  const lowest = source.qualities.indexOf(request.quality);
  const qualities = deps.allowDowngrade() ? source.qualities.slice(0, lowest + 1).toReversed() : [request.quality];
  let failure: unknown;
  for (const quality of qualities) {
    try {
      const found = await deps.run(source, { quality, signal: request.signal, step: request.step }, (call) =>
        ask({ songId: request.songId, quality }, call),
      );
      return storedOf(found, source);
    } catch (error) {
      failure ??= error;
      if (!isAppError(error) || !LOWER_MAY_HELP.has(error.kind)) break;
    }
  }
  throw failure;
}

const LOWER_MAY_HELP = new Set([
  "upstream_quality",
  "upstream_needs_purchase",
  "upstream_needs_login",
  "upstream_refused",
]);

function storedOf(found: PlayableUrl, source: Source): StoredAddress {
  const lifetimeSeconds = found.lifetimeSeconds;
  return {
    url: found.url,
    quality: found.quality,
    route: source.id,
    ...(lifetimeSeconds === undefined ? {} : { lifetimeSeconds }),
  };
}

async function askScripts(
  deps: TrackDeps,
  request: TrackRequest,
  avoid: ReadonlySet<string>,
): Promise<StoredAddress | undefined> {
  if (deps.scripts === undefined) return undefined;
  const options = { signal: request.signal, step: request.step };
  let info = isInfoOf(request.info, request.songId) ? request.info : undefined;
  if (info === undefined) {
    const song = await deps.songOf(request.source, request.songId, undefined, options).catch(() => undefined);
    if (song === undefined) throw new AppError("upstream_refused", "缺少歌曲信息，无法使用外部脚本");
    info = deps.musicInfoOf(song);
  }
  const found = await deps.scripts.musicUrl(request.source, request.quality, info, { ...options, avoid });
  return { url: found.url, quality: request.quality, route: `script:${found.script}` };
}

/** What to tell when several ways failed: a platform's clear "no" says more than a fault. */
const TELLING = [
  "upstream_no_copyright",
  "upstream_needs_purchase",
  "upstream_needs_login",
  "upstream_quality",
  "upstream_not_found",
  "upstream_verify",
  "upstream_refused",
  "upstream_changed",
  "upstream_unreachable",
];

function mostTelling(failures: AppError[]): AppError {
  const rank = (error: AppError) => {
    const index = TELLING.indexOf(error.kind);
    return index === -1 ? TELLING.length : index;
  };
  const [first] = failures.toSorted((a, b) => rank(a) - rank(b));
  return first ?? new AppError("upstream_refused", "获取失败");
}

/** Quality words of clients and platforms to ours; undefined = nobody knows it. */
export function qualityOf(source: Source | undefined, word: string): Quality | undefined {
  if (isQuality(word)) return word;
  const aliases = source?.qualityAliases;
  return aliases !== undefined && Object.hasOwn(aliases, word) ? aliases[word] : undefined;
}

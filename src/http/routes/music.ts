import { Elysia, t } from "elysia";
import type { CacheNote } from "../../cache/store.ts";
import { AppError } from "../../core/errors.ts";
import { isSourceId, type Quality, SEARCH_TYPES, type SearchType, type SourceId } from "../../core/types.ts";
import type { Ask, Catalog } from "../../resolve/catalog.ts";
import { decodeMusicInfo } from "../../resolve/music-info.ts";
import type { Cached, TrackAnswer, TrackResolver } from "../../resolve/track.ts";
import { contextOf, type RequestContext } from "../context.ts";
import { json, looseQuery, ok, pageOf } from "../schema.ts";
import { collectionForm, commentForm, mvForm, pageForm, songForm } from "./forms.ts";

export interface MusicDeps {
  track: TrackResolver;
  catalog: Catalog;
  /** The quality meant by this word on this platform; undefined = none. */
  qualityOf: (source: SourceId, word: string) => Quality | undefined;
  /** The id's one spelling. @throws AppError `invalid_request` */
  normalizeId: (source: SourceId, songId: string) => string;
  enabled: (source: string) => boolean;
  /** Signs an address of ours when its reader will need that. */
  ownLink: (path: string) => string;
  /** The quality may be asked with this key. @throws AppError `forbidden` */
  mayAsk: (context: RequestContext, source: SourceId, quality?: Quality) => void;
  /** A recorder for the steps of this request. */
  stepsOf: (context: RequestContext) => Ask["step"];
}

const params = {
  source: t.String({ description: "kg tx wy mg kw" }),
  songId: t.String({ description: "平台的歌曲 id" }),
};
const info = t.Optional(t.String({ description: "客户端 musicInfo 的 base64url JSON" }));
const paging = { page: t.Optional(t.String()), size: t.Optional(t.String()) };

/** Dialect A: by path. Answers are made by hand (no response check at run time); the schemas document them. */
export function musicRoutes(deps: MusicDeps) {
  const asked = (request: Request, source: string): { ask: Ask; context: RequestContext; id: SourceId } => {
    const context = contextOf(request);
    const id = sourceOf(deps, source);
    deps.mayAsk(context, id);
    return { ask: askOf(deps, request, context), context, id };
  };
  const told = <T>(context: RequestContext, cached: Cached<T>): T => {
    context.cacheStatus = cacheStatus(cached);
    return cached.value;
  };

  return new Elysia({ name: "routes/music", detail: { tags: ["music"] } })
    .get(
      "/url/:source/:songId/:quality",
      ({ request, params, query }) => answerUrl(deps, request, params, query.info),
      {
        params: t.Object({ ...params, quality: t.String() }),
        query: looseQuery({ info, lyric: t.Optional(t.String()) }),
        detail: { summary: "可播放的地址 / playable address", ...answersDetail() },
      },
    )
    .get("/url/:source/:songId", () => missing("quality"), { params: t.Object(params), detail: { hide: true } })
    .get(
      "/info/:source/:songId",
      async ({ request, params }) => {
        const { ask, context, id } = asked(request, params.source);
        return ok(songForm(told(context, await deps.catalog.info(id, deps.normalizeId(id, params.songId), ask))));
      },
      { params: t.Object(params), detail: { summary: "歌曲信息 / song info", ...answersDetail() } },
    )
    .get(
      "/lyric/:source/:songId",
      async ({ request, params, query }) => {
        const { ask, context, id } = asked(request, params.source);
        return ok(
          told(
            context,
            await deps.catalog.lyric(id, deps.normalizeId(id, params.songId), decodeMusicInfo(query.info, id), ask),
          ),
        );
      },
      {
        params: t.Object(params),
        query: looseQuery({ info }),
        detail: { summary: "歌词 / lyrics", ...answersDetail() },
      },
    )
    .get(
      "/pic/:source/:songId",
      async ({ request, params, query }) => {
        const { ask, context, id } = asked(request, params.source);
        return ok(
          told(
            context,
            await deps.catalog.cover(id, deps.normalizeId(id, params.songId), decodeMusicInfo(query.info, id), ask),
          ),
        );
      },
      {
        params: t.Object(params),
        query: looseQuery({ info }),
        detail: { summary: "封面地址 / cover address", ...answersDetail() },
      },
    )
    .get("/search/:source/:type", ({ request, params, query }) => search(request, params, query), {
      params: t.Object({ source: params.source, type: t.String({ description: SEARCH_TYPES.join(" ") }) }),
      query: looseQuery({ query: t.Optional(t.String()), ...paging }),
      detail: { summary: "搜索 / search", ...answersDetail() },
    })
    .get("/search/:source/:type/:ignored", ({ request, params, query }) => search(request, params, query), {
      detail: { hide: true },
    })
    .get(
      "/mv/:source/:mvId",
      async ({ request, params }) => {
        const { ask, context, id } = asked(request, params.source);
        return ok(mvForm(told(context, await deps.catalog.mv(id, plainId(params.mvId), ask))));
      },
      { detail: { summary: "MV 信息 / music video", ...answersDetail() } },
    )
    .get(
      "/playlist/:source/*",
      async ({ request, params, query }) => {
        const { ask, context, id } = asked(request, params.source);
        const content = told(
          context,
          await deps.catalog.playlist(id, listId(params["*"], query, request.url), pageOf(query, 100, 1000), ask),
        );
        return ok({ info: collectionForm(content.info), ...pageForm(content.songs, songForm) });
      },
      {
        query: looseQuery({ ...paging, url: t.Optional(t.String({ description: "分享链接" })) }),
        detail: { summary: "歌单，id 或分享链接 / playlist by id or share link", ...answersDetail() },
      },
    )
    .get(
      "/album/:source/:id",
      async ({ request, params, query }) => {
        const { ask, context, id } = asked(request, params.source);
        const content = told(context, await deps.catalog.album(id, plainId(params.id), pageOf(query, 100, 1000), ask));
        return ok({ info: collectionForm(content.info), ...pageForm(content.songs, songForm) });
      },
      { query: looseQuery(paging), detail: { summary: "专辑 / album", ...answersDetail() } },
    )
    .get(
      "/board/:source",
      async ({ request, params }) => {
        const { ask, context, id } = asked(request, params.source);
        return ok(told(context, await deps.catalog.boards(id, ask)));
      },
      { detail: { summary: "排行榜 / leaderboards", ...answersDetail() } },
    )
    .get(
      "/board/:source/:id",
      async ({ request, params, query }) => {
        const { ask, context, id } = asked(request, params.source);
        return ok(
          pageForm(
            told(context, await deps.catalog.board(id, plainId(params.id), pageOf(query, 100, 500), ask)),
            songForm,
          ),
        );
      },
      { query: looseQuery(paging), detail: { summary: "排行榜歌曲 / songs of a leaderboard", ...answersDetail() } },
    )
    .get(
      "/hot/:source",
      async ({ request, params }) => {
        const { ask, context, id } = asked(request, params.source);
        return ok(told(context, await deps.catalog.hot(id, ask)));
      },
      { detail: { summary: "热搜词 / hot words", ...answersDetail() } },
    )
    .get(
      "/suggest/:source",
      async ({ request, params, query }) => {
        const { ask, context, id } = asked(request, params.source);
        return ok(told(context, await deps.catalog.suggest(id, required(query.query, "query"), ask)));
      },
      {
        query: looseQuery({ query: t.Optional(t.String()) }),
        detail: { summary: "搜索建议 / suggestions", ...answersDetail() },
      },
    )
    .get(
      "/comment/:source/:songId",
      async ({ request, params, query }) => {
        const { ask, context, id } = asked(request, params.source);
        const sort = query.sort ?? "hot";
        if (sort !== "hot" && sort !== "new") throw new AppError("invalid_request", '参数"sort"应为 hot 或 new');
        const page = pageOf(query, 20, 100);
        return ok(
          pageForm(
            told(
              context,
              await deps.catalog.comments(id, { songId: deps.normalizeId(id, params.songId), sort, ...page }, ask),
            ),
            commentForm,
          ),
        );
      },
      {
        query: looseQuery({ ...paging, sort: t.Optional(t.String()) }),
        detail: { summary: "评论 / comments", ...answersDetail() },
      },
    )
    .all("/:method/:source/:songId", ({ request, params }) => unknownMethod(deps, request, params.source), {
      detail: { hide: true },
    })
    .all("/:method/:source/:songId/:quality", ({ request, params }) => unknownMethod(deps, request, params.source), {
      detail: { hide: true },
    });

  async function search(
    request: Request,
    where: { source: string; type: string },
    query: Record<string, string | undefined>,
  ) {
    const { ask, context, id } = asked(request, where.source);
    const type = SEARCH_TYPES.find((item): item is SearchType => item === where.type);
    if (type === undefined) throw new AppError("unsupported", "未知的源或不支持的方法");
    const wanted = { query: required(query["query"], "query"), ...pageOf(query, 20, 100) };
    if (type === "song") return ok(pageForm(told(context, await deps.catalog.searchSongs(id, wanted, ask)), songForm));
    return ok(pageForm(told(context, await deps.catalog.searchCollections(id, type, wanted, ask)), collectionForm));
  }
}

/** Answers are made by hand, without a check at run time; the document names their form. */
function answersDetail() {
  const schema = { $ref: "#/components/schemas/Envelope" };
  return { responses: { 200: { description: "LX 信封 / LX envelope", content: { "application/json": { schema } } } } };
}

async function answerUrl(
  deps: MusicDeps,
  request: Request,
  where: { source: string; songId: string; quality: string },
  info: string | undefined,
): Promise<Response> {
  const context = contextOf(request);
  const { source } = where;
  if (!isSourceId(source)) throw new AppError("unsupported", "未知的源或不支持的方法");
  const quality = deps.qualityOf(source, where.quality);
  if (quality === undefined) throw new AppError("invalid_request", `不支持的音质 "${where.quality.slice(0, 20)}"`);
  deps.mayAsk(context, source, quality);
  const answer = await deps.track.url({
    source,
    songId: deps.normalizeId(source, where.songId),
    quality,
    info: decodeMusicInfo(info, source),
    client: context.peer.address,
    bypass: bypass(request, context),
    signal: request.signal,
    step: deps.stepsOf(context),
    note: noteOf(context),
  });
  context.cacheStatus = answer.cacheStatus;
  return json(urlBody(deps, answer, where.quality));
}

/** The success answer of `/url`; `target` is the word that was asked for. */
export function urlBody(deps: Pick<MusicDeps, "ownLink">, answer: TrackAnswer, target: string): object {
  return {
    code: 0,
    msg: "success",
    data: answer.address.startsWith("/") ? deps.ownLink(answer.address) : answer.address,
    extra: {
      cache: answer.cached,
      quality: { target, result: answer.quality },
      expire: { time: answer.expiresAt ?? null, canExpire: answer.expiresAt !== undefined },
      localfile: answer.nearby === "library" || answer.nearby === "audio",
      ...(answer.nearby === "webdav" ? { webdav: true } : {}),
    },
  };
}

/** `Cache-Control: no-cache` skips caches, for clients that were let in by a key (or when none is needed). */
export function bypass(request: Request, context: RequestContext): boolean {
  if (!context.authorised) return false;
  const control = request.headers.get("cache-control");
  return control !== null && /\bno-cache\b/i.test(control);
}

export function askOf(deps: Pick<MusicDeps, "stepsOf">, request: Request, context: RequestContext): Ask {
  const { signal } = request;
  return { bypass: bypass(request, context), signal, step: deps.stepsOf(context), note: noteOf(context) };
}

/** For what ends in an error: an answer says more, and replaces this. */
export function noteOf(context: RequestContext): (status: CacheNote) => void {
  return (status) => {
    const kept = status === "hit" || status === "stale" || status === "negative";
    context.cacheStatus = kept ? `lx; hit; detail=${status}` : `lx; fwd=${status}`;
  };
}

export function cacheStatus(cached: Cached<unknown>): string {
  const from = cached.tier === undefined ? "" : `; detail=${cached.tier}`;
  return cached.status === "hit" || cached.status === "stale" ? `lx; hit${from}` : `lx; fwd=${cached.status}`;
}

/** @throws AppError `source_disabled`: switched off, or none that we know; the original does not tell them apart. */
function sourceOf(deps: Pick<MusicDeps, "enabled">, source: string): SourceId {
  if (!isSourceId(source) || !deps.enabled(source)) throw new AppError("source_disabled", "此平台已停止服务");
  return source;
}

/**
 * For paths of three and four words, whatever they are. Its routes are `.all`, as those of `/webdav/…` are: the router
 * asks the routes of a method first, and there these would come before.
 */
function unknownMethod(deps: MusicDeps, { method }: Request, source: string): never {
  if (method !== "GET" && method !== "HEAD") throw new AppError("not_found", "未找到您所请求的资源");
  sourceOf(deps, source);
  throw new AppError("unsupported", "未知的源或不支持的方法");
}

function missing(name: string): never {
  throw new AppError("upstream_refused", `需要参数"${name}"`);
}

function required(value: string | undefined, name: string): string {
  if (value === undefined || value.trim() === "") throw new AppError("invalid_request", `需要参数"${name}"`);
  if (value.length > 512) throw new AppError("invalid_request", `参数"${name}"过长`);
  return value;
}

/** Longest id that any platform has, with room; a share link is longer. */
const MAX_ID = 200;
const MAX_LINK = 2048;

/** @throws AppError `invalid_request` */
function plainId(id: string, most = MAX_ID): string {
  if (id === "" || id.length > most || /\p{Cc}/u.test(id)) throw new AppError("invalid_request", "请求参数有错");
  return id;
}

/** A share link has slashes and a query: it may stand in the path, encoded or as it was pasted, or in `?url=`. */
function listId(rest: string, query: Record<string, string | undefined>, url: string): string {
  if (query["url"] !== undefined) return plainId(query["url"], MAX_LINK);
  const id = plainId(decodeURIComponent(rest), MAX_LINK);
  return /^https?:\/\//.test(rest) ? id + ownQuery(url) : id;
}

/** The query of a pasted link has become that of the request: all of it but what is ours. */
function ownQuery(url: string): string {
  const query = new URL(url).searchParams;
  query.delete("page");
  query.delete("size");
  return query.size === 0 ? "" : `?${query}`;
}

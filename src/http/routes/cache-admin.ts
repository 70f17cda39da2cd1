import { Elysia, status, t } from "elysia";
import type { Audit } from "../../access/audit.ts";
import type { CacheOperator } from "../../cache/operate.ts";
import { linesOf } from "../../cache/transfer.ts";
import type { WarmCounts, WarmRequest } from "../../cache/warm.ts";
import { AppError, toAppError } from "../../core/errors.ts";
import { QUALITIES, SOURCE_IDS } from "../../core/types.ts";
import type { Logger } from "../../ops/log.ts";
import { requireRole } from "../context.ts";

export interface CacheAdminDeps {
  operator: CacheOperator;
  audit: Pick<Audit, "record">;
  log: Logger;
}

const MAX_FOUND = 100;
const detail = (summary: string) => ({ detail: { summary, tags: ["cache"] } });
const pattern = t.String({
  minLength: 1,
  maxLength: 2048,
  description: "键，或以 * 结尾的前缀 / a key, or a prefix ending in *",
});

const warmBody = t.Object({
  source: t.Union(SOURCE_IDS.map((id) => t.Literal(id))),
  from: t.Union([t.Literal("playlist"), t.Literal("board"), t.Literal("album"), t.Literal("song")]),
  id: t.String({ minLength: 1, maxLength: 2048 }),
  qualities: t.Array(t.Union(QUALITIES.map((quality) => t.Literal(quality))), { maxItems: 11, default: ["128k"] }),
  also: t.Optional(t.Array(t.Union([t.Literal("lyric"), t.Literal("info")]), { maxItems: 2 })),
  limit: t.Integer({ minimum: 1, maximum: 10_000, default: 100 }),
  gapMs: t.Optional(t.Integer({ minimum: 0, maximum: 60_000, description: "请求间隔（毫秒）/ gap between requests" })),
});

/** `/api/v1/cache`: what is stored, and what can be done with it. Viewers read, admins change. */
export function cacheAdminRoutes({ operator, audit, log }: CacheAdminDeps) {
  const warming = createWarmJob(operator, log);

  function change(request: Request, action: string, target: string, more?: unknown): void {
    const { id, peer, user = "" } = requireRole(request, "admin");
    audit.record({ actor: user, address: peer.address, action, target, detail: more, requestId: id });
  }

  return new Elysia({ name: "routes/cache-admin", prefix: "/api/v1/cache" })
    .get(
      "/stats",
      async ({ request }) => {
        requireRole(request, "viewer");
        return { data: await operator.stats() };
      },
      detail("各层与各类的数量、字节、命中率 / counts, bytes and hit ratio per tier and kind"),
    )
    .get(
      "/entries",
      async ({ request, query }) => {
        requireRole(request, "admin");
        const found = await operator.find(query.key, MAX_FOUND);
        if (found.length === 0) throw new AppError("not_found", "缓存中没有此项");
        return { data: found };
      },
      { query: t.Object({ key: pattern }), ...detail("查看缓存项 / entries by key or prefix (at most 100)") },
    )
    .delete(
      "/entries",
      async ({ request, query }) => {
        change(request, "cache.delete", query.key);
        return { data: { deleted: await operator.delete(query.key) } };
      },
      { query: t.Object({ key: pattern }), ...detail("删除缓存项 / delete entries by key or prefix") },
    )
    .post(
      "/prune",
      async ({ request }) => {
        change(request, "cache.prune", "");
        return { data: { dropped: await operator.prune() } };
      },
      detail("清理过期项 / drop what is past its time"),
    )
    .post(
      "/warm",
      ({ request, body }) => {
        change(request, "cache.warm", `${body.from} ${body.source} ${body.id}`);
        warming.start(body);
        return status(202, { data: warming.state() });
      },
      { body: warmBody, ...detail("预热歌单、榜单、专辑或歌曲 / have a playlist, board, album or song ready") },
    )
    .get(
      "/warm",
      ({ request }) => {
        requireRole(request, "viewer");
        return { data: warming.state() };
      },
      detail("预热进度 / how the warming goes"),
    )
    .delete(
      "/warm",
      ({ request }) => {
        change(request, "cache.warm.stop", "");
        warming.stop();
        return { data: warming.state() };
      },
      detail("停止预热 / stop the warming"),
    )
    .get(
      "/export",
      ({ request, query }) => {
        change(request, "cache.export", query.prefix ?? "");
        return new Response(streamOf(operator.export(query.prefix ?? "")), {
          headers: {
            "content-type": "application/x-ndjson; charset=utf-8",
            "content-disposition": 'attachment; filename="cache.ndjson"',
          },
        });
      },
      {
        query: t.Object({ prefix: t.Optional(t.String({ maxLength: 2048 })) }),
        ...detail("导出为 NDJSON 流 / export as a stream of NDJSON"),
      },
    )
    .post(
      "/import",
      async ({ request }) => {
        change(request, "cache.import", "");
        if (request.body === null) throw new AppError("invalid_request", "请求体为空");
        return { data: await operator.import(linesOf(request.body), { signal: request.signal }) };
      },
      // The body is the export itself and is read line by line.
      { parse: "none", ...detail("导入 NDJSON / import an export; the body is the file") },
    );
}

interface WarmState {
  running: boolean;
  request: WarmRequest | null;
  counts: WarmCounts | null;
  error: string | null;
}

/** One warming at a time, in the background. */
function createWarmJob(operator: CacheOperator, log: Logger) {
  let state: WarmState = { running: false, request: null, counts: null, error: null };
  let stopper: AbortController | undefined;

  return {
    state: () => state,
    stop: () => stopper?.abort(),
    /** @throws AppError `conflict` while another one runs */
    start(request: WarmRequest): void {
      if (state.running) throw new AppError("conflict", "预热正在进行");
      stopper = new AbortController();
      const { signal } = stopper;
      state = { running: true, request, counts: null, error: null };
      operator
        .warm(request, {
          signal,
          progress: (counts) => {
            state = { ...state, counts };
          },
        })
        .then(
          (counts) => {
            state = { ...state, running: false, counts };
          },
          (error) => {
            if (!signal.aborted) log.warn("warming failed", { error });
            state = { ...state, running: false, error: signal.aborted ? "已停止" : toAppError(error).message };
          },
        );
    },
  };
}

/** Lines as bytes, as fast as the client takes them. */
function streamOf(lines: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const iterator = lines[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

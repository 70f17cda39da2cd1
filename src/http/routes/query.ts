import { Elysia, t } from "elysia";
import { AppError } from "../../core/errors.ts";
import { isSourceId, type SourceId } from "../../core/types.ts";
import type { TrackAnswer } from "../../resolve/track.ts";
import { contextOf } from "../context.ts";
import { json, looseQuery } from "../schema.ts";
import { songForm } from "./forms.ts";
import { askOf, bypass, cacheStatus, type MusicDeps, noteOf } from "./music.ts";

const where = { source: t.Optional(t.String()), songId: t.Optional(t.String()) };

/** Dialect B: by query, for the newer script generation. The HTTP status equals the body's `code`. */
export function queryRoutes(deps: MusicDeps) {
  return new Elysia({ name: "routes/query", detail: { tags: ["music (query)"] } })
    .get(
      "/url",
      async ({ request, query }) => {
        const context = contextOf(request);
        const { source, songId } = subject(query);
        const quality = deps.qualityOf(source, query.quality ?? "");
        if (quality === undefined) throw new AppError("invalid_request", "不支持的音质");
        deps.mayAsk(context, source, quality);
        const answer = await deps.track.url({
          source,
          songId: deps.normalizeId(source, songId),
          quality,
          client: context.peer.address,
          bypass: bypass(request, context),
          signal: request.signal,
          step: deps.stepsOf(context),
          note: noteOf(context),
        });
        context.cacheStatus = answer.cacheStatus;
        return json(queryUrlBody(deps, answer));
      },
      {
        query: looseQuery({ ...where, quality: t.Optional(t.String()) }),
        detail: { summary: "可播放的地址 / playable address" },
      },
    )
    .get(
      "/info",
      async ({ request, query }) => {
        const context = contextOf(request);
        const { source, songId } = subject(query);
        deps.mayAsk(context, source);
        const found = await deps.catalog.info(source, deps.normalizeId(source, songId), askOf(deps, request, context));
        context.cacheStatus = cacheStatus(found);
        return json({ code: 200, message: "成功", data: songForm(found.value) });
      },
      { query: looseQuery(where), detail: { summary: "歌曲信息 / song info" } },
    )
    .get(
      "/lyric",
      async ({ request, query }) => {
        const context = contextOf(request);
        const { source, songId } = subject(query);
        deps.mayAsk(context, source);
        const found = await deps.catalog.lyric(
          source,
          deps.normalizeId(source, songId),
          undefined,
          askOf(deps, request, context),
        );
        context.cacheStatus = cacheStatus(found);
        return json({ code: 200, message: "成功", data: found.value });
      },
      { query: looseQuery(where), detail: { summary: "歌词 / lyrics" } },
    );
}

/** The success answer of `/url` in this form. */
export function queryUrlBody(deps: Pick<MusicDeps, "ownLink">, answer: TrackAnswer): object {
  return {
    code: 200,
    message: "成功",
    url: answer.address.startsWith("/") ? deps.ownLink(answer.address) : answer.address,
    quality: answer.quality,
    ekey: null,
    cache: { cache: answer.cached, canExpire: answer.expiresAt !== undefined, expireAt: answer.expiresAt ?? null },
  };
}

function subject(query: { source?: string; songId?: string }): { source: SourceId; songId: string } {
  if (!query.source || !query.songId) throw new AppError("invalid_request", "缺少参数 source 或 songId");
  if (!isSourceId(query.source)) throw new AppError("unsupported", "未知的源");
  return { source: query.source, songId: query.songId };
}

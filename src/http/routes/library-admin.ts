import { Elysia, status, t } from "elysia";
import { AppError } from "../../core/errors.ts";
import { parseEdge } from "../../library/artwork.ts";
import { SORTS } from "../../library/catalogue.ts";
import type { FoundTrack, Library } from "../../library/index.ts";
import type { Track } from "../../library/track.ts";
import { requireRole } from "../context.ts";
import { servePicture } from "./local.ts";

export interface LibraryAdminDeps {
  library: Library;
}

const MAX_PAGE_SIZE = 500;
const paging = {
  page: t.Integer({ minimum: 1, maximum: 1_000_000, default: 1 }),
  pageSize: t.Integer({ minimum: 1, maximum: MAX_PAGE_SIZE, default: 50 }),
};
const detail = (summary: string) => ({ detail: { summary, tags: ["library"] } });

/** `/api/v1/library`: list, search, scan, match and upload. Viewers read, admins change. */
export function libraryAdminRoutes({ library }: LibraryAdminDeps) {
  return new Elysia({ name: "routes/library-admin", prefix: "/api/v1/library" })
    .get(
      "",
      ({ request, query }) => {
        requireRole(request, "viewer");
        const { total, tracks } = library.list({
          page: query.page,
          pageSize: query.pageSize,
          sort: query.sort ?? "title",
          descending: query.order === "desc",
          ...(query.search === undefined ? {} : { search: query.search }),
        });
        return { data: tracks.map(view), pagination: pagination(query, total) };
      },
      {
        query: t.Object({
          ...paging,
          search: t.Optional(t.String({ maxLength: 200 })),
          sort: t.Optional(t.Union(SORTS.map((sort) => t.Literal(sort)))),
          order: t.Optional(t.Union([t.Literal("asc"), t.Literal("desc")])),
        }),
        ...detail("Songs of the library"),
      },
    )
    .get(
      "/status",
      ({ request }) => {
        requireRole(request, "viewer");
        const { scanning, lastScan, lastError, ...rest } = library.status();
        return {
          data: { ...rest, scanning: scanning ?? null, lastScan: lastScan ?? null, lastError: lastError ?? null },
        };
      },
      detail("Counts, running and last scan"),
    )
    .get(
      "/bad",
      ({ request, query }) => {
        requireRole(request, "viewer");
        const { total, files } = library.badFiles(query.page, query.pageSize);
        return { data: files, pagination: pagination(query, total) };
      },
      { query: t.Object(paging), ...detail("Files that could not be read as audio") },
    )
    .post(
      "/scan",
      async ({ request, query }) => {
        requireRole(request, "admin");
        const scan = library.scan();
        if (query.wait === true) return { data: await scan };
        // The outcome is in /status and in the log.
        scan.catch(() => undefined);
        return status(202, { data: { started: true } });
      },
      {
        query: t.Object({ wait: t.Optional(t.Boolean({ description: "answer when the scan is over" })) }),
        ...detail("Scan the folders now"),
      },
    )
    .post(
      "/match",
      async ({ request, body }) => {
        requireRole(request, "viewer");
        if (body.path === undefined && body.name === undefined && body.songmid === undefined) {
          throw new AppError("invalid_request", "请提供 path、name 或 songmid 之一");
        }
        await library.ready;
        const found = library.match(body);
        return { data: found === undefined ? null : viewMatch(found) };
      },
      {
        body: t.Object({
          path: t.Optional(t.String({ maxLength: 4096 })),
          songmid: t.Optional(t.String({ maxLength: 200 })),
          name: t.Optional(t.String({ maxLength: 500 })),
          artist: t.Optional(t.String({ maxLength: 500 })),
          album: t.Optional(t.String({ maxLength: 500 })),
          durationSeconds: t.Optional(t.Number({ minimum: 0 })),
        }),
        ...detail("Which song of the library a name means, and how sure that is"),
      },
    )
    .post(
      "/upload",
      async ({ request, query }) => {
        requireRole(request, "admin");
        if (request.body === null) throw new AppError("invalid_request", "请求体为空");
        const track = await library.upload(query.name, request.body);
        return status(201, { data: view(track) });
      },
      {
        // The body is the file itself and is streamed to disk.
        parse: "none",
        query: t.Object({ name: t.String({ minLength: 1, maxLength: 500, description: "file name" }) }),
        ...detail("Upload one audio file; the body is the file"),
      },
    )
    .get(
      "/:id",
      ({ request, params }) => {
        requireRole(request, "viewer");
        return { data: view(known(library, params.id)) };
      },
      { params: t.Object({ id: t.Integer({ minimum: 1 }) }), ...detail("One song") },
    )
    .get(
      "/:id/cover",
      async ({ request, params, query }) => {
        requireRole(request, "viewer");
        const picture = await library.cover(known(library, params.id), parseEdge(query.size));
        if (picture === undefined) throw new AppError("not_found", "未找到封面");
        return servePicture(request, picture);
      },
      {
        params: t.Object({ id: t.Integer({ minimum: 1 }) }),
        query: t.Object({ size: t.Optional(t.String({ description: "longest edge in pixels" })) }),
        ...detail("A song's cover"),
      },
    );
}

function known(library: Library, id: number): Track {
  const track = library.get(id);
  if (track === undefined) throw new AppError("not_found", "音乐库中没有这首歌");
  return track;
}

/** Absent values as null, so that every row has the same fields. */
function view(track: Track) {
  return {
    ...track,
    durationSeconds: track.durationSeconds ?? null,
    bitrate: track.bitrate ?? null,
    sampleRate: track.sampleRate ?? null,
    bitsPerSample: track.bitsPerSample ?? null,
    year: track.year ?? null,
    track: track.track ?? null,
    disc: track.disc ?? null,
  };
}

function viewMatch({ track, score, rule }: FoundTrack) {
  return { score, rule, track: view(track) };
}

function pagination({ page, pageSize }: { page: number; pageSize: number }, total: number) {
  return { page, pageSize, total, totalPages: Math.ceil(total / pageSize) };
}

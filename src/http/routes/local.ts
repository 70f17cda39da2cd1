import { Elysia, status, t } from "elysia";
import { AppError } from "../../core/errors.ts";
import { type Picture, parseEdge } from "../../library/artwork.ts";
import type { FoundTrack, Library } from "../../library/index.ts";
import { lastSegment } from "../../library/normalise.ts";
import { looseQuery } from "../schema.ts";
import { serveFile } from "../serve-file.ts";

export interface LocalRoutesDeps {
  library: Library;
  /** Throws when neither a key nor a signed address lets the request in. */
  authorise(request: Request): void | Promise<void>;
  /** An address of ours as it is handed out: signed while its reader needs that. */
  ownLink(path: string): string;
}

const CheckAnswer = t.Object({
  code: t.Literal(0),
  msg: t.Literal("success"),
  data: t.Object({ file: t.Boolean(), cover: t.Nullable(t.Boolean()), lyric: t.Boolean() }),
  extra: t.Optional(
    t.Object(
      { links: t.Object({ file: t.String(), cover: t.String() }) },
      { description: "signed addresses, while request keys are in use" },
    ),
  ),
});

const q = t.Optional(t.String({ description: 'base64url JSON `{ "p": file name }`, padded or not' }));
const detail = (summary: string) => ({ detail: { summary, tags: ["local"] } });

const NO_FILE = "未找到文件";
const NO_LYRIC = "未找到歌词";
const NO_COVER = "未找到封面";

/** The library by a client's file name: `u` the file, `l` its lyric, `p` its cover, `c` which of them there are. */
export function localRoutes({ library, authorise, ownLink }: LocalRoutesDeps) {
  async function find(request: Request, text: string | undefined): Promise<FoundTrack | undefined> {
    await authorise(request);
    const name = decodeQuery(text);
    await library.ready;
    return name === "" ? undefined : library.match({ path: name });
  }

  /** Players send no key: what the client script hands on must open by itself. Without keys nothing is added. */
  function linksOf(name: string): { extra?: { links: { file: string; cover: string } } } {
    const query = `?q=${Buffer.from(JSON.stringify({ p: name })).toString("base64url")}`;
    const links = { file: ownLink(`/local/u${query}`), cover: ownLink(`/local/p${query}`) };
    return links.file === `/local/u${query}` ? {} : { extra: { links } };
  }

  async function sendFile({ request, query }: { request: Request; query: { q?: string | undefined } }) {
    const found = await find(request, query.q);
    const path = found === undefined ? undefined : await library.file(found.track);
    if (found === undefined || path === undefined) return missing(NO_FILE);
    return await serveFile(request, { path, name: lastSegment(found.track.path) });
  }

  return (
    new Elysia({ name: "routes/local" })
      .get(
        "/local/c",
        async ({ request, query }) => {
          const found = await find(request, query.q);
          const there = found !== undefined && (await library.file(found.track)) !== undefined;
          const data = there
            ? {
                file: true,
                // The original says null for a song without a cover.
                cover: found.track.cover === "none" ? null : true,
                lyric: found.track.lyric !== "none",
              }
            : { file: false, cover: false, lyric: false };
          return { code: 0 as const, msg: "success" as const, data, ...(there ? linksOf(decodeQuery(query.q)) : {}) };
        },
        { query: looseQuery({ q }), response: { 200: CheckAnswer }, ...detail("What the library has of a song") },
      )
      // Of its own, because Elysia's HEAD reads the whole file to count its bytes.
      .head("/local/u", sendFile, { query: looseQuery({ q }), detail: { hide: true } })
      .get("/local/u", sendFile, { query: looseQuery({ q }), ...detail("The audio file") })
      .get(
        "/local/l",
        async ({ request, query }) => {
          const found = await find(request, query.q);
          const text = found === undefined ? undefined : await library.lyric(found.track);
          return text === undefined ? missing(NO_LYRIC) : { code: 0 as const, msg: "success" as const, data: text };
        },
        { query: looseQuery({ q }), ...detail("The lyric as LRC text") },
      )
      .get(
        "/local/p",
        async ({ request, query }) => {
          const edge = parseEdge(query.size ?? query.thumb);
          const found = await find(request, query.q);
          const picture = found === undefined ? undefined : await library.cover(found.track, edge);
          return picture === undefined ? missing(NO_COVER) : servePicture(request, picture);
        },
        {
          query: looseQuery({
            q,
            size: t.Optional(t.String({ description: "longest edge in pixels" })),
            thumb: t.Optional(t.String({ description: "the same; 1 = 240" })),
          }),
          ...detail("The cover"),
        },
      )
  );
}

/** The original's failure of `/local`: HTTP 404 with code 2. */
function missing(msg: string) {
  return status(404, { code: 2, msg, data: null });
}

export function servePicture(request: Request, picture: Picture): Response {
  const etag = `"${Bun.hash.xxHash64(picture.bytes).toString(16)}"`;
  const headers = {
    "content-type": picture.contentType,
    "cache-control": "private, max-age=86400",
    etag,
    "x-content-type-options": "nosniff",
  };
  const known = request.headers.get("if-none-match");
  if (known?.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag)) {
    return new Response(null, { status: 304, headers });
  }
  return new Response(picture.bytes, { headers });
}

/**
 * The file name in `q`. `p: null` is an empty name, as in the original.
 * @throws AppError `not_found` ("请求参数有错", 404 code 6 as the original answers) for anything else that is no name
 */
export function decodeQuery(text: string | undefined): string {
  const wrong = () => new AppError("not_found", "请求参数有错");
  if (text === undefined || text === "" || text.length > 8192) throw wrong();
  let value: unknown;
  try {
    const base64 = text.replace(/ /g, "+").replace(/-/g, "+").replace(/_/g, "/");
    const bytes = Buffer.from(base64, "base64");
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw wrong();
  }
  if (typeof value !== "object" || value === null || !("p" in value)) throw wrong();
  if (value.p === null) return "";
  if (typeof value.p !== "string") throw wrong();
  return value.p;
}

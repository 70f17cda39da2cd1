import { Elysia, status, t } from "elysia";
import { AppError, isAppError } from "../../core/errors.ts";
import { isQuality } from "../../core/types.ts";
import type { WebdavSource } from "../../webdav/client.ts";
import type { RemoteFile } from "../../webdav/listing.ts";
import { passFile } from "../../webdav/pass.ts";
import { looseQuery } from "../schema.ts";

export interface WebdavRoutesDeps {
  webdav: WebdavSource;
  /** Throws when neither a key nor a signed address lets the request in. */
  authorise(request: Request): void | Promise<void>;
}

const detail = (summary: string) => ({ detail: { summary, tags: ["webdav"] } });
const fileParams = t.Object({ source: t.String(), songId: t.String(), quality: t.String() });
const coverParams = t.Object({ source: t.String(), songId: t.String() });
const proxyQuery = looseQuery({ url: t.Optional(t.String({ description: "address below the configured one" })) });

/** Bytes from the configured WebDAV server, and from no other place. */
export function webdavRoutes({ webdav, authorise }: WebdavRoutesDeps) {
  async function song({ request, params }: { request: Request; params: typeof fileParams.static }) {
    readsOnly(request);
    await authorise(request);
    const { source, songId, quality } = params;
    const file =
      source === "local"
        ? webdav.findLocal(songId)
        : isQuality(quality)
          ? webdav.find(source, songId, quality)
          : undefined;
    return await send(request, file);
  }

  async function cover({ request, params }: { request: Request; params: typeof coverParams.static }) {
    readsOnly(request);
    await authorise(request);
    return await send(request, webdav.findCover(params.source, params.songId));
  }

  async function proxy({ request, query }: { request: Request; query: typeof proxyQuery.static }) {
    await authorise(request);
    if (query.url === undefined || query.url === "") {
      return status(400, { code: 2, msg: "缺少url参数", data: null });
    }
    enabled();
    const path = webdav.remote.pathOf(query.url);
    if (path === undefined || path.endsWith("/")) throw new AppError("forbidden", "只能访问已配置的 WebDAV 地址");
    return await passFile(webdav.remote, path, request);
  }

  function enabled(): void {
    if (!webdav.enabled) throw new AppError("not_found", "未启用 WebDAV");
  }

  async function send(request: Request, file: RemoteFile | undefined): Promise<Response> {
    enabled();
    if (file === undefined) throw new AppError("not_found", "未找到文件");
    try {
      return await passFile(webdav.remote, file.path, request);
    } catch (error) {
      if (isAppError(error) && error.kind === "not_found") webdav.forget(file.path);
      throw error;
    }
  }

  // `.all`: for a `.get` with parameters Elysia answers HEAD by reading the whole body.
  return new Elysia({ name: "routes/webdav" })
    .all("/webdav/:source/:songId/:quality", song, {
      params: fileParams,
      ...detail("A song's bytes from the WebDAV server (GET, HEAD)"),
    })
    .all("/webdav/:source/:songId", cover, {
      params: coverParams,
      ...detail("A song's cover from the WebDAV server (GET, HEAD)"),
    })
    .head("/webdav-proxy", proxy, { query: proxyQuery, detail: { hide: true } })
    .get("/webdav-proxy", proxy, { query: proxyQuery, ...detail("A file below the configured WebDAV address") });
}

/** @throws AppError `not_found` */
function readsOnly(request: Request): void {
  if (request.method !== "GET" && request.method !== "HEAD") throw new AppError("not_found", "未找到您所请求的资源");
}

import { swagger } from "@elysiajs/swagger";
import { Elysia } from "elysia";
import styleFile from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import bundleFile from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import { AppError } from "../../core/errors.ts";
import pageText from "../pages/docs.html" with { type: "text" };
import startText from "../pages/docs-start.lx.js" with { type: "text" };
import pageStyle from "../pages/page.css" with { type: "text" };
import { openApiSchemas } from "../schema.ts";

/** The plugin's own page loads from a CDN; ours is embedded, so the plugin's is hidden behind this path and refused. */
const PLUGIN_PAGE = "/docs/plugin";

/** The OpenAPI document, generated from the routes' schemas. Goes in before the routes that it documents. */
export function openApi(version: string) {
  return swagger({
    path: PLUGIN_PAGE,
    specPath: "/docs/openapi.json",
    documentation: {
      info: {
        title: "lx-music-api-server",
        version,
        description: "LX Music 源服务：按路径（A）与按查询（B）两种形式，以及 /api/v1 管理接口。",
      },
      components: {
        // The document's schema objects are plain JSON; the plugin's type wants mutable arrays.
        schemas: structuredClone(openApiSchemas) as never,
        securitySchemes: {
          requestKey: { type: "apiKey", in: "header", name: "X-Request-Key" },
          bearer: { type: "http", scheme: "bearer" },
        },
      },
    },
  });
}

/** `/docs`: the API described, with no internet needed. */
export function docsRoutes() {
  const embedded = (body: string | Blob, type: string) =>
    new Response(body, { headers: { "content-type": type, "cache-control": "public, max-age=86400" } });
  return new Elysia({ name: "routes/docs", detail: { hide: true } })
    .get(PLUGIN_PAGE, () => {
      throw new AppError("not_found", "未找到您所请求的资源");
    })
    .get("/docs", () => new Response(String(pageText), { headers: { "content-type": "text/html; charset=utf-8" } }))
    .get("/docs/page.css", () => embedded(String(pageStyle), "text/css; charset=utf-8"))
    .get("/docs/start.js", () => embedded(startText, "text/javascript; charset=utf-8"))
    .get("/docs/swagger-ui.css", () => embedded(Bun.file(styleFile), "text/css; charset=utf-8"))
    .get("/docs/swagger-ui-bundle.js", () => embedded(Bun.file(bundleFile), "text/javascript; charset=utf-8"));
}

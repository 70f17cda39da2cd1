import { swagger } from "@elysiajs/swagger";
import { Elysia } from "elysia";
import styleFile from "swagger-ui-dist/swagger-ui.css" with { type: "file" };
import bundleFile from "swagger-ui-dist/swagger-ui-bundle.js" with { type: "file" };
import { AppError } from "../../core/errors.ts";
import { embeddedFile } from "../embedded.ts";
import { refineOpenApi, WILDCARD_PATHS } from "../openapi.ts";
import docsStyle from "../pages/docs.css" with { type: "text" };
import pageText from "../pages/docs.html" with { type: "text" };
import startText from "../pages/docs-start.lx.js" with { type: "text" };
import iconText from "../pages/icon.svg" with { type: "text" };
import copyText from "../pages/landing-copy.lx.js" with { type: "text" };
import pageStyle from "../pages/page.css" with { type: "text" };
import { openApiSchemas } from "../schema.ts";

/** The plugin's own page loads from a CDN; ours is embedded, so the plugin's is hidden behind this path and refused. */
const PLUGIN_PAGE = "/docs/plugin";
const DOCUMENT = "/docs/openapi.json";

/** The OpenAPI document, generated from the routes' schemas. Goes in before the routes that it documents. */
export function openApi(version: string) {
  let text: string | undefined;
  return new Elysia({ name: "openapi" })
    .onAfterHandle(({ response, path }) => {
      if (path !== DOCUMENT || typeof response !== "object" || response === null) return;
      // The routes are all there before the first request, and stay as they are.
      text ??= JSON.stringify(refineOpenApi({ ...response }));
      return new Response(text, { headers: { "content-type": "application/json; charset=utf-8" } });
    })
    .use(generator(version));
}

function generator(version: string) {
  return swagger({
    path: PLUGIN_PAGE,
    specPath: DOCUMENT,
    excludeStaticFile: false,
    documentation: {
      info: {
        title: "lx-music-api-server",
        version,
        description:
          "LX Music 源服务：按路径与按查询两种形式，以及 /api/v1 管理接口。\n\n" +
          "Playable music addresses for LX Music: two forms for scripts, and management under /api/v1.",
      },
      paths: WILDCARD_PATHS as never,
      components: {
        // The document's schema objects are plain JSON; the plugin's type wants mutable arrays.
        schemas: structuredClone(openApiSchemas) as never,
        securitySchemes: {
          requestKey: {
            type: "apiKey",
            in: "header",
            name: "X-Request-Key",
            description: "security.key.enable 时需要",
          },
          bearer: { type: "http", scheme: "bearer", description: "登录或令牌 / sign-in or token" },
        },
      },
    },
  });
}

/** `/docs`: the API described, with no internet needed; also what the landing page is made of. */
export function docsRoutes() {
  return new Elysia({ name: "routes/docs", detail: { hide: true } })
    .get(PLUGIN_PAGE, () => {
      throw new AppError("not_found", "未找到您所请求的资源");
    })
    .get("/docs", embeddedFile(String(pageText), "text/html"))
    .get("/docs/page.css", embeddedFile(String(pageStyle), "text/css"))
    .get("/docs/docs.css", embeddedFile(String(docsStyle), "text/css"))
    .get("/docs/start.js", embeddedFile(startText, "text/javascript"))
    .get("/docs/copy.js", embeddedFile(copyText, "text/javascript"))
    .get("/docs/icon.svg", embeddedFile(String(iconText), "image/svg+xml"))
    .get("/docs/swagger-ui.css", embeddedFile(Bun.file(styleFile), "text/css"))
    .get("/docs/swagger-ui-bundle.js", embeddedFile(Bun.file(bundleFile), "text/javascript"));
}

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

/** Paths of an application of its own, that nobody reaches: the plugin's page loads from a CDN, and ours is embedded. */
const PLUGIN_PAGE = "/plugin";
const PLUGIN_DOCUMENT = "/plugin/openapi.json";
const DOCUMENT = "/docs/openapi.json";

/**
 * The OpenAPI document, generated from the schemas of these route groups for the first who reads it: the generator
 * takes longer to load than all of the routes.
 */
export function openApi(version: string, groups: () => readonly unknown[]) {
  let document: Promise<string> | undefined;
  return new Elysia({ name: "openapi" }).get(
    DOCUMENT,
    async () => {
      document ??= generate(version, groups());
      return new Response(await document, { headers: { "content-type": "application/json; charset=utf-8" } });
    },
    { detail: { hide: true } },
  );
}

async function generate(version: string, groups: readonly unknown[]): Promise<string> {
  const app = new Elysia().use(await generator(version));
  for (const group of groups) app.use(group as Elysia);
  const answer = await app.handle(new Request(`http://localhost${PLUGIN_DOCUMENT}`));
  const generated: unknown = await answer.json();
  if (typeof generated !== "object" || generated === null || !("paths" in generated))
    throw new AppError("internal", "内部服务器错误", { detail: "the OpenAPI generator gave no document" });
  return JSON.stringify(refineOpenApi({ ...generated }));
}

async function generator(version: string) {
  const { swagger } = await import("@elysiajs/swagger");
  return swagger({
    path: PLUGIN_PAGE,
    specPath: PLUGIN_DOCUMENT,
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
    .get("/docs", embeddedFile(String(pageText), "text/html"))
    .get("/docs/page.css", embeddedFile(String(pageStyle), "text/css"))
    .get("/docs/docs.css", embeddedFile(String(docsStyle), "text/css"))
    .get("/docs/start.js", embeddedFile(startText, "text/javascript"))
    .get("/docs/copy.js", embeddedFile(copyText, "text/javascript"))
    .get("/docs/icon.svg", embeddedFile(String(iconText), "image/svg+xml"))
    .get("/docs/swagger-ui.css", embeddedFile(Bun.file(styleFile), "text/css"))
    .get("/docs/swagger-ui-bundle.js", embeddedFile(Bun.file(bundleFile), "text/javascript"));
}

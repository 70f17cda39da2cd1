import { Elysia } from "elysia";
import { ok } from "../schema.ts";

export interface RootDeps {
  /** The landing page for people, made for this request. */
  landing: (request: Request) => string;
}

/** `/`: the original's "alive" answer for programs, a page for browsers. */
export function rootRoutes(deps: RootDeps) {
  return new Elysia({ name: "routes/root", detail: { tags: ["music"] } }).get(
    "/",
    ({ request }) => {
      if (!prefersHtml(request.headers.get("accept"))) return ok(null);
      return new Response(deps.landing(request), {
        headers: { "content-type": "text/html; charset=utf-8", vary: "Accept" },
      });
    },
    { detail: { summary: "存活 / alive" } },
  );
}

/** `Accept` names text/html first, as browsers do. */
function prefersHtml(accept: string | null): boolean {
  return (accept ?? "").trimStart().toLowerCase().startsWith("text/html");
}

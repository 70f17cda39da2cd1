import { Elysia } from "elysia";
import { type HotAnswer, JSON_HEADERS } from "../hot-answer.ts";

export interface RootDeps {
  /** The landing page for people, made for this request. */
  landing: (request: Request) => string;
}

const ALIVE: HotAnswer = Object.freeze({
  body: JSON.stringify({ code: 0, msg: "success", data: null }),
  headers: Object.freeze({ ...JSON_HEADERS, vary: "Accept" }),
});

/** `/`: the original's "alive" answer for programs, a page for browsers. */
export function rootRoutes(deps: RootDeps) {
  return new Elysia({ name: "routes/root", detail: { tags: ["music"] } }).get(
    "/",
    ({ request }) => {
      if (!prefersHtml(request.headers.get("accept"))) return new Response(ALIVE.body, { headers: ALIVE.headers });
      return new Response(deps.landing(request), {
        headers: { "content-type": "text/html; charset=utf-8", vary: "Accept" },
      });
    },
    { detail: { summary: "存活 / alive" } },
  );
}

/** `/` for programs, without the router. */
export function aliveAnswer(request: Request): HotAnswer | undefined {
  return request.method === "GET" && !prefersHtml(request.headers.get("accept")) ? ALIVE : undefined;
}

/** `Accept` names text/html first, as browsers do. */
function prefersHtml(accept: string | null): boolean {
  return accept !== null && /^\s*text\/html/i.test(accept);
}

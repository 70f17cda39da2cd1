import { Elysia, t } from "elysia";
import { AppError } from "../../core/errors.ts";
import type { Traces } from "../../ops/trace.ts";
import { requireRole } from "../context.ts";

/** `/api/v1/traces`: why a request failed: the steps of its resolution. */
export function traceRoutes(traces: Traces) {
  return new Elysia({ name: "routes/traces", prefix: "/api/v1/traces", detail: { tags: ["traces"] } })
    .get(
      "",
      ({ request, query }) => {
        requireRole(request, "admin");
        return { data: traces.recent(query.count ?? 50) };
      },
      {
        query: t.Object({ count: t.Optional(t.Numeric({ minimum: 1, maximum: 500 })) }),
        detail: { summary: "最近的解析过程 / recent traces" },
      },
    )
    .get(
      "/:id",
      ({ request, params }) => {
        requireRole(request, "admin");
        const trace = traces.get(params.id);
        if (trace === undefined) throw new AppError("not_found", "没有该请求的记录");
        return { data: trace };
      },
      { detail: { summary: "一次请求的解析过程 / the trace of one request" } },
    );
}

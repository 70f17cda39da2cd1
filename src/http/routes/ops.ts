import { Elysia } from "elysia";
import type { HealthReport } from "../../ops/health.ts";
import type { Metrics } from "../../ops/metrics.ts";
import { json } from "../schema.ts";

export interface OpsDeps {
  version: string;
  startedAt: number;
  ready: () => Promise<HealthReport>;
  metrics: Metrics;
}

/** `/health`, `/ready`, `/metrics`; who may ask is decided by the access rules (`security.ops`). */
export function opsRoutes(deps: OpsDeps) {
  return new Elysia({ name: "routes/ops", detail: { tags: ["ops"] } })
    .get(
      "/health",
      () =>
        json({ status: "ok", version: deps.version, uptimeSeconds: Math.floor((Date.now() - deps.startedAt) / 1000) }),
      { detail: { summary: "存活 / alive" } },
    )
    .get(
      "/ready",
      async () => {
        const report = await deps.ready();
        return json({ status: report.ready ? "ready" : "not ready", checks: report.checks }, report.ready ? 200 : 503);
      },
      { detail: { summary: "就绪：缓存、音乐库、平台 / ready: caches, library, sources" } },
    )
    .get(
      "/metrics",
      async () => new Response(await deps.metrics.text(), { headers: { "content-type": deps.metrics.contentType } }),
      {
        detail: { summary: "Prometheus 指标 / metrics" },
      },
    );
}

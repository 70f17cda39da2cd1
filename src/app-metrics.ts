import type { Access } from "./access/access.ts";
import type { Cache } from "./cache/index.ts";
import type { Library } from "./library/index.ts";
import type { Metrics } from "./ops/metrics.ts";
import type { ScriptHealth, ScriptHost } from "./scripts/host.ts";
import type { AccountPool } from "./sources/accounts.ts";
import type { WebdavSource } from "./webdav/client.ts";

export interface MeasuredFeatures {
  cache: Cache;
  pool: AccountPool;
  library: Library;
  webdav: WebdavSource;
  access: Access;
  scripts: ScriptHost;
}

/** What the features count, as Prometheus series. Values are read when somebody asks. */
export function exportMetrics(metrics: Metrics, features: MeasuredFeatures): void {
  const { cache, pool, library, webdav, access, scripts } = features;
  const tiers = () => cache.stats().tiers;
  const tierRows = (name: "hits" | "misses" | "errors" | "writes") => () =>
    tiers().map((tier) => ({ labels: { tier: tier.name }, value: tier[name] }));
  metrics.counter("lx_cache_tier_hits_total", "Answers found in this tier", ["tier"], tierRows("hits"));
  metrics.counter("lx_cache_tier_misses_total", "Questions this tier had no answer to", ["tier"], tierRows("misses"));
  metrics.counter("lx_cache_tier_errors_total", "Failures of this tier", ["tier"], tierRows("errors"));
  metrics.counter("lx_cache_tier_writes_total", "Entries written to this tier", ["tier"], tierRows("writes"));
  metrics.gauge("lx_cache_tier_up", "1 while the tier works", ["tier"], () =>
    tiers().map((tier) => ({ labels: { tier: tier.name }, value: tier.state === "up" ? 1 : 0 })),
  );
  metrics.counter("lx_cache_answers_total", "Answers by kind and how they were had", ["kind", "status"], () =>
    Object.entries(cache.stats().kinds).flatMap(([kind, counts]) =>
      (["hits", "misses", "stale", "bypass", "negative"] as const).map((status) => ({
        labels: { kind, status },
        value: counts[status],
      })),
    ),
  );
  metrics.counter(
    "lx_platform_questions_total",
    "Times that a platform was really asked, by kind",
    ["kind", "outcome"],
    () =>
      Object.entries(cache.stats().kinds).flatMap(([kind, counts]) => [
        { labels: { kind, outcome: "all" }, value: counts.loads },
        { labels: { kind, outcome: "failed" }, value: counts.failures },
      ]),
  );
  metrics.gauge("lx_accounts", "Accounts by platform and state", ["source", "state"], () => {
    const rows = new Map<string, { labels: { source: string; state: string }; value: number }>();
    for (const { source, state } of pool.health()) {
      const row = rows.get(`${source} ${state}`) ?? { labels: { source, state }, value: 0 };
      row.value++;
      rows.set(`${source} ${state}`, row);
    }
    return [...rows.values()];
  });
  metrics.gauge("lx_account_expiry_timestamp_seconds", "When an account's login ends", ["account"], () =>
    pool
      .health()
      .flatMap(({ handle, expiresAt }) =>
        expiresAt === undefined ? [] : [{ labels: { account: handle }, value: expiresAt / 1000 }],
      ),
  );
  metrics.gauge("lx_library_tracks", "Audio files in the library", [], () => [
    { labels: {}, value: library.status().tracks },
  ]);
  metrics.gauge("lx_webdav_files", "Files known on the WebDAV server", [], () => [
    { labels: {}, value: webdav.status().files },
  ]);
  metrics.gauge("lx_bans", "Bans in force", [], () => [{ labels: {}, value: access.bans.list().length }]);
  exportScripts(metrics, scripts);
}

function exportScripts(metrics: Metrics, scripts: ScriptHost): void {
  const rows = (value: (row: ScriptHealth) => number | undefined) => () =>
    scripts.health().flatMap((row) => {
      const known = value(row);
      return known === undefined ? [] : [{ labels: { script: row.name, id: row.id }, value: known }];
    });
  const labels = ["script", "id"];
  metrics.gauge(
    "lx_script_up",
    "1 while a third-party script can be asked",
    labels,
    rows((row) => Number(row.state === "ready")),
  );
  metrics.counter(
    "lx_script_calls_total",
    "Times that a script was asked",
    labels,
    rows((row) => row.calls),
  );
  metrics.counter(
    "lx_script_failures_total",
    "Times that a script failed",
    labels,
    rows((row) => row.failures),
  );
  metrics.gauge(
    "lx_script_answer_seconds",
    "Median time of recent answers",
    labels,
    rows(({ p50Ms }) => (p50Ms === undefined ? undefined : p50Ms / 1000)),
  );
  metrics.gauge(
    "lx_script_memory_bytes",
    "Resident memory of a script's process",
    labels,
    rows((row) => row.rssBytes),
  );
}

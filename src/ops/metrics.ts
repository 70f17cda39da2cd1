import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";

const BUCKETS_MS = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 20_000];

/** A value that is read only when somebody asks for /metrics. */
export interface GaugeRow {
  labels: Record<string, string>;
  value: number;
}

export interface Metrics {
  finished(path: string, method: string, status: number, milliseconds: number): void;
  /** Adds a gauge (or a counter that its owner keeps) whose rows are read at scrape time. */
  gauge(name: string, help: string, labelNames: string[], rows: () => GaugeRow[]): void;
  counter(name: string, help: string, labelNames: string[], rows: () => GaugeRow[]): void;
  text(): Promise<string>;
  readonly contentType: string;
  /** Requests since start, by route group and status class; for the status page. */
  totals(): { group: string; status: string; count: number }[];
}

/** Known first path segments; all others count as "other", so that a probe cannot grow the series. */
const GROUPS = new Set(
  "url info lyric pic search mv playlist album board hot suggest comment local cache webdav webdav-proxy script client api docs dav health ready metrics".split(
    " ",
  ),
);

interface Cell {
  count: number;
  sumMs: number;
  /** By bucket, not cumulative; the last one is +Inf. */
  buckets: number[];
}

/**
 * Prometheus metrics. The request path only increments numbers in a small table; prom-client's own objects are filled
 * when /metrics is read, because their label hashing costs microseconds per request.
 */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 20 });
  const cells = new Map<string, Cell>();
  new Gauge({
    name: "lx_build_info",
    help: "Version of the server",
    labelNames: ["version", "bun"],
    registers: [registry],
  })
    .labels(version, Bun.version)
    .set(1);

  function cellOf(group: string, status: number): Cell {
    const key = `${group} ${Math.floor(status / 100)}xx`;
    let cell = cells.get(key);
    if (cell === undefined) {
      cell = { count: 0, sumMs: 0, buckets: new Array(BUCKETS_MS.length + 1).fill(0) };
      cells.set(key, cell);
    }
    return cell;
  }

  return {
    contentType: registry.contentType,
    finished(path, _method, status, milliseconds) {
      const cell = cellOf(groupOf(path), status);
      cell.count++;
      cell.sumMs += milliseconds;
      let bucket = 0;
      while (bucket < BUCKETS_MS.length && milliseconds > (BUCKETS_MS[bucket] ?? 0)) bucket++;
      cell.buckets[bucket] = (cell.buckets[bucket] ?? 0) + 1;
    },
    gauge(name, help, labelNames, rows) {
      new Gauge({
        name,
        help,
        labelNames,
        registers: [registry],
        collect() {
          this.reset();
          for (const row of rows()) this.labels(row.labels).set(row.value);
        },
      });
    },
    counter(name, help, labelNames, rows) {
      new Counter({
        name,
        help,
        labelNames,
        registers: [registry],
        collect() {
          this.reset();
          for (const row of rows()) this.labels(row.labels).inc(row.value);
        },
      });
    },
    text: async () => `${await registry.metrics()}\n${requestText(cells)}`,
    totals: () =>
      [...cells].map(([key, cell]) => {
        const [group = "", status = ""] = key.split(" ");
        return { group, status, count: cell.count };
      }),
  };
}

function groupOf(path: string): string {
  if (path === "/") return "root";
  const end = path.indexOf("/", 1);
  const first = end === -1 ? path.slice(1) : path.slice(1, end);
  return GROUPS.has(first) ? first : "other";
}

function requestText(cells: Map<string, Cell>): string {
  const lines = [
    "# HELP lx_http_request_duration_seconds Time to answer, by route group and status class",
    "# TYPE lx_http_request_duration_seconds histogram",
  ];
  for (const [key, cell] of cells) {
    const [group, status] = key.split(" ");
    const labels = `group="${group}",status="${status}"`;
    let cumulative = 0;
    for (const [index, limit] of BUCKETS_MS.entries()) {
      cumulative += cell.buckets[index] ?? 0;
      lines.push(`lx_http_request_duration_seconds_bucket{${labels},le="${limit / 1000}"} ${cumulative}`);
    }
    lines.push(`lx_http_request_duration_seconds_bucket{${labels},le="+Inf"} ${cell.count}`);
    lines.push(`lx_http_request_duration_seconds_sum{${labels}} ${cell.sumMs / 1000}`);
    lines.push(`lx_http_request_duration_seconds_count{${labels}} ${cell.count}`);
  }
  return `${lines.join("\n")}\n`;
}

import type { Registry } from "prom-client";

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

/** A series that its owner keeps, read at scrape time. */
interface Series {
  kind: "gauge" | "counter";
  name: string;
  help: string;
  labelNames: string[];
  rows: () => GaugeRow[];
}

/** Of the Prometheus text format, version 0.0.4. */
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Prometheus metrics. The request path only increments numbers in a small table; prom-client's own objects are filled
 * when /metrics is read, because their label hashing costs microseconds per request. The library itself is loaded by
 * the first reader, not by the start.
 */
export function createMetrics(version: string): Metrics {
  const cells = new Map<string, Cell[]>();
  const series: Series[] = [
    {
      kind: "gauge",
      name: "lx_build_info",
      help: "Version of the server",
      labelNames: ["version", "bun"],
      rows: () => [{ labels: { version, bun: Bun.version }, value: 1 }],
    },
  ];
  let registry: Promise<Registry> | undefined;

  function cellOf(group: string, statusClass: number): Cell {
    let row = cells.get(group);
    if (row === undefined) {
      row = [];
      cells.set(group, row);
    }
    let cell = row[statusClass];
    if (cell === undefined) {
      cell = { count: 0, sumMs: 0, buckets: new Array(BUCKETS_MS.length + 1).fill(0) };
      row[statusClass] = cell;
    }
    return cell;
  }

  function add(item: Series): void {
    if (series.some((other) => other.name === item.name)) throw new Error(`metric ${item.name} is there already`);
    series.push(item);
    // Made again with the new one by the next reader.
    registry = undefined;
  }

  return {
    contentType: CONTENT_TYPE,
    finished(path, _method, status, milliseconds) {
      const cell = cellOf(groupOf(path), Math.floor(status / 100));
      cell.count++;
      cell.sumMs += milliseconds;
      let bucket = 0;
      while (bucket < BUCKETS_MS.length && milliseconds > (BUCKETS_MS[bucket] ?? 0)) bucket++;
      cell.buckets[bucket] = (cell.buckets[bucket] ?? 0) + 1;
    },
    gauge: (name, help, labelNames, rows) => add({ kind: "gauge", name, help, labelNames, rows }),
    counter: (name, help, labelNames, rows) => add({ kind: "counter", name, help, labelNames, rows }),
    async text() {
      registry ??= registryOf(series);
      return `${(await (await registry).metrics()).trimEnd()}\n\n${requestText(cells)}`;
    },
    totals: () =>
      [...cells].flatMap(([group, row]) =>
        row.flatMap((cell, statusClass) => ({ group, status: `${statusClass}xx`, count: cell.count })),
      ),
  };
}

async function registryOf(series: readonly Series[]): Promise<Registry> {
  const { Counter, collectDefaultMetrics, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Those of the process are right; Bun leaves Node's own at zero or NaN.
  for (const { name } of registry.getMetricsAsArray())
    if (name.startsWith("nodejs_")) registry.removeSingleMetric(name);
  for (const { kind, name, help, labelNames, rows } of series) {
    const common = { name, help, labelNames, registers: [registry] };
    if (kind === "gauge") {
      new Gauge({
        ...common,
        collect() {
          this.reset();
          for (const row of rows()) this.labels(row.labels).set(row.value);
        },
      });
    } else {
      new Counter({
        ...common,
        collect() {
          this.reset();
          for (const row of rows()) this.labels(row.labels).inc(row.value);
        },
      });
    }
  }
  return registry;
}

function groupOf(path: string): string {
  // Nine of ten requests, without making a string of the segment.
  if (path.startsWith("/url/")) return "url";
  if (path === "/") return "root";
  const end = path.indexOf("/", 1);
  const first = end === -1 ? path.slice(1) : path.slice(1, end);
  return GROUPS.has(first) ? first : "other";
}

/** Seconds; what a sum of floats leaves behind the nanosecond is noise. */
const seconds = (ms: number) => Number((ms / 1000).toFixed(9));

function requestText(cells: Map<string, Cell[]>): string {
  const name = "lx_http_request_duration_seconds";
  const lines = [`# HELP ${name} Time to answer, by route group and status class`, `# TYPE ${name} histogram`];
  for (const [group, row] of cells) {
    row.forEach((cell, statusClass) => {
      const labels = `group="${group}",status="${statusClass}xx"`;
      let cumulative = 0;
      for (const [index, limit] of BUCKETS_MS.entries()) {
        cumulative += cell.buckets[index] ?? 0;
        lines.push(`${name}_bucket{${labels},le="${limit / 1000}"} ${cumulative}`);
      }
      lines.push(`${name}_bucket{${labels},le="+Inf"} ${cell.count}`);
      lines.push(`${name}_sum{${labels}} ${seconds(cell.sumMs)}`, `${name}_count{${labels}} ${cell.count}`);
    });
  }
  return `${lines.join("\n")}\n`;
}

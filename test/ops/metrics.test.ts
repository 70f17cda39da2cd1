import { expect, test } from "bun:test";
import { createMetrics } from "../../src/ops/metrics.ts";

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** The text format, strictly. @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
function parse(text: string) {
  expect(text).toEndWith("\n");
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  for (const line of text.split("\n").filter((row) => row !== "")) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line);
    if (comment !== null) {
      const [, what, name = "", rest = ""] = comment;
      if (what === "TYPE") {
        expect(types.has(name)).toBe(false);
        expect(rest).toMatch(/^(counter|gauge|histogram|summary|untyped)$/);
        types.set(name, rest);
      }
      continue;
    }
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (sample === null) throw new Error(`not a sample: ${line}`);
    const [, name = "", labelText = "", value = ""] = sample;
    const labels: Record<string, string> = {};
    const rest = labelText.replace(
      /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/g,
      (_, label: string, text_: string) => {
        labels[label] = text_;
        return "";
      },
    );
    expect(rest).toBe("");
    samples.push({ name, labels, value: value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value) });
    expect(Number.isNaN(Number(value)) && !/^(?:[+-]Inf|Nan)$/i.test(value)).toBe(false);
  }
  const seen = samples.map((row) => row.name + JSON.stringify(row.labels));
  expect(new Set(seen).size).toBe(seen.length);
  return { types, samples };
}

const of = (samples: Sample[], name: string, labels: Record<string, string>) =>
  samples.filter(
    (row) => row.name === name && Object.entries(labels).every(([key, value]) => row.labels[key] === value),
  );

test("requests become a histogram by route group and status class", async () => {
  const metrics = createMetrics("1.0.0");
  for (const ms of [0.2, 1, 3, 99, 100, 100.1, 30_000]) metrics.finished("/url/kg/x/128k", "GET", 200, ms);
  metrics.finished("/url/kg/x/128k", "GET", 404, 1);
  metrics.finished("/wp-admin/x", "GET", 404, 1);
  const { types, samples } = parse(await metrics.text());
  const name = "lx_http_request_duration_seconds";
  expect(types.get(name)).toBe("histogram");
  const labels = { group: "url", status: "2xx" };
  expect(of(samples, `${name}_bucket`, labels).map((row) => [row.labels["le"], row.value])).toEqual([
    ["0.001", 2],
    ["0.005", 3],
    ["0.01", 3],
    ["0.025", 3],
    ["0.05", 3],
    ["0.1", 5],
    ["0.25", 6],
    ["0.5", 6],
    ["1", 6],
    ["2.5", 6],
    ["5", 6],
    ["10", 6],
    ["20", 6],
    ["+Inf", 7],
  ]);
  expect(of(samples, `${name}_count`, labels)[0]?.value).toBe(7);
  expect(of(samples, `${name}_sum`, labels)[0]?.value).toBe(30.3033);
  expect(of(samples, `${name}_count`, { group: "url", status: "4xx" })[0]?.value).toBe(1);
  expect(of(samples, `${name}_count`, { group: "other" })[0]?.value).toBe(1);
  expect(metrics.totals()).toEqual([
    { group: "url", status: "2xx", count: 7 },
    { group: "url", status: "4xx", count: 1 },
    { group: "other", status: "4xx", count: 1 },
  ]);
});

test.each([
  ["/", "root"],
  ["/url", "url"],
  ["/webdav-proxy", "webdav-proxy"],
  ["/constructor/x", "other"],
  ["//url", "other"],
  ["", "other"],
  ['/"}\n', "other"],
])("the path %j counts as %s", async (path, group) => {
  const metrics = createMetrics("1");
  metrics.finished(path, "GET", 200, 1);
  expect(metrics.totals()[0]?.group).toBe(group);
  parse(await metrics.text());
});

test("gauges and counters are read when asked, also those that come later; odd labels are escaped", async () => {
  const metrics = createMetrics('1"0');
  let size = 1;
  metrics.gauge("lx_cache_entries", "Entries", ["tier"], () => [{ labels: { tier: 'a"b\\c\nd' }, value: size }]);
  expect(of(parse(await metrics.text()).samples, "lx_cache_entries", {})[0]?.value).toBe(1);
  size = 5;
  metrics.counter("lx_cache_hits_total", "Hits", ["tier"], () => [{ labels: { tier: "memory" }, value: 7 }]);
  const { types, samples } = parse(await metrics.text());
  expect(of(samples, "lx_cache_entries", {})).toEqual([
    { name: "lx_cache_entries", labels: { tier: 'a\\"b\\\\c\\nd' }, value: 5 },
  ]);
  expect(of(samples, "lx_cache_hits_total", { tier: "memory" })[0]?.value).toBe(7);
  expect(types.get("lx_cache_hits_total")).toBe("counter");
  // Read twice, a counter that its owner keeps does not count twice.
  expect(of(parse(await metrics.text()).samples, "lx_cache_hits_total", {})[0]?.value).toBe(7);
  expect(() => metrics.gauge("lx_cache_hits_total", "again", [], () => [])).toThrow("already");
});

test("before any request the text is valid too, and says what runs", async () => {
  const { samples } = parse(await createMetrics("1.2.3").text());
  expect(of(samples, "lx_build_info", {})).toEqual([
    { name: "lx_build_info", labels: { version: "1.2.3", bun: Bun.version }, value: 1 },
  ]);
  expect(of(samples, "process_resident_memory_bytes", {})[0]?.value).toBeGreaterThan(1e6);
});

test("promtool finds nothing wrong with our own series, where it is installed", async () => {
  const metrics = createMetrics("1");
  metrics.finished("/", "GET", 200, 1);
  metrics.counter("lx_cache_hits_total", "Hits", ["tier"], () => [{ labels: { tier: "memory" }, value: 7 }]);
  const promtool = Bun.which("promtool");
  const text = await metrics.text();
  parse(text);
  if (promtool === null) return;
  const run = Bun.spawn([promtool, "check", "metrics"], { stdin: new Blob([text]), stdout: "pipe", stderr: "pipe" });
  const said = (await new Response(run.stdout).text()) + (await new Response(run.stderr).text());
  await run.exited;
  expect(said.split("\n").filter((line) => line.includes("lx_") || /error/i.test(line))).toEqual([]);
});

/** One run of wrk: requests per second and latency. */
export interface WrkResult {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  requests: number;
  /** Answers that were not 2xx or 3xx. */
  bad: number;
}

/** The client runs on core 1, what it measures on core 0. */
export async function wrk(
  url: string,
  options: { seconds: number; connections: number; headers?: Record<string, string> },
): Promise<WrkResult> {
  const headers = Object.entries(options.headers ?? {}).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const run = Bun.spawn(
    [
      "taskset",
      "-c",
      "1",
      "wrk",
      "-t1",
      `-c${options.connections}`,
      `-d${options.seconds}s`,
      "--latency",
      ...headers,
      url,
    ],
    { stdout: "pipe", stderr: "inherit" },
  );
  const text = await new Response(run.stdout).text();
  const time = (name: string) => {
    const match = new RegExp(`${name}\\s+([\\d.]+)(us|ms|s)`).exec(text);
    const factor = { us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? "ms"] ?? 1;
    return Number(match?.[1] ?? 0) * factor;
  };
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1] ?? 0),
    requests: Number(/(\d+) requests in/.exec(text)?.[1] ?? 0),
    p50Ms: time("50%"),
    p99Ms: time("99%"),
    bad: Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0),
  };
}

/**
 * Bad requests by the thousand, always the same ones for a seed, and a judgement of what comes back.
 *
 * Against a running server, which must want keys (`security.key.enable`) and ban nobody (`banlist.enable: false`):
 * `bun test/access/probe.ts http://127.0.0.1:9763 100000 [seed]`
 */
import { connect } from "node:net";
import { BODIES, HEADERS, METHODS, QUERIES, ROOTS, SEGMENTS } from "./probe-pieces.ts";

export interface ProbeRequest {
  method: string;
  /** As it goes on the request line. */
  target: string;
  headers: [string, string][];
  body: Buffer<ArrayBuffer> | undefined;
}

export interface ProbeAnswer {
  status: number;
  body: string;
}

export interface ProbeReport {
  sent: number;
  /** Requests that could not be put into words for this sender. */
  unsendable: number;
  statuses: Record<string, number>;
  failures: { why: string; method: string; target: string; status?: number }[];
}

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
function randomness(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const LARGE = Buffer.alloc(3 << 20);

/** The requests of a seed, one after the other. */
export function* probeRequests(count: number, seed = 1): Generator<ProbeRequest> {
  const random = randomness(seed);
  const pick = <T>(list: readonly T[], other: T): T => list[Math.floor(random() * list.length)] ?? other;
  const some = (most: number) => Math.floor(random() * (most + 1));
  for (let i = 0; i < count; i++) {
    const segments = [pick(ROOTS, ""), ...Array.from({ length: some(4) }, () => pick(SEGMENTS, ""))];
    const queries = Array.from({ length: some(3) }, () => pick(QUERIES, ""));
    const method = pick(METHODS, "GET");
    const headers = new Map(Array.from({ length: some(4) }, () => pick(HEADERS, ["A", "b"])));
    const text = method === "GET" || method === "HEAD" ? undefined : pick(BODIES, "");
    // Now and then a body that is larger than any limit.
    const body = text === undefined ? undefined : random() < 0.002 ? LARGE : Buffer.from(text, "latin1");
    const query = queries.length === 0 ? "" : `?${queries.join("&")}`;
    yield { method, target: `/${segments.join("/")}${query}`, headers: [...headers], body };
  }
}

/** First segments that api.md opens to everyone, or where something other than the request key decides. */
const OPEN = new Set([
  "",
  "script",
  "docs",
  "dashboard",
  "health",
  "ready",
  "metrics",
  "favicon.ico",
  "robots.txt",
  ".well-known",
]);
const OPEN_PATHS = new Set(["/api/v1/auth/state", "/api/v1/auth/logout"]);

/** What is wrong with this answer; undefined = nothing. */
export function judge(request: ProbeRequest, answer: ProbeAnswer): string | undefined {
  if (answer.status >= 500 && answer.status !== 503) return "server error";
  if (answer.status < 200) return "no final answer";
  if (/\bat [\w.<>]+ \(|\/src\/\w+\/|node_modules|\$bunfs/.test(answer.body)) return "a stack trace or a path of ours";
  const path = normalised(request.target);
  const preflight = request.method === "OPTIONS" && answer.status === 204;
  if (answer.status >= 300 || preflight || OPEN_PATHS.has(path) || OPEN.has(path.split("/")[1] ?? "")) return undefined;
  return "reached without a key";
}

/** The path as the server sees it: without query, dot segments resolved as every URL parser does. */
function normalised(target: string): string {
  return URL.parse(`http://probe.example${target}`)?.pathname ?? target.split("?")[0] ?? target;
}

export interface ProbeOptions {
  count: number;
  seed?: number;
  /** @returns undefined when this request cannot be sent; rejects when no answer came in time. */
  send: (request: ProbeRequest) => Promise<ProbeAnswer | undefined>;
  /** How many at the same time. */
  parallel?: number;
}

export async function runProbe({ count, seed = 1, send, parallel = 16 }: ProbeOptions): Promise<ProbeReport> {
  const requests = probeRequests(count, seed);
  const report: ProbeReport = { sent: 0, unsendable: 0, statuses: {}, failures: [] };
  async function worker(): Promise<void> {
    for (let next = requests.next(); !next.done; next = requests.next()) {
      const request = next.value;
      const { method, target } = request;
      try {
        const answer = await send(request);
        if (answer === undefined) {
          report.unsendable++;
          continue;
        }
        report.sent++;
        report.statuses[answer.status] = (report.statuses[answer.status] ?? 0) + 1;
        const why = judge(request, answer);
        if (why !== undefined) report.failures.push({ why, method, target, status: answer.status });
      } catch (error) {
        report.failures.push({ why: String(error), method, target });
      }
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker));
  return report;
}

/** Sends the bytes as they are, which `fetch` would not. */
export function tcpSender(host: string, port: number, deadlineMs = 10_000): ProbeOptions["send"] {
  return (request) =>
    new Promise((resolve, reject) => {
      let received = "";
      const timer = setTimeout(() => {
        socket.destroy();
        reject(new Error("no answer in time"));
      }, deadlineMs);
      const finish = () => {
        clearTimeout(timer);
        const text = received.replace(/^HTTP\/1\.1 100[\s\S]*?\r\n\r\n/, "");
        const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1]);
        // Bun hangs up on a method that no standard names, before any code of ours; it must not do so on anything else.
        if (Number.isNaN(status) && request.method === "FOO") resolve(undefined);
        else if (Number.isNaN(status)) reject(new Error("closed without an answer"));
        else resolve({ status, body: text.slice(text.indexOf("\r\n\r\n") + 4) });
      };
      const socket = connect(port, host, () => socket.end(serialise(request)));
      socket.setEncoding("latin1");
      socket.on("data", (chunk) => {
        received += chunk;
      });
      // Refusing a large body early resets the connection after the answer.
      socket.on("error", () => undefined);
      socket.on("close", finish);
    });
}

function serialise({ method, target, headers, body }: ProbeRequest): Buffer {
  const lines = [`${method} ${target.replaceAll(" ", "%20")} HTTP/1.1`, "Host: probe.example", "Connection: close"];
  for (const [name, value] of headers) lines.push(`${name}: ${value.replace(/[\r\n]/g, "")}`);
  if (body !== undefined) lines.push(`Content-Length: ${body.length}`);
  return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), body ?? Buffer.alloc(0)]);
}

if (import.meta.main) {
  const [address = "http://127.0.0.1:9763", count = "5000", seed = "1"] = process.argv.slice(2);
  const { hostname, port } = new URL(address);
  const started = performance.now();
  const report = await runProbe({
    count: Number(count),
    seed: Number(seed),
    send: tcpSender(hostname, Number(port) || 80),
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  console.log(
    JSON.stringify(
      { ...report, failures: report.failures.slice(0, 50), failed: report.failures.length, seconds },
      null,
      2,
    ),
  );
  process.exit(report.failures.length === 0 ? 0 : 1);
}

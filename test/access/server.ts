import { createAnswerHeaders } from "../../src/http/plugins/answer-headers.ts";
import { accessAdminRoutes } from "../../src/http/routes/access-admin.ts";
import { authRoutes } from "../../src/http/routes/auth.ts";
import { composeRoutes } from "../../src/http/routes/index.ts";
import { createHandler } from "../../src/http/server.ts";
import { createLogger, type Logger } from "../../src/ops/log.ts";
import { createRig, PUBLIC, type Rig, type RigOptions } from "./rig.ts";

/** The pipeline with the gate and the routes of this room, and nothing else. */
export interface TestServer extends Rig {
  fetch(target: string, options?: FetchOptions): Promise<Response>;
  /** Every log line so far. */
  readonly lines: string[];
  /** Every answer's head and body so far. */
  readonly answers: { where: string; text: string }[];
}

export interface FetchOptions {
  method?: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  body?: BodyInit;
  peer?: string;
}

export async function createTestServer(
  keys: Record<string, unknown> = {},
  options: RigOptions = {},
): Promise<TestServer> {
  const lines: string[] = [];
  const answers: { where: string; text: string }[] = [];
  const log: Logger = createLogger({
    level: "debug",
    format: "json",
    lengthLimit: 500,
    write: (line) => lines.push(line),
  });
  const rig = await createRig(keys, { ...options, log });
  const { cors } = rig.access.security;
  const handle = createHandler({
    routes: composeRoutes(
      [
        authRoutes({ access: rig.access, isHttps: (request) => request.url.startsWith("https:") }),
        accessAdminRoutes(rig),
      ],
      log,
    ),
    access: rig.gate,
    headers: createAnswerHeaders(cors, { hsts: 0, pages: ["", "docs", "dashboard"] }),
    log,
    debug: () => false,
  });
  return {
    ...rig,
    lines,
    answers,
    async fetch(target, { method = "GET", headers = {}, json, body, peer = PUBLIC } = {}) {
      const init: RequestInit = { method, headers: { host: "localhost", ...headers } };
      if (json !== undefined) {
        init.body = JSON.stringify(json);
        init.headers = { host: "localhost", "content-type": "application/json", ...headers };
      } else if (body !== undefined) init.body = body;
      const response = await handle(new Request(`http://localhost${target}`, init), { address: peer });
      const text = await response.clone().text();
      const head = [...response.headers].filter(([name]) => name !== "set-cookie").join("\n");
      answers.push({ where: `${method} ${target}`, text: `${head}\n${text}` });
      return response;
    },
  };
}

/** What a browser keeps of an answer: `name=value; name=value`. */
export function cookiesOf(response: Response, before = ""): string {
  const jar = new Map(
    before
      .split("; ")
      .filter(Boolean)
      .map((pair) => pair.split("=") as [string, string]),
  );
  for (const line of response.headers.getSetCookie()) {
    const [pair = ""] = line.split(";");
    const equals = pair.indexOf("=");
    jar.set(pair.slice(0, equals), pair.slice(equals + 1));
  }
  return [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
}

import { isAppError } from "../../core/errors.ts";
import type { GuardedClient, GuardedRequest } from "../../net/guard.ts";
import type { ScriptEnv, ScriptLimits } from "../protocol.ts";
import { readRequest, responseHead, responseText, toGuarded } from "./request.ts";

/** What `lx.request` calls back with. */
export interface RequestAnswer {
  /** Message of the error; null = there is a response. */
  problem: string | null;
  head: string;
  text: string;
  raw: Uint8Array<ArrayBuffer>;
  /** Brackets within brackets, at most, when the text looks like JSON. */
  nesting: number;
}

export interface RequestsDeps {
  env: ScriptEnv;
  limits: ScriptLimits;
  guard: GuardedClient;
  allowHosts: readonly string[] | undefined;
  answer(id: number, answer: RequestAnswer): void;
  onHost(host: string): void;
  limited(name: string): void;
}

export interface Requests {
  /** `args` as the sandbox hands them over. @throws TypeError for a request that cannot be sent. */
  start(args: unknown, body: Uint8Array<ArrayBuffer> | undefined): void;
  cancel(id: unknown): void;
  /** A call has begun: it may send its share of requests. */
  allowMore(): void;
  abort(): void;
  readonly size: number;
}

/** Requests that may wait for a free place. */
const MAX_WAITING = 256;
const MAX_HOSTS = 500;
const NOTHING = new Uint8Array();
/** Requests before the first call, in shares of one call. */
const START_SHARES = 2;

/** The requests of one script: how many, how many at once, how large; each through the guard. */
export function createRequests(deps: RequestsDeps): Requests {
  const { env, limits } = deps;
  const running = new Map<number, AbortController>();
  const waiting: (() => void)[] = [];
  const hosts = new Set<string>();
  const most = limits.requestsPerCall * Math.max(START_SHARES, limits.concurrentCalls);
  let allowed = limits.requestsPerCall * START_SHARES;
  let places = limits.concurrentRequests;

  function noteHost(host: string): void {
    if (hosts.has(host) || hosts.size >= MAX_HOSTS) return;
    hosts.add(host);
    deps.onHost(host);
  }

  async function run(id: number, request: GuardedRequest, abort: AbortController): Promise<void> {
    const answer = await ask(request, abort.signal);
    if (running.get(id) !== abort) return;
    running.delete(id);
    deps.answer(id, answer);
  }

  async function ask(request: GuardedRequest, signal: AbortSignal): Promise<RequestAnswer> {
    if (allowed <= 0) {
      deps.limited("requests");
      return refusal("Too many requests");
    }
    allowed--;
    if (places <= 0) {
      if (waiting.length >= MAX_WAITING) {
        deps.limited("waiting requests");
        return refusal("Too many requests");
      }
      await new Promise<void>((resolve) => void waiting.push(resolve));
    } else {
      places--;
    }
    try {
      if (signal.aborted) return refusal("aborted");
      const reply = await deps.guard.bytes({
        ...request,
        signal,
        onHost: noteHost,
        ...(deps.allowHosts === undefined ? {} : { allowHosts: deps.allowHosts }),
      });
      const text = responseText(env, reply);
      return { problem: null, head: responseHead(env, reply), text, raw: reply.bytes, nesting: nestingOf(text) };
    } catch (error) {
      if (isAppError(error) && error.kind === "too_large") deps.limited("response");
      return refusal(signal.aborted ? "aborted" : problemText(error));
    } finally {
      const next = waiting.shift();
      if (next === undefined) places++;
      else next();
    }
  }

  return {
    start(args, body) {
      const { id, url, options } = readRequest(args);
      const request = toGuarded(env, url, options, body);
      const abort = new AbortController();
      running.set(id, abort);
      void run(id, request, abort);
    },
    cancel(id) {
      if (typeof id === "number") running.get(id)?.abort();
    },
    allowMore() {
      allowed = Math.min(most, allowed + limits.requestsPerCall);
    },
    abort() {
      for (const abort of running.values()) abort.abort();
      running.clear();
    },
    get size() {
      return running.size;
    },
  };
}

const refusal = (problem: string): RequestAnswer => ({ problem, head: "", text: "", raw: NOTHING, nesting: 0 });

/** Brackets in texts count too: the number is never too small, and no honest answer comes near the limit. */
function nestingOf(text: string): number {
  if (!/^\s*[[{]/.test(text)) return 0;
  let depth = 0;
  let most = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x5b || code === 0x7b) most = Math.max(most, ++depth);
    else if (code === 0x5d || code === 0x7d) depth--;
  }
  return most;
}

function problemText(error: unknown): string {
  if (!isAppError(error)) return "request failed";
  const cause = error.cause instanceof Error && "code" in error.cause ? ` (${String(error.cause.code)})` : "";
  return `${error.message}${cause}`;
}

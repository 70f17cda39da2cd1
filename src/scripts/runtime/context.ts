import { QUALITIES } from "../../core/types.ts";
import { createGuardedClient } from "../../net/guard.ts";
import {
  check,
  type LoadMessage,
  SCRIPT_ACTIONS,
  SCRIPT_SOURCES,
  type ScriptAction,
  type ScriptProblem,
  type ScriptSource,
  sourcesSchema,
  type Upward,
} from "../protocol.ts";
import type { Engine } from "./engine.ts";
import { NATIVES, type NativeResult } from "./natives.ts";
import { createRequests } from "./network.ts";
import preludeText from "./prelude.js" with { type: "text" };
import { createTimers } from "./timers.ts";
import { createVm, SCRIPT_FILE, toProblem } from "./vm.ts";
import webText from "./web.js" with { type: "text" };

export interface ScriptContext {
  call(id: number, source: ScriptSource, action: ScriptAction, info: string, deadlineMs: number): void;
  /** Nobody waits for the answer any more. */
  cancel(id: number): void;
}

export interface ContextDeps {
  engine: Engine;
  load: LoadMessage;
  send(message: Upward): void;
  /** Computing begins, for at most this long; 0 = it has ended. */
  busy(budgetMs: number): void;
}

/** Longest result (as JSON) that is passed on; the server checks the exact limits. */
const MAX_RESULT = 300_000;
/** Computing that a script may do while nobody has asked it anything: one slice in this many milliseconds. */
const BACKGROUND_WINDOW_MS = 10_000;
const CONSOLE_LINES_PER_SECOND = 20;

/** Runs one script: builds its `globalThis.lx`, starts it, and passes calls and answers. */
export function startScript({ engine, load, send, busy }: ContextDeps): ScriptContext {
  const { limits, env } = load;
  const startedAt = performance.now();
  const active = new Map<number, Timer>();
  let state: "starting" | "ready" | "failed" = "starting";
  let background = { since: startedAt, ms: 0 };
  let printed = { since: startedAt, lines: 0 };

  const vm = createVm(engine, {
    memoryBytes: limits.memoryBytes,
    stackBytes: limits.stackBytes,
    native,
    uncaught,
    busy,
    broken: (offence, detail) => send({ type: "offence", offence, detail: detail.slice(0, 2_000) }),
  });
  const timers = createTimers(limits.timers, (id) => enter(() => vm.call(entries.fireTimer, id)?.dispose()), limited);
  const guard = createGuardedClient({
    deadlineMs: 60_000,
    maxBytes: limits.responseBytes,
    maxRedirects: 20,
    allowPrivate: load.network.allowPrivate,
    dns: load.network.dns,
  });
  const requests = createRequests({
    env,
    limits,
    guard,
    allowHosts: load.network.allowHosts,
    answer: (id, answer) =>
      enter(() =>
        vm.call(entries.answer, id, answer.problem, answer.head, answer.text, answer.raw, answer.nesting)?.dispose(),
      ),
    onHost: (host) => send({ type: "host", host: host.slice(0, 300) }),
    limited,
  });

  const lxConfig = {
    env,
    script: { ...load.header, rawScript: load.script },
    sources: SCRIPT_SOURCES,
    actions: SCRIPT_ACTIONS,
    qualities: QUALITIES,
  };
  const deadlineTimer = setTimeout(
    () => fail({ message: "启动超时：没有发送 inited", stack: "" }),
    limits.initDeadlineMs,
  );
  const entries = { dispatch: never(), answer: never(), fireTimer: never() };

  enter(() => {
    const prelude = vm.evaluate(preludeText, "lx");
    const web = vm.evaluate(webText, "lx-web");
    const made = vm.call(prelude, vm.nativeFunction, vm.json(lxConfig), web);
    if (made === undefined) throw new Error("the sandbox could not be built");
    vm.useDescriber(vm.member(made, "describe"));
    for (const name of ["dispatch", "answer", "fireTimer"] as const) entries[name] = vm.member(made, name);
    vm.run(load.script, SCRIPT_FILE);
  });

  function never(): ReturnType<typeof vm.member> {
    return vm.nativeFunction;
  }

  function enter(work: () => void): void {
    const starting = state === "starting";
    const idle = active.size === 0;
    const used = vm.enter(starting ? limits.initSliceMs : limits.sliceMs, work);
    if (vm.dead) {
      timers.clear();
      requests.abort();
      return;
    }
    if (stillStarting() && timers.size === 0 && requests.size === 0) {
      fail({ message: "脚本已执行完毕，但没有发送 inited", stack: "" });
    }
    if (!starting && idle) chargeBackground(used);
  }

  /** Asked anew: what has just run may have ended the start. */
  function stillStarting(): boolean {
    return state === "starting";
  }

  function chargeBackground(ms: number): void {
    const now = performance.now();
    if (now - background.since > BACKGROUND_WINDOW_MS) background = { since: now, ms: 0 };
    background.ms += ms;
    if (background.ms > limits.sliceMs)
      send({ type: "offence", offence: "background", detail: `${Math.round(background.ms)} ms` });
  }

  function limited(name: string): void {
    send({ type: "limit", name });
  }

  function uncaught(problem: ScriptProblem): void {
    if (isOutOfMemory(problem)) send({ type: "offence", offence: "memory", detail: problem.message });
    if (state === "starting") fail(problem);
    else send({ type: "uncaught", problem });
  }

  function fail(problem: ScriptProblem): void {
    if (state !== "starting") return;
    state = "failed";
    clearTimeout(deadlineTimer);
    send({ type: "failed", problem });
  }

  function take(id: unknown): number | undefined {
    if (typeof id !== "number") return undefined;
    const timer = active.get(id);
    if (timer === undefined) return undefined;
    clearTimeout(timer);
    active.delete(id);
    return id;
  }

  /** The sandbox's requests to us; a script may reach this with anything, so nothing here trusts the arguments. */
  function native(name: string, args: unknown[], bytes: Uint8Array<ArrayBuffer>[]): NativeResult {
    const pure = Object.hasOwn(NATIVES, name) ? NATIVES[name] : undefined;
    if (pure !== undefined) return pure(args, bytes);
    switch (name) {
      case "timer":
        timers.start(args[0], args[1]);
        return undefined;
      case "clear":
        timers.stop(args[0]);
        return undefined;
      case "request":
        requests.start(args, bytes[0]);
        return undefined;
      case "cancel":
        requests.cancel(args[0]);
        return undefined;
      case "console":
        print(args[0], args[1]);
        return undefined;
      default:
        report(name, args);
        return undefined;
    }
  }

  /** What the script tells the client: its state, its answers. */
  function report(name: string, [first, second]: unknown[]): void {
    switch (name) {
      case "inited":
        inited(first);
        return;
      case "failed":
        fail(toProblem(first));
        return;
      case "alert":
        if (typeof first !== "string") return;
        send({
          type: "alert",
          log: first.slice(0, 1_030),
          updateUrl: typeof second === "string" ? second.slice(0, 1_024) : null,
        });
        return;
      case "settle": {
        const id = take(first);
        if (id === undefined) return;
        if (JSON.stringify(second ?? null).length > MAX_RESULT) reject(id, { message: "failed", stack: "" });
        else send({ type: "result", id, value: second ?? null });
        return;
      }
      case "reject": {
        const id = take(first);
        if (id !== undefined) reject(id, toProblem(second));
        return;
      }
      default:
        throw new TypeError("unknown");
    }
  }

  function reject(id: number, problem: ScriptProblem): void {
    send({ type: "rejected", id, problem });
    if (isOutOfMemory(problem)) send({ type: "offence", offence: "memory", detail: problem.message });
  }

  function inited(sources: unknown): void {
    if (state !== "starting") return;
    const known = check(sourcesSchema, sources);
    if (known === undefined) {
      fail({ message: "Invalid sources", stack: "" });
      return;
    }
    state = "ready";
    clearTimeout(deadlineTimer);
    send({ type: "inited", sources: known, ms: performance.now() - startedAt });
  }

  function print(level: unknown, line: unknown): void {
    const now = performance.now();
    if (now - printed.since > 1_000) printed = { since: now, lines: 0 };
    if (++printed.lines > CONSOLE_LINES_PER_SECOND) return;
    send({
      type: "console",
      level: level === "error" || level === "warn" ? level : "info",
      text: String(line).slice(0, 4_096),
    });
  }

  return {
    call(id, source, action, info, deadlineMs) {
      const late = () => {
        if (take(id) !== undefined) send({ type: "rejected", id, problem: { message: "request timeout", stack: "" } });
      };
      active.set(id, setTimeout(late, deadlineMs));
      requests.allowMore();
      enter(() =>
        vm.call(entries.dispatch, id, `{"source":"${source}","action":"${action}","info":${info}}`)?.dispose(),
      );
    },
    cancel: (id) => void take(id),
  };
}

const isOutOfMemory = (problem: ScriptProblem) => /out of memory/i.test(problem.message);

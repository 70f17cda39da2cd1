import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { createPool, type ScriptProcess } from "./process.ts";
import type {
  LoadMessage,
  Offence,
  ScriptAction,
  ScriptProblem,
  ScriptSource,
  ScriptSources,
  Upward,
} from "./protocol.ts";

export interface SupervisorDeps {
  /** The executable and its arguments that make it a script process. */
  command: readonly string[];
  /** Warm processes kept ready, from the first script on. */
  spares: () => number;
  log: Logger;
  /** Unix ms. */
  now?: () => number;
}

/** What happened in a script besides answers; for the log, the lab and the list of scripts. */
export type ScriptEvent = Extract<
  Upward,
  { type: "alert" | "host" | "limit" | "uncaught" | "console" | "inited" | "failed" | "offence" }
>;

export interface ScriptRunState {
  state: "starting" | "ready" | "failed" | "blocked" | "stopped";
  sources: ScriptSources;
  /** From loading to `inited`. */
  initMs: number | undefined;
  problem: ScriptProblem | undefined;
  offences: { offence: Offence; detail: string; at: number }[];
  /** Unix ms at which a failed or blocked script is started again. */
  retryAt: number | undefined;
  pid: number | undefined;
  pending: number;
}

export interface CallOptions {
  deadlineMs: number;
  signal?: AbortSignal | undefined;
}

/** One script, kept running in a process of its own. */
export interface ScriptRun {
  readonly state: ScriptRunState;
  /** Resolves when the first start has ended, well or badly. */
  readonly started: Promise<void>;
  /**
   * @param info JSON of what the handler gets as `info`.
   * @returns what the script answered, unchecked.
   * @throws AppError `upstream_refused` with the script's message, `busy`, `upstream_unreachable`.
   */
  call(source: ScriptSource, action: ScriptAction, info: string, options: CallOptions): Promise<unknown>;
  stop(): Promise<void>;
}

export interface Supervisor {
  /** @param once never start it again. */
  run(
    load: LoadMessage,
    name: string,
    waitingCalls: number,
    onEvent: (event: ScriptEvent) => void,
    once?: boolean,
  ): ScriptRun;
  close(): Promise<void>;
}

/** Offences within this time that block a script. */
const OFFENCE_WINDOW_MS = 600_000;
const OFFENCES_ALLOWED = 3;
const MAX_OFFENCES_KEPT = 20;
const BLOCK_MS = 60_000;
const MAX_BLOCK_MS = 3_600_000;
/** The process answers every call by its deadline; this much later it counts as dead. */
const ANSWER_GRACE_MS = 1_000;
/** `lx` clients wait and ask again when a rejection has exactly this text. */
export const BUSY_TEXT = "服务器繁忙";

interface Pending {
  resolve(value: unknown): void;
  reject(error: AppError): void;
  watchdog: Timer;
}

/**
 * Keeps scripts running, one child process each: 22 MB of private memory and one thread more than workers in a common
 * process, but killing an offender touches nobody else, and every limit of the process is the script's own.
 */
export function createSupervisor(deps: SupervisorDeps): Supervisor {
  const pool = createPool(deps.command, deps.spares);
  const runs = new Set<ScriptRun>();
  return {
    run(load, name, waitingCalls, onEvent, once = false) {
      const run = createRun(deps, () => pool.take(), load, name, waitingCalls, onEvent, once);
      runs.add(run);
      return {
        ...run,
        get state() {
          return run.state;
        },
        stop: () => run.stop().finally(() => runs.delete(run)),
      };
    },
    async close() {
      pool.close();
      await Promise.all([...runs].map((run) => run.stop()));
      runs.clear();
    },
  };
}

function createRun(
  deps: SupervisorDeps,
  take: () => ScriptProcess,
  load: LoadMessage,
  name: string,
  waitingCalls: number,
  onEvent: (event: ScriptEvent) => void,
  once: boolean,
): ScriptRun {
  const now = deps.now ?? Date.now;
  const log = deps.log.child({ script: name });
  const { promise: started, resolve: markStarted } = Promise.withResolvers<void>();
  const pending = new Map<number, Pending>();
  const waiting: (() => void)[] = [];
  const state: ScriptRunState = {
    state: "starting",
    sources: {},
    initMs: undefined,
    problem: undefined,
    offences: [],
    retryAt: undefined,
    pid: undefined,
    pending: 0,
  };
  let current: ScriptProcess | undefined;
  let restart: Timer | undefined;
  let blocks = 0;
  let lastId = 0;
  let taken = 0;

  function launch(): void {
    const process_ = take();
    current = process_;
    state.state = "starting";
    state.pid = process_.pid;
    state.retryAt = undefined;
    process_.listen(
      (message) => current === process_ && receive(message),
      () => current === process_ && lost("crash", "the script process ended"),
    );
    process_.ready.then(
      () => process_.send(load),
      () => {},
    );
  }

  function receive(message: Upward): void {
    switch (message.type) {
      case "inited":
        state.state = "ready";
        state.sources = message.sources;
        state.initMs = message.ms;
        state.problem = undefined;
        onEvent(message);
        markStarted();
        return;
      case "failed":
        onEvent(message);
        failed(message.problem);
        return;
      case "result":
        settle(message.id)?.resolve(message.value);
        return;
      case "rejected":
        settle(message.id)?.reject(rejection(name, message.problem));
        return;
      case "offence":
        onEvent(message);
        lost(message.offence, message.detail);
        return;
      case "pong":
      case "ready":
        return;
      default:
        onEvent(message);
    }
  }

  function settle(id: number): Pending | undefined {
    const entry = pending.get(id);
    if (entry === undefined) return undefined;
    pending.delete(id);
    clearTimeout(entry.watchdog);
    return entry;
  }

  /** The process is of no more use; everything that waits for it is told. */
  function drop(reason: AppError): void {
    current?.kill();
    current = undefined;
    state.pid = undefined;
    for (const id of [...pending.keys()]) settle(id)?.reject(reason);
  }

  function failed(problem: ScriptProblem): void {
    drop(new AppError("upstream_refused", `脚本 ${name} 启动失败：${problem.message}`));
    state.state = "failed";
    state.problem = problem;
    log.warn("script failed to start", { problem: problem.message, line: problem.line });
    markStarted();
    retryLater();
  }

  function lost(offence: Offence, detail: string): void {
    const starting = state.state === "starting";
    state.offences.push({ offence, detail, at: now() });
    if (state.offences.length > MAX_OFFENCES_KEPT) state.offences.shift();
    log.warn("script process killed", { offence, detail });
    drop(new AppError("upstream_unreachable", `脚本 ${name} 已被终止：${OFFENCE_TEXT[offence]}`));
    state.problem = { message: OFFENCE_TEXT[offence], stack: "" };
    const recent = state.offences.filter((item) => now() - item.at < OFFENCE_WINDOW_MS);
    if (starting || recent.length >= OFFENCES_ALLOWED || once) {
      state.state = "blocked";
      markStarted();
      retryLater();
    } else {
      launch();
    }
  }

  function retryLater(): void {
    if (once) return;
    const rest = Math.min(MAX_BLOCK_MS, BLOCK_MS * 2 ** blocks);
    blocks = Math.min(blocks + 1, 10);
    state.retryAt = now() + rest;
    restart = setTimeout(launch, rest);
    restart.unref();
  }

  /** Waits for a place among the calls at the same time. */
  async function place(signal: AbortSignal | undefined): Promise<void> {
    if (taken < load.limits.concurrentCalls) {
      taken++;
      return;
    }
    if (waiting.length >= waitingCalls) throw new AppError("busy", BUSY_TEXT);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => {
      const at = waiting.indexOf(resolve);
      if (at >= 0) waiting.splice(at, 1);
      reject(new AppError("upstream_unreachable", "请求已取消"));
    };
    waiting.push(resolve);
    signal?.addEventListener("abort", leave, { once: true });
    await promise.finally(() => signal?.removeEventListener("abort", leave));
  }

  /** The place goes to who waits longest. */
  function leavePlace(): void {
    const next = waiting.shift();
    if (next === undefined) taken--;
    else next();
  }

  async function call(
    source: ScriptSource,
    action: ScriptAction,
    info: string,
    { deadlineMs, signal }: CallOptions,
  ): Promise<unknown> {
    const deadline = now() + deadlineMs;
    await place(signal);
    try {
      return await send(source, action, info, deadline - now(), signal);
    } finally {
      leavePlace();
    }
  }

  async function send(
    source: ScriptSource,
    action: ScriptAction,
    info: string,
    deadlineMs: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const process_ = current;
    if (process_ === undefined || state.state !== "ready") {
      throw new AppError("upstream_unreachable", `脚本 ${name} 未运行`);
    }
    if (deadlineMs <= 0 || signal?.aborted) throw new AppError("upstream_unreachable", `脚本 ${name} 响应超时`);
    const id = ++lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const watchdog = setTimeout(() => lost("stalled", "no answer"), deadlineMs + ANSWER_GRACE_MS);
    pending.set(id, { resolve, reject, watchdog });
    const giveUp = () => {
      if (current === process_) process_.send({ type: "cancel", id });
      settle(id)?.reject(new AppError("upstream_unreachable", "请求已取消"));
    };
    signal?.addEventListener("abort", giveUp, { once: true });
    process_.send({ type: "call", id, source, action, info, deadlineMs });
    return promise.finally(() => signal?.removeEventListener("abort", giveUp));
  }

  launch();
  return {
    get state() {
      return { ...state, pending: pending.size };
    },
    started,
    call,
    async stop() {
      clearTimeout(restart);
      const ended = current?.ended;
      drop(new AppError("upstream_unreachable", `脚本 ${name} 已停止`));
      state.state = "stopped";
      markStarted();
      await ended;
    },
  };
}

const OFFENCE_TEXT: Record<Offence, string> = {
  cpu: "连续运行时间过长",
  stalled: "停止响应",
  memory: "占用内存过多",
  background: "空闲时持续占用处理器",
  crash: "意外退出",
};

function rejection(name: string, problem: ScriptProblem): AppError {
  if (problem.message === BUSY_TEXT) return new AppError("busy", BUSY_TEXT);
  const message = problem.message.slice(0, 200) || "failed";
  return new AppError("upstream_refused", `${name}：${message}`, { detail: { problem } });
}

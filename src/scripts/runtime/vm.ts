import type { QuickJSContext, QuickJSHandle } from "quickjs-emscripten-core";
import type { ScriptProblem } from "../protocol.ts";
import type { Engine } from "./engine.ts";
import type { NativeResult } from "./natives.ts";

export type GuestValue = string | number | null | undefined | Uint8Array<ArrayBuffer>;

export interface VmOptions {
  memoryBytes: number;
  stackBytes: number;
  /** Answers the sandbox's only way out. What it throws becomes an error there: name and message, nothing else. */
  native(name: string, args: unknown[], bytes: Uint8Array<ArrayBuffer>[]): NativeResult;
  /** Nobody in the script caught this. */
  uncaught(problem: ScriptProblem): void;
  /** Computing begins, for at most this long; 0 = it has ended. */
  busy(budgetMs: number): void;
  /** The script may not go on: it used up its time, or the engine broke. */
  broken(offence: "cpu" | "crash", detail: string): void;
}

export interface Vm {
  /** Runs `work`, then every job that is due, for at most `budgetMs`. @returns milliseconds used. */
  enter(budgetMs: number, work: () => void): number;
  /** Runs a script's text as a page would; an error in it goes to `uncaught`. Inside `enter` only. */
  run(text: string, file: string): void;
  /** Evaluates an expression of ours. @throws Error when it fails. Inside `enter` only. */
  evaluate(text: string, file: string): QuickJSHandle;
  /** Calls one of our functions; what it throws goes to `uncaught`. Inside `enter` only. */
  call(target: QuickJSHandle, ...args: (GuestValue | QuickJSHandle)[]): QuickJSHandle | undefined;
  member(target: QuickJSHandle, name: string): QuickJSHandle;
  json(value: unknown): QuickJSHandle;
  /** How errors of the script are read; a function in the sandbox. */
  useDescriber(describe: QuickJSHandle): void;
  readonly nativeFunction: QuickJSHandle;
  readonly dead: boolean;
}

export const SCRIPT_FILE = "script.js";
const JOBS_AT_ONCE = 64;
/** What is left for reading an error after the time is used up. */
const DESCRIBE_MS = 50;

/** One sandbox: a QuickJS runtime with one context, its limits, and exchange of plain values. */
export function createVm(engine: Engine, options: VmOptions): Vm {
  const runtime = engine.module.newRuntime({
    memoryLimitBytes: options.memoryBytes,
    maxStackSizeBytes: options.stackBytes,
  });
  const context = runtime.newContext();
  runtime.context = context;
  const rejections = new Map<bigint, QuickJSHandle>();
  let deadline = Number.POSITIVE_INFINITY;
  let interrupted = false;
  let dead = false;
  let inside = false;
  let describer: QuickJSHandle | undefined;
  let native: QuickJSHandle | undefined;

  engine.track(runtime, {
    rejected: (promise, reason) => {
      rejections.get(promise)?.dispose();
      rejections.set(promise, reason);
    },
    handled: (promise) => {
      rejections.get(promise)?.dispose();
      rejections.delete(promise);
    },
  });
  runtime.setInterruptHandler(() => {
    if (performance.now() <= deadline) return false;
    interrupted = true;
    return true;
  });
  const parse = context.unwrapResult(context.evalCode("JSON.parse", "lx"));

  function drain(): void {
    while (!interrupted && runtime.hasPendingJob()) {
      const result = runtime.executePendingJobs(JOBS_AT_ONCE);
      if (result.error) report(result.error);
      else result.dispose();
      if (performance.now() > deadline) interrupted = true;
    }
    for (const reason of rejections.values()) report(reason);
    rejections.clear();
  }

  function report(error: QuickJSHandle): void {
    if (!interrupted) options.uncaught(describe(error));
    error.dispose();
  }

  function describe(error: QuickJSHandle): ScriptProblem {
    if (describer === undefined) return { message: "failed", stack: "" };
    const kept = deadline;
    deadline = performance.now() + DESCRIBE_MS;
    const result = context.callFunction(describer, context.undefined, error);
    deadline = kept;
    if (result.error) {
      result.error.dispose();
      return { message: "unknown error", stack: "" };
    }
    return toProblem(JSON.parse(result.value.consume((handle) => context.getString(handle))));
  }

  function enter(budgetMs: number, work: () => void): number {
    if (dead || inside) return 0;
    inside = true;
    const started = performance.now();
    deadline = started + budgetMs;
    options.busy(budgetMs);
    try {
      work();
      drain();
    } catch (error) {
      // The engine itself failed (a trap in the WebAssembly): nothing in it can be relied on any more.
      dead = true;
      options.broken("crash", String(error));
    } finally {
      inside = false;
      options.busy(0);
    }
    if (interrupted && !dead) {
      dead = true;
      options.broken("cpu", `${Math.round(performance.now() - started)} ms`);
    }
    return performance.now() - started;
  }

  function toHandle(value: GuestValue): QuickJSHandle {
    if (value === undefined) return context.undefined;
    if (value === null) return context.null;
    if (typeof value === "number") return context.newNumber(value);
    if (typeof value !== "string") return context.newArrayBuffer(value.slice().buffer);
    return isPlain(value) ? context.newString(value) : json(value);
  }

  /** Values that the bindings' strings cannot carry go through the sandbox's own JSON.parse. */
  function json(value: unknown): QuickJSHandle {
    const text = context.newString(JSON.stringify(value));
    return context.unwrapResult(text.consume((handle) => context.callFunction(parse, context.undefined, handle)));
  }

  function call(target: QuickJSHandle, ...args: (GuestValue | QuickJSHandle)[]): QuickJSHandle | undefined {
    const handles = args.map((arg) =>
      isHandle(arg) ? { handle: arg, ours: false } : { handle: toHandle(arg), ours: true },
    );
    try {
      const result = context.callFunction(target, context.undefined, ...handles.map((item) => item.handle));
      if (!result.error) return result.value;
      report(result.error);
      return undefined;
    } finally {
      for (const { handle, ours } of handles) if (ours && handle.alive) handle.dispose();
    }
  }

  return {
    enter,
    run(text, file) {
      const result = context.evalCode(text, file, { type: "global" });
      if (result.error) report(result.error);
      else result.dispose();
    },
    evaluate: (text, file) => context.unwrapResult(context.evalCode(text, file, { type: "global" })),
    call,
    member: (target, name) => context.getProp(target, name),
    json,
    useDescriber(describe_) {
      describer = describe_;
    },
    get nativeFunction() {
      native ??= makeNative(context, options, toHandle);
      return native;
    },
    get dead() {
      return dead;
    },
  };
}

function makeNative(
  context: QuickJSContext,
  options: VmOptions,
  toHandle: (value: GuestValue) => QuickJSHandle,
): QuickJSHandle {
  return context.newFunction("native", (name, args, ...bytes) => {
    try {
      const list: unknown = args === undefined ? [] : JSON.parse(context.getString(args));
      const copies = bytes.map((handle) => {
        const view = context.getArrayBuffer(handle);
        return view.consume((lifetime) => new Uint8Array(lifetime.value));
      });
      const result = options.native(
        name === undefined ? "" : context.getString(name),
        Array.isArray(list) ? list : [],
        copies,
      );
      return toHandle(result instanceof Uint8Array ? new Uint8Array(result) : result);
    } catch (error) {
      const { name: kind, message } = error instanceof Error ? error : new Error("failed");
      return { error: makeError(context, /^(?:Type|Range)Error$/.test(kind) ? kind : "Error", message) };
    }
  });
}

/** Defined, not set: where built-ins are frozen, a member that the prototype has too cannot be set. */
function makeError(context: QuickJSContext, name: string, message: string): QuickJSHandle {
  const error = context.newError();
  for (const [key, text] of Object.entries({ name, message })) {
    context
      .newString(text)
      .consume((value) => context.defineProp(error, key, { value, configurable: true, enumerable: false }));
  }
  return error;
}

function isHandle(value: GuestValue | QuickJSHandle): value is QuickJSHandle {
  return typeof value === "object" && value !== null && !(value instanceof Uint8Array);
}

const isPlain = (value: string) => !value.includes("\0") && value.isWellFormed();

/** `[message, name, stack]` as the sandbox's describer gives it; lines of our own code are left out of the stack. */
export function toProblem(described: unknown): ScriptProblem {
  const parts = Array.isArray(described) ? described.map((part) => (typeof part === "string" ? part : "")) : [];
  const [message = "", name = "", trace = ""] = parts;
  const lines = trace.split("\n").filter((line) => line.includes(SCRIPT_FILE));
  const stack = lines.join("\n").slice(0, 4_000);
  const line = /script\.js:(\d+)/.exec(stack)?.[1];
  const full = name === "SyntaxError" ? `SyntaxError: ${message}` : message;
  return { message: full.slice(0, 1_024), stack, ...(line === undefined ? {} : { line: Number(line) }) };
}

import { resolve } from "node:path";
import ngVariant from "@jitl/quickjs-ng-wasmfile-release-sync";
import wasmFile from "@jitl/quickjs-ng-wasmfile-release-sync/wasm" with { type: "file" };
import {
  type JSValuePointer,
  Lifetime,
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSHandle,
  type QuickJSRuntime,
  type QuickJSWASMModule,
} from "quickjs-emscripten-core";
import { TABLE_NAME, TRACKER_MODULE, withTable } from "./wasm.ts";

/** Told when a promise is rejected while nobody listens, and again (`handled`) when somebody begins to. */
export interface RejectionTracker {
  /** `promise` identifies it until it is freed; `reason` is owned by the receiver. */
  rejected(promise: bigint, reason: QuickJSHandle): void;
  handled(promise: bigint): void;
}

export interface Engine {
  readonly module: QuickJSWASMModule;
  /** @returns false when this build of the engine offers no way to be told. */
  track(runtime: QuickJSRuntime, tracker: RejectionTracker): boolean;
}

/**
 * QuickJS-ng as WebAssembly, one instance per worker. Its bindings do not offer the hook for unhandled rejections,
 * which clients need to notice a script that fails while it starts; `track` sets it in the runtime's memory.
 */
export async function loadEngine(): Promise<Engine> {
  // Absolute in development and in the executable, relative to this module in a bundle.
  const original = new Uint8Array(await Bun.file(resolve(import.meta.dir, wasmFile)).arrayBuffer());
  const compiled = await WebAssembly.compile(withTable(original) ?? original);
  let table: WebAssembly.Table | undefined;
  const instantiateWasm = (
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance) => void,
  ): WebAssembly.Exports => {
    const instance = new WebAssembly.Instance(compiled, imports);
    const exported = instance.exports[TABLE_NAME];
    if (exported instanceof WebAssembly.Table) table = exported;
    done(instance);
    return instance.exports;
  };
  const module = await newQuickJSWASMModuleFromVariant(
    newVariant(ngVariant, { emscriptenModule: { instantiateWasm } as object }),
  );
  return { module, track: (runtime, tracker) => table !== undefined && track(module, table, runtime, tracker) };
}

/** Words of the runtime's structure that are searched for the field. */
const SEARCHED_WORDS = 256;

/** Words between the interrupt handler's pointer and the tracker's: its argument, promise hook, its argument, a link. */
const TRACKER_OFFSET = 5;

/**
 * In the engine's runtime structure the tracker's pointer follows the interrupt handler's. Setting an interrupt handler
 * shows where that is: exactly one word changes from zero.
 * @see JSRuntime in https://github.com/quickjs-ng/quickjs/blob/master/quickjs.c
 */
function track(
  module: QuickJSWASMModule,
  table: WebAssembly.Table,
  runtime: QuickJSRuntime,
  tracker: RejectionTracker,
): boolean {
  const lifetime: unknown = Reflect.get(runtime, "rt");
  if (!(lifetime instanceof Lifetime) || typeof lifetime.value !== "number") return false;
  const base = lifetime.value >> 2;
  const words = () => new Uint32Array(module.getWasmMemory().buffer);
  const before = words().slice(base, base + SEARCHED_WORDS);
  runtime.setInterruptHandler(() => false);
  const after = words().slice(base, base + SEARCHED_WORDS);
  const changed = [...after.keys()].filter((index) => after[index] !== before[index]);
  const [field] = changed;
  if (field === undefined || changed.length !== 1 || before[field] !== 0) return false;
  if (after.slice(field + 1, field + TRACKER_OFFSET + 2).some((word) => word !== 0)) return false;
  const index = table.grow(1);
  table.set(index, trackerFunction(module, runtime, tracker));
  words()[base + field + TRACKER_OFFSET] = index;
  return true;
}

function trackerFunction(module: QuickJSWASMModule, runtime: QuickJSRuntime, tracker: RejectionTracker): unknown {
  const ffi = module.getFFI();
  const context = runtime.context;
  if (context === undefined) throw new Error("the runtime has no context yet");
  // A cell of the engine's heap that holds one value: how values are handed to the bindings.
  const cell = context.newNumber(0);
  const listener = (
    ctx: Parameters<typeof ffi.QTS_DupValuePointer>[0],
    promise: bigint,
    reason: bigint,
    isHandled: number,
  ): void => {
    if (isHandled !== 0) {
      tracker.handled(promise);
      return;
    }
    const memory = new BigInt64Array(module.getWasmMemory().buffer);
    const at = cell.value >> 3;
    const kept = memory[at] ?? 0n;
    memory[at] = reason;
    const own = ffi.QTS_DupValuePointer(ctx, cell.value);
    memory[at] = kept;
    const free = (pointer: JSValuePointer) => ffi.QTS_FreeValuePointer(ctx, pointer);
    tracker.rejected(
      promise,
      new Lifetime<JSValuePointer, JSValuePointer, QuickJSRuntime>(own, undefined, free, runtime),
    );
  };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(TRACKER_MODULE), { h: { f: listener } });
  return instance.exports["f"];
}

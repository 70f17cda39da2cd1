import type { Downward } from "./protocol.ts";
import { type ScriptContext, startScript } from "./runtime/context.ts";
import { loadEngine } from "./runtime/engine.ts";
import { clock, type WatchMessage } from "./watch.ts";

declare const self: Worker;

const engine = loadEngine();
let watch: Int32Array | undefined;
let script: ScriptContext | undefined;

const busy = (budgetMs: number) => {
  if (watch === undefined) return;
  Atomics.store(watch, 1, budgetMs);
  Atomics.store(watch, 0, budgetMs === 0 ? 0 : clock() || 1);
};

self.onmessage = async ({ data }: MessageEvent<Downward | WatchMessage>) => {
  switch (data.type) {
    case "watch":
      watch = new Int32Array(data.shared);
      await engine;
      self.postMessage({ type: "ready" });
      return;
    case "load":
      script = startScript({ engine: await engine, load: data, send: (message) => self.postMessage(message), busy });
      return;
    case "call":
      script?.call(data.id, data.source, data.action, data.info, data.deadlineMs);
      return;
    case "cancel":
      script?.cancel(data.id);
      return;
    case "ping":
      self.postMessage({ type: "pong", id: data.id });
      return;
  }
};

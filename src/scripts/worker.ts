import type { Downward, LoadMessage } from "./protocol.ts";
import { type ScriptContext, startScript } from "./runtime/context.ts";
import { type Engine, loadEngine } from "./runtime/engine.ts";
import { clock, type WatchMessage } from "./watch.ts";

declare const self: Worker;

/** Starts and calls a trivial script once, so that the engine's code is compiled before a real one needs it. */
function warmUp(loaded: Engine): Engine {
  const script = `/**/
    lx.on("request", async ({ info }) => JSON.parse(JSON.stringify(info)).url.replace(/^http:/, "https:"));
    lx.send("inited", { sources: {} });`;
  const header = { name: "", description: "", version: "", author: "", homepage: "" };
  const limits = {
    ...{ memoryBytes: 16 << 20, stackBytes: 256 << 10, sliceMs: 60_000, initSliceMs: 60_000, initDeadlineMs: 60_000 },
    ...{ requestsPerCall: 1, concurrentRequests: 1, concurrentCalls: 1, responseBytes: 1, timers: 1 },
  };
  const load: LoadMessage = {
    type: "load",
    script,
    header,
    env: "desktop",
    limits,
    network: { allowPrivate: [], dns: [] },
  };
  const warm = startScript({ engine: loaded, load, send() {}, busy() {} });
  warm.call(1, "kw", "musicUrl", '{"url":"http://warm.invalid/"}', 1_000);
  return loaded;
}

const engine = loadEngine().then(warmUp);
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

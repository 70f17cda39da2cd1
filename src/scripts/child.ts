import type { Downward, Offence } from "./protocol.ts";
import { clock, type WatchMessage } from "./watch.ts";

/** First argument that makes the executable a script process. */
export const SCRIPT_HOST_ARGUMENT = "__script-host";

const POLL_MS = 100;
/** How far past its budget a worker may be before it counts as stuck: the engine checks its time only between steps. */
const STALL_GRACE_MS = 400;

/**
 * Body of a script process: one worker with the sandbox, and this thread, which never runs a script and so always
 * answers. It passes messages between the server and the worker, and says when the worker is stuck in native code,
 * where nothing can interrupt it; the server then kills the process.
 *
 * @param workerUrl address of scripts/worker.ts, made in the entry file (a compiled executable resolves it only there).
 * @param maxRssBytes memory of the whole process at which it is given up.
 */
export function runScriptHost(workerUrl: string, maxRssBytes = 1 << 30): void {
  const worker = new Worker(workerUrl);
  const shared = new SharedArrayBuffer(8);
  const watch = new Int32Array(shared);
  let reported = false;
  const send = (message: unknown) => {
    try {
      process.send?.(message);
    } catch {
      process.exit(0);
    }
  };
  const offend = (offence: Offence, detail: string) => {
    if (reported) return;
    reported = true;
    send({ type: "offence", offence, detail });
  };

  worker.onmessage = ({ data }) => send(data);
  worker.onerror = (event) => offend("crash", event.message.slice(0, 2_000));
  worker.postMessage({ type: "watch", shared } satisfies WatchMessage);
  process.on("message", (message: Downward) => worker.postMessage(message));
  // The server is gone: a worker that spins could not be stopped any other way.
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));

  setInterval(() => {
    const since = Atomics.load(watch, 0);
    const budget = Atomics.load(watch, 1);
    const late = since === 0 ? 0 : ((clock() - since) & 0x7fffffff) - budget;
    if (late > STALL_GRACE_MS) offend("stalled", `${late + budget} ms`);
    if (process.memoryUsage.rss() > maxRssBytes) offend("memory", "process");
  }, POLL_MS);
}

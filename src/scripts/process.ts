import { setPriority } from "node:os";
import { dirname } from "node:path";
import { type Downward, readUpward, type Upward } from "./protocol.ts";

/** One script process: made ready beforehand, given one script, and killed, never reused. */
export interface ScriptProcess {
  readonly pid: number;
  /** Resolves when it can take a script; rejects when it ended before. */
  readonly ready: Promise<void>;
  send(message: Downward): void;
  /** Who gets its messages from now on, and its end (once, also when it was killed). */
  listen(onMessage: (message: Upward) => void, onEnd: () => void): void;
  /** At once and without asking: SIGKILL. */
  kill(): void;
  readonly ended: Promise<void>;
}

/** Settings of ours that a script process needs; everything else of the environment stays here. */
const PASSED_ON = ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "TZ", "SystemRoot", "TEMP", "TMPDIR"];
/** Below the server: a script that computes must not slow down answers. */
const NICENESS = 5;

/** @param command the executable and its arguments, so that it becomes a script process. */
export function startProcess(command: readonly string[]): ScriptProcess {
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  ready.catch(() => {});
  let onMessage: (message: Upward) => void = () => {};
  let onEnd: () => void = () => {};
  let over = false;
  let isReady = false;

  const environment = Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]]).filter((pair) => pair[1]));
  const child = Bun.spawn([...command], {
    env: environment,
    cwd: dirname(process.execPath),
    stdio: ["ignore", "ignore", "ignore"],
    ipc(message) {
      const known = over ? undefined : readUpward(message);
      if (known === undefined) return;
      if (known.type === "ready") {
        isReady = true;
        resolve();
      } else if (isReady) {
        onMessage(known);
      } else {
        // It broke before it was given anything to run.
        child.kill("SIGKILL");
      }
    },
    onExit() {
      over = true;
      reject(new Error("the script process ended"));
      end();
      onEnd();
    },
  });
  // The server may end while script processes run; they notice and end too.
  child.unref();
  try {
    setPriority(child.pid, NICENESS);
  } catch {
    // It has ended already, or the system has no priorities.
  }

  return {
    pid: child.pid,
    ready,
    ended,
    send(message) {
      if (over) return;
      try {
        child.send(message);
      } catch {
        child.kill("SIGKILL");
      }
    },
    listen(messages, end_) {
      onMessage = messages;
      onEnd = end_;
      if (over) queueMicrotask(end_);
    },
    kill() {
      over = true;
      child.kill("SIGKILL");
    },
  };
}

export interface ProcessPool {
  take(): ScriptProcess;
  close(): void;
}

/** Keeps `spares` processes with the engine loaded, so that a script takes the place of a killed one in milliseconds. */
export function createPool(command: readonly string[], spares: () => number): ProcessPool {
  const idle: ScriptProcess[] = [];
  let closed = false;
  let refill: Timer | undefined;

  function prepare(): void {
    refill = undefined;
    while (!closed && idle.length < spares()) {
      const process_ = startProcess(command);
      idle.push(process_);
      process_.listen(
        () => {},
        () => {
          const at = idle.indexOf(process_);
          if (at >= 0) idle.splice(at, 1);
        },
      );
    }
  }

  return {
    take() {
      const taken = idle.shift() ?? startProcess(command);
      // Not at once: the script that was given the spare starts first.
      refill ??= setTimeout(prepare, 200);
      refill.unref();
      return taken;
    },
    close() {
      closed = true;
      clearTimeout(refill);
      for (const process_ of idle) process_.kill();
      idle.length = 0;
    },
  };
}

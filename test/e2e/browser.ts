import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cleanEnvironment } from "./server.ts";

/** One page in a real, headless Chromium that has no internet, driven over its debugging socket. */
export interface Page {
  /** Addresses that the page asked for since it was opened. */
  requests: string[];
  /** Console errors, failed loads, uncaught exceptions, broken content policies. */
  faults: string[];
  open(url: string): Promise<void>;
  /** The value of a JavaScript expression in the page; promises are awaited. */
  evaluate<T>(expression: string): Promise<T>;
  /** Waits until the expression is truthy. @returns its value */
  until<T>(expression: string, deadlineMs?: number): Promise<T>;
  /** PNG of the viewport. */
  screenshot(): Promise<Uint8Array>;
}

export interface Browser {
  page(viewport?: { width: number; height: number; dark?: boolean }): Promise<Page>;
  close(): Promise<void>;
}

const START_DEADLINE_MS = 20_000;

export async function openBrowser(): Promise<Browser> {
  const profile = await mkdtemp(join(tmpdir(), "lx-chromium-"));
  const child = Bun.spawn(
    [
      "chromium",
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--hide-scrollbars",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
      "about:blank",
    ],
    { stdout: "ignore", stderr: "ignore", env: cleanEnvironment({ HOME: profile }) },
  );
  const portFile = join(profile, "DevToolsActivePort");
  const deadline = Date.now() + START_DEADLINE_MS;
  while (!existsSync(portFile) || readFileSync(portFile, "utf8").split("\n").length < 2) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error("chromium did not start");
    await Bun.sleep(20);
  }
  const [port, path] = readFileSync(portFile, "utf8").trim().split("\n");
  const wire = await connect(`ws://127.0.0.1:${port}${path}`);
  return {
    page: (viewport = { width: 1280, height: 900 }) => openPage(wire, viewport),
    async close() {
      wire.close();
      child.kill("SIGKILL");
      await child.exited;
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

type Params = Record<string, unknown>;
type Listener = (method: string, params: Params) => void;

interface Wire {
  send<T = Params>(method: string, params?: Params, sessionId?: string): Promise<T>;
  listen(sessionId: string, listener: Listener): void;
  close(): void;
}

async function connect(address: string): Promise<Wire> {
  const socket = new WebSocket(address);
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  const listeners = new Map<string, Listener>();
  let last = 0;
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data)) as {
      id?: number;
      result?: never;
      error?: { message: string };
      method?: string;
      params?: Params;
      sessionId?: string;
    };
    if (message.id !== undefined) {
      const call = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error !== undefined) call?.reject(new Error(message.error.message));
      else call?.resolve(message.result as never);
    } else if (message.method !== undefined) {
      listeners.get(message.sessionId ?? "")?.(message.method, message.params ?? {});
    }
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error("no connection to chromium"));
  });
  return {
    send: (method, params = {}, sessionId) =>
      new Promise((resolve, reject) => {
        last++;
        waiting.set(last, { resolve, reject });
        socket.send(JSON.stringify({ id: last, method, params, ...(sessionId === undefined ? {} : { sessionId }) }));
      }),
    listen: (sessionId, listener) => void listeners.set(sessionId, listener),
    close: () => socket.close(),
  };
}

async function openPage(wire: Wire, viewport: { width: number; height: number; dark?: boolean }): Promise<Page> {
  const { targetId } = await wire.send<{ targetId: string }>("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await wire.send<{ sessionId: string }>("Target.attachToTarget", { targetId, flatten: true });
  const send = <T = Params>(method: string, params?: Params) => wire.send<T>(method, params, sessionId);
  const requests: string[] = [];
  const faults: string[] = [];
  let loaded: (() => void) | undefined;
  wire.listen(sessionId, (method, params) => {
    if (method === "Page.loadEventFired") loaded?.();
    if (method === "Network.requestWillBeSent") requests.push((params["request"] as { url: string }).url);
    if (method === "Log.entryAdded") faults.push(describe(params["entry"] as Params));
    if (method === "Runtime.exceptionThrown") faults.push(JSON.stringify(params["exceptionDetails"]));
    if (method === "Runtime.consoleAPICalled" && params["type"] === "error")
      faults.push(JSON.stringify(params["args"]));
  });
  for (const domain of ["Page", "Network", "Log", "Runtime"]) await send(`${domain}.enable`);
  const { width, height, dark = false } = viewport;
  await send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
  await send("Emulation.setEmulatedMedia", {
    features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
  });

  async function evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await send<{ result: { value: T }; exceptionDetails?: Params }>(
      "Runtime.evaluate",
      { expression, awaitPromise: true, returnByValue: true, userGesture: true },
    );
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }

  return {
    requests,
    faults,
    async open(url) {
      const done = new Promise<void>((resolve) => {
        loaded = resolve;
      });
      await send("Page.navigate", { url });
      await done;
    },
    evaluate,
    async until<T>(expression: string, deadlineMs = 15_000): Promise<T> {
      const deadline = Date.now() + deadlineMs;
      for (;;) {
        const value = await evaluate<T>(expression);
        if (value) return value;
        if (Date.now() > deadline) throw new Error(`never came true: ${expression}`);
        await Bun.sleep(30);
      }
    },
    async screenshot() {
      const { data } = await send<{ data: string }>("Page.captureScreenshot", { format: "png" });
      return Buffer.from(data, "base64");
    },
  };
}

function describe(entry: Params): string {
  return [entry["source"], entry["level"], entry["text"], entry["url"]].filter(Boolean).join(" ");
}

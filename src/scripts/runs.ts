import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { parseHeader, type ScriptHeader } from "./header.ts";
import { limitsOf, type ScriptsConfig } from "./limits.ts";
import type { LoadMessage, Offence, ScriptEnv, ScriptProblem } from "./protocol.ts";
import type { ScriptStore, StoredScript } from "./store.ts";
import type { ScriptEvent, ScriptRun, Supervisor } from "./supervisor.ts";

export interface RunsDeps {
  store: ScriptStore;
  supervisor: Supervisor;
  config: () => ScriptsConfig;
  log: Logger;
  now: () => number;
}

export interface Running {
  script: StoredScript;
  run: ScriptRun;
  notes: RunNotes;
  /** Waits while it starts, for the first time or again after it was killed; resolves however that ends. */
  settled(signal: AbortSignal): Promise<void>;
}

/** What has been seen of a script since it was started here. */
export interface RunNotes {
  /** Hosts that it has asked. */
  hosts: Set<string>;
  /** Limits that it has reached. */
  limits: Set<string>;
  /** The last error that nobody caught. */
  uncaught: string | undefined;
}

/** The enabled scripts, each running; brought in line with the store on demand. */
export interface Runs {
  /** Starts what is enabled and not running, stops what is not, restarts what has changed. */
  sync(): Promise<void>;
  get(id: string): Running | undefined;
  all(): Running[];
  stop(): Promise<void>;
}

const MAX_HOSTS = 500;
/** Least time between notes of errors in the database: a script may fail a thousand times a second. */
const NOTE_GAP_MS = 10_000;

export function createRuns(deps: RunsDeps): Runs {
  const running = new Map<string, Running & { key: string }>();
  let queue: Promise<void> = Promise.resolve();
  let stopped = false;

  async function start(script: StoredScript, key: string): Promise<void> {
    const old = running.get(script.id);
    try {
      const text = await deps.store.text(script.id, script.hash);
      const entry = launch(deps, script, text);
      // The new one takes over when it has started; until then the old one answers.
      if (old !== undefined) await entry.run.started;
      running.set(script.id, { ...entry, key });
    } catch (error) {
      deps.log.error("script cannot be started", { script: script.name, error });
    }
    await old?.run.stop();
  }

  async function round(): Promise<void> {
    const wanted = stopped || !deps.config().enable ? [] : deps.store.list().filter((script) => script.enabled);
    const ids = new Set(wanted.map((script) => script.id));
    const gone = [...running.values()].filter((entry) => !ids.has(entry.script.id));
    for (const entry of gone) running.delete(entry.script.id);
    await Promise.all(gone.map((entry) => entry.run.stop()));
    const changed = wanted.filter((script) => running.get(script.id)?.key !== keyOf(deps.config(), script));
    await Promise.all(changed.map((script) => start(script, keyOf(deps.config(), script))));
  }

  return {
    sync() {
      queue = queue.then(round, round);
      return queue;
    },
    get: (id) => running.get(id),
    all: () => [...running.values()],
    async stop() {
      stopped = true;
      queue = queue.then(round, round);
      await queue;
    },
  };
}

/** What a running script was started with; another value = it must be started again. */
function keyOf(config: ScriptsConfig, script: StoredScript): string {
  const { limits, env, allow_private, dns } = config;
  return JSON.stringify([script.hash, script.env ?? env, script.allowHosts, limits, allow_private, dns]);
}

function launch(deps: RunsDeps, script: StoredScript, text: string): Running {
  const log = deps.log.child({ script: script.name });
  const kept = deps.store.notes;
  const notes: RunNotes = { hosts: new Set(kept.get(script.id).hosts), limits: new Set(), uncaught: undefined };
  const waiting = new Set<() => void>();
  let notedAt = Number.NEGATIVE_INFINITY;
  const noteProblem = ({ message, line }: Pick<ScriptProblem, "message" | "line">) => {
    notedAt = deps.now();
    kept.add(script.id, { problem: { message, at: notedAt, ...(line === undefined ? {} : { line }) } });
  };
  /** The supervisor decides right after it has passed an event on. */
  const afterDecision = () =>
    queueMicrotask(() => {
      const { state, retryAt } = run.state;
      if (state === "blocked") kept.add(script.id, { blockedUntil: retryAt });
      for (const wake of waiting) wake();
    });
  const load = loadMessageOf(deps.config(), text, script, new Date(deps.now()));
  const onEvent = (event: ScriptEvent): void => {
    switch (event.type) {
      case "host":
        if (notes.hosts.size >= MAX_HOSTS || notes.hosts.has(event.host)) return;
        notes.hosts.add(event.host);
        kept.add(script.id, { hosts: [...notes.hosts] });
        return;
      case "limit":
        if (!notes.limits.has(event.name)) log.warn("script reached a limit", { limit: event.name });
        notes.limits.add(event.name);
        return;
      case "uncaught":
        notes.uncaught = event.problem.message;
        if (deps.now() - notedAt >= NOTE_GAP_MS) noteProblem(event.problem);
        log.debug("error in script", { problem: event.problem.message, line: event.problem.line });
        return;
      case "console":
        if (deps.config().log_console) log.debug("script says", { level: event.level, text: event.text });
        return;
      case "alert":
        noteAlert(deps, script.id, event.log, event.updateUrl);
        log.info("script has an update", { text: event.log, updateUrl: event.updateUrl });
        return;
      case "failed":
        noteProblem(event.problem);
        afterDecision();
        return;
      case "offence":
        noteProblem({ message: `${OFFENCE_NOTE}${event.offence satisfies Offence}` });
        afterDecision();
        return;
      case "inited":
        // What got its process killed stays on show after it has been started again.
        kept.add(script.id, {
          sources: event.sources,
          blockedUntil: undefined,
          ...(run.state.offences.length > 0 ? {} : { problem: undefined }),
        });
        afterDecision();
        log.info("script started", { ms: Math.round(event.ms), platforms: Object.keys(event.sources).join(" ") });
        return;
    }
  };
  const run = deps.supervisor.run(load, script.name, deps.config().limits.waiting_calls, onEvent);
  async function settled(signal: AbortSignal): Promise<void> {
    while (run.state.state === "starting" && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = () => resolve();
      waiting.add(wake);
      signal.addEventListener("abort", wake, { once: true });
      await promise;
      signal.removeEventListener("abort", wake);
      waiting.delete(wake);
    }
  }
  void run.started.then(afterDecision);
  return { script, run, notes, settled };
}

const OFFENCE_NOTE = "脚本进程被终止：";

function noteAlert({ store, now }: RunsDeps, id: string, log: string, updateUrl: string | null): void {
  try {
    store.change(id, { alert: { log, updateUrl, at: now() } });
  } catch {
    // It was removed meanwhile.
  }
}

export interface LoadSettings {
  env?: ScriptEnv | undefined;
  allowHosts?: string[] | undefined;
}

/** @throws AppError `invalid_request` when the text is no script. */
export function loadMessageOf(config: ScriptsConfig, text: string, settings: LoadSettings, now: Date): LoadMessage {
  return {
    type: "load",
    script: text,
    header: headerOf(text, now),
    env: settings.env ?? (config.env as ScriptEnv),
    limits: limitsOf(config),
    network: {
      allowPrivate: config.allow_private,
      dns: config.dns,
      ...(settings.allowHosts === undefined ? {} : { allowHosts: settings.allowHosts }),
    },
  };
}

/** @throws AppError `invalid_request` when the text is no script. */
export function headerOf(text: string, now: Date): ScriptHeader {
  const header = parseHeader(text, now);
  if (header === undefined) throw new AppError("invalid_request", "不是有效的 LX 脚本：必须以 /* 注释开头");
  return header;
}

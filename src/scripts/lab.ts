import { toAppError } from "../core/errors.ts";
import type { MusicInfo } from "../core/types.ts";
import type { GuardedClient } from "../net/guard.ts";
import type { ScriptHeader } from "./header.ts";
import { probeAudio } from "./probe.ts";
import type { LoadMessage, ScriptAction, ScriptProblem, ScriptSource, ScriptSources } from "./protocol.ts";
import { checkResult } from "./result.ts";
import type { ScriptEvent, ScriptRun, Supervisor } from "./supervisor.ts";

/** One action on one song. */
export interface LabAction {
  source: ScriptSource;
  action: ScriptAction;
  /** For `musicUrl` of an online platform. */
  quality: string | undefined;
  song: string;
  ok: boolean;
  ms: number;
  /** The address, or the start of the lyric. */
  result: string | undefined;
  /** What the address answers with, for `musicUrl`. */
  contentType: string | undefined;
  problem: string | undefined;
  /** Line of the script at which it failed. */
  line: number | undefined;
}

/** What a trial run of a script has shown. */
export interface LabReport {
  header: ScriptHeader;
  env: string;
  /** Characters. */
  size: number;
  /** Started, and every action that was tried gave a good answer. */
  ok: boolean;
  started: boolean;
  /** Milliseconds to `inited`. */
  initMs: number | undefined;
  problem: ScriptProblem | undefined;
  sources: ScriptSources;
  alert: { log: string; updateUrl: string | null } | undefined;
  actions: LabAction[];
  /** Hosts that it asked, in order of the first request. */
  hosts: string[];
  /** Limits that it reached: "requests", "response", "timers" …, and why it was killed. */
  limits: string[];
  uncaught: ScriptProblem[];
  console: string[];
}

export interface LabDeps {
  supervisor: Supervisor;
  guard: GuardedClient;
  probe: boolean;
}

export interface LabOptions {
  /** Songs to try, by platform. */
  songs: readonly MusicInfo[];
  deadlineMs: number;
  signal?: AbortSignal | undefined;
}

const MAX_LINES = 100;

/** Starts a script in a process of its own, tries what it offers, and ends it. Never throws for what the script does. */
export async function labRun(deps: LabDeps, load: LoadMessage, options: LabOptions): Promise<LabReport> {
  const events: ScriptEvent[] = [];
  const note = (event: ScriptEvent) => {
    if (events.length < 1_000) events.push(event);
  };
  const run = deps.supervisor.run(load, load.header.name, load.limits.concurrentCalls, note, true);
  try {
    await run.started;
    const { state, sources, initMs, problem } = run.state;
    const actions = state === "ready" ? await tryActions(deps, run, sources, options) : [];
    const alert = events.find((event) => event.type === "alert");
    return {
      header: load.header,
      env: load.env,
      size: load.script.length,
      ok: state === "ready" && actions.every((item) => item.ok),
      started: state === "ready",
      initMs,
      problem,
      sources,
      alert: alert === undefined ? undefined : { log: alert.log, updateUrl: alert.updateUrl },
      actions,
      hosts: events.flatMap((event) => (event.type === "host" ? [event.host] : [])),
      limits: [...new Set(events.flatMap((event) => limitName(event)))],
      uncaught: events.flatMap((event) => (event.type === "uncaught" ? [event.problem] : [])).slice(0, MAX_LINES),
      console: events
        .flatMap((event) => (event.type === "console" ? [`${event.level}: ${event.text}`] : []))
        .slice(0, MAX_LINES),
    };
  } finally {
    await run.stop();
  }
}

function limitName(event: ScriptEvent): string[] {
  if (event.type === "limit") return [event.name];
  return event.type === "offence" ? [`${event.offence} (${event.detail})`] : [];
}

async function tryActions(
  deps: LabDeps,
  run: ScriptRun,
  sources: ScriptSources,
  options: LabOptions,
): Promise<LabAction[]> {
  const done: LabAction[] = [];
  for (const song of options.songs) {
    const source = song.source;
    const declared = sources[source];
    for (const action of declared?.actions ?? []) {
      const qualities = action === "musicUrl" && source !== "local" ? (declared?.qualitys ?? []) : [undefined];
      for (const quality of qualities) {
        if (options.signal?.aborted) return done;
        done.push(await tryOne(deps, run, source, action, quality, song, options));
      }
    }
  }
  return done;
}

async function tryOne(
  deps: LabDeps,
  run: ScriptRun,
  source: ScriptSource,
  action: ScriptAction,
  quality: string | undefined,
  musicInfo: MusicInfo,
  options: LabOptions,
): Promise<LabAction> {
  const started = Date.now();
  const info = JSON.stringify(action === "musicUrl" ? { type: quality ?? null, musicInfo } : { musicInfo });
  const base = { source, action, quality, song: `${musicInfo.singer} - ${musicInfo.name}` };
  try {
    const value = checkResult(action, await run.call(source, action, info, options));
    const ms = Date.now() - started;
    const result = typeof value === "string" ? value : value.lyric.slice(0, 200);
    const probe = deps.probe && action === "musicUrl" && typeof value === "string";
    const contentType = probe ? (await probeAudio(deps.guard, value, options.signal)).contentType : undefined;
    return { ...base, ok: true, ms, result, contentType, problem: undefined, line: undefined };
  } catch (error) {
    const { message, detail } = toAppError(error);
    return {
      ...base,
      ok: false,
      ms: Date.now() - started,
      result: undefined,
      contentType: undefined,
      problem: message,
      line: lineOf(detail),
    };
  }
}

function lineOf(detail: unknown): number | undefined {
  if (typeof detail !== "object" || detail === null || !("problem" in detail)) return undefined;
  const { problem } = detail;
  if (typeof problem !== "object" || problem === null || !("line" in problem)) return undefined;
  return typeof problem.line === "number" ? problem.line : undefined;
}

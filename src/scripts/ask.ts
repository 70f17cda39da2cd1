import { AppError, toAppError } from "../core/errors.ts";
import type { MusicInfo, Quality } from "../core/types.ts";
import type { GuardedClient } from "../net/guard.ts";
import type { ScriptsConfig } from "./limits.ts";
import { type Probed, probeAudio } from "./probe.ts";
import type { ScriptAction, ScriptSource } from "./protocol.ts";
import type { Rank } from "./rank.ts";
import { type ActionResults, checkResult } from "./result.ts";
import { BUSY_TEXT, type ScriptRun } from "./supervisor.ts";

export interface AskRequest {
  /** For `musicUrl` of an online platform. */
  quality?: Quality | undefined;
  /** Whole: many scripts need fields beyond the id. */
  musicInfo: MusicInfo;
}

export interface AskOptions {
  signal?: AbortSignal | undefined;
  /** Milliseconds for all scripts together. */
  deadlineMs?: number | undefined;
  /** Routes ("script:<id>") whose answer for this turned out bad: asked last. */
  avoid?: ReadonlySet<string> | undefined;
  /** Notes a step for "why did this fail?". */
  step?: ((name: string, fields?: Record<string, unknown>) => void) | undefined;
}

export interface AskAnswer<A extends ScriptAction> {
  value: ActionResults[A];
  /** Id and name of the script that answered. */
  script: string;
  name: string;
  ms: number;
  /** For `musicUrl`, when probing is on. */
  probed?: Probed;
}

/** A running script that may be asked. */
export interface Candidate {
  id: string;
  name: string;
  run: ScriptRun;
  /** Waits while it starts. */
  settled(signal: AbortSignal): Promise<void>;
}

export interface AskDeps {
  config: ScriptsConfig;
  guard: GuardedClient;
  rank: Rank;
  /** Scripts in the order to ask, circuit breakers not yet considered. */
  candidates: (action: ScriptAction, source: ScriptSource, quality: Quality | undefined) => Candidate[];
}

/**
 * Asks scripts for one thing: the first in line, the next one when it fails or is slower than it usually is, until one
 * gives a good answer. An answer counts only when clients would take it and, for audio, when it can be played.
 *
 * @throws AppError `unsupported` when no script offers it, `busy`, else the most telling failure of those asked.
 */
export async function askScripts<A extends ScriptAction>(
  deps: AskDeps,
  action: A,
  source: ScriptSource,
  request: AskRequest,
  options: AskOptions,
): Promise<AskAnswer<A>> {
  const avoided = (item: Candidate) => Number(options.avoid?.has(`script:${item.id}`) ?? false);
  const queue = deps.candidates(action, source, request.quality).toSorted((a, b) => avoided(a) - avoided(b));
  const open = queue.filter((item) => deps.rank.breaker(item.id, source).state !== "open");
  if (queue.length === 0) throw new AppError("unsupported", "没有可用的第三方脚本支持此平台");
  if (open.length === 0) throw new AppError("upstream_unreachable", "第三方脚本连续失败，暂停使用中");
  const total = options.deadlineMs ?? deps.config.deadline * 1_000;
  const end = new AbortController();
  const { signal } = end;
  const deadline = Date.now() + total;
  const { promise, resolve, reject } = Promise.withResolvers<AskAnswer<A>>();
  const failures: AppError[] = [];
  let running = 0;
  let hedge: Timer | undefined;
  const timer = setTimeout(() => {
    reject(summary(failures, "第三方脚本响应超时"));
    end.abort("late" satisfies GivenUp);
  }, total);
  const giveUp = () => {
    reject(new AppError("upstream_unreachable", "请求已取消"));
    end.abort("left" satisfies GivenUp);
  };
  options.signal?.addEventListener("abort", giveUp, { once: true });

  function next(): void {
    clearTimeout(hedge);
    let candidate = open.shift();
    while (candidate !== undefined && !deps.rank.breaker(candidate.id, source).allow()) candidate = open.shift();
    if (candidate === undefined) {
      if (running === 0) reject(summary(failures, "第三方脚本暂停使用中"));
      return;
    }
    running++;
    void attempt(candidate);
    if (deps.config.hedge.enable && open.length > 0) hedge = setTimeout(next, patience(deps, candidate.id, source));
  }

  async function attempt(candidate: Candidate): Promise<void> {
    const started = Date.now();
    options.step?.("script asked", { script: candidate.name, action, source });
    try {
      const answer = await askOne(deps, candidate, action, source, request, deadline, signal);
      const ms = Date.now() - started;
      deps.rank.note(candidate.id, source, true, ms);
      options.step?.("script answered", { script: candidate.name, ms });
      resolve({ ...answer, script: candidate.id, name: candidate.name, ms });
    } catch (error) {
      running--;
      const problem = toAppError(error);
      if (signal.aborted) {
        noteGivenUp(deps.rank, candidate.id, source, Date.now() - started, signal.reason);
        return;
      }
      deps.rank.note(candidate.id, source, false, Date.now() - started);
      options.step?.("script failed", { script: candidate.name, ms: Date.now() - started, problem: problem.message });
      failures.push(problem);
      next();
    }
  }

  if (options.signal?.aborted) giveUp();
  else next();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    clearTimeout(hedge);
    options.signal?.removeEventListener("abort", giveUp);
    end.abort("overtaken" satisfies GivenUp);
  }
}

/** Why a script's answer was not waited for: no time was left, another one was faster, or nobody wants it any more. */
type GivenUp = "late" | "overtaken" | "left";

/** A script that never answers in time fails like one that says no; one that was overtaken is slow, not broken. */
function noteGivenUp(rank: Rank, id: string, source: ScriptSource, ms: number, why: GivenUp): void {
  if (why === "late") {
    rank.note(id, source, false, ms);
    return;
  }
  if (why === "overtaken") rank.noteSlow(id, source, ms);
  rank.breaker(id, source).release();
}

async function askOne<A extends ScriptAction>(
  deps: AskDeps,
  { run, settled }: Candidate,
  action: A,
  source: ScriptSource,
  { quality, musicInfo }: AskRequest,
  deadline: number,
  signal: AbortSignal,
): Promise<{ value: ActionResults[A]; probed?: Probed }> {
  const type = source === "local" ? null : (quality ?? null);
  const info = JSON.stringify(action === "musicUrl" ? { type, musicInfo } : { musicInfo });
  await settled(signal);
  const deadlineMs = Math.max(1, deadline - Date.now());
  const value = checkResult(action, await run.call(source, action, info, { deadlineMs, signal }));
  if (action !== "musicUrl" || !deps.config.probe || typeof value !== "string") return { value };
  return { value, probed: await probeAudio(deps.guard, value, signal) };
}

/** How long a script is waited for before the next one is asked as well. */
function patience({ config, rank }: AskDeps, id: string, source: string): number {
  const usual = rank.p90(id, source) ?? config.hedge.most_ms;
  return Math.min(config.hedge.most_ms, Math.max(config.hedge.least_ms, usual));
}

/** One failure that says most: a refusal with a reason before faults; "busy" only when nothing else happened. */
function summary(failures: readonly AppError[], otherwise: string): AppError {
  const refused = failures.find((error) => error.kind === "upstream_refused");
  const other = refused ?? failures.find((error) => error.kind !== "busy");
  if (other !== undefined) {
    return new AppError(other.kind, other.message, { detail: { failures: failures.map((error) => error.message) } });
  }
  if (failures.length > 0) return new AppError("busy", BUSY_TEXT);
  return new AppError("upstream_unreachable", otherwise);
}

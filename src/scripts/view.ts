import { SOURCE_IDS } from "../core/types.ts";
import type { ScriptNotes } from "./notes.ts";
import type { ScriptProblem, ScriptSources } from "./protocol.ts";
import type { Rank, ScriptRecord } from "./rank.ts";
import type { Running } from "./runs.ts";
import type { ScriptAlert, ScriptStore, StoredScript } from "./store.ts";
import type { ScriptRunState } from "./supervisor.ts";

/** A script as the operator sees it. Times in Unix ms. */
export interface ScriptView {
  id: string;
  name: string;
  description: string;
  version: string;
  author: string;
  homepage: string;
  url: string | undefined;
  enabled: boolean;
  env: string | undefined;
  allowHosts: string[] | undefined;
  hash: string;
  addedAt: number;
  checkedAt: number;
  checkResult: string;
  alert: ScriptAlert | undefined;
  /** "off" = not running in this process. */
  state: ScriptRunState["state"] | "off";
  sources: ScriptSources;
  initMs: number | undefined;
  problem: ScriptProblem | undefined;
  offences: ScriptRunState["offences"];
  retryAt: number | undefined;
  /** The last error that is known, also of an earlier run. */
  lastProblem: ScriptNotes["problem"] | undefined;
  hosts: string[];
  limits: string[];
  /** The last error in it that nobody caught. */
  uncaught: string | undefined;
  /** How it has done on each platform that it offers. */
  records: Partial<Record<string, ScriptRecord>>;
}

export function viewOf(script: StoredScript, store: ScriptStore, running: Running | undefined, rank: Rank): ScriptView {
  const header = store.versions(script.id).find((version) => version.hash === script.hash)?.header;
  const state = running?.run.state;
  const kept = store.notes.get(script.id);
  const sources = state === undefined || state.state === "starting" ? (kept.sources ?? {}) : state.sources;
  const offered = SOURCE_IDS.filter((source) => sources[source] !== undefined);
  const { id, name, url, enabled, env, allowHosts, hash, addedAt, checkedAt, checkResult, alert } = script;
  return {
    ...{ id, name, url, enabled, env, allowHosts, hash, addedAt, checkedAt, checkResult, alert },
    description: header?.description ?? "",
    version: header?.version ?? "",
    author: header?.author ?? "",
    homepage: header?.homepage ?? "",
    state: state?.state ?? "off",
    sources,
    initMs: state?.initMs,
    problem: state?.problem,
    offences: state?.offences ?? [],
    retryAt: state === undefined ? kept.blockedUntil : state.retryAt,
    lastProblem: kept.problem,
    hosts: [...(running?.notes.hosts ?? kept.hosts ?? [])],
    limits: [...(running?.notes.limits ?? [])],
    uncaught: running?.notes.uncaught,
    records: Object.fromEntries(offered.map((source) => [source, rank.record(id, source)])),
  };
}

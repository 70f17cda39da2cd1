import { AppError, toAppError } from "../core/errors.ts";
import type { GuardedClient } from "../net/guard.ts";
import type { Logger } from "../ops/log.ts";
import { downloadScript } from "./download.ts";
import type { LabReport } from "./lab.ts";
import type { ScriptsConfig } from "./limits.ts";
import { SCRIPT_SOURCES, type ScriptSources } from "./protocol.ts";
import { headerOf } from "./runs.ts";
import { type ScriptStore, type StoredScript, scriptHash } from "./store.ts";

export interface UpdateOutcome {
  id: string;
  name: string;
  outcome: "updated" | "unchanged" | "held" | "refused" | "failed" | "no address";
  /** What happened, for people. */
  message: string;
}

export interface UpdateDeps {
  store: ScriptStore;
  guard: GuardedClient;
  config: () => ScriptsConfig;
  /** Starts the text once, without songs. */
  tryOut: (text: string, script: StoredScript) => Promise<LabReport>;
  log: Logger;
  now: () => number;
}

/**
 * Looks for a new version of one script and installs it, when a trial run shows that it starts and offers something.
 * A version that was rolled back or refused is not installed again.
 *
 * @param force install a held version too, and ask without `If-None-Match`.
 */
export async function updateScript(deps: UpdateDeps, script: StoredScript, force = false): Promise<UpdateOutcome> {
  const outcome = (kind: UpdateOutcome["outcome"], message: string): UpdateOutcome => {
    deps.store.change(script.id, { checkedAt: deps.now(), checkResult: message });
    deps.log.info("script update checked", { script: script.name, outcome: kind, message });
    return { id: script.id, name: script.name, outcome: kind, message };
  };
  if (script.url === undefined) return outcome("no address", "没有更新地址");
  try {
    const known = force ? {} : { etag: script.etag, lastModified: script.lastModified };
    const found = await downloadScript(deps.guard, script.url, known, deps.config().user_agent);
    const { etag, lastModified, text } = found;
    if (text === undefined) return outcome("unchanged", "已是最新");
    deps.store.change(script.id, { etag, lastModified });
    const hash = scriptHash(text);
    if (hash === script.hash) return outcome("unchanged", "已是最新");
    if (hash === script.heldHash && !force) return outcome("held", "新版本曾被回退或拒绝，未安装");
    const header = headerOf(text, new Date(deps.now()));
    const report = await deps.tryOut(text, script);
    const reason = refusal(report, deps.store.notes.get(script.id).sources ?? {});
    if (reason !== undefined) {
      deps.store.change(script.id, { heldHash: hash });
      return outcome("refused", `新版本 ${header.version} 未通过试运行：${reason}`);
    }
    await deps.store.install(script.id, text, header);
    deps.store.change(script.id, { heldHash: undefined, alert: undefined });
    return outcome("updated", `已更新到 ${header.version || hash.slice(0, 8)}`);
  } catch (error) {
    return outcome("failed", toAppError(error).message);
  }
}

/** Why this version may not replace one that works. */
function refusal(report: LabReport, before: ScriptSources): string | undefined {
  if (!report.started) {
    const { message = "没有启动", line } = report.problem ?? {};
    return line === undefined ? message : `${message}（第 ${line} 行）`;
  }
  if (Object.keys(report.sources).length === 0) return "没有声明任何平台";
  const missing = missingOf(before, report.sources);
  return missing.length === 0 ? undefined : `不再支持 ${missing.join("、")}`;
}

/** Platforms and actions that the version in use offers and the new one does not. */
function missingOf(before: ScriptSources, after: ScriptSources): string[] {
  return SCRIPT_SOURCES.flatMap((source) => {
    const actions = after[source]?.actions ?? [];
    return (before[source]?.actions ?? [])
      .filter((action) => !actions.includes(action))
      .map((action) => `${source} ${action}`);
  });
}

/** Goes back to `hash`, or to the version before the current one; the current one is not installed again by itself. */
export function rollBack(store: ScriptStore, script: StoredScript, hash?: string): StoredScript {
  const others = store.versions(script.id).filter((version) => version.hash !== script.hash);
  const target = hash === undefined ? others[0] : others.find((version) => version.hash.startsWith(hash));
  if (target === undefined) throw new AppError("not_found", "没有可以回退的版本");
  store.change(script.id, { heldHash: script.hash });
  return store.select(script.id, target.hash);
}

/** Scripts whose last check is longer ago than the interval. */
export function dueForUpdate(scripts: readonly StoredScript[], intervalMs: number, now: number): StoredScript[] {
  return scripts.filter((script) => script.enabled && script.url !== undefined && now - script.checkedAt >= intervalMs);
}

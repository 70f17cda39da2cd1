import type { Database } from "bun:sqlite";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../core/errors.ts";
import type { MusicInfo, Quality, SourceId } from "../core/types.ts";
import { createGuardedClient, type GuardedClient } from "../net/guard.ts";
import type { Logger } from "../ops/log.ts";
import type { Schedule } from "../ops/schedule.ts";
import { type AskAnswer, type AskOptions, type AskRequest, askScripts, type Candidate } from "./ask.ts";
import { downloadScript } from "./download.ts";
import { type LabReport, labRun } from "./lab.ts";
import type { ScriptsConfig } from "./limits.ts";
import type { ScriptAction, ScriptEnv, ScriptSource } from "./protocol.ts";
import { createRank } from "./rank.ts";
import { createRuns, headerOf, loadMessageOf } from "./runs.ts";
import { SAMPLE_SONGS } from "./samples.ts";
import { createScriptStore, isPlatform, type StoredScript, type StoredVersion } from "./store.ts";
import { createSupervisor, type ScriptRunState } from "./supervisor.ts";
import { type Turn, turnOf } from "./turn.ts";
import { dueForUpdate, rollBack, type UpdateOutcome, updateScript } from "./update.ts";
import { type ScriptView, viewOf } from "./view.ts";

export interface ScriptHostDeps {
  db: Database;
  dataDir: string;
  config: ScriptsConfig;
  log: Logger;
  /** The executable and arguments that make it a script process: `[…, "__script-host"]`. */
  command: readonly string[];
  /** Songs for trial runs, from a search on each platform; default: a few built-in ones. */
  sampleSongs?: () => Promise<readonly MusicInfo[]>;
  now?: () => number;
}

export interface AddOptions {
  env?: ScriptEnv | undefined;
  /** Default true. */
  enabled?: boolean | undefined;
  allowHosts?: string[] | undefined;
  /** Keep it even when its trial run fails. */
  force?: boolean | undefined;
}

export interface ScriptHealth {
  id: string;
  name: string;
  state: ScriptRunState["state"];
  calls: number;
  failures: number;
  /** Median milliseconds of recent answers; undefined = none yet. */
  p50Ms: number | undefined;
  /** Resident memory of its process; undefined where the system does not tell. */
  rssBytes: number | undefined;
}

export interface TestOptions {
  env?: ScriptEnv | undefined;
  /** Default: the sample songs. */
  songs?: readonly MusicInfo[] | undefined;
  /** Milliseconds per call. */
  deadlineMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Third-party scripts: kept, run, asked, updated. Nothing runs before `start`. */
export interface ScriptHost {
  /** Starts the enabled scripts and adds those of the config. Resolves when each has started or failed. */
  start(): Promise<void>;
  /** Regular update checks, and taking over what another process (the CLI) has changed. */
  schedule(schedule: Schedule): void;
  /** Whether scripts are asked before or after the own source, or not at all. */
  turn(source: SourceId, quality?: Quality): Turn;
  /** Is there a running script that declares this? */
  offers(action: ScriptAction, source: ScriptSource, quality?: Quality): boolean;
  /** @see askScripts */
  ask<A extends ScriptAction>(
    action: A,
    source: ScriptSource,
    request: AskRequest,
    options?: AskOptions,
  ): Promise<AskAnswer<A>>;
  list(): ScriptView[];
  /** Every method takes an id or an unambiguous name. */
  get(script: string): ScriptView & { versions: StoredVersion[] };
  /** The exact text of the current version. */
  text(script: string): Promise<string>;
  addUrl(url: string, options?: AddOptions): Promise<ScriptView>;
  addText(text: string, options?: AddOptions): Promise<ScriptView>;
  remove(script: string): Promise<void>;
  change(
    script: string,
    change: { enabled?: boolean; env?: ScriptEnv; allowHosts?: string[] | null },
  ): Promise<ScriptView>;
  order(platform: SourceId): string[];
  /** Scripts that are not named follow by recent success. */
  setOrder(platform: SourceId, scripts: readonly string[]): void;
  /** Of one script, or of all that have an address. */
  update(script?: string, force?: boolean): Promise<UpdateOutcome[]>;
  rollBack(script: string, hash?: string): Promise<ScriptView>;
  /** A trial run of a stored script or of a text (which begins with a comment). */
  test(scriptOrText: string, options?: TestOptions): Promise<LabReport>;
  /** Per running script, for metrics. */
  health(): ScriptHealth[];
  reconfigure(config: ScriptsConfig): Promise<void>;
  close(): Promise<void>;
}

const FOREIGN_CHANGE_MS = 2_000;
const UPDATE_LOOK_MS = 300_000;
const CALL_DEADLINE_MS = 18_000;

export function createScriptHost(deps: ScriptHostDeps): ScriptHost {
  const now = deps.now ?? Date.now;
  const log = deps.log.child({ part: "scripts" });
  let config = deps.config;
  let guard = guardOf(config);
  let started = false;
  let seenChanges = 0;
  const store = createScriptStore({
    db: deps.db,
    folder: join(deps.dataDir, "external_scripts"),
    keepVersions: () => config.keep_versions,
    now,
  });
  const supervisor = createSupervisor({ command: deps.command, spares: () => config.spare, log });
  const runs = createRuns({ store, supervisor, config: () => config, log, now });
  const rank = createRank({ failures: config.breaker.failures, restMs: config.breaker.rest * 1_000, now });

  const view = (script: StoredScript): ScriptView => viewOf(script, store, runs.get(script.id), rank);
  const loadOf = (text: string, settings: { env?: ScriptEnv | undefined; allowHosts?: string[] | undefined }) =>
    loadMessageOf(config, text, settings, new Date(now()));

  /** Runs the changed scripts, when any are to run at all. */
  async function apply(): Promise<void> {
    seenChanges = store.foreignChanges();
    if (started) await runs.sync();
  }

  function trial(text: string, settings: AddOptions, songs: readonly MusicInfo[], options: TestOptions = {}) {
    const { deadlineMs = CALL_DEADLINE_MS, signal } = options;
    return labRun({ supervisor, guard, probe: config.probe }, loadOf(text, settings), { songs, deadlineMs, signal });
  }

  async function add(text: string, url: string | undefined, options: AddOptions): Promise<StoredScript> {
    const header = headerOf(text, new Date(now()));
    const report = options.force === true ? undefined : await trial(text, options, []);
    if (report !== undefined) {
      if (!report.started) {
        const { message = "没有启动", line } = report.problem ?? {};
        const where = line === undefined ? "" : `（第 ${line} 行）`;
        throw new AppError("invalid_request", `脚本 ${header.name} 无法启动：${message}${where}`);
      }
    }
    const script = await store.add({ ...options, text, header, url, enabled: options.enabled ?? true });
    // From its first moment in use it is known what it offers.
    if (report !== undefined) store.notes.add(script.id, { sources: report.sources });
    log.info("script added", { script: script.name, id: script.id, url });
    return script;
  }

  async function addUrl(url: string, options: AddOptions = {}): Promise<ScriptView> {
    const existing = store.list().find((script) => script.url === url);
    if (existing !== undefined) throw new AppError("conflict", `脚本已存在：${existing.name}（${existing.id}）`);
    const { text = "", etag, lastModified } = await downloadScript(guard, url, {}, config.user_agent);
    const script = await add(text, url, options);
    store.change(script.id, { etag, lastModified, checkedAt: now(), checkResult: "已添加" });
    await apply();
    return view(store.find(script.id));
  }

  async function addFromConfig(): Promise<void> {
    const known = new Set(store.list().map((script) => script.url));
    for (const url of config.urls.filter((item) => !store.isTaken(item))) {
      try {
        if (!known.has(url)) await addUrl(url);
        store.take(url);
      } catch (error) {
        log.warn("script of the config cannot be added", { url, error });
      }
    }
  }

  async function update(which: readonly StoredScript[], force: boolean): Promise<UpdateOutcome[]> {
    const outcomes: UpdateOutcome[] = [];
    const tryOut = (text: string, script: StoredScript) => trial(text, script, []);
    for (const script of which) {
      const outcome = await updateScript({ store, guard, config: () => config, tryOut, log, now }, script, force);
      // The new version is not to be judged by the old one.
      if (outcome.outcome === "updated") rank.forget(script.id);
      outcomes.push(outcome);
    }
    await apply();
    return outcomes;
  }

  function candidates(action: ScriptAction, source: ScriptSource, quality: Quality | undefined): Candidate[] {
    const able = runs.all().filter(({ run, script }) => {
      const { state, sources } = run.state;
      // One that starts offers what it did the last time; it is waited for.
      const known = state === "starting" ? store.notes.get(script.id).sources : sources;
      const declared = state === "ready" || state === "starting" ? known?.[source] : undefined;
      if (declared === undefined || !declared.actions.includes(action)) return false;
      return (
        action !== "musicUrl" || source === "local" || quality === undefined || declared.qualitys.includes(quality)
      );
    });
    const listed = isPlatform(source) ? orderOf(source) : [];
    const sorted = rank.sort(
      able.map((item) => item.script.id),
      source,
      listed,
    );
    return sorted.flatMap((id) => {
      const entry = runs.get(id);
      return entry === undefined ? [] : [{ id, name: entry.script.name, run: entry.run, settled: entry.settled }];
    });
  }

  async function start(): Promise<void> {
    if (!config.enable) return;
    started = true;
    await apply();
    const starting = runs.all().map(({ run }) => run.started);
    await Promise.all([...starting, addFromConfig()]);
  }

  /** The config's order when it has one, else the stored one; as ids. */
  function orderOf(platform: SourceId): string[] {
    const named = config.order[platform];
    if (named.length === 0) return store.order(platform);
    const all = store.list();
    return named.flatMap((name) => all.find((script) => script.id === name || script.name === name)?.id ?? []);
  }

  return {
    start,
    schedule(schedule) {
      schedule.every("scripts: changes from outside", { intervalMs: () => FOREIGN_CHANGE_MS }, async () => {
        if (started && store.foreignChanges() !== seenChanges) await apply();
      });
      schedule.every("scripts: updates", { intervalMs: () => UPDATE_LOOK_MS, jitter: 0.3 }, async () => {
        if (!started || !config.enable) return;
        await addFromConfig();
        if (!config.auto_update) return;
        await update(dueForUpdate(store.list(), config.update_interval * 1_000, now()), false);
      });
    },
    turn: (source, quality) => turnOf(config, source, quality),
    offers: (action, source, quality) => candidates(action, source, quality).length > 0,
    ask: (action, source, request, options = {}) =>
      askScripts({ config, guard, rank, candidates }, action, source, request, options),
    list: () => store.list().map(view),
    get(name) {
      const script = store.find(name);
      return { ...view(script), versions: store.versions(script.id) };
    },
    text(name) {
      const script = store.find(name);
      return store.text(script.id, script.hash);
    },
    addUrl,
    async addText(text, options = {}) {
      const script = await add(text, undefined, options);
      await apply();
      return view(script);
    },
    async remove(name) {
      const { id } = store.find(name);
      await store.remove(id);
      rank.forget(id);
      await apply();
    },
    async change(name, { enabled, env, allowHosts }) {
      const { id } = store.find(name);
      store.change(id, {
        ...(enabled === undefined ? {} : { enabled }),
        ...(env === undefined ? {} : { env }),
        ...(allowHosts === undefined ? {} : { allowHosts: allowHosts ?? undefined }),
      });
      await apply();
      return view(store.find(id));
    },
    order: orderOf,
    setOrder(platform, names) {
      if (config.order[platform].length > 0) {
        throw new AppError("conflict", `顺序由配置 common.external_scripts.order.${platform} 决定`);
      }
      store.setOrder(platform, [...new Set(names.map((name) => store.find(name).id))]);
    },
    update: (name, force = false) =>
      update(
        name === undefined ? store.list().filter((script) => script.url !== undefined) : [store.find(name)],
        force,
      ),
    async rollBack(name, hash) {
      const script = rollBack(store, store.find(name), hash);
      rank.forget(script.id);
      await apply();
      return view(script);
    },
    async test(nameOrText, options = {}) {
      const songs = options.songs ?? (await deps.sampleSongs?.()) ?? SAMPLE_SONGS;
      if (nameOrText.startsWith("/*")) return trial(nameOrText, options, songs, options);
      const script = store.find(nameOrText);
      const settings = { ...script, env: options.env ?? script.env };
      return trial(await store.text(script.id, script.hash), settings, songs, options);
    },
    health: () =>
      runs.all().map(({ script, run }) => {
        const { state, pid } = run.state;
        return { name: script.name, id: script.id, state, ...rank.counts(script.id), rssBytes: residentOf(pid) };
      }),
    async reconfigure(next) {
      config = next;
      guard = guardOf(next);
      if (!config.enable) {
        started = false;
        await runs.sync();
        return;
      }
      await start();
    },
    async close() {
      started = false;
      await runs.stop();
      await supervisor.close();
    },
  };
}

function guardOf(config: ScriptsConfig): GuardedClient {
  return createGuardedClient({
    deadlineMs: 30_000,
    maxBytes: 32 << 20,
    maxRedirects: 5,
    allowPrivate: config.allow_private,
    dns: config.dns,
  });
}

/** `/proc` answers from memory at once; other systems have none. */
function residentOf(pid: number | undefined): number | undefined {
  if (pid === undefined || process.platform !== "linux") return undefined;
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

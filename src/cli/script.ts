import { readFile } from "node:fs/promises";
import { AppError } from "../core/errors.ts";
import { fileFault } from "../core/file-fault.ts";
import type { AddOptions, ScriptHost } from "../scripts/host.ts";
import type { LabAction, LabReport } from "../scripts/lab.ts";
import { readMusicInfos } from "../scripts/music-info.ts";
import { SCRIPT_ENVS, type ScriptEnv } from "../scripts/protocol.ts";
import { isPlatform } from "../scripts/store.ts";
import type { ScriptView } from "../scripts/view.ts";
import { table, textOption, timeText } from "./access-options.ts";
import type { Command, CommandContext } from "./command.ts";

type Feature = (context: CommandContext) => Promise<ScriptHost>;

const ENV_HELP = "--env desktop|mobile  the client that the script sees";

/** `script list | add | remove | enable | disable | order | update | rollback | test`; a running server takes changes over. */
export function scriptCommands(feature: Feature): Command[] {
  return [
    listCommand(feature),
    addCommand(feature),
    removeCommand(feature),
    switchCommand(feature, true),
    switchCommand(feature, false),
    orderCommand(feature),
    updateCommand(feature),
    rollbackCommand(feature),
    testCommand(feature),
  ];
}

function listCommand(feature: Feature): Command {
  return {
    name: "script list",
    summary: "the third-party scripts",
    arity: [0, 0],
    async run(context) {
      const scripts = (await feature(context)).list();
      const rows = scripts.map((script) => [
        script.id,
        script.name,
        script.version,
        script.enabled ? "on" : "off",
        script.env ?? "",
        timeText(script.addedAt),
        remark(script),
        script.url ?? "",
      ]);
      const head = ["ID", "NAME", "VERSION", "STATE", "ENV", "ADDED", "REMARK", "ADDRESS"];
      context.result(scripts, scripts.length === 0 ? "no scripts: script add URL|FILE" : table([head, ...rows]));
      return 0;
    },
  };
}

function remark({ alert, retryAt, lastProblem, checkResult }: ScriptView): string {
  const line = lastProblem?.line === undefined ? "" : ` (line ${lastProblem.line})`;
  const parts = [
    ...(retryAt === undefined || retryAt <= Date.now() ? [] : [`blocked until ${timeText(retryAt)}`]),
    ...(lastProblem === undefined ? [] : [`${firstLine(lastProblem.message)}${line}`]),
    ...(alert === undefined ? [] : [`update: ${firstLine(alert.log)}`]),
  ];
  return parts.length === 0 ? checkResult : parts.join("; ");
}

function addCommand(feature: Feature): Command {
  return {
    name: "script add",
    summary: "add a script from an address or a file, after a trial run",
    usage: "URL|FILE",
    options: {
      env: { type: "string" },
      disabled: { type: "boolean" },
      force: { type: "boolean" },
      "allow-host": { type: "string", multiple: true },
    },
    help: [
      ENV_HELP,
      "--disabled            keep it without using it",
      "--force               keep it even when it does not start",
      "--allow-host HOST     it may ask only this host (repeat; .example.com for all below)",
    ].join("\n"),
    arity: [1, 1],
    async run(context) {
      const host = await feature(context);
      const [where = ""] = context.positionals;
      const options = addOptions(context);
      const added = /^https?:\/\//i.test(where)
        ? await host.addUrl(where, options)
        : await host.addText(await readScript(where), options);
      context.result(added, `added ${describe(added)}`);
      return 0;
    },
  };
}

function removeCommand(feature: Feature): Command {
  return {
    name: "script remove",
    summary: "remove a script and its versions",
    usage: "NAME",
    arity: [1, 1],
    async run(context) {
      const host = await feature(context);
      const script = host.get(context.positionals[0] ?? "");
      await host.remove(script.id);
      context.result({ removed: script.id }, `removed ${describe(script)}`);
      return 0;
    },
  };
}

function switchCommand(feature: Feature, enabled: boolean): Command {
  const word = enabled ? "enable" : "disable";
  return {
    name: `script ${word}`,
    summary: enabled ? "use a script" : "keep a script without using it",
    usage: "NAME",
    arity: [1, 1],
    async run(context) {
      const script = await (await feature(context)).change(context.positionals[0] ?? "", { enabled });
      context.result(script, `${word}d ${describe(script)}`);
      return 0;
    },
  };
}

function orderCommand(feature: Feature): Command {
  return {
    name: "script order",
    summary: "show or set which scripts are asked first",
    usage: "PLATFORM [NAME…]",
    options: { clear: { type: "boolean" } },
    help: "PLATFORM   kw, kg, tx, wy or mg; scripts that are not named follow by recent success\n--clear    forget the order",
    arity: [1, 100],
    async run(context) {
      const host = await feature(context);
      const [platform = "", ...names] = context.positionals;
      if (!isPlatform(platform)) throw new AppError("invalid_request", `no platform ${platform}: kw, kg, tx, wy or mg`);
      if (names.length > 0 || context.values["clear"] === true) host.setOrder(platform, names);
      const order = host.order(platform).map((id) => host.get(id));
      const text = order.map((script, index) => `${index + 1}. ${describe(script)}`).join("\n");
      context.result(
        order.map(({ id, name }) => ({ id, name })),
        text || "no order: scripts are asked by recent success",
      );
      return 0;
    },
  };
}

function updateCommand(feature: Feature): Command {
  return {
    name: "script update",
    summary: "look for new versions and install those that pass a trial run",
    usage: "[NAME]",
    options: { force: { type: "boolean" } },
    help: "--force            install a version that was rolled back or refused, too",
    arity: [0, 1],
    async run(context) {
      const host = await feature(context);
      const [name] = context.positionals;
      const outcomes = await host.update(name, context.values["force"] === true);
      const lines = outcomes.map((item) => `${item.name}: ${item.message}`);
      context.result(outcomes, lines.join("\n") || "no script has an address to update from");
      return outcomes.some((item) => item.outcome === "failed" || item.outcome === "refused") ? 1 : 0;
    },
  };
}

function rollbackCommand(feature: Feature): Command {
  return {
    name: "script rollback",
    summary: "go back to the version before, or to one that is named",
    usage: "NAME [HASH]",
    help: "HASH   the first characters of a version's hash, as /api/v1/scripts/NAME shows them",
    arity: [1, 2],
    async run(context) {
      const [name = "", hash] = context.positionals;
      const script = await (await feature(context)).rollBack(name, hash);
      context.result(script, `${describe(script)} is in use again`);
      return 0;
    },
  };
}

function testCommand(feature: Feature): Command {
  return {
    name: "script test",
    summary: "try a script: start, every action on sample songs, hosts, errors, limits",
    usage: "NAME|FILE",
    options: { env: { type: "string" }, song: { type: "string" } },
    help: `${ENV_HELP}\n--song FILE           a musicInfo (JSON) or a list of them, in place of the sample songs`,
    arity: [1, 1],
    async run(context) {
      const host = await feature(context);
      const [name = ""] = context.positionals;
      const songFile = textOption(context, "song");
      const env = envOption(context);
      const songs = songFile === undefined ? undefined : readSongs(await readScript(songFile), songFile);
      const known = host.list().some((script) => script.id === name || script.name === name);
      const report = await host.test(known ? name : await readScript(name), { env, songs });
      context.result(report, reportText(report));
      return report.ok ? 0 : 1;
    },
  };
}

function addOptions(context: CommandContext): AddOptions {
  const hosts = context.values["allow-host"];
  return {
    env: envOption(context),
    enabled: context.values["disabled"] !== true,
    force: context.values["force"] === true,
    allowHosts: Array.isArray(hosts) ? hosts.map(String) : undefined,
  };
}

function envOption(context: CommandContext): ScriptEnv | undefined {
  const value = textOption(context, "env");
  const env = SCRIPT_ENVS.find((item) => item === value);
  if (value !== undefined && env === undefined) {
    throw new AppError("invalid_request", `--env ${value}: desktop or mobile`);
  }
  return env;
}

async function readScript(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new AppError("not_found", `no script and no file ${file}: ${fileFault(error, file)}`);
  }
}

function readSongs(text: string, file: string) {
  try {
    const value: unknown = JSON.parse(text);
    return readMusicInfos(value);
  } catch (error) {
    throw new AppError("invalid_request", `${file} is not a musicInfo in JSON: ${String(error)}`);
  }
}

const describe = ({ name, version, id }: Pick<ScriptView, "name" | "version" | "id">) =>
  `${name}${version === "" ? "" : ` ${version}`} (${id})`;
const firstLine = (text: string) => text.split("\n")[0] ?? "";

function reportText(report: LabReport): string {
  const { header } = report;
  const sources = Object.entries(report.sources).map(
    ([source, declared]) => `  ${source}: ${declared.actions.join(" ")} · ${declared.qualitys.join(" ")}`,
  );
  const place = report.problem?.line === undefined ? "" : ` (line ${report.problem.line})`;
  const lines = [
    `${header.name} ${header.version} ${header.author}`.trim(),
    report.started
      ? `started in ${Math.round(report.initMs ?? 0)} ms as ${report.env}`
      : `did not start: ${report.problem?.message ?? ""}${place}`,
    ...section("platforms", sources),
    ...section("actions", report.actions.map(actionText)),
    ...section(
      "hosts asked",
      report.hosts.map((host) => `  ${host}`),
    ),
    ...section(
      "limits reached",
      report.limits.map((limit) => `  ${limit}`),
    ),
    ...section(
      "errors that nobody caught",
      report.uncaught.map((item) => `  ${item.message} (line ${item.line ?? "?"})`),
    ),
    ...section(
      "console",
      report.console.map((line) => `  ${line}`),
    ),
    ...(report.alert === undefined ? [] : [`update: ${firstLine(report.alert.log)} ${report.alert.updateUrl ?? ""}`]),
  ];
  return lines.join("\n");
}

const section = (title: string, lines: string[]) => (lines.length === 0 ? [] : [`${title}:`, ...lines]);

function actionText(item: LabAction): string {
  const what = `  ${item.ok ? "ok  " : "FAIL"} ${item.source} ${item.action} ${item.quality ?? ""} ${item.song}`;
  const line = item.line === undefined ? "" : ` (line ${item.line})`;
  const outcome = item.ok ? `${item.contentType ?? ""} ${firstLine(item.result ?? "")}` : `${item.problem}${line}`;
  return `${what} ${Math.round(item.ms)} ms ${outcome}`;
}

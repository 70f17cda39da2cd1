import { isIP } from "node:net";
import type { TSchema } from "@sinclair/typebox";
import { Kind } from "@sinclair/typebox";
import { parseDocument } from "yaml";
import { AppError } from "../core/errors.ts";
import { decodeConfig, documentValues, isPlainObject, nearest, type Problem } from "./decode.ts";
import { type Config, configSchema } from "./schema.ts";

const ENVIRONMENT_PREFIX = "LX__";

/**
 * Config from the YAML text and `LX__…` variables, checked as a whole.
 *
 * @throws AppError `invalid_request` whose message lists every problem: path, what was found, what is allowed, and
 *   what was probably meant.
 */
export function parseConfig(text: string, environment: Record<string, string | undefined> = {}): Config {
  const document = parseDocument(text, { prettyErrors: true });
  const [syntax] = document.errors;
  if (syntax !== undefined) throw new AppError("invalid_request", `config is not YAML: ${syntax.message}`);
  const file = documentValues(document) ?? {};
  const problems: Problem[] = [];
  const merged = mergeEnvironment(file, environment, problems);
  const decoded = decodeConfig(configSchema, merged);
  problems.push(...decoded.problems);
  if (problems.length > 0) throw new AppError("invalid_request", problems.map(formatProblem).join("\n"));
  // Every field was decoded by the schema that `Config` is the type of.
  const config = decoded.value as Config;
  const impossible = [...unreadable(config), ...contradictions(config)];
  if (impossible.length > 0) throw new AppError("invalid_request", impossible.map(formatProblem).join("\n"));
  return config;
}

export function formatProblem(problem: Problem): string {
  const hint = problem.hint === undefined ? "" : ` (did you mean ${JSON.stringify(problem.hint)}?)`;
  return `${problem.path || "config"}: found ${problem.found}; allowed: ${problem.allowed}${hint}`;
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*\.?$/i;
/** The system takes "256.1.1.1" for a name, and says of it what is not true. */
const ALL_DIGITS = /^[\d.]+$/;
/** As browsers send it; a slash at its end does no harm. */
const ORIGIN = /^(?:\*|null|[a-z][a-z0-9+.-]*:\/\/[^\s/?#@]+\/?)$/i;

/** Texts that nothing can be done with. */
function unreadable({ common, security }: Config): Problem[] {
  const isHost = (host: string) =>
    isIP(host.replace(/^\[(.*)\]$/, "$1")) !== 0 || (HOST_NAME.test(host) && !ALL_DIGITS.test(host));
  return [
    ...misfits("common.hosts", common.hosts, isHost, "an address or a host name, without a port"),
    ...misfits(
      "security.cors.origins",
      security.cors.origins,
      (origin) => ORIGIN.test(origin.trim()),
      "*, or origins as https://a.example.com",
    ),
  ];
}

function misfits(
  path: string,
  values: readonly string[],
  fits: (value: string) => boolean,
  allowed: string,
): Problem[] {
  return values.flatMap((value, index) =>
    fits(value) ? [] : [{ path: `${path}[${index}]`, found: JSON.stringify(value), allowed }],
  );
}

/** Values that are each possible but not together. */
function contradictions(config: Config): Problem[] {
  const problems: Problem[] = [];
  const { common, security } = config;
  if (security.key.enable && security.key.values.length === 0) {
    problems.push({
      path: "security.key.values",
      found: "an empty list",
      allowed: "at least one key while security.key.enable is true",
    });
  }
  if (
    common.ports.length === 0 &&
    !(common.ssl_info.enable && common.ssl_info.ssl_ports.length > 0) &&
    common.unix_socket === ""
  ) {
    problems.push({
      path: "common.ports",
      found: "an empty list",
      allowed: "a port, unless HTTPS or a Unix socket is on",
    });
  }
  const tls = common.ssl_info.enable ? common.ssl_info.ssl_ports : [];
  const twice = [...common.ports, ...tls].find((port, index, all) => port !== 0 && all.indexOf(port) !== index);
  if (twice !== undefined) {
    problems.push({
      path: "common.ports",
      found: `port ${twice} twice`,
      allowed: "each port once, HTTP and HTTPS together",
    });
  }
  if (common.upstream.deadline > common.upstream.total_deadline) {
    problems.push({
      path: "common.upstream.deadline",
      found: String(common.upstream.deadline),
      allowed: `at most common.upstream.total_deadline (${common.upstream.total_deadline})`,
    });
  }
  return problems;
}

/** `LX__COMMON__PORTS=[9763]` sets common.ports; the value is YAML, names are matched without regard to case and "-". */
function mergeEnvironment(
  file: unknown,
  environment: Record<string, string | undefined>,
  problems: Problem[],
): unknown {
  let merged = file;
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(ENVIRONMENT_PREFIX) || value === undefined) continue;
    const found = findKey(name.slice(ENVIRONMENT_PREFIX.length).split("__"));
    if ("path" in found) {
      merged = put(merged, found.path, environmentValue(found.schema, value));
    } else {
      problems.push({
        path: name,
        found: "an unknown key",
        allowed: "LX__ and a config path, parts joined by __",
        ...found,
      });
    }
  }
  return merged;
}

/** Text stays as it is written (a password may look like YAML); everything else is YAML. */
function environmentValue(schema: TSchema, raw: string): unknown {
  if (schema[Kind] === "String") return raw;
  const document = parseDocument(raw);
  const value = document.errors.length > 0 ? null : documentValues(document);
  return value === null ? raw : value;
}

function findKey(parts: string[]): { path: string[]; schema: TSchema } | { hint?: string } {
  const path: string[] = [];
  let schema: TSchema = configSchema;
  for (const part of parts) {
    if (schema[Kind] !== "Object") return {};
    const properties = schema["properties"] as Record<string, TSchema>;
    const plainName = (name: string) => name.toLowerCase().replaceAll("-", "_");
    const name = Object.keys(properties).find((item) => plainName(item) === part.toLowerCase());
    const next = name === undefined ? undefined : properties[name];
    if (name === undefined || next === undefined) {
      const near = nearest(part, Object.keys(properties));
      return near === undefined ? {} : { hint: `LX__${[...path, near].join("__").toUpperCase()}` };
    }
    path.push(name);
    schema = next;
  }
  return { path, schema };
}

function put(base: unknown, path: string[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  const object = isPlainObject(base) ? base : {};
  return { ...object, [first]: put(object[first], rest, value) };
}

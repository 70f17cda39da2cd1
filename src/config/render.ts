import { Kind, type TSchema } from "@sinclair/typebox";
import { stringify } from "yaml";
import { type Config, configSchema } from "./schema.ts";

const HEADER = `# lx-music-api-server
#
# 每个键都有默认值，可以只写要改的键；未知的键会阻止启动。任何键都可以用环境变量设置，例如 LX__COMMON__PORTS=[9763]
# Every key has a default: keep only what you change. Unknown keys stop the start. Any key can also be set by
# environment, for example LX__COMMON__PORTS=[9763]
`;

/** \`config/default.yml\`: every key with its default and comments, generated from the schema. */
export function renderDefault(): string {
  return `${HEADER}\n${renderGroup(configSchema, 0)}`;
}

function renderGroup(schema: TSchema, depth: number): string {
  const values = schema.default as Record<string, unknown> | undefined;
  const indent = "  ".repeat(depth);
  const lines: string[] = [];
  for (const [name, item] of Object.entries(schema["properties"] as Record<string, TSchema>)) {
    if (depth === 0) lines.push("");
    if (item.description) lines.push(`${indent}# ${item.description}${limits(item)}`);
    if (item[Kind] === "Object") lines.push(`${indent}${name}:`, renderGroup(item, depth + 1).trimEnd());
    else lines.push(`${indent}${name}: ${scalar(values?.[name] ?? item.default, depth)}`);
  }
  return `${lines.join("\n")}\n`;
}

function limits(schema: TSchema): string {
  const { minimum, maximum } = schema as { minimum?: number; maximum?: number };
  const restart = schema["restart"] === true ? " [restart]" : "";
  if (minimum === undefined || maximum === undefined || maximum > 1_000_000) return restart;
  return ` [${minimum}–${maximum}]${restart}`;
}

function scalar(value: unknown, depth: number): string {
  const text = stringify(value, { collectionStyle: "flow", lineWidth: 0, flowCollectionPadding: false }).trimEnd();
  // A block scalar would need the key's indentation; a quoted one does not.
  return text.includes("\n")
    ? stringify(value, { defaultStringType: "QUOTE_DOUBLE", lineWidth: 0 })
        .trimEnd()
        .replaceAll("\n", `\n${"  ".repeat(depth + 1)}`)
    : text;
}

/** The same config with every secret replaced; empty secrets stay visible as empty. */
export function maskConfig(config: Config): unknown {
  return mask(configSchema, config);
}

function mask(schema: TSchema, value: unknown): unknown {
  if (schema["secret"] === true) {
    if (Array.isArray(value)) return value.map((item) => (item === "" ? "" : "***"));
    return value === "" || value === null ? value : "***";
  }
  if (schema[Kind] === "Object" && typeof value === "object" && value !== null) {
    const properties = schema["properties"] as Record<string, TSchema>;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => {
        const property = properties[name];
        return [name, property === undefined ? item : mask(property, item)];
      }),
    );
  }
  if (schema[Kind] === "Array" && Array.isArray(value))
    return value.map((item) => mask(schema["items"] as TSchema, item));
  return value;
}

/** The values of every secret key that is set: what must never appear in an answer or a log. */
export function secretsOf(config: Config): string[] {
  const found: string[] = [];
  const visit = (schema: TSchema, value: unknown): void => {
    if (schema["secret"] === true) found.push(...(Array.isArray(value) ? value.map(String) : [String(value ?? "")]));
    else if (schema[Kind] === "Object" && typeof value === "object" && value !== null) {
      const properties = schema["properties"] as Record<string, TSchema>;
      for (const [name, item] of Object.entries(value)) if (properties[name]) visit(properties[name], item);
    } else if (schema[Kind] === "Array" && Array.isArray(value))
      for (const item of value) visit(schema["items"] as TSchema, item);
  };
  visit(configSchema, config);
  return found.filter((value) => value !== "");
}

/** Dotted paths whose values differ, and whether a restart is needed for each. */
export function changedKeys(before: Config, after: Config): { path: string; restart: boolean }[] {
  const changes: { path: string; restart: boolean }[] = [];
  const visit = (schema: TSchema, a: unknown, b: unknown, path: string): void => {
    if (schema[Kind] === "Object") {
      for (const [name, item] of Object.entries(schema["properties"] as Record<string, TSchema>)) {
        visit(item, read(a, name), read(b, name), path === "" ? name : `${path}.${name}`);
      }
    } else if (!Bun.deepEquals(a, b)) changes.push({ path, restart: schema["restart"] === true });
  };
  visit(configSchema, before, after, "");
  return changes;
}

function read(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

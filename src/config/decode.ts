import { Kind, type TSchema } from "@sinclair/typebox";
import { type Document, isAlias, isMap, isScalar, isSeq } from "yaml";
import { AppError } from "../core/errors.ts";

/** A number of the YAML text with its spelling: `uin: 0012` must become the text "0012" where text is wanted. */
export class NumberText {
  readonly value: number;
  readonly source: string;
  constructor(value: number, source: string) {
    this.value = value;
    this.source = source;
  }
}

/** One thing that is wrong with a configuration, for people. */
export interface Problem {
  /** "common.ports[0]"; empty = the file as a whole. */
  path: string;
  found: string;
  allowed: string;
  /** A key or value that was probably meant. */
  hint?: string;
}

const MAX_VALUES = 100_000;

/**
 * Plain values of a YAML document, with numbers kept as `NumberText`. Duplicate and unreadable keys are YAML errors
 * already.
 *
 * @throws AppError `invalid_request` when there are too many
 */
export function documentValues(document: Document): unknown {
  let values = 0;
  const visit = (node: unknown, depth: number): unknown => {
    values += 1;
    // Aliases of aliases grow without an end.
    if (values > MAX_VALUES) throw new AppError("invalid_request", `config has more than ${MAX_VALUES} values`);
    if (depth > 40) return undefined;
    if (isAlias(node)) return visit(node.resolve(document), depth + 1);
    if (isMap(node)) {
      const entries = node.items.map((pair) => [
        String(isScalar(pair.key) ? pair.key.value : pair.key),
        visit(pair.value, depth + 1),
      ]);
      return Object.fromEntries(entries);
    }
    if (isSeq(node)) return node.items.map((item) => visit(item, depth + 1));
    if (!isScalar(node)) return node ?? null;
    const { value } = node;
    return typeof value === "number" ? new NumberText(value, node.source ?? String(value)) : value;
  };
  return visit(document.contents, 0);
}

/** Decodes `input` by the schema: defaults for what is absent, every problem collected, nothing thrown. */
export function decodeConfig(schema: TSchema, input: unknown): { value: unknown; problems: Problem[] } {
  const problems: Problem[] = [];
  const value = decodeValue(schema, input, "", problems);
  return { value, problems };
}

type Decoder = (schema: TSchema, input: unknown, path: string, problems: Problem[]) => unknown;

const DECODERS: Record<string, Decoder> = {
  Object: decodeObject,
  Record: decodeRecord,
  Array: decodeArray,
  Union: decodeUnion,
  Literal: (schema, input, path, problems) =>
    plain(input) === schema["const"] ? schema["const"] : refuse(schema, input, path, problems),
  String: decodeString,
  Integer: decodeNumber,
  Number: decodeNumber,
  Boolean: (schema, input, path, problems) =>
    typeof input === "boolean" ? input : refuse(schema, input, path, problems),
  Null: (schema, input, path, problems) => (input === null ? null : refuse(schema, input, path, problems)),
  Unknown: (_schema, input) => plain(input),
};

function decodeValue(schema: TSchema, input: unknown, path: string, problems: Problem[]): unknown {
  if (input === undefined) return defaultOf(schema);
  const decoder = DECODERS[schema[Kind]];
  if (decoder === undefined) throw new Error(`config schema uses ${schema[Kind]}, which has no decoder`);
  // "key:" with nothing behind it means "leave it as it is", as people write it.
  if (input === null && !acceptsNull(schema)) return defaultOf(schema);
  return decoder(schema, input, path, problems);
}

/** The schema's default; groups without one are made of their keys' defaults. */
export function defaultOf(schema: TSchema): unknown {
  if (schema[Kind] === "Object" && schema.default === undefined) {
    const properties = Object.entries(schema["properties"] as Record<string, TSchema>);
    return Object.fromEntries(properties.map(([name, item]) => [name, defaultOf(item)]));
  }
  return structuredClone(schema.default);
}

function acceptsNull(schema: TSchema): boolean {
  if (schema[Kind] === "Union") return (schema["anyOf"] as TSchema[]).some(acceptsNull);
  return schema[Kind] === "Null" || schema[Kind] === "Unknown";
}

function decodeObject(schema: TSchema, input: unknown, path: string, problems: Problem[]): unknown {
  if (!isPlainObject(input)) return refuse(schema, input, path, problems);
  const properties = schema["properties"] as Record<string, TSchema>;
  for (const name of Object.keys(input)) {
    if (Object.hasOwn(properties, name)) continue;
    const hint = nearest(name, Object.keys(properties));
    problems.push({
      path: join(path, name),
      found: "an unknown key",
      allowed: Object.keys(properties).join(", "),
      ...(hint === undefined ? {} : { hint: join(path, hint) }),
    });
  }
  return Object.fromEntries(
    Object.entries(properties).map(([name, item]) => [
      name,
      decodeValue(item, own(input, name), join(path, name), problems),
    ]),
  );
}

function decodeRecord(schema: TSchema, input: unknown, path: string, problems: Problem[]): unknown {
  if (!isPlainObject(input)) return refuse(schema, input, path, problems);
  const item = Object.values(schema["patternProperties"] as Record<string, TSchema>)[0];
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => [
      name,
      item === undefined ? plain(value) : decodeValue(item, value, join(path, name), problems),
    ]),
  );
}

function decodeArray(schema: TSchema, input: unknown, path: string, problems: Problem[]): unknown {
  if (!Array.isArray(input)) return refuse(schema, input, path, problems);
  const least = Number(schema["minItems"] ?? 0);
  if (input.length < least) return refuse(schema, input, path, problems);
  const item = schema["items"] as TSchema;
  return input.map((value, index) => decodeValue(item, value, `${path}[${index}]`, problems));
}

function decodeUnion(schema: TSchema, input: unknown, path: string, problems: Problem[]): unknown {
  for (const branch of schema["anyOf"] as TSchema[]) {
    // To the others nothing would mean "as by default".
    if (input === null && !acceptsNull(branch)) continue;
    const attempt: Problem[] = [];
    const value = decodeValue(branch, input, path, attempt);
    if (attempt.length === 0) return value;
  }
  return refuse(schema, input, path, problems);
}

function decodeString(schema: TSchema, input: unknown, path: string, problems: Problem[]): unknown {
  const value = input instanceof NumberText ? input.source : input;
  if (typeof value !== "string" || value.length < Number(schema["minLength"] ?? 0))
    return refuse(schema, input, path, problems);
  const pattern = schema["pattern"] as string | undefined;
  if (pattern !== undefined && !new RegExp(pattern, "u").test(value)) return refuse(schema, input, path, problems);
  return value;
}

function decodeNumber(schema: TSchema, input: unknown, path: string, problems: Problem[]): unknown {
  if (!(input instanceof NumberText)) return refuse(schema, input, path, problems);
  const { value } = input;
  const whole = schema[Kind] !== "Integer" || Number.isSafeInteger(value);
  const least = Number(schema["minimum"] ?? Number.NEGATIVE_INFINITY);
  const most = Number(schema["maximum"] ?? Number.POSITIVE_INFINITY);
  if (!whole || !Number.isFinite(value) || value < least || value > most) return refuse(schema, input, path, problems);
  return value;
}

function refuse(schema: TSchema, input: unknown, path: string, problems: Problem[]): unknown {
  const words = literals(schema);
  const hint = typeof input === "string" ? nearest(input, words) : undefined;
  const found = schema["secret"] === true ? describeKind(input) : describe(input);
  problems.push({ path, found, allowed: allowed(schema), ...(hint === undefined ? {} : { hint }) });
  return defaultOf(schema);
}

function literals(schema: TSchema): string[] {
  if (schema[Kind] === "Literal") return [String(schema["const"])];
  return schema[Kind] === "Union" ? (schema["anyOf"] as TSchema[]).flatMap(literals) : [];
}

/** What a schema admits, in words. */
export function allowed(schema: TSchema): string {
  const least = schema["minimum"] as number | undefined;
  const most = schema["maximum"] as number | undefined;
  const range = least === undefined ? "" : ` from ${least}${most === undefined ? "" : ` to ${most}`}`;
  switch (schema[Kind] as string) {
    case "Object":
      return `a group with ${Object.keys(schema["properties"] as object).join(", ")}`;
    case "Array":
      return `a list of ${allowed(schema["items"] as TSchema)}${schema["minItems"] ? `, at least ${schema["minItems"]}` : ""}`;
    case "Union":
      return (schema["anyOf"] as TSchema[]).map(allowed).join(", ");
    case "Literal":
      return JSON.stringify(schema["const"]);
    case "Integer":
      return `a whole number${range}`;
    case "Number":
      return `a number${range}`;
    case "Boolean":
      return "true or false";
    case "String":
      return String(schema["pattern"] ?? "").includes("https?") ? "an http(s) address, or empty" : "text";
    case "Null":
      return "nothing";
    default:
      return "a map";
  }
}

function describe(input: unknown): string {
  const value = plain(input);
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > 80 ? `${shown.slice(0, 80)}…` : shown;
}

function describeKind(input: unknown): string {
  if (Array.isArray(input)) return "a list";
  return input instanceof NumberText ? "a number" : input === null ? "nothing" : `a ${typeof input}`;
}

/** Without number wrappers. */
export function plain(input: unknown): unknown {
  if (input instanceof NumberText) return input.value;
  if (Array.isArray(input)) return input.map(plain);
  if (!isPlainObject(input)) return input;
  return Object.fromEntries(Object.entries(input).map(([name, value]) => [name, plain(value)]));
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof NumberText);
}

function own(object: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/** The word that differs least, when it differs little enough to be a slip of the finger. */
export function nearest(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of words) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, changes and swaps of neighbours (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swap = swapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(change, swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}

import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { QUALITIES } from "../core/types.ts";
import type { ScriptHeader } from "./header.ts";

export const SCRIPT_SOURCES = ["kw", "kg", "tx", "wy", "mg", "local"] as const;
export type ScriptSource = (typeof SCRIPT_SOURCES)[number];
export const SCRIPT_ACTIONS = ["musicUrl", "lyric", "pic"] as const;
export type ScriptAction = (typeof SCRIPT_ACTIONS)[number];
export const SCRIPT_ENVS = ["desktop", "mobile"] as const;
export type ScriptEnv = (typeof SCRIPT_ENVS)[number];

/** What one script may use. Times in milliseconds, sizes in bytes. */
export interface ScriptLimits {
  memoryBytes: number;
  stackBytes: number;
  /** Longest stretch of computing without a pause. */
  sliceMs: number;
  /** The same until the script has started. */
  initSliceMs: number;
  /** From loading to `inited`. */
  initDeadlineMs: number;
  requestsPerCall: number;
  concurrentRequests: number;
  concurrentCalls: number;
  responseBytes: number;
  timers: number;
}

/** How requests of a script may go out. */
export interface ScriptNetwork {
  allowPrivate: readonly string[];
  dns: readonly string[];
  /** Hosts that may be asked; absent = all public ones. */
  allowHosts?: readonly string[];
}

export interface LoadMessage {
  type: "load";
  script: string;
  header: ScriptHeader;
  env: ScriptEnv;
  limits: ScriptLimits;
  network: ScriptNetwork;
}

/** Server to script process. */
export type Downward =
  | LoadMessage
  | {
      type: "call";
      id: number;
      source: ScriptSource;
      action: ScriptAction /** JSON */;
      info: string;
      deadlineMs: number;
    }
  | { type: "cancel"; id: number }
  | { type: "ping"; id: number };

const text = (maxLength: number) => Type.String({ maxLength });
const actionSchema = Type.Union(SCRIPT_ACTIONS.map((action) => Type.Literal(action)));
const qualitySchema = Type.Union(QUALITIES.map((quality) => Type.Literal(quality)));

const declared = Type.Object({ actions: Type.Array(actionSchema), qualitys: Type.Array(qualitySchema) });
/** What a script says it can do, per platform. */
export const sourcesSchema = Type.Partial(
  Type.Object({ kw: declared, kg: declared, tx: declared, wy: declared, mg: declared, local: declared }),
);
export type ScriptSources = Static<typeof sourcesSchema>;

const problemSchema = Type.Object({
  message: text(2_000),
  /** Where in the script, innermost first; empty when unknown. */
  stack: text(8_000),
  /** Line of the script, from 1. */
  line: Type.Optional(Type.Integer()),
});
export type ScriptProblem = Static<typeof problemSchema>;

export const OFFENCES = ["cpu", "stalled", "memory", "background", "crash"] as const;
export type Offence = (typeof OFFENCES)[number];

/** Script process to server. It is checked: a broken process must not say what breaks the server. */
export const upwardSchema = Type.Union([
  Type.Object({ type: Type.Literal("ready") }),
  Type.Object({ type: Type.Literal("inited"), sources: sourcesSchema, ms: Type.Number() }),
  Type.Object({ type: Type.Literal("failed"), problem: problemSchema }),
  Type.Object({ type: Type.Literal("result"), id: Type.Integer(), value: Type.Unknown() }),
  Type.Object({ type: Type.Literal("rejected"), id: Type.Integer(), problem: problemSchema }),
  Type.Object({
    type: Type.Literal("alert"),
    log: text(1_030),
    updateUrl: Type.Union([text(1_024), Type.Null()]),
  }),
  Type.Object({ type: Type.Literal("host"), host: text(300) }),
  Type.Object({ type: Type.Literal("limit"), name: text(40) }),
  Type.Object({ type: Type.Literal("uncaught"), problem: problemSchema }),
  Type.Object({ type: Type.Literal("console"), level: text(10), text: text(4_100) }),
  Type.Object({
    type: Type.Literal("offence"),
    offence: Type.Union(OFFENCES.map((name) => Type.Literal(name))),
    detail: text(2_000),
  }),
  Type.Object({ type: Type.Literal("pong"), id: Type.Integer() }),
]);
export type Upward = Static<typeof upwardSchema>;

/** @returns undefined when it is no message of ours. */
export function readUpward(message: unknown): Upward | undefined {
  return check(upwardSchema, message);
}

export function check<T extends TSchema>(schema: T, value: unknown): Static<T> | undefined {
  return Value.Check(schema, value) ? value : undefined;
}

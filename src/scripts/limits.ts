import type { Config } from "../config/schema.ts";
import type { ScriptLimits } from "./protocol.ts";

export type ScriptsConfig = Config["common"]["external_scripts"];

/** The limits of the config in the form that a script process gets. */
export function limitsOf({ limits }: ScriptsConfig): ScriptLimits {
  return {
    memoryBytes: limits.memory_bytes,
    stackBytes: limits.stack_bytes,
    sliceMs: limits.slice_ms,
    initSliceMs: limits.init_slice_ms,
    initDeadlineMs: limits.init_deadline * 1_000,
    requestsPerCall: limits.requests_per_call,
    concurrentRequests: limits.concurrent_requests,
    concurrentCalls: limits.concurrent_calls,
    responseBytes: limits.response_bytes,
    timers: limits.timers,
  };
}

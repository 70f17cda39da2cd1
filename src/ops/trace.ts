import { type Fields, maskFields } from "./log.ts";

export interface TraceStep {
  name: string;
  /** ms since the trace began. */
  atMs: number;
  fields?: Fields;
}

/** What happened while one request was answered. */
export interface Trace {
  id: string;
  /** Unix ms of the first step. */
  startedAt: number;
  steps: TraceStep[];
  /** Steps beyond the limit that were not kept. */
  dropped: number;
}

export interface Traces {
  /** Where one request notes its steps; nothing is kept before the first one. */
  recorder(id: string): (name: string, fields?: Fields) => void;
  get(id: string): Trace | undefined;
  /** Newest first. */
  recent(count: number): Trace[];
}

export interface TraceOptions {
  maxTraces?: number;
  maxSteps?: number;
  /** Longest text kept of one field. */
  lengthLimit?: number;
  now?: () => number;
}

/** A ring of the last traces in memory. Values of fields whose names say "secret" are masked here. */
export function createTraces(options: TraceOptions = {}): Traces {
  const { maxTraces = 500, maxSteps = 100, lengthLimit = 300, now = Date.now } = options;
  // A Map keeps the order of insertion: its first key is the oldest trace.
  const traces = new Map<string, Trace>();

  function open(id: string): Trace {
    const known = traces.get(id);
    if (known !== undefined) return known;
    const trace: Trace = { id, startedAt: now(), steps: [], dropped: 0 };
    traces.set(id, trace);
    for (const oldest of traces.keys()) {
      if (traces.size <= maxTraces) break;
      traces.delete(oldest);
    }
    return trace;
  }

  return {
    recorder: (id) => (name, fields) => {
      const trace = open(id);
      if (trace.steps.length >= maxSteps) {
        trace.dropped++;
        return;
      }
      const step: TraceStep = { name, atMs: now() - trace.startedAt };
      if (fields !== undefined) step.fields = maskFields(fields, lengthLimit) as Fields;
      trace.steps.push(step);
    },
    get: (id) => traces.get(id),
    recent: (count) => [...traces.values()].toReversed().slice(0, Math.max(0, count)),
  };
}

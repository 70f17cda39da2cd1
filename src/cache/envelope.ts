import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { AppError, ERROR_KINDS, type ErrorKind } from "../core/errors.ts";

/** A failure that is kept: the platform's "no", or a fault for some seconds. */
export interface StoredFailure {
  kind: ErrorKind;
  message: string;
  upstreamCode?: string | number;
}

/** What a stored text holds. Times are Unix ms; Infinity = no end. */
export interface Envelope {
  storedAt: number;
  /** Until here it is served as it is; afterwards, until the entry's own deadline, only as stale. */
  freshUntil: number;
  /** The platform's own end of an address (freshUntil plus the share that was held back). */
  realExpiresAt?: number;
  content: { value: unknown } | { failure: StoredFailure };
}

/** Short names: they are stored with every value. */
const Wire = Type.Object({
  t: Type.Number(),
  f: Type.Union([Type.Number(), Type.Null()]),
  r: Type.Optional(Type.Number()),
  d: Type.Optional(Type.Unknown()),
  n: Type.Optional(
    Type.Object({
      k: Type.Union(ERROR_KINDS.map((kind) => Type.Literal(kind))),
      m: Type.String({ maxLength: 2000 }),
      c: Type.Optional(Type.Union([Type.String({ maxLength: 200 }), Type.Number()])),
    }),
  ),
});

export function encodeEnvelope(envelope: Envelope): string {
  const { storedAt, freshUntil, realExpiresAt, content } = envelope;
  const head = {
    t: storedAt,
    f: Number.isFinite(freshUntil) ? freshUntil : null,
    ...(realExpiresAt === undefined ? {} : { r: realExpiresAt }),
  };
  if ("failure" in content) {
    const { kind, message, upstreamCode } = content.failure;
    return JSON.stringify({
      ...head,
      n: { k: kind, m: message, ...(upstreamCode === undefined ? {} : { c: upstreamCode }) },
    });
  }
  return JSON.stringify({ ...head, d: content.value });
}

/** Undefined = not one of ours, or damaged. */
export function decodeEnvelope(text: string): Envelope | undefined {
  let wire: unknown;
  try {
    wire = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Value.Check(Wire, wire) || (wire.d === undefined) === (wire.n === undefined)) return undefined;
  return {
    storedAt: wire.t,
    freshUntil: wire.f ?? Number.POSITIVE_INFINITY,
    ...(wire.r === undefined ? {} : { realExpiresAt: wire.r }),
    content:
      wire.n === undefined
        ? { value: wire.d }
        : {
            failure: {
              kind: wire.n.k,
              message: wire.n.m,
              ...(wire.n.c === undefined ? {} : { upstreamCode: wire.n.c }),
            },
          },
  };
}

export function failureOf(error: AppError): StoredFailure {
  return {
    kind: error.kind,
    message: error.message,
    ...(error.upstreamCode === undefined ? {} : { upstreamCode: error.upstreamCode }),
  };
}

export function errorOf(failure: StoredFailure): AppError {
  return new AppError(failure.kind, failure.message, {
    detail: "from the cache",
    ...(failure.upstreamCode === undefined ? {} : { upstreamCode: failure.upstreamCode }),
  });
}

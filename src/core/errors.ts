/**
 * Every failure that the server can tell a client about, by kind. `http/errors.ts` maps each to a status and an LX
 * code; match on `kind`, never on a class name (minified builds rename classes).
 */
export const ERROR_KINDS = [
  "invalid_request",
  "unsupported",
  "unauthorized",
  "forbidden",
  "banned",
  "rate_limited",
  "busy",
  "too_large",
  "not_found",
  "conflict",
  "source_disabled",
  /** The platform answered, and said no without a reason that we know. */
  "upstream_refused",
  /** The platform answered, and has no such song. */
  "upstream_not_found",
  "upstream_no_copyright",
  /** The account is a guest, expired or banned. */
  "upstream_needs_login",
  /** VIP only, or a bought album. */
  "upstream_needs_purchase",
  /** Captcha, device check or "too often": the account or address must rest. */
  "upstream_verify",
  /** Only a trial, an encrypted file or a lower quality was offered. */
  "upstream_quality",
  /** No answer: connection, deadline, 5xx. */
  "upstream_unreachable",
  /** An answer that is not in the form we know. */
  "upstream_changed",
  "storage_failed",
  "internal",
] as const;

export type ErrorKind = (typeof ERROR_KINDS)[number];

export interface AppErrorOptions {
  /** For the log only; may hold what a client must not see, but never a secret. */
  detail?: unknown;
  cause?: unknown;
  retryAfterSeconds?: number;
  /** The platform's own code, for traces. */
  upstreamCode?: string | number;
}

/** A failure whose `message` is safe and useful to send to a client. */
export class AppError extends Error {
  readonly kind: ErrorKind;
  readonly detail: unknown;
  readonly retryAfterSeconds: number | undefined;
  readonly upstreamCode: string | number | undefined;

  constructor(kind: ErrorKind, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.kind = kind;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.upstreamCode = options.upstreamCode;
  }
}

export function isAppError(error: unknown): error is AppError {
  return error instanceof AppError;
}

/** Wraps whatever was thrown; an AppError passes through unchanged. */
export function toAppError(error: unknown): AppError {
  if (isAppError(error)) return error;
  return new AppError("internal", "内部服务器错误", { cause: error, detail: describe(error) });
}

/** Anything can be thrown, also what has no text. */
function describe(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return typeof thrown;
  }
}

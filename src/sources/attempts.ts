import { type AppError, type ErrorKind, toAppError } from "../core/errors.ts";
import type { Call } from "./source.ts";

/** One way of asking for the same thing. */
export interface Attempt<T> {
  name: string;
  run: () => Promise<T>;
}

export interface AttemptOptions {
  now: () => number;
  /** No further way is begun after this many ms: the client gives up after 20 s. */
  budgetMs?: number;
  /** Failures that end the search besides those of FINAL. */
  final?: readonly ErrorKind[];
}

/**
 * What another way cannot change, or must not: the platform has no such thing, or asks for a rest. "Verify" is an
 * answer to the user, never a reason to knock at another door.
 */
const FINAL: readonly ErrorKind[] = [
  "invalid_request",
  "unsupported",
  "upstream_not_found",
  "upstream_no_copyright",
  "upstream_verify",
  "internal",
];

/** The more a failure says, the higher: of several, the user sees the one that says most. */
const TELLING: Partial<Record<ErrorKind, number>> = {
  upstream_needs_purchase: 6,
  upstream_quality: 5,
  upstream_needs_login: 4,
  upstream_refused: 3,
  upstream_changed: 2,
  upstream_unreachable: 1,
};

/**
 * Tries the ways in their order until one answers.
 *
 * @throws AppError of the first final failure, else the one that says most (the earlier of two equals).
 */
export async function firstAnswer<T>(attempts: readonly Attempt<T>[], call: Call, options: AttemptOptions): Promise<T> {
  const end = options.now() + (options.budgetMs ?? 12_000);
  let told: AppError | undefined;
  for (const attempt of attempts) {
    const tooLate = call.signal?.aborted || options.now() >= end;
    if (told !== undefined && (tooLate || call.mayAskAgain?.() === false)) break;
    try {
      return await attempt.run();
    } catch (error) {
      const failure = toAppError(error);
      call.step?.("attempt failed", { way: attempt.name, kind: failure.kind, upstreamCode: failure.upstreamCode });
      if (FINAL.includes(failure.kind) || options.final?.includes(failure.kind)) throw failure;
      if (told === undefined || telling(failure) > telling(told)) told = failure;
    }
  }
  throw told ?? toAppError(new Error("no way of asking is configured"));
}

const telling = (error: AppError) => TELLING[error.kind] ?? 0;

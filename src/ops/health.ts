import { within } from "./shutdown.ts";

/** One part of the server that can be well or not. */
export interface HealthCheck {
  name: string;
  /** Not ready without it; others only make the server degraded. */
  required: boolean;
  /** True = well; a text says what is wrong. */
  check(): Promise<true | string> | true | string;
}

export interface HealthReport {
  ready: boolean;
  checks: { name: string; required: boolean; ok: boolean; reason?: string }[];
}

const CHECK_DEADLINE_MS = 1000;

/** Asks every part at once; one that does not answer in time is not well. */
export async function runHealthChecks(
  checks: readonly HealthCheck[],
  deadlineMs = CHECK_DEADLINE_MS,
): Promise<HealthReport> {
  const rows = await Promise.all(
    checks.map(async ({ name, required, check }) => {
      const asked = attempt(check);
      const outcome = (await within(deadlineMs, asked)) ? await asked : `no answer in ${deadlineMs / 1000} s`;
      return { name, required, ok: outcome === true, ...(outcome === true ? {} : { reason: outcome }) };
    }),
  );
  return { ready: rows.every((row) => row.ok || !row.required), checks: rows };
}

async function attempt(check: HealthCheck["check"]): Promise<true | string> {
  try {
    return await check();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

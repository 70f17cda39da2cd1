import type { Metrics } from "../ops/metrics.ts";
import { type CertificateInfo, DAY_MS } from "./certificate.ts";
import { dayText } from "./check.ts";
import type { CertificateSource, Held } from "./held.ts";
import type { Inventory } from "./inventory.ts";
import { alarmBeforeMs } from "./renewal.ts";
import type { RenewalState } from "./renewer.ts";

/** A certificate as people and programs are told of it; nothing here is secret. */
export interface CertificateStatus extends CertificateInfo {
  id: string;
  source: CertificateSource;
  daysLeft: number;
  /** So little of its life is left that someone must look at it. */
  alarm: boolean;
  /** Why the certificate that is wanted is not served. */
  problem?: string;
  /** Failed attempts to get a new one, in a row. */
  failures: number;
  /** Unix ms. */
  nextAttemptAt?: number;
}

export interface StatusDeps {
  inventory: Inventory;
  renewShare: () => number;
  /** Of the main certificate. */
  renewal: () => RenewalState;
  enabled: () => boolean;
  now: () => number;
}

/** What is said of the certificates: to the API, to /metrics, to /ready. */
export function createStatus({ inventory, renewShare, renewal, enabled, now }: StatusDeps) {
  const isAlarm = ({ info, source }: Held) =>
    source !== "temporary" && info.notAfter - now() < alarmBeforeMs(info, renewShare());

  function statusOf(held: Held): CertificateStatus {
    const { id, source, info } = held;
    const state = id === "main" ? renewal() : undefined;
    const problem = inventory.problem(id) ?? state?.lastError;
    return {
      id,
      source,
      ...info,
      daysLeft: Math.floor((info.notAfter - now()) / DAY_MS),
      alarm: isAlarm(held),
      failures: state?.failures ?? 0,
      ...(problem === undefined ? {} : { problem }),
      ...(state === undefined || state.nextAttemptAt === 0 ? {} : { nextAttemptAt: state.nextAttemptAt }),
    };
  }

  return {
    list: (): CertificateStatus[] => inventory.held().map(statusOf),
    alarms: (): Held[] => inventory.held().filter(isAlarm),
    /** True = well; a text says what is wrong. */
    health(): true | string {
      if (!enabled()) return true;
      const alarm = inventory.held().find(isAlarm);
      if (alarm !== undefined) return `${alarm.id}: ends ${dayText(alarm.info.notAfter)}`;
      const problem = inventory.anyProblem();
      if (problem !== undefined) return problem;
      return inventory.held()[0]?.source === "temporary" ? "temporary certificate" : true;
    },
    register(metrics: Pick<Metrics, "gauge">): void {
      const rows = (value: (held: Held) => number) => () =>
        inventory.held().map((held) => ({ labels: { certificate: held.id, source: held.source }, value: value(held) }));
      const labels = ["certificate", "source"];
      metrics.gauge(
        "lx_certificate_expiry_seconds",
        "Unix time at which a served certificate ends",
        labels,
        rows(({ info }) => Math.floor(info.notAfter / 1000)),
      );
      metrics.gauge(
        "lx_certificate_alarm",
        "1 when a certificate is about to end and has not been renewed",
        labels,
        rows((held) => (isAlarm(held) ? 1 : 0)),
      );
      metrics.gauge("lx_certificate_renewal_failures", "Failed renewals in a row", [], () => [
        { labels: {}, value: renewal().failures },
      ]);
    },
  };
}

import { join } from "node:path";
import type { TlsSettings } from "../config/sections/tls.ts";
import { AppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import type { Metrics } from "../ops/metrics.ts";
import type { Schedule } from "../ops/schedule.ts";
import { type CertificateInfo, DAY_MS, readCertificate } from "./certificate.ts";
import { dayText } from "./check.ts";
import { modeOf } from "./held.ts";
import { createInventory, type DomainCertificates } from "./inventory.ts";
import type { Listener, SecureOptions } from "./listener.ts";
import { ensureAuthority, ensureSelfSigned } from "./local-authority.ts";
import { createRenewer, type RenewalState } from "./renewer.ts";
import { createSecureTarget, type SecureTarget } from "./secure-target.ts";
import { type CertificateStatus, createStatus } from "./status.ts";
import { type CertificateStore, createCertificateStore } from "./store.ts";

export interface TlsDeps {
  settings: () => TlsSettings;
  domains?: () => DomainCertificates;
  dataDir: string;
  log: Logger;
  now: () => number;
  random: () => number;
  metrics?: Pick<Metrics, "gauge">;
}

export interface RenewRequest {
  /** At once, also when the present one is good. */
  force: boolean;
  /** In place of those in the config. */
  settings?: TlsSettings;
  /** Besides those in the config. */
  names?: readonly string[];
}

export interface Tls {
  /** What the listener opens HTTPS with: the certificates that are there, or a temporary one. Undefined = HTTPS is off. */
  prepare(): Promise<SecureOptions | undefined>;
  /** From now on certificates are renewed, and changed files are picked up. */
  start(listener: Listener, schedule: Schedule): void;
  /** Takes changed settings and domain profiles over; asks for a certificate when one is missing. */
  refresh(): Promise<void>;
  /** The answer to an http-01 challenge. */
  challenge(token: string): Promise<string | undefined>;
  readonly store: CertificateStore;
  /** Of what is served; without a running server, of what would be. */
  list(): Promise<CertificateStatus[]>;
  /**
   * A new certificate from where they come: the ACME server, or ourselves.
   * @returns whether there is a new one
   * @throws AppError `unsupported` when certificates are the operator's own files
   */
  renew(request: RenewRequest): Promise<boolean>;
  /** The local CA, without its key; undefined when there is none. */
  authority(): Promise<{ pem: string; info: CertificateInfo } | undefined>;
  /** Where plain HTTP may be redirected to. */
  secureTarget(): SecureTarget | undefined;
  health(): true | string;
}

/** Everything about certificates: where they come from, when they change, and what is said about them. */
export function createTls(deps: TlsDeps): Tls {
  const { log, now, settings } = deps;
  const store = createCertificateStore(join(deps.dataDir, "certs"), now);
  const local = { store, log, now };
  const domains = () => deps.domains?.() ?? { files: [], names: [] };
  const inventory = createInventory({ settings, domains, store, log, now });
  const renewer = createRenewer({ store, log, now, random: deps.random });
  const renewal = (): RenewalState =>
    modeOf(settings()) === "acme" ? renewer.state() : { failures: 0, nextAttemptAt: 0 };
  const enabled = () => settings().enable;
  const status = createStatus({ inventory, renewal, enabled, now, renewShare: () => settings().acme.renew_share });
  if (deps.metrics !== undefined) status.register(deps.metrics);
  let listener: Listener | undefined;
  /** What the listener serves, to see whether something has changed. */
  let served = "";
  let queue: Promise<unknown> = Promise.resolve();

  async function apply(): Promise<void> {
    await inventory.load(true);
    if (listener === undefined) return;
    const { entries, options, fingerprint } = await inventory.offer();
    if (fingerprint === served) return;
    try {
      await listener.swapCertificates(entries, options);
      served = fingerprint;
      const main = inventory.held()[0]?.info;
      log.info("serving another certificate", {
        names: main?.names.slice(0, 10),
        until: main && dayText(main.notAfter),
      });
    } catch (error) {
      log.error("the new certificate could not be taken into use, the old one stays", { reason: String(error) });
    }
  }

  /** One change at a time. */
  function applySoon(): Promise<void> {
    const run = queue.then(apply);
    queue = run.catch(() => undefined);
    return run;
  }

  async function round(): Promise<void> {
    if (!enabled()) return;
    if (modeOf(settings()) === "acme") {
      // The renewer has said what went wrong, and when it tries again.
      await renewer.renew({ settings: settings(), moreNames: domains().names }).catch(() => undefined);
    }
    await applySoon();
    for (const { id, source, info } of status.alarms()) {
      log.error(info.notAfter <= now() ? "a certificate has expired" : "a certificate is about to expire", {
        certificate: id,
        source,
        names: info.names.slice(0, 10),
        until: dayText(info.notAfter),
      });
    }
  }

  /** A day, or until the next attempt when the last one failed. */
  function untilNextRound(): number {
    const { nextAttemptAt } = renewal();
    return nextAttemptAt === 0 ? DAY_MS : Math.min(DAY_MS, Math.max(1000, nextAttemptAt - now()));
  }

  return {
    store,
    challenge: store.challenge,
    refresh: () =>
      round().catch((error: unknown) => log.error("certificates could not be looked at", { reason: String(error) })),
    health: status.health,
    secureTarget: createSecureTarget({
      held: inventory.held,
      configured: () => settings().names,
      ports: () => listener?.securePorts ?? [],
    }),
    async prepare() {
      const { enable, ssl_ports: ports, http2, http3 } = settings();
      if (!enable) return undefined;
      await inventory.load(true);
      const { entries, options, fingerprint } = await inventory.offer();
      served = fingerprint;
      return { ports, entries, http2, http3, options };
    },
    start(opened, schedule) {
      if (opened.securePorts.length === 0) return;
      listener = opened;
      const provable = opened.addresses.some((address) => address.startsWith("http:"));
      if (modeOf(settings()) === "acme" && settings().acme.challenge === "http-01" && !provable) {
        log.warn("http-01 needs an HTTP port (common.ports), to which port 80 of the names leads");
      }
      const watchMs = () => settings().watch_interval * 1000;
      schedule.every("certificate files", { intervalMs: watchMs }, async () => {
        if (await inventory.changed()) await applySoon();
      });
      schedule.every("certificate renewal", { intervalMs: untilNextRound, firstMs: 200 }, round);
    },
    async list() {
      if (listener === undefined) await inventory.load(false);
      return status.list();
    },
    async renew({ force, settings: asked = settings(), names = [] }) {
      const mode = modeOf(asked);
      if (mode === "files") throw new AppError("unsupported", "证书来自自己的文件：替换文件即可，服务器会自动读取");
      const moreNames = [...domains().names, ...names];
      const before = await store.load(mode);
      if (mode === "acme") await renewer.renew({ settings: asked, moreNames, force });
      else await ensureSelfSigned(local, { settings: asked, moreNames, force });
      if (listener !== undefined) await applySoon();
      return (await store.load(mode))?.cert !== before?.cert;
    },
    async authority() {
      const { local_ca } = settings();
      const wanted = enabled() && local_ca && modeOf(settings()) === "self-signed";
      const present = (await store.load("ca")) ?? (wanted ? await ensureAuthority(local, settings()) : undefined);
      return present === undefined ? undefined : { pem: present.cert, info: readCertificate(present.cert) };
    },
  };
}

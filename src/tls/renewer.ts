import type { TlsSettings } from "../config/sections/tls.ts";
import { type AppError, toAppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { type KeyPair, nameCovers, readCertificate } from "./certificate.ts";
import { dnsProof, httpProof, type Proof } from "./challenges.ts";
import { acmeNames } from "./held.ts";
import { backoffMs, dueAt, momentIn } from "./renewal.ts";
import type { AcmeRecord, CertificateStore } from "./store.ts";

export interface RenewerDeps {
  store: CertificateStore;
  log: Logger;
  now: () => number;
  random: () => number;
}

/** How the last attempts went; nothing while all is well. */
export interface RenewalState {
  failures: number;
  /** Unix ms; 0 = no attempt is waiting. */
  nextAttemptAt: number;
  lastError?: string;
}

export interface RenewOptions {
  settings: TlsSettings;
  /** Names of the domain profiles. */
  moreNames: readonly string[];
  /** At once, whatever is left of the old one and however often it failed. */
  force?: boolean;
}

export interface Renewer {
  /**
   * Gets a certificate from the ACME server when there is none, when it is due, or when it lacks a name.
   * @returns whether a new one was stored
   * @throws AppError what the attempt failed with; it is remembered, and the next one waits
   */
  renew(options: RenewOptions): Promise<boolean>;
  state(): RenewalState;
}

/** Loaded when a certificate is asked for: most servers never do, and the client is large. */
const acmeClient = () => import("./acme.ts");

const LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory";

/** @see https://letsencrypt.org/docs/acme-protocol-updates and /docs/staging-environment */
export function directoryOf({ acme: { directory_url, staging } }: TlsSettings): string {
  if (directory_url !== "") return directory_url;
  return staging ? LETS_ENCRYPT_STAGING : LETS_ENCRYPT;
}

export function createRenewer({ store, log, now, random }: RenewerDeps): Renewer {
  let state: RenewalState = { failures: 0, nextAttemptAt: 0 };
  let running: Promise<boolean> | undefined;

  async function attempt(options: RenewOptions): Promise<boolean> {
    const { settings, force = false } = options;
    const { serverSlug } = await acmeClient();
    const directoryUrl = directoryOf(settings);
    const server = serverSlug(directoryUrl);
    const names = acmeNames(settings, options.moreNames);
    const order = JSON.stringify([names, settings.acme.challenge, settings.acme.dns_hook]);
    const record = await store.loadAcme(server);
    const present = await store.load("acme");
    state = stateOf(record?.order === order ? record : undefined);
    if (!force) {
      if (now() < state.nextAttemptAt) return false;
      if (present !== undefined && !(await isDue(present, names, settings, record?.issued))) return false;
    }
    try {
      await issue(settings, names, record?.issued === undefined ? undefined : present);
      return true;
    } catch (error) {
      await remember(server, order, settings, toAppError(error));
      throw error;
    }
  }

  async function isDue(present: KeyPair, names: string[], settings: TlsSettings, issued: string | undefined) {
    const info = readCertificate(present.cert);
    if (issued !== info.fingerprint) return true;
    if (!names.every((name) => info.names.some((own) => nameCovers(own, name)))) return true;
    if (now() >= dueAt(info, settings.acme.renew_share)) return true;
    const { readAuthorityFile } = await acmeClient();
    const { fetchRenewalWindow } = await import("./renewal-info.ts");
    const ca = await readAuthorityFile(settings.acme.ca_file);
    const window = await fetchRenewalWindow(directoryOf(settings), present.cert, ca);
    return window !== undefined && now() >= momentIn(window, info.serial);
  }

  async function issue(settings: TlsSettings, names: string[], replaces: KeyPair | undefined): Promise<void> {
    const { acme: wish, key_type: keyType } = settings;
    const { issueCertificate, readAuthorityFile, serverSlug } = await acmeClient();
    const directoryUrl = directoryOf(settings);
    const startedAt = now();
    log.info("asking for a certificate", { names, server: URL.parse(directoryUrl)?.host });
    const pair = await issueCertificate(
      {
        directoryUrl,
        email: wish.email,
        names,
        keyType,
        eab: wish.eab_kid === "" ? undefined : { kid: wish.eab_kid, hmacKey: wish.eab_hmac },
        ca: await readAuthorityFile(wish.ca_file),
        replaces,
      },
      { store, proof: proofOf(settings), log, now },
    );
    await store.save("acme", pair);
    const { fingerprint, notAfter } = readCertificate(pair.cert);
    const server = serverSlug(directoryUrl);
    const known = await store.loadAcme(server);
    if (known !== undefined) {
      const { lastError: _, order: __, ...kept } = known;
      await store.saveAcme(server, { ...kept, failures: 0, nextAttemptAt: 0, issued: fingerprint });
    }
    state = stateOf(undefined);
    log.info("got a certificate", { names, until: new Date(notAfter), ms: now() - startedAt });
  }

  function proofOf(settings: TlsSettings): Proof {
    const { challenge, dns_hook: hook, dns_wait } = settings.acme;
    return challenge === "http-01" ? httpProof(store) : dnsProof({ hook, waitMs: dns_wait * 1000 });
  }

  async function remember(server: string, order: string, settings: TlsSettings, error: AppError): Promise<void> {
    const failures = state.failures + 1;
    const nextAttemptAt = Math.round(now() + backoffMs(failures, settings.acme.retry_after * 1000, random));
    state = { failures, nextAttemptAt, lastError: error.message };
    // Without a record there is not even an account key, so nothing was asked of the server.
    const known = await store.loadAcme(server).catch(() => undefined);
    if (known !== undefined) {
      const record: AcmeRecord = { ...known, failures, nextAttemptAt, lastError: error.message, order };
      await store.saveAcme(server, record).catch((failure: unknown) => {
        log.warn("the failure could not be written down", { reason: String(failure) });
      });
    }
    log.error("no certificate from the ACME server", {
      reason: error.message,
      failures,
      nextAttempt: new Date(nextAttemptAt),
    });
  }

  return {
    renew(options) {
      running ??= attempt(options).finally(() => {
        running = undefined;
      });
      return running;
    },
    state: () => state,
  };
}

function stateOf(record: AcmeRecord | undefined): RenewalState {
  if (record === undefined || record.failures === 0) return { failures: 0, nextAttemptAt: 0 };
  const { failures, nextAttemptAt, lastError } = record;
  return { failures, nextAttemptAt, ...(lastError === undefined ? {} : { lastError }) };
}

import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import type { TlsSettings } from "../config/sections/tls.ts";
import type { Logger } from "../ops/log.ts";
import { DAY_MS, type KeyPair, readCertificate } from "./certificate.ts";
import { dueAt } from "./renewal.ts";
import { createAuthority, createSelfSigned, hostOf, hostsAmong, LEAF_DAYS, localNames } from "./self-signed.ts";
import type { CertificateStore } from "./store.ts";

export interface LocalDeps {
  store: CertificateStore;
  log: Logger;
  now: () => number;
}

export interface LocalWish {
  settings: Pick<TlsSettings, "names" | "local_ca" | "key_type" | "acme">;
  /** Names of the domain profiles, and what a command adds. */
  moreNames: readonly string[];
  /** A new one also when the present one is good. */
  force?: boolean;
}

/** The self-signed certificate that we serve: the stored one while it is good, else a new one (which is stored). */
export async function ensureSelfSigned(deps: LocalDeps, wish: LocalWish): Promise<KeyPair> {
  const { store, now } = deps;
  const { settings } = wish;
  const present = await store.load("self-signed");
  const authority = settings.local_ca ? await ensureAuthority(deps, settings) : undefined;
  const configured = unique([...settings.names, ...wish.moreNames].map(hostOf));
  const wanted = unique([...configured, ...localNames()]);
  // Without a CA every new certificate must be trusted by hand again, so a moved LAN address is no reason for one.
  const needed = authority === undefined ? configured : wanted;
  if (present !== undefined && wish.force !== true && isGood(present, { needed, authority, settings, now: now() })) {
    return present;
  }
  const names = unique([...wanted, ...hostNamesOf(present)]);
  const made = await createSelfSigned({ names, keyType: settings.key_type, authority, now: now() });
  await store.save("self-signed", made);
  deps.log.info("made a self-signed certificate", { names, until: new Date(readCertificate(made.cert).notAfter) });
  return made;
}

/** In memory only: for HTTPS until the right certificate is there. */
export async function createTemporary(deps: LocalDeps, wish: LocalWish): Promise<KeyPair> {
  const { settings } = wish;
  const authority = settings.local_ca ? await deps.store.load("ca").catch(() => undefined) : undefined;
  const names = unique([...settings.names, ...wish.moreNames].flatMap(hostsAmong).concat(localNames()));
  return createSelfSigned({ names, keyType: settings.key_type, authority, now: deps.now(), days: 30 });
}

/** The CA that phones were told to trust; a new one only when it is about to end. */
export async function ensureAuthority(
  { store, log, now }: LocalDeps,
  settings: Pick<TlsSettings, "key_type">,
): Promise<KeyPair> {
  const present = await store.load("ca");
  if (present !== undefined && readCertificate(present.cert).notAfter - now() > (LEAF_DAYS + 1) * DAY_MS)
    return present;
  const made = await createAuthority(settings.key_type, now());
  await store.save("ca", made);
  const { fingerprint } = readCertificate(made.cert);
  log.info("made a local CA; devices trust it once, by the page /ca", { fingerprint });
  return made;
}

interface Measure {
  needed: readonly string[];
  authority: KeyPair | undefined;
  settings: LocalWish["settings"];
  now: number;
}

function isGood(present: KeyPair, { needed, authority, settings, now }: Measure): boolean {
  const info = readCertificate(present.cert);
  if (now >= dueAt(info, settings.acme.renew_share)) return false;
  if (!info.keyType.startsWith(settings.key_type.toUpperCase())) return false;
  if (!needed.every((name) => info.names.includes(name))) return false;
  if (authority === undefined) return info.selfSigned;
  return new X509Certificate(present.cert).verify(new X509Certificate(authority.cert).publicKey);
}

/** Names that an earlier command asked for stay; addresses come and go with the network. */
function hostNamesOf(pair: KeyPair | undefined): string[] {
  return pair === undefined ? [] : readCertificate(pair.cert).names.filter((name) => isIP(name) === 0);
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}

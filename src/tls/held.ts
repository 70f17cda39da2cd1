import type { TlsSettings } from "../config/sections/tls.ts";
import { toAppError } from "../core/errors.ts";
import { type CertificateInfo, type KeyPair, readCertificate } from "./certificate.ts";
import { loadPair } from "./files.ts";
import { ensureSelfSigned, type LocalDeps, type LocalWish } from "./local-authority.ts";
import { hostOf } from "./self-signed.ts";

export type CertificateSource = "files" | "self-signed" | "acme" | "temporary";

/** A certificate that we serve. */
export interface Held {
  /** "main", or "sni 1 music.example.com". */
  id: string;
  source: CertificateSource;
  pair: KeyPair;
  info: CertificateInfo;
  /** Names that select it. */
  names: string[];
}

/** One place where a certificate was looked for. */
export interface Looked {
  id: string;
  held?: Held;
  /** Why there is none. */
  problem?: string;
  /** It works, but not everywhere. */
  warnings: string[];
}

export interface SniFiles {
  /** Empty = all names of the certificate. */
  name: string;
  cert: string;
  privkey: string;
}

const PLACEHOLDERS = { cert: "/path/to/your/cer", privkey: "/path/to/your/private/key" };

/** `auto` decided. */
export function modeOf(settings: TlsSettings): "files" | "self-signed" | "acme" {
  if (settings.mode !== "auto") return settings.mode;
  const { cert } = settings.path;
  if (cert !== "" && cert !== PLACEHOLDERS.cert) return "files";
  return settings.acme.names.length > 0 ? "acme" : "self-signed";
}

/** Names that the ACME certificate is to have. @throws AppError `invalid_request` */
export function acmeNames(settings: TlsSettings, more: readonly string[]): string[] {
  const { acme, names } = settings;
  return [...new Set([...(acme.names.length > 0 ? acme.names : names), ...more].map(hostOf))];
}

/**
 * The certificate for everyone who asks for no other.
 * @param create make a self-signed one where it is wanted and missing; else only look
 */
export async function lookForMain(deps: LocalDeps, wish: LocalWish & { settings: TlsSettings }, create: boolean) {
  const source = modeOf(wish.settings);
  return look("main", async (looked) => {
    if (source === "files") {
      const { pair, info, warnings } = await loadPair(wish.settings.path, deps.now());
      looked.warnings.push(...warnings);
      return { source, pair, info, names: info.names };
    }
    const pair =
      source === "self-signed" && create ? await ensureSelfSigned(deps, wish) : await deps.store.load(source);
    if (pair === undefined) return undefined;
    const info = readCertificate(pair.cert);
    return { source, pair, info, names: info.names };
  });
}

/** The certificates of further names; one that cannot be used does not keep the others from being served. */
export function lookForOthers(files: readonly SniFiles[], now: number): Promise<Looked[]> {
  return Promise.all(
    files.map((item, index) =>
      look(`sni ${index + 1}${item.name === "" ? "" : ` ${item.name}`}`, async (looked) => {
        const { pair, info, warnings } = await loadPair(item, now);
        looked.warnings.push(...warnings);
        return { source: "files" as const, pair, info, names: item.name === "" ? info.names : [hostOf(item.name)] };
      }),
    ),
  );
}

async function look(id: string, load: (looked: Looked) => Promise<Omit<Held, "id"> | undefined>): Promise<Looked> {
  const looked: Looked = { id, warnings: [] };
  try {
    const found = await load(looked);
    if (found !== undefined) looked.held = { id, ...found };
  } catch (error) {
    looked.problem = toAppError(error).message;
  }
  return looked;
}

import { mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { writeAtomic } from "../config/store.ts";
import { AppError } from "../core/errors.ts";
import { fileFault } from "../core/file-fault.ts";
import { CERTIFICATE_LABEL, type KeyPair, PRIVATE_KEY_LABEL, pemBlocks } from "./certificate.ts";

/** `ca` is the local authority; the others are what HTTPS is served with. */
export const STORED_NAMES = ["acme", "self-signed", "ca"] as const;
export type StoredName = (typeof STORED_NAMES)[number];

/** What is remembered of an ACME server: our account there, and how the last attempts went. */
const AcmeRecord = Type.Object({
  /** PEM. */
  accountKey: Type.String(),
  accountUrl: Type.Optional(Type.String()),
  /** Failures in a row; with the next attempt it survives a restart, so that a crash loop does not become an order loop. */
  failures: Type.Integer({ minimum: 0, default: 0 }),
  /** Unix ms. */
  nextAttemptAt: Type.Integer({ minimum: 0, default: 0 }),
  lastError: Type.Optional(Type.String()),
  /** What the failures were about: another order may be tried at once. */
  order: Type.Optional(Type.String()),
  /** Fingerprint of the certificate that this server gave us last. */
  issued: Type.Optional(Type.String()),
});
export type AcmeRecord = Static<typeof AcmeRecord>;

export interface CertificateStore {
  /** Undefined when there is none, or what is there is damaged. */
  load(name: StoredName): Promise<KeyPair | undefined>;
  save(name: StoredName, pair: KeyPair): Promise<void>;
  remove(name: StoredName): Promise<void>;
  fileOf(name: StoredName): string;
  /** @param server names the ACME server in the file system */
  loadAcme(server: string): Promise<AcmeRecord | undefined>;
  saveAcme(server: string, record: AcmeRecord): Promise<void>;
  /** http-01 answers lie in files, so that a command and a running server (or several) answer for each other. */
  putChallenge(token: string, answer: string): Promise<void>;
  challenge(token: string): Promise<string | undefined>;
  removeChallenge(token: string): Promise<void>;
}

/** Challenges older than this were left behind by a process that was killed. */
const CHALLENGE_LIFE_MS = 3_600_000;

/**
 * The folder `certs/` of the data folder. Key and chain are one file: it is replaced by one rename, so the two can
 * never be of different certificates.
 */
export function createCertificateStore(folder: string, now: () => number): CertificateStore {
  const fileOf = (name: StoredName) => join(folder, `${name}.pem`);
  const acmeFile = (server: string) => join(folder, "acme", `${server}.json`);
  const challengeFile = (token: string) => join(folder, "acme", "challenges", token);

  return {
    fileOf,
    async load(name) {
      const text = await readOrNothing(fileOf(name));
      if (text === undefined) return undefined;
      const [key] = pemBlocks(text, PRIVATE_KEY_LABEL);
      const chain = pemBlocks(text, CERTIFICATE_LABEL);
      return key === undefined || chain.length === 0 ? undefined : { cert: chain.join(""), key };
    },
    save: (name, pair) => storeFile(fileOf(name), pair.key + pair.cert),
    remove: (name) => rm(fileOf(name), { force: true }),
    async loadAcme(server) {
      const text = await readOrNothing(acmeFile(server));
      if (text === undefined) return undefined;
      const record = Value.Default(AcmeRecord, parseJson(text));
      return Value.Check(AcmeRecord, record) ? record : undefined;
    },
    saveAcme: (server, record) => storeFile(acmeFile(server), `${JSON.stringify(record, null, 2)}\n`),
    async putChallenge(token, answer) {
      requireToken(token);
      await removeOld(dirname(challengeFile(token)), now() - CHALLENGE_LIFE_MS);
      await storeFile(challengeFile(token), answer);
    },
    challenge: async (token) => (isToken(token) ? readOrNothing(challengeFile(token)) : undefined),
    async removeChallenge(token) {
      requireToken(token);
      await rm(challengeFile(token), { force: true });
    },
  };
}

/** base64url (RFC 8555 section 8.3); what else would be a path is no token. */
function isToken(token: string): boolean {
  return /^[\w-]{1,256}$/.test(token);
}

function requireToken(token: string): void {
  if (!isToken(token))
    throw new AppError("upstream_changed", "证书服务器的回应无法识别", { detail: "challenge token" });
}

async function removeOld(folder: string, before: number): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const file = join(folder, name);
    const changedAt = (await stat(file).catch(() => undefined))?.mtimeMs;
    if (changedAt !== undefined && changedAt < before) await rm(file, { force: true });
  }
}

async function readOrNothing(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENOTDIR")) return;
    throw new AppError("storage_failed", `${file} cannot be read: ${fileFault(error, file)}`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** For the owner only, flushed, and there as a whole or not at all. */
async function storeFile(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeAtomic(file, text);
  } catch (error) {
    throw new AppError("storage_failed", `${file} cannot be written: ${fileFault(error, file)}`, { cause: error });
  }
}

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Agent } from "node:https";
import acme from "acme-client";
import { AppError, isAppError } from "../core/errors.ts";
import type { Logger } from "../ops/log.ts";
import { type KeyPair, readCertificate } from "./certificate.ts";
import type { Proof } from "./challenges.ts";
import { checkPair } from "./check.ts";
import { renewalId } from "./renewal-info.ts";
import { createKey, type KeyType } from "./self-signed.ts";
import type { AcmeRecord, CertificateStore } from "./store.ts";

export interface AcmeOrder {
  directoryUrl: string;
  /** Empty = none is told. */
  email: string;
  names: readonly string[];
  keyType: KeyType;
  /** External account binding, for servers that want one. */
  eab?: { kid: string; hmacKey: string } | undefined;
  /** PEM of a private server's CA. */
  ca?: string | undefined;
  /** The certificate that the new one takes the place of. */
  replaces?: KeyPair | undefined;
}

export interface AcmeDeps {
  store: CertificateStore;
  proof: Proof;
  log: Logger;
  now: () => number;
}

const REQUEST_DEADLINE_MS = 30_000;
/** All of an order: the proofs of several names, with a slow DNS, take minutes. */
const ORDER_DEADLINE_MS = 15 * 60_000;

/**
 * Gets a certificate. Account and key are kept in the store, so that the server knows us again.
 *
 * @throws AppError `upstream_unreachable` when the server cannot be asked, `upstream_refused` with the server's reason
 *   when it says no, `invalid_request` when our own settings cannot work
 */
export async function issueCertificate(order: AcmeOrder, deps: AcmeDeps): Promise<KeyPair> {
  requireProvable(order, deps.proof);
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new AppError("upstream_unreachable", "证书签发超时")), ORDER_DEADLINE_MS);
  });
  try {
    await requireReachable(order);
    return await Promise.race([runOrder(order, deps), late]);
  } catch (error) {
    throw describeFailure(error, order.directoryUrl);
  } finally {
    clearTimeout(timer);
  }
}

function requireProvable(order: AcmeOrder, proof: Proof): void {
  if (order.names.length === 0) {
    throw new AppError("invalid_request", "没有要签发的域名：请设置 common.ssl_info.acme.names");
  }
  const wildcard = order.names.find((name) => name.startsWith("*."));
  if (wildcard !== undefined && proof.type !== "dns-01") {
    throw new AppError("invalid_request", `通配符 ${wildcard} 只能用 dns-01 验证（common.ssl_info.acme.challenge）`);
  }
}

/** The client library loses the reason when there is no answer at all, so it is found out first. */
async function requireReachable({ directoryUrl, ca }: AcmeOrder): Promise<void> {
  let status: number;
  try {
    const reply = await fetch(directoryUrl, {
      signal: AbortSignal.timeout(REQUEST_DEADLINE_MS),
      ...(ca === undefined ? {} : { tls: { ca } }),
    });
    await reply.body?.cancel();
    status = reply.status;
  } catch (error) {
    throw unreachable(directoryUrl, codeOf(error) ?? messageOf(error));
  }
  if (status !== 200) throw unreachable(directoryUrl, `HTTP ${status}`);
}

async function runOrder(order: AcmeOrder, deps: AcmeDeps): Promise<KeyPair> {
  const client = await signIn(order, deps);
  const placed = await placeOrder(client, order);
  await prove(client, await client.getAuthorizations(placed), deps);
  const key = await createKey(order.keyType);
  const [, request] = await acme.crypto.createCsr({ altNames: [...order.names] }, key);
  const chain = await client.getCertificate(await client.finalizeOrder(placed, request));
  const { pair } = checkPair(chain, key, { cert: "the new certificate", key: "its key" }, deps.now());
  return pair;
}

/** Our account at this server: the one we have, or a new one. */
async function signIn(order: AcmeOrder, deps: AcmeDeps): Promise<acme.Client> {
  const server = serverSlug(order.directoryUrl);
  const record = (await deps.store.loadAcme(server)) ?? (await newRecord(deps.store, server));
  Object.assign(acme.axios.defaults, {
    timeout: REQUEST_DEADLINE_MS,
    // The client's own setting: one further try of a request after 2 seconds.
    acmeSettings: { retryMaxAttempts: 1, retryDefaultDelay: 2 },
    httpsAgent: new Agent(order.ca === undefined ? {} : { ca: order.ca }),
  });
  const connect = (accountUrl?: string) =>
    new acme.Client({
      directoryUrl: order.directoryUrl,
      accountKey: record.accountKey,
      backoffAttempts: 12,
      backoffMin: 500,
      backoffMax: 15_000,
      ...(accountUrl === undefined ? {} : { accountUrl }),
      ...(order.eab === undefined ? {} : { externalAccountBinding: order.eab }),
    });
  if (record.accountUrl !== undefined) {
    const known = connect(record.accountUrl);
    try {
      const { status } = await known.updateAccount();
      if (status === "valid") return known;
      deps.log.warn("the ACME account is no longer valid, making a new one", { status });
    } catch (error) {
      if (!isRefusal(error)) throw error;
      deps.log.warn("the ACME server does not know our account any more, making a new one", { reason: String(error) });
    }
  }
  const client = connect();
  await register(client, order.email);
  await deps.store.saveAcme(server, { ...record, accountUrl: client.getAccountUrl() });
  return client;
}

async function register(client: acme.Client, email: string): Promise<void> {
  try {
    await client.createAccount({
      termsOfServiceAgreed: true,
      ...(email === "" ? {} : { contact: [`mailto:${email}`] }),
    });
  } catch (error) {
    // The server has an account for our key. The library then writes it anew, which some servers refuse; we need only
    // its address, which the library has by now.
    if (!isRefusal(error) || !hasAccount(client)) throw error;
  }
}

function hasAccount(client: acme.Client): boolean {
  try {
    return client.getAccountUrl() !== "";
  } catch {
    return false;
  }
}

async function newRecord(store: CertificateStore, server: string): Promise<AcmeRecord> {
  const record: AcmeRecord = { accountKey: await createKey("ec"), failures: 0, nextAttemptAt: 0 };
  await store.saveAcme(server, record);
  return record;
}

/** Tells the server what is replaced, which spares us its rate limits; a server that minds is not told again. */
async function placeOrder(client: acme.Client, order: AcmeOrder): Promise<acme.Order> {
  const identifiers = order.names.map((value) => ({ type: "dns", value }));
  const replaces = order.replaces === undefined ? undefined : renewalId(order.replaces.cert);
  if (replaces !== undefined) {
    const payload = { identifiers, replaces };
    try {
      return await client.createOrder(payload);
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
  return client.createOrder({ identifiers });
}

interface Task {
  host: string;
  challenge: acme.Authorization["challenges"][number];
  answer: string;
}

/** Shows for every name that it is ours. What was shown is taken away again, whatever happens. */
async function prove(client: acme.Client, authorizations: acme.Authorization[], deps: AcmeDeps): Promise<void> {
  const { proof, log } = deps;
  const tasks: Task[] = [];
  try {
    for (const authorization of authorizations) {
      if (authorization.status === "valid") continue;
      const host = authorization.identifier.value;
      const challenge = authorization.challenges.find((item) => item.type === proof.type);
      if (challenge === undefined) {
        throw new AppError("upstream_refused", `证书服务器不接受以 ${proof.type} 验证 ${host}`);
      }
      const answer = await client.getChallengeKeyAuthorization(challenge);
      tasks.push({ host, challenge, answer });
      await proof.present(host, challenge.token, answer);
    }
    if (tasks.length > 0) await proof.settle();
    await Promise.all(tasks.map((task) => complete(client, task)));
  } finally {
    for (const { host, challenge, answer } of tasks) {
      await proof.cleanUp(host, challenge.token, answer).catch((error: unknown) => {
        log.warn("the proof of a name could not be taken away", { host, reason: String(error) });
      });
    }
  }
}

async function complete(client: acme.Client, { host, challenge }: Task): Promise<void> {
  try {
    await client.completeChallenge(challenge);
    await client.waitForValidStatus(challenge);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    throw new AppError("upstream_refused", `${host} 验证失败：${messageOf(error)}`);
  }
}

/** Names an ACME server in the file system: its host, and a hash because one host may have several directories. */
export function serverSlug(directoryUrl: string): string {
  const host = (URL.parse(directoryUrl)?.hostname ?? "server").replace(/[^a-z0-9.-]/gi, "_");
  return `${host}-${createHash("sha256").update(directoryUrl).digest("hex").slice(0, 8)}`;
}

/** @throws AppError `invalid_request` */
export async function readAuthorityFile(file: string): Promise<string | undefined> {
  if (file === "") return undefined;
  try {
    const text = await readFile(file, "utf8");
    readCertificate(text);
    return text;
  } catch (error) {
    throw new AppError("invalid_request", `acme.ca_file ${file} cannot be used: ${messageOf(error)}`);
  }
}

/** The server answered and said no. The library's own TypeError means that there was no answer to read. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && !isAppError(error) && !(error instanceof TypeError) && codeOf(error) === undefined;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 500);
}

function describeFailure(error: unknown, directoryUrl: string): AppError {
  if (isAppError(error)) return error;
  if (!isRefusal(error)) return unreachable(directoryUrl, codeOf(error) ?? "没有回应", error);
  return new AppError("upstream_refused", `证书签发失败：${messageOf(error)}`, { cause: error });
}

function unreachable(directoryUrl: string, reason: string, cause?: unknown): AppError {
  const host = URL.parse(directoryUrl)?.host ?? directoryUrl;
  return new AppError("upstream_unreachable", `无法连接证书服务器 ${host}（${reason}）`, { cause });
}

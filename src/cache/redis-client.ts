import { readFileSync } from "node:fs";
import type { Cluster, ClusterOptions, Redis, RedisOptions } from "ioredis";
import { AppError } from "../core/errors.ts";
import { fileFault } from "../core/file-fault.ts";
import type { Logger } from "../ops/log.ts";
import type { CacheConfig } from "./kinds.ts";

export type RedisSettings = CacheConfig["redis"];
export type RedisClient = Redis | Cluster;

/** How long a connection may take, and how long a server may say nothing to a question (ms). */
const CONNECT_MS = 2_000;
const SILENCE_MS = 4_000;
const RETRY_MS = 15;

/** Loaded by those who have a Redis: the library takes longer to start than all of the server without it. */
const library = () => require("ioredis") as typeof import("ioredis");

/**
 * A client for one server, for the master that sentinels name, or for a cluster. It connects by itself, again and
 * again; meanwhile every command fails at once, so that no request waits for a connection.
 */
export function createRedisClient(settings: RedisSettings, log: Logger): RedisClient {
  const client = settings.mode === "cluster" ? clusterOf(settings) : new (library().Redis)(singleOf(settings));
  // Without a listener Node ends the process. What fails is told by the commands; the chain notes it once.
  client.on("error", (error) => {
    troubles.set(client, error);
    log.debug("redis connection", { error });
  });
  client.on("ready", () => troubles.delete(client));
  return client;
}

const troubles = new WeakMap<RedisClient, Error>();

/** Why there is no connection: refused, a wrong password, a certificate. A command only says that there is none. */
export function troubleOf(client: RedisClient): Error | undefined {
  return client.status === "ready" ? undefined : troubles.get(client);
}

/** The masters of a cluster, or the one server: what has to be walked to see every key. */
export function mastersOf(client: RedisClient): Redis[] {
  return isCluster(client) ? client.nodes("master") : [client];
}

export function isCluster(client: RedisClient): client is Cluster {
  return client.isCluster;
}

const opening = new WeakMap<RedisClient, Promise<void>>();

/**
 * Resolves once it takes commands. All who wait share one pair of listeners, however often they ask.
 * @throws Error why there is no connection, as soon as that is known; it goes on trying by itself
 */
export async function connected(client: RedisClient): Promise<void> {
  if (client.status === "ready") return;
  const trouble = troubleOf(client);
  if (trouble !== undefined) throw trouble;
  const wait = opening.get(client) ?? firstWord(client).finally(() => opening.delete(client));
  opening.set(client, wait);
  await wait;
}

function firstWord(client: RedisClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const good = () => {
      client.off("error", bad);
      resolve();
    };
    const bad = (error: Error) => {
      client.off("ready", good);
      reject(error);
    };
    client.once("ready", good);
    client.once("error", bad);
  });
}

function sharedOptions(settings: RedisSettings) {
  return {
    // Understood by every server that speaks this protocol, old ones and work-alikes too.
    protocol: 2,
    connectTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    ...(settings.user === "" ? {} : { username: settings.user }),
    ...(settings.password === "" ? {} : { password: settings.password }),
    ...(settings.tls ? { tls: tlsOf(settings) } : {}),
  } as const satisfies RedisOptions;
}

function singleOf(settings: RedisSettings) {
  const options = {
    ...sharedOptions(settings),
    enableOfflineQueue: false,
    retryStrategy: pause,
    db: settings.db,
  } satisfies RedisOptions;
  if (settings.mode === "standalone") return { ...options, host: settings.host, port: settings.port };
  return {
    ...options,
    sentinels: nodesOf(settings),
    name: settings.sentinel_name,
    sentinelRetryStrategy: pause,
    // A demoted master still talks, but takes no writes: find the new one.
    reconnectOnError: (error: Error) => error.message.startsWith("READONLY"),
    ...(settings.sentinel_user === "" ? {} : { sentinelUsername: settings.sentinel_user }),
    ...(settings.sentinel_password === "" ? {} : { sentinelPassword: settings.sentinel_password }),
    ...(settings.tls ? { enableTLSForSentinelMode: true, sentinelTLS: tlsOf(settings) } : {}),
  } satisfies RedisOptions;
}

function clusterOf(settings: RedisSettings): Cluster {
  const options = {
    enableOfflineQueue: false,
    clusterRetryStrategy: pause,
    slotsRefreshTimeout: CONNECT_MS,
    // Far below the deadline of one operation: the first question to a node may meet a connection in the making.
    retryDelayOnFailover: RETRY_MS,
    retryDelayOnClusterDown: RETRY_MS,
    retryDelayOnTryAgain: RETRY_MS,
    redisOptions: sharedOptions(settings),
    // Certificates name hosts, so addresses that the cluster tells must not be looked up first.
    ...(settings.tls ? { dnsLookup: asItIs } : {}),
  } satisfies ClusterOptions;
  return new (library().Cluster)(nodesOf(settings), options);
}

const asItIs: NonNullable<ClusterOptions["dnsLookup"]> = (address, callback) => callback(null, address);

function nodesOf(settings: RedisSettings): { host: string; port: number }[] {
  if (settings.nodes.length === 0) return [{ host: settings.host, port: settings.port }];
  return settings.nodes.map((node) => {
    const colon = node.lastIndexOf(":");
    return { host: node.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(node.slice(colon + 1)) };
  });
}

function tlsOf(settings: RedisSettings) {
  const file = (name: "tls_ca" | "tls_cert" | "tls_key") => {
    const path = settings[name];
    try {
      return path === "" ? undefined : readFileSync(path);
    } catch (error) {
      const reason = `common.cache.redis.${name}: cannot read ${path}: ${fileFault(error, path)}`;
      throw new AppError("invalid_request", reason, { cause: error });
    }
  };
  const [ca, cert, key] = [file("tls_ca"), file("tls_cert"), file("tls_key")];
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(settings.tls_server_name === "" ? {} : { servername: settings.tls_server_name }),
  };
}

/** Pause before the next attempt to connect (ms). */
function pause(times: number): number {
  return Math.min(50 * 2 ** Math.min(times, 7), 3_000) * (1 + Math.random() / 4);
}

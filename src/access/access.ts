import type { Database } from "bun:sqlite";
import type { Redis } from "ioredis";
import type { Config } from "../config/schema.ts";
import type { Logger } from "../ops/log.ts";
import { parseAddress } from "./address.ts";
import { type Admin, createAdmin } from "./admin.ts";
import { type Audit, createAudit } from "./audit.ts";
import { createBanSharing } from "./ban-sharing.ts";
import { type BanPolicy, type Bans, createBans } from "./bans.ts";
import { createHostList, type HostList } from "./host.ts";
import { createKeys, type Keys } from "./keys.ts";
import { createMemoryLimiter, type Limiter, type LimitOptions } from "./limits.ts";
import { createRedisLimiter } from "./limits-redis.ts";
import { type NetworkSet, networkSet } from "./networks.ts";
import { createPeerReader, type PeerReader } from "./peer.ts";
import { createSharedQuota } from "./quota-redis.ts";
import { createSecret, type RotatingSecret, sharedSecret } from "./secrets.ts";
import { createSignedLinks, type SignedLinks } from "./signed-links.ts";
import { createTables, watchOthers } from "./store.ts";

type Security = Config["security"];
export type AccessConfig = { security: Security; reverse_proxy: Config["common"]["reverse_proxy"] };

export interface AccessDeps {
  db: Database;
  config: AccessConfig;
  log: Logger;
  /** With `security.rate_limit.shared`: limits, quotas, bans and the link secret are common to all instances. */
  redis?: Redis | undefined;
  /** Of every key in Redis: `common.cache.redis.key_prefix`. */
  prefix?: string;
  /** Unix ms; for tests. */
  now?: () => number;
}

/** Everything that decides who may ask. What depends on the config is replaced when that changes. */
export interface Access {
  readonly security: Security;
  readonly peers: PeerReader;
  readonly allowedHosts: HostList;
  readonly whitelistHosts: HostList;
  readonly opsAllowed: NetworkSet;
  readonly limiter: Limiter;
  readonly keys: Keys;
  readonly bans: Bans;
  readonly links: SignedLinks;
  readonly admin: Admin;
  readonly audit: Audit;
  configure(config: AccessConfig): void;
  close(): Promise<void>;
}

const DAY_MS = 86_400_000;
const SESSION_SECRET_MS = 30 * DAY_MS;
const DEFAULT_PREFIX = "LXAPISERVER";

export async function createAccess(deps: AccessDeps): Promise<Access> {
  const { db, log, prefix = DEFAULT_PREFIX } = deps;
  const time = deps.now === undefined ? {} : { now: deps.now };
  const { security } = deps.config;
  createTables(db);
  const redis = security.rate_limit.shared ? deps.redis : undefined;
  if (security.rate_limit.shared && redis === undefined) log.warn("rate_limit.shared needs Redis, counting alone");
  const fixed =
    security.signed_link_secret !== "" || redis === undefined
      ? security.signed_link_secret
      : await sharedSecret(redis, `${prefix}:links`, log);
  let current = derive(deps.config, undefined, { ...deps, redis, prefix });
  const linkSecret = createSecret({
    db,
    name: "links",
    rotateMs: security.signed_link_rotation * 1000,
    keepMs: (security.signed_link_lifetime + security.signed_link_skew) * 1000,
    fixed,
    ...time,
  });
  const sessionSecret = createSecret({ db, name: "sessions", rotateMs: SESSION_SECRET_MS, keepMs: DAY_MS, ...time });
  const secrets: RotatingSecret[] = [linkSecret, sessionSecret];
  const shared = redis === undefined ? undefined : createSharedQuota(redis, prefix, log);
  const keys = createKeys({ db, configured: security.key.values, shared, ...time });
  const sharing = redis === undefined ? undefined : createBanSharing(redis, prefix, log);
  const bans = createBans({ db, policy: banPolicy(security), log, sharing, ...time });
  const admin = createAdmin({
    db,
    secret: sessionSecret,
    ...time,
    settings: () => adminSettings(current.config.security),
    onGuess: (address) => {
      const parsed = parseAddress(address);
      if (parsed !== undefined) bans.strike(parsed, "login");
    },
  });
  const stopWatching = watchOthers(db, (part) => {
    if (part === "keys") keys.reload();
    else if (part === "bans") bans.reload();
    else for (const secret of secrets) secret.reload();
  });

  return {
    get security() {
      return current.config.security;
    },
    get peers() {
      return current.peers;
    },
    get allowedHosts() {
      return current.allowedHosts;
    },
    get whitelistHosts() {
      return current.whitelistHosts;
    },
    get opsAllowed() {
      return current.opsAllowed;
    },
    get limiter() {
      return current.limiter;
    },
    links: createSignedLinks({
      secret: linkSecret,
      lifetimeSeconds: () => current.config.security.signed_link_lifetime,
      skewSeconds: () => current.config.security.signed_link_skew,
      ...time,
    }),
    keys,
    bans,
    admin,
    audit: createAudit(db, log, deps.now),
    configure(config) {
      const before = current.config.security;
      current = derive(config, current, { ...deps, redis, prefix });
      if (!Bun.deepEquals(before.key.values, config.security.key.values)) keys.configure(config.security.key.values);
      if (!Bun.deepEquals(banPolicy(before), banPolicy(config.security))) bans.configure(banPolicy(config.security));
    },
    async close() {
      stopWatching();
      keys.close();
      for (const secret of secrets) secret.close();
      await bans.close();
      await current.limiter.close();
    },
  };
}

interface Derived {
  config: AccessConfig;
  peers: PeerReader;
  allowedHosts: HostList;
  whitelistHosts: HostList;
  opsAllowed: NetworkSet;
  limiter: Limiter;
}

/** What follows from the config alone. Counters survive a change that does not touch the limits. */
function derive(
  config: AccessConfig,
  before: Derived | undefined,
  { redis, prefix, log, now }: Pick<AccessDeps, "log" | "redis" | "now"> & { prefix: string },
): Derived {
  const { security } = config;
  const options = limitOptions(security);
  const same = before !== undefined && Bun.deepEquals(options, limitOptions(before.config.security));
  const fresh = () =>
    redis === undefined ? createMemoryLimiter(options, now) : createRedisLimiter({ options, redis, prefix, log });
  const derived: Derived = {
    config,
    peers: createPeerReader(config.reverse_proxy),
    allowedHosts: createHostList(security.allowed_host.list),
    whitelistHosts: createHostList(security.whitelist_host),
    opsAllowed: networkSet(security.ops.allow),
    limiter: same ? before.limiter : fresh(),
  };
  warn(derived, log);
  return derived;
}

function warn({ config, peers, opsAllowed }: Derived, log: Logger): void {
  const { security, reverse_proxy } = config;
  const invalid = [...peers.invalid, ...opsAllowed.invalid, ...networkSet(security.banlist.allow).invalid];
  if (invalid.length > 0) log.warn("not an address or network, ignored", { entries: invalid });
  if (!security.signed_links) log.warn("signed_links is off: /cache, /local and /webdav are open to everyone");
  if (reverse_proxy.allow_proxy && reverse_proxy.allow_public_ip && reverse_proxy.trusted.length === 0) {
    log.warn("allow_public_ip without a list of trusted proxies: every client can name its own address");
  }
  if (!security.banlist.enable) log.warn("banlist is off: nobody is kept out");
}

function limitOptions({ rate_limit }: Security): LimitOptions {
  const { global, ip, rules, addresses } = rate_limit;
  return { global, ip, rules, addresses };
}

function adminSettings({ admin }: Security) {
  return {
    tokenSeconds: admin.token_lifetime,
    idleSeconds: admin.session_lifetime,
    minimumPassword: admin.password_length,
    lockout: { attempts: admin.lockout_attempts, seconds: admin.lockout_length },
  };
}

function banPolicy(security: Security): BanPolicy {
  const { banlist, key, lxm_ban, allowed_host } = security;
  const usual = banlist.expire.length;
  const { strikes, short_length: short } = banlist;
  return {
    enable: banlist.enable,
    expire: banlist.expire.enable,
    windowSeconds: banlist.window,
    growth: banlist.growth,
    maxSeconds: banlist.max_length,
    allow: banlist.allow,
    addresses: security.rate_limit.addresses,
    offences: {
      key: { count: key.ban ? strikes.key : 0, seconds: usual },
      lxm: { count: lxm_ban ? strikes.lxm : 0, seconds: usual },
      host: {
        count: allowed_host.blacklist.enable ? strikes.host : 0,
        seconds: allowed_host.blacklist.length > 0 ? allowed_host.blacklist.length : usual,
      },
      probe: { count: strikes.probe, seconds: short },
      login: { count: strikes.login, seconds: short },
    },
  };
}

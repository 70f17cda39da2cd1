import type { Database } from "bun:sqlite";
import { AppError } from "../core/errors.ts";
import { clientNetwork, parseAddress } from "./address.ts";
import { type ApiTokens, createApiTokens, TOKEN_PREFIX } from "./api-tokens.ts";
import { newSecret, sameSecret, sha256 } from "./digest.ts";
import { createLockout, type LockoutSettings } from "./lockout.ts";
import { createPasswords } from "./passwords.ts";
import type { RotatingSecret } from "./secrets.ts";
import { createSessions, type Grant, type SessionSettings, type Sessions } from "./sessions.ts";
import { createUsers, type User, type UserRole, type Users } from "./users.ts";

export interface AdminSettings extends SessionSettings {
  minimumPassword: number;
  lockout: LockoutSettings;
}

export interface AdminDeps {
  db: Database;
  /** Signs session tokens. */
  secret: RotatingSecret;
  settings: () => AdminSettings;
  /** Told of every wrong password, for the bans. */
  onGuess: (address: string) => void;
  now?: () => number;
  /** Waits before a refusal is told. */
  sleep?: (ms: number) => Promise<unknown>;
}

/** Who signed in, by whatever means. */
export interface Identity {
  role: UserRole;
  /** User name, `token:NAME` for programs. */
  name: string;
  user?: User;
  sessionId?: string;
}

export interface Login {
  name: string;
  password: string;
  address: string;
  agent: string;
}

export interface Admin {
  readonly users: Users;
  readonly sessions: Sessions;
  readonly tokens: ApiTokens;
  /** While there is no user: shown once on the console, and good for one set-up. */
  setupToken(): string | undefined;
  /** Makes the first admin. @throws AppError `conflict` when there is a user, `unauthorized` for a wrong token */
  setup(token: string, login: Login): Promise<Grant>;
  /** @throws AppError `unauthorized`; `rate_limited` while locked */
  login(login: Login): Promise<Grant>;
  /** @throws AppError `unauthorized` when the old password is wrong */
  changePassword(user: User, oldPassword: string, newPassword: string, address: string): Promise<void>;
  /**
   * From `Authorization: Bearer`, the session cookie, or with `basic` also user and password: only where browsers are
   * not meant to go, because they would send those by themselves.
   * @throws AppError `forbidden` when a cookie changes something without its CSRF token
   */
  identify(request: Request, address: string, basic?: boolean): Promise<Identity | undefined>;
}

export const SESSION_COOKIE = "lx_session";
export const REFRESH_COOKIE = "lx_refresh";
export const CSRF_HEADER = "x-csrf-token";
const SAFE_METHODS = new Set(["GET", "HEAD", "OPTIONS"]);
/** A WebDAV client sends its password with every request; argon2 each time would be 40 ms of work. */
const BASIC_MS = 60_000;
const MAX_BASIC = 256;

export function createAdmin(deps: AdminDeps): Admin {
  const { db, secret, settings, now = Date.now, sleep = Bun.sleep } = deps;
  const users = createUsers(db, createPasswords(), () => settings().minimumPassword, now);
  const sessions = createSessions({ db, users, secret, settings, now });
  const tokens = createApiTokens(db, now);
  const lockout = createLockout(() => settings().lockout, now);
  const basicSeen = new Map<string, { user: User; until: number }>();
  const basicSalt = newSecret("");
  let setup = users.count() === 0 ? newSecret("") : undefined;

  /** Runs a check of a secret; misses are slowed down, counted and in the end shut out. */
  async function guarded<T>(name: string, address: string, check: () => Promise<T | undefined>): Promise<T> {
    const parsed = parseAddress(address);
    const client = parsed === undefined ? address : clientNetwork(parsed).text;
    const seconds = lockout.locked(name, client);
    if (seconds > 0) throw new AppError("rate_limited", "尝试次数过多，请稍后再试", { retryAfterSeconds: seconds });
    const found = await check();
    if (found !== undefined) {
      lockout.succeeded(name, client);
      return found;
    }
    const delay = lockout.failed(name, client);
    deps.onGuess(address);
    await sleep(delay);
    throw new AppError("unauthorized", name === "" ? "设置令牌无效" : "用户名或密码错误");
  }

  async function basic(header: string, address: string): Promise<Identity | undefined> {
    const text = Buffer.from(header.slice(6).trim().slice(0, 1024), "base64").toString("utf8");
    const colon = text.indexOf(":");
    if (colon < 1) return undefined;
    const [name, password] = [text.slice(0, colon), text.slice(colon + 1)];
    const id = Buffer.from(sha256(basicSalt + text)).toString("base64");
    const seen = basicSeen.get(id);
    const current = seen === undefined ? undefined : users.get(seen.user.id);
    const unchanged = current !== undefined && current.passwordAt === seen?.user.passwordAt;
    if (seen !== undefined && seen.until > now() && unchanged) return identityOf(current);
    const user = await guarded(name, address, () => users.verify(name, password));
    if (basicSeen.size >= MAX_BASIC) basicSeen.clear();
    basicSeen.set(id, { user, until: now() + BASIC_MS });
    return identityOf(user);
  }

  async function bearer(token: string): Promise<Identity | undefined> {
    if (token.startsWith(TOKEN_PREFIX)) {
      const found = tokens.find(token);
      return found === undefined ? undefined : { role: found.role, name: `token:${found.name}` };
    }
    const session = await sessions.verify(token);
    return session === undefined ? undefined : { ...identityOf(session.user), sessionId: session.id };
  }

  async function cookie(request: Request): Promise<Identity | undefined> {
    const token = cookieOf(request, SESSION_COOKIE);
    const session = token === undefined ? undefined : await sessions.verify(token);
    if (session === undefined) return undefined;
    if (!SAFE_METHODS.has(request.method) && !sessions.csrfGood(session.id, request.headers.get(CSRF_HEADER))) {
      throw new AppError("forbidden", "缺少或错误的 X-CSRF-Token");
    }
    return { ...identityOf(session.user), sessionId: session.id };
  }

  return {
    users,
    sessions,
    tokens,
    setupToken: () => (setup !== undefined && users.count() === 0 ? setup : undefined),
    async setup(token, login) {
      if (users.count() > 0 || setup === undefined) throw new AppError("conflict", "已完成首次设置");
      const expected = setup;
      await guarded("", login.address, async () => (sameSecret(token, expected) ? true : undefined));
      // Taken before the hash is made: two at once must not both pass.
      if (setup !== expected) throw new AppError("conflict", "已完成首次设置");
      setup = undefined;
      try {
        const user = await users.add(login.name, login.password, "admin");
        return await sessions.start(user, login.address, login.agent);
      } catch (error) {
        if (users.count() === 0) setup = expected;
        throw error;
      }
    },
    async login({ name, password, address, agent }) {
      const user = await guarded(name === "" ? "?" : name, address, () => users.verify(name, password));
      return sessions.start(user, address, agent);
    },
    async changePassword(user, oldPassword, newPassword, address) {
      await guarded(user.name, address, () => users.verify(user.name, oldPassword));
      await users.setPassword(user.name, newPassword);
    },
    async identify(request, address, allowBasic = false) {
      const header = request.headers.get("authorization");
      if (header === null) return cookie(request);
      const [scheme = "", value = ""] = header.split(" ", 2);
      if (scheme.toLowerCase() === "bearer") return bearer(value);
      return allowBasic && scheme.toLowerCase() === "basic" ? basic(header, address) : undefined;
    },
  };
}

function identityOf(user: User): Identity {
  return { role: user.role, name: user.name, user };
}

/** A cookie's value; undefined when the request has none of this name. */
export function cookieOf(request: Request, name: string): string | undefined {
  const header = request.headers.get("cookie");
  if (header === null || header.length > 16_384) return undefined;
  for (const part of header.split(";")) {
    const equals = part.indexOf("=");
    if (equals !== -1 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim();
  }
  return undefined;
}

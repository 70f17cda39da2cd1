import type { Database } from "bun:sqlite";
import { timingSafeEqual } from "node:crypto";
import { jwtVerify, SignJWT } from "jose";
import { AppError } from "../core/errors.ts";
import { newSecret, sameSecret, sha256 } from "./digest.ts";
import type { RotatingSecret } from "./secrets.ts";
import type { User, Users } from "./users.ts";

export interface SessionSettings {
  /** Life of a signed token, in seconds. */
  tokenSeconds: number;
  /** Life of a session that is not used, in seconds. */
  idleSeconds: number;
}

/** What a browser gets: the first two in HttpOnly cookies, the third for its scripts to send back. */
export interface Grant {
  user: User;
  token: string;
  /** `<session id>.<secret>`, good once. Absent when another tab has just got the new one. */
  refresh?: string;
  csrf: string;
  tokenSeconds: number;
  idleSeconds: number;
}

export interface SessionInfo {
  id: string;
  user: User;
}

export interface Sessions {
  start(user: User, address: string, agent: string): Promise<Grant>;
  /** @throws AppError `unauthorized`; a secret that was used before ends the session: someone has a copy. */
  refresh(presented: string): Promise<Grant>;
  /** Undefined for a forged, expired or revoked token. */
  verify(token: string): Promise<SessionInfo | undefined>;
  /** What scripts of our pages send back in `X-CSRF-Token`. */
  csrfOf(sessionId: string): string;
  csrfGood(sessionId: string, presented: string | null): boolean;
  end(sessionId: string): void;
  endAllOf(userId: number): void;
}

/** Two tabs may refresh with one secret; within this time the second one is not taken for a thief. */
const GRACE_MS = 10_000;
const MAX_SESSIONS = 20;
const ISSUER = "lx-music-api-server";

interface Row {
  id: string;
  user_id: number;
  refresh: Uint8Array;
  previous: Uint8Array | null;
  used_at: number;
  expires_at: number;
}

export interface SessionsDeps {
  db: Database;
  users: Users;
  secret: RotatingSecret;
  settings: () => SessionSettings;
  now?: () => number;
}

export function createSessions({ db, users, secret, settings, now = Date.now }: SessionsDeps): Sessions {
  const byId = db.query<Row, [string]>("SELECT * FROM access_sessions WHERE id = ?");

  function live(id: string): Row | undefined {
    const row = byId.get(id);
    return row !== null && row.expires_at > now() ? row : undefined;
  }

  function csrfOf(id: string, key: Uint8Array): string {
    return new Bun.CryptoHasher("sha256", key).update(`csrf:${id}`).digest("base64url");
  }

  async function grant(user: User, id: string, refresh: string | undefined): Promise<Grant> {
    const [key] = secret.current();
    if (key === undefined) throw new AppError("internal", "内部服务器错误", { detail: "no session secret" });
    const { tokenSeconds, idleSeconds } = settings();
    const seconds = Math.floor(now() / 1000);
    const token = await new SignJWT({ sid: id })
      .setProtectedHeader({ alg: "HS256" })
      .setIssuer(ISSUER)
      .setSubject(String(user.id))
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + tokenSeconds)
      .sign(key);
    return {
      user,
      token,
      csrf: csrfOf(id, key),
      tokenSeconds,
      idleSeconds,
      ...(refresh === undefined ? {} : { refresh }),
    };
  }

  function dropOld(userId: number): void {
    db.query("DELETE FROM access_sessions WHERE expires_at <= ?").run(now());
    db.query(
      "DELETE FROM access_sessions WHERE id IN (SELECT id FROM access_sessions WHERE user_id = ? ORDER BY used_at DESC LIMIT -1 OFFSET ?)",
    ).run(userId, MAX_SESSIONS - 1);
  }

  async function sessionOf(token: string): Promise<string | undefined> {
    for (const key of secret.current()) {
      const options = { algorithms: ["HS256"], issuer: ISSUER, currentDate: new Date(now()) };
      const sid = await jwtVerify(token, key, options).then(
        ({ payload }) => payload["sid"],
        () => undefined,
      );
      if (typeof sid === "string") return sid;
    }
    return undefined;
  }

  return {
    async start(user, address, agent) {
      const id = crypto.randomUUID();
      const refresh = newSecret("");
      const expires = now() + settings().idleSeconds * 1000;
      db.transaction(() => {
        dropOld(user.id);
        db.query("INSERT INTO access_sessions VALUES (?, ?, ?, NULL, ?, ?, ?, ?, ?)").run(
          id,
          user.id,
          sha256(refresh),
          now(),
          now(),
          expires,
          address,
          agent.slice(0, 200),
        );
      })();
      return grant(user, id, `${id}.${refresh}`);
    },
    async refresh(presented) {
      const [id = "", given = ""] = presented.slice(0, 200).split(".");
      const row = live(id);
      const user = row === undefined ? undefined : users.get(row.user_id);
      if (row === undefined || user === undefined) throw new AppError("unauthorized", "登录已过期，请重新登录");
      const digest = sha256(given);
      if (timingSafeEqual(digest, row.refresh)) {
        const next = newSecret("");
        db.query("UPDATE access_sessions SET refresh = ?, previous = ?, used_at = ?, expires_at = ? WHERE id = ?").run(
          sha256(next),
          row.refresh,
          now(),
          now() + settings().idleSeconds * 1000,
          id,
        );
        return grant(user, id, `${id}.${next}`);
      }
      const reused = row.previous !== null && timingSafeEqual(digest, row.previous);
      if (reused && now() - row.used_at < GRACE_MS) return grant(user, id, undefined);
      if (reused) db.query("DELETE FROM access_sessions WHERE id = ?").run(id);
      throw new AppError("unauthorized", "登录已过期，请重新登录");
    },
    async verify(token) {
      if (token.length > 1024) return undefined;
      const id = await sessionOf(token);
      const row = id === undefined ? undefined : live(id);
      const user = row === undefined ? undefined : users.get(row.user_id);
      return row === undefined || user === undefined ? undefined : { id: row.id, user };
    },
    csrfOf(sessionId) {
      const [key] = secret.current();
      return key === undefined ? "" : csrfOf(sessionId, key);
    },
    csrfGood(sessionId, presented) {
      if (presented === null || presented.length > 100) return false;
      return secret.current().some((key) => sameSecret(presented, csrfOf(sessionId, key)));
    },
    end: (id) => void db.query("DELETE FROM access_sessions WHERE id = ?").run(id),
    endAllOf: (userId) => void db.query("DELETE FROM access_sessions WHERE user_id = ?").run(userId),
  };
}

import { Elysia, t } from "elysia";
import type { Access } from "../../access/access.ts";
import { cookieOf, REFRESH_COOKIE, SESSION_COOKIE } from "../../access/admin.ts";
import type { Grant } from "../../access/sessions.ts";
import type { User } from "../../access/users.ts";
import { AppError } from "../../core/errors.ts";
import { contextOf, requireRole } from "../context.ts";
import { json } from "../schema.ts";

export interface AuthDeps {
  access: Pick<Access, "admin" | "audit">;
  /** Did the client reach us through https, ours or the proxy's? Then cookies are `Secure`. */
  isHttps: (request: Request) => boolean;
}

const AUTH_PATH = "/api/v1/auth";
const name = t.String({ minLength: 1, maxLength: 64 });
const password = t.String({ minLength: 1, maxLength: 1024 });

/** Signing in and out, one's own password, tokens for programs. */
export function authRoutes({ access, isHttps }: AuthDeps) {
  const { admin, audit } = access;

  /** Only same-site pages may sign someone in or out; programs send no such header. */
  function sameSite(request: Request): void {
    if (request.headers.get("sec-fetch-site") === "cross-site") throw new AppError("forbidden", "不接受跨站请求");
  }

  const from = (request: Request) => ({
    address: contextOf(request).peer.address,
    agent: request.headers.get("user-agent") ?? "",
  });

  function record(request: Request, actor: string, action: string, target: string, detail?: unknown): void {
    const { id, peer } = contextOf(request);
    audit.record({ actor, address: peer.address, action, target, detail, requestId: id });
  }

  function granted(request: Request, grant: Grant, status = 200): Response {
    const { user, csrf, token, refresh, tokenSeconds, idleSeconds } = grant;
    const answer = json({ data: { ...userForm(user), csrfToken: csrf, expiresIn: tokenSeconds } }, status);
    const secure = isHttps(request);
    answer.headers.append("set-cookie", cookie(SESSION_COOKIE, token, "/", tokenSeconds, secure));
    if (refresh !== undefined) {
      answer.headers.append("set-cookie", cookie(REFRESH_COOKIE, refresh, AUTH_PATH, idleSeconds, secure));
    }
    answer.headers.set("cache-control", "no-store");
    return answer;
  }

  /** The user behind a request; a program's token has none of its own. */
  function self(request: Request): User {
    const context = requireRole(request, "viewer");
    const user = admin.users.find(context.user ?? "");
    if (user === undefined) throw new AppError("forbidden", "令牌不能用于此操作，请以用户登录");
    return user;
  }

  return new Elysia({ name: "routes/auth", prefix: AUTH_PATH, detail: { tags: ["auth"] } })
    .get("/state", () => json({ data: { setupNeeded: admin.setupToken() !== undefined } }), {
      detail: { summary: "是否需要首次设置 / is the first set-up still to do" },
    })
    .post(
      "/setup",
      async ({ request, body }) => {
        sameSite(request);
        const login = { name: body.name, password: body.password, ...from(request) };
        const grant = await admin.setup(body.token, login);
        record(request, body.name, "user.setup", body.name);
        return granted(request, grant, 201);
      },
      {
        body: t.Object({ token: t.String({ minLength: 1, maxLength: 200 }), name, password }),
        detail: { summary: "用控制台显示的令牌创建首个管理员 / make the first admin with the token from the console" },
      },
    )
    .post(
      "/login",
      async ({ request, body }) => {
        sameSite(request);
        const grant = await admin.login({ name: body.name, password: body.password, ...from(request) });
        record(request, grant.user.name, "session.start", grant.user.name);
        return granted(request, grant);
      },
      { body: t.Object({ name, password }), detail: { summary: "登录 / sign in" } },
    )
    .post(
      "/refresh",
      async ({ request }) => {
        sameSite(request);
        const presented = cookieOf(request, REFRESH_COOKIE);
        if (presented === undefined) throw new AppError("unauthorized", "请先登录");
        return granted(request, await admin.sessions.refresh(presented));
      },
      { detail: { summary: "续期 / renew the session" } },
    )
    .post(
      "/logout",
      async ({ request }) => {
        sameSite(request);
        const session = await admin.sessions.verify(cookieOf(request, SESSION_COOKIE) ?? "");
        const id = session?.id ?? cookieOf(request, REFRESH_COOKIE)?.split(".")[0];
        if (id !== undefined) admin.sessions.end(id);
        if (session !== undefined) record(request, session.user.name, "session.end", session.user.name);
        const answer = json({ data: null });
        answer.headers.append("set-cookie", cookie(SESSION_COOKIE, "", "/", 0, isHttps(request)));
        answer.headers.append("set-cookie", cookie(REFRESH_COOKIE, "", AUTH_PATH, 0, isHttps(request)));
        return answer;
      },
      { detail: { summary: "退出 / sign out" } },
    )
    .get(
      "/me",
      async ({ request }) => {
        const { user, role } = requireRole(request, "viewer");
        const session = await admin.sessions.verify(cookieOf(request, SESSION_COOKIE) ?? "");
        const csrf = session === undefined ? {} : { csrfToken: admin.sessions.csrfOf(session.id) };
        return json({ data: { name: user, role, ...csrf } });
      },
      { detail: { summary: "当前用户 / who am I" } },
    )
    .post(
      "/password",
      async ({ request, body }) => {
        const user = self(request);
        await admin.changePassword(user, body.oldPassword, body.newPassword, contextOf(request).peer.address);
        record(request, user.name, "user.password", user.name);
        return json({ data: null });
      },
      {
        body: t.Object({ oldPassword: password, newPassword: password }),
        detail: { summary: "修改密码，并结束所有会话 / change the password and end all sessions" },
      },
    )
    .get(
      "/tokens",
      ({ request }) => {
        const { role, user } = requireRole(request, "viewer");
        const visible = admin.tokens.list().filter((token) => role === "admin" || token.owner === user);
        return json({ data: visible.map(tokenForm) });
      },
      { detail: { summary: "程序用的令牌 / tokens for programs" } },
    )
    .post(
      "/tokens",
      ({ request, body }) => {
        const user = self(request);
        const expiresAt = body.expiresAt === undefined ? undefined : Date.parse(body.expiresAt);
        const { secret, token } = admin.tokens.add(user, body.name, body.role, expiresAt);
        record(request, user.name, "token.add", token.name, { role: token.role });
        const answer = json({ data: { ...tokenForm(token), secret } }, 201);
        answer.headers.set("cache-control", "no-store");
        return answer;
      },
      {
        body: t.Object({
          name,
          role: t.Union([t.Literal("admin"), t.Literal("viewer")], { default: "viewer" }),
          expiresAt: t.Optional(t.String({ format: "date-time" })),
        }),
        detail: { summary: "新建令牌，密文只显示一次 / new token, its secret is shown once" },
      },
    )
    .delete(
      "/tokens/:name",
      ({ request, params }) => {
        const { role, user = "" } = requireRole(request, "viewer");
        const token = admin.tokens.list().find((item) => item.name === params.name);
        if (token === undefined || (role !== "admin" && token.owner !== user)) {
          throw new AppError("not_found", "没有这个令牌");
        }
        admin.tokens.remove(token.name);
        record(request, user, "token.remove", token.name);
        return json({ data: null });
      },
      { params: t.Object({ name }), detail: { summary: "删除令牌 / remove a token" } },
    );
}

function userForm(user: User) {
  return { name: user.name, role: user.role };
}

function tokenForm(token: ReturnType<Access["admin"]["tokens"]["list"]>[number]) {
  const iso = (time: number | undefined) => (time === undefined ? null : new Date(time).toISOString());
  const { name: title, role, owner, createdAt, expiresAt, usedAt } = token;
  return { name: title, role, owner, createdAt: iso(createdAt), expiresAt: iso(expiresAt), usedAt: iso(usedAt) };
}

/** @see RFC 6265bis: not for scripts, not for requests that start on other sites. */
function cookie(title: string, value: string, path: string, seconds: number, secure: boolean): string {
  const age = Math.floor(seconds);
  return `${title}=${value}; Path=${path}; Max-Age=${age}; HttpOnly; SameSite=Strict${secure ? "; Secure" : ""}`;
}

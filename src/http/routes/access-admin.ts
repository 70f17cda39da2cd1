import { Elysia, t } from "elysia";
import type { Access } from "../../access/access.ts";
import type { Ban } from "../../access/ban-index.ts";
import type { KeyRights, RequestKey } from "../../access/keys.ts";
import type { User } from "../../access/users.ts";
import { AppError } from "../../core/errors.ts";
import { QUALITIES, SOURCE_IDS } from "../../core/types.ts";
import { requireRole } from "../context.ts";
import { listAnswer, pageOfList, pageQuery, pageRequest } from "../pagination.ts";
import { json } from "../schema.ts";

export interface AccessAdminDeps {
  access: Pick<Access, "admin" | "audit" | "bans" | "keys">;
}

const name = t.String({ minLength: 1, maxLength: 64 });
const named = { params: t.Object({ name }) };
const bound = (description: string) => t.Optional(t.Integer({ minimum: 0, maximum: 1_000_000_000, description }));
const keyRights = {
  note: t.Optional(t.String({ maxLength: 500 })),
  perMinute: bound("每分钟次数，0 为不限 / per minute, 0: no limit"),
  perDay: bound("每日次数，0 为不限 / per day, 0: no limit"),
  sources: t.Optional(t.Array(t.Union(SOURCE_IDS.map((id) => t.Literal(id))), { maxItems: 5 })),
  qualities: t.Optional(t.Array(t.Union(QUALITIES.map((quality) => t.Literal(quality))), { maxItems: 20 })),
  expiresAt: t.Optional(t.Nullable(t.String({ format: "date-time" }))),
};
const role = t.Union([t.Literal("admin"), t.Literal("viewer")]);
const password = t.String({ minLength: 1, maxLength: 1024 });

/** Request keys, bans, users and the audit log of the management API. Reading needs `viewer`, changing `admin`. */
export function accessAdminRoutes({ access }: AccessAdminDeps) {
  const { audit } = access;

  /** Checks the role and notes what is done. */
  function change(request: Request, action: string, target: string, detail?: unknown): void {
    const { id, peer, user = "" } = requireRole(request, "admin");
    audit.record({ actor: user, address: peer.address, action, target, detail, requestId: id });
  }

  return new Elysia({ name: "routes/access-admin", prefix: "/api/v1", detail: { tags: ["access"] } })
    .use(keyRoutes(access, change))
    .use(banRoutes(access, change))
    .use(userRoutes(access, change))
    .get(
      "/audit",
      ({ request, query }) => {
        requireRole(request, "admin");
        const page = pageRequest(query);
        const filter = {
          ...(query.actor === undefined ? {} : { actor: query.actor }),
          ...(query.action === undefined ? {} : { action: query.action }),
        };
        const { rows, total } = audit.list(page.page, page.pageSize, filter);
        const forms = rows.map(({ at, ...row }) => ({ ...row, at: new Date(at).toISOString() }));
        return json(listAnswer(forms, total, page));
      },
      {
        query: t.Object({ ...pageQuery, actor: t.Optional(t.String()), action: t.Optional(t.String()) }),
        detail: { summary: "谁在何时改了什么 / who changed what, when, from where" },
      },
    );
}

type Change = (request: Request, action: string, target: string, detail?: unknown) => void;

function keyRoutes({ keys }: Pick<Access, "keys">, change: Change) {
  return new Elysia({ name: "routes/access-admin/keys" })
    .get(
      "/keys",
      ({ request, query }) => {
        requireRole(request, "viewer");
        return json(pageOfList(keys.list().map(keyForm), pageRequest(query)));
      },
      { query: t.Object(pageQuery), detail: { summary: "请求 key / request keys" } },
    )
    .post(
      "/keys",
      ({ request, body }) => {
        requireRole(request, "admin");
        const { secret, key } = keys.add(body.name, rightsOf(body));
        change(request, "key.add", key.name, rightsOf(body));
        const answer = json({ data: { ...keyForm(key), secret } }, 201);
        answer.headers.set("cache-control", "no-store");
        return answer;
      },
      {
        body: t.Object({ name, ...keyRights }),
        detail: { summary: "新建 key，只显示一次 / new key, shown once" },
      },
    )
    .patch(
      "/keys/:name",
      ({ request, params, body }) => {
        requireRole(request, "admin");
        const key = keys.update(params.name, rightsOf(body));
        change(request, "key.change", params.name, rightsOf(body));
        return json({ data: keyForm(key) });
      },
      { ...named, body: t.Object(keyRights), detail: { summary: "修改 key 的权限 / change what a key allows" } },
    )
    .delete(
      "/keys/:name",
      ({ request, params }) => {
        requireRole(request, "admin");
        if (!keys.remove(params.name)) throw new AppError("not_found", "没有这个 key，或它写在配置文件里");
        change(request, "key.remove", params.name);
        return json({ data: null });
      },
      { ...named, detail: { summary: "删除 key / remove a key" } },
    );
}

function banRoutes({ bans }: Pick<Access, "bans">, change: Change) {
  return new Elysia({ name: "routes/access-admin/bans" })
    .get(
      "/bans",
      ({ request, query }) => {
        requireRole(request, "viewer");
        return json(pageOfList(bans.list().map(banForm), pageRequest(query)));
      },
      { query: t.Object(pageQuery), detail: { summary: "封禁 / bans" } },
    )
    .post(
      "/bans",
      ({ request, body }) => {
        requireRole(request, "admin");
        const ban = bans.add({ target: body.target, note: body.note ?? "", seconds: body.seconds });
        change(request, "ban.add", ban.target, { seconds: body.seconds ?? null, note: ban.note });
        return json({ data: banForm(ban) }, 201);
      },
      {
        body: t.Object({
          target: t.String({ minLength: 2, maxLength: 64, description: "地址或网段 / address or CIDR" }),
          seconds: t.Optional(
            t.Number({ minimum: 1, maximum: 315_360_000, description: "留空为永久 / empty: for ever" }),
          ),
          note: t.Optional(t.String({ maxLength: 500 })),
        }),
        detail: { summary: "封禁地址或网段 / ban an address or network" },
      },
    )
    .delete(
      "/bans/:target",
      ({ request, params }) => {
        requireRole(request, "admin");
        if (!bans.remove(params.target)) throw new AppError("not_found", "没有这个封禁");
        change(request, "ban.remove", params.target);
        return json({ data: null });
      },
      {
        params: t.Object({ target: t.String({ maxLength: 64 }) }),
        detail: { summary: "解除封禁，网段的 / 写作 %2F / lift a ban" },
      },
    );
}

function userRoutes({ admin }: Pick<Access, "admin">, change: Change) {
  const { users } = admin;
  return new Elysia({ name: "routes/access-admin/users" })
    .get(
      "/users",
      ({ request, query }) => {
        requireRole(request, "admin");
        return json(pageOfList(users.list().map(userForm), pageRequest(query)));
      },
      { query: t.Object(pageQuery), detail: { summary: "用户 / users" } },
    )
    .post(
      "/users",
      async ({ request, body }) => {
        requireRole(request, "admin");
        const user = await users.add(body.name, body.password, body.role);
        change(request, "user.add", user.name, { role: user.role });
        return json({ data: userForm(user) }, 201);
      },
      { body: t.Object({ name, password, role }), detail: { summary: "新建用户 / new user" } },
    )
    .patch(
      "/users/:name",
      async ({ request, params, body }) => {
        requireRole(request, "admin");
        if (body.role !== undefined) users.setRole(params.name, body.role);
        if (body.password !== undefined) await users.setPassword(params.name, body.password);
        const detail = { role: body.role ?? null, passwordChanged: body.password !== undefined };
        change(request, "user.change", params.name, detail);
        const user = users.find(params.name);
        if (user === undefined) throw new AppError("not_found", "没有这个用户");
        return json({ data: userForm(user) });
      },
      {
        ...named,
        body: t.Object({ role: t.Optional(role), password: t.Optional(password) }),
        detail: { summary: "修改角色或密码（结束其会话）/ change role or password (ends the sessions)" },
      },
    )
    .delete(
      "/users/:name",
      ({ request, params }) => {
        requireRole(request, "admin");
        users.remove(params.name);
        change(request, "user.remove", params.name);
        return json({ data: null });
      },
      { ...named, detail: { summary: "删除用户 / remove a user" } },
    );
}

interface RightsBody extends Partial<Omit<KeyRights, "expiresAt">> {
  name?: string;
  expiresAt?: string | null;
}

/** What the body says, and nothing that it does not: an absent field stays as it is. `expiresAt: null` = never. */
function rightsOf({ name: _, expiresAt, ...rest }: RightsBody): Partial<KeyRights> {
  if (expiresAt === undefined) return rest;
  return { ...rest, expiresAt: expiresAt === null ? undefined : Date.parse(expiresAt) };
}

const iso = (time: number | undefined) => (time === undefined ? null : new Date(time).toISOString());

function keyForm(key: RequestKey) {
  const { name: title, origin, note, perMinute, perDay, sources, qualities, uses } = key;
  const times = { createdAt: iso(key.createdAt), expiresAt: iso(key.expiresAt), usedAt: iso(key.usedAt) };
  return { name: title, origin, note, perMinute, perDay, sources, qualities, uses, ...times };
}

function banForm(ban: Ban) {
  const expiresAt = Number.isFinite(ban.expiresAt) ? iso(ban.expiresAt) : null;
  return { ...ban, createdAt: iso(ban.createdAt), expiresAt };
}

function userForm(user: User) {
  return { name: user.name, role: user.role, createdAt: iso(user.createdAt) };
}

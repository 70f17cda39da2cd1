import { Elysia, t } from "elysia";
import { AppError } from "../../core/errors.ts";
import { isSourceId, SOURCE_IDS } from "../../core/types.ts";
import type { AccountPool } from "../../sources/accounts.ts";
import { requireRole } from "../context.ts";

export interface AccountRouteDeps {
  pool: Pick<AccountPool, "list" | "add" | "remove" | "check" | "refresh" | "signIn">;
}

const Source = t.Union(SOURCE_IDS.map((id) => t.Literal(id)));
const Handle = t.Object({ handle: t.String({ minLength: 4, maxLength: 40, pattern: "^[a-z]{2}-[0-9a-f]{10}$" }) });
const Listing = t.Object({
  source: t.Optional(Source),
  page: t.Optional(t.Numeric({ minimum: 1, default: 1 })),
  pageSize: t.Optional(t.Numeric({ minimum: 1, maximum: 200, default: 50 })),
});
const NewAccount = t.Object({
  source: Source,
  user: t.Record(t.String({ maxLength: 64 }), t.Unknown(), {
    description: "module.<source>.user 的键 / the keys of module.<source>.user",
  }),
  label: t.Optional(t.String({ maxLength: 40 })),
});

/** `/api/v1/accounts`: how the platforms' accounts are. Credentials go in and never come out. */
export function accountRoutes({ pool }: AccountRouteDeps) {
  return new Elysia({ name: "routes/accounts", prefix: "/api/v1/accounts", detail: { tags: ["accounts"] } })
    .get(
      "",
      ({ request, query }) => {
        requireRole(request, "viewer");
        const { page = 1, pageSize = 50 } = query;
        const views = pool.list(query.source !== undefined && isSourceId(query.source) ? query.source : undefined);
        return {
          data: views.slice((page - 1) * pageSize, page * pageSize),
          pagination: { page, pageSize, total: views.length, totalPages: Math.ceil(views.length / pageSize) },
        };
      },
      { query: Listing, detail: { summary: "账号列表 / accounts and how they are" } },
    )
    .post(
      "",
      ({ request, body, set }) => {
        requireRole(request, "admin");
        if (!isSourceId(body.source)) throw new AppError("invalid_request", "未知的源");
        const data = pool.add(body.source, body.user, body.label);
        set.status = 201;
        return { data };
      },
      { body: NewAccount, detail: { summary: "添加账号 / add an account" } },
    )
    .delete(
      "/:handle",
      ({ request, params }) => {
        requireRole(request, "admin");
        pool.remove(params.handle);
        return { data: null };
      },
      { params: Handle, detail: { summary: "删除账号 / remove an added account" } },
    )
    .post(
      "/:handle/check",
      async ({ request, params }) => {
        requireRole(request, "admin");
        return { data: await pool.check(params.handle) };
      },
      { params: Handle, detail: { summary: "检查账号 / ask the platform how it is" } },
    )
    .post(
      "/:handle/refresh",
      async ({ request, params }) => {
        requireRole(request, "admin");
        return { data: await pool.refresh(params.handle) };
      },
      { params: Handle, detail: { summary: "刷新登录 / renew the login" } },
    )
    .post(
      "/:handle/sign-in",
      async ({ request, params }) => {
        requireRole(request, "admin");
        return { data: await pool.signIn(params.handle) };
      },
      { params: Handle, detail: { summary: "签到 / daily sign-in" } },
    );
}

import { Elysia, status, t } from "elysia";
import type { WebdavSource } from "../../webdav/client.ts";
import type { Mirror } from "../../webdav/mirror.ts";
import { requireRole } from "../context.ts";

export interface WebdavAdminDeps {
  webdav: WebdavSource;
  mirror: Mirror;
}

const detail = (summary: string) => ({ detail: { summary, tags: ["webdav"] } });

/** `/api/v1/webdav`: state of index and mirror, index now, try failed uploads again. */
export function webdavAdminRoutes({ webdav, mirror }: WebdavAdminDeps) {
  return new Elysia({ name: "routes/webdav-admin", prefix: "/api/v1/webdav" })
    .get(
      "",
      ({ request }) => {
        requireRole(request, "viewer");
        const { lastIndex, lastError, ...rest } = webdav.status();
        const uploads = mirror.status();
        return {
          data: {
            ...rest,
            lastIndex: lastIndex ?? null,
            lastError: lastError ?? null,
            mirror: { ...uploads, lastError: uploads.lastError ?? null },
          },
        };
      },
      detail("Index and uploads"),
    )
    .post(
      "/index",
      async ({ request, query }) => {
        requireRole(request, "admin");
        const run = webdav.refresh();
        if (query.wait === true) return { data: await run };
        // The outcome is in the state and in the log.
        run.catch(() => undefined);
        return status(202, { data: { started: true } });
      },
      {
        query: t.Object({ wait: t.Optional(t.Boolean({ description: "answer when the index is made" })) }),
        ...detail("List the WebDAV server's folders now"),
      },
    )
    .post(
      "/mirror/retry",
      ({ request }) => {
        requireRole(request, "admin");
        mirror.retryFailed();
        return { data: mirror.status() };
      },
      detail("Try the failed uploads again"),
    );
}

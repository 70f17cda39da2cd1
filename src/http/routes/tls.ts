import { Elysia, t } from "elysia";
import { AppError } from "../../core/errors.ts";
import type { Tls } from "../../tls/tls.ts";
import { contextOf, type RequestContext, requireRole } from "../context.ts";
import { authorityPage } from "../pages/authority.ts";

export interface TlsRouteDeps {
  tls: Pick<Tls, "challenge" | "authority" | "list" | "renew">;
  /** The address under which a phone reaches us, without a trailing slash. */
  phoneAddress: (request: Request, forwarded: boolean) => string;
  audit: (context: RequestContext, action: string, target: string) => void;
}

const NOT_FOUND = "未找到您所请求的资源";
/** An order with slow proofs goes on behind the answer; the list tells how it ended. */
const ANSWER_AFTER_MS = 25_000;

/** Proofs for a certificate, the local CA for devices, and certificates in the management API. */
export function tlsRoutes({ tls, phoneAddress, audit }: TlsRouteDeps) {
  async function authority() {
    const found = await tls.authority();
    if (found === undefined) throw new AppError("not_found", NOT_FOUND);
    return found;
  }

  return new Elysia({ name: "routes/tls", detail: { tags: ["certificates"] } })
    .get(
      "/.well-known/acme-challenge/:token",
      async ({ params }) => {
        const answer = await tls.challenge(params.token);
        if (answer === undefined) throw new AppError("not_found", NOT_FOUND);
        return new Response(answer, {
          headers: { "content-type": "application/octet-stream", "cache-control": "no-store" },
        });
      },
      { params: t.Object({ token: t.String() }), detail: { summary: "ACME http-01" } },
    )
    .get(
      "/ca",
      async ({ request }) => {
        const { info } = await authority();
        const address = `${phoneAddress(request, contextOf(request).peer.viaProxy === true)}/ca.crt`;
        return new Response(authorityPage({ address, ...info }), {
          headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-cache" },
        });
      },
      { detail: { summary: "信任本服务器的页面 / how to trust this server" } },
    )
    .get(
      "/ca.crt",
      async () => {
        const { pem } = await authority();
        return new Response(pem, {
          headers: {
            "content-type": "application/x-x509-ca-cert",
            "content-disposition": "attachment; filename=lx-music-ca.crt",
            "cache-control": "no-cache",
          },
        });
      },
      { detail: { summary: "本机 CA 的证书 / the local CA's certificate" } },
    )
    .get(
      "/api/v1/certificates",
      async ({ request }) => {
        requireRole(request, "viewer");
        const data = (await tls.list()).map(view);
        return { data, pagination: { page: 1, pageSize: data.length, total: data.length, totalPages: 1 } };
      },
      { detail: { summary: "证书 / certificates that are served" } },
    )
    .post(
      "/api/v1/certificates/renew",
      async ({ request, body }) => {
        const context = requireRole(request, "admin");
        audit(context, "certificate.renew", "main");
        const running = tls.renew({ force: body?.force ?? true });
        const renewed = await Promise.race([running, Bun.sleep(ANSWER_AFTER_MS).then(() => undefined)]);
        // What fails after the answer is in the list and in the log.
        void running.catch(() => undefined);
        return { data: { renewed: renewed ?? null, certificates: (await tls.list()).map(view) } };
      },
      {
        body: t.Optional(
          t.Object({
            force: t.Optional(t.Boolean({ description: "即使未到期也换新，默认 true / also when it is not due" })),
          }),
        ),
        detail: { summary: "立即续期 / renew now" },
      },
    );
}

/** Times in the form of the other management answers. */
function view(row: Awaited<ReturnType<Tls["list"]>>[number]) {
  const { notBefore, notAfter, nextAttemptAt, problem, ...rest } = row;
  return {
    ...rest,
    notBefore: new Date(notBefore).toISOString(),
    notAfter: new Date(notAfter).toISOString(),
    problem: problem ?? null,
    nextAttemptAt: nextAttemptAt === undefined ? null : new Date(nextAttemptAt).toISOString(),
  };
}

/**
 * The address under which the sender of this request reaches us, without a trailing slash.
 *
 * Order: `common.public_url`; `X-Forwarded-Proto/Host` when a trusted proxy sent them; the request's own `Host`.
 * What comes from a header is used only when it is a plain host name or address with an optional port.
 */
export function baseUrl(
  request: Request,
  options: { publicUrl: string; behindHttps: boolean; trusted: boolean; fallback: string },
): string {
  if (options.publicUrl !== "") return options.publicUrl.replace(/\/+$/, "");
  // Of several, the last is what the trusted proxy itself has added.
  const forwarded = (name: string) =>
    options.trusted ? request.headers.get(name)?.split(",").at(-1)?.trim().toLowerCase() : undefined;
  const host = sane(forwarded("x-forwarded-host")) ?? sane(request.headers.get("host") ?? undefined);
  const proto = forwarded("x-forwarded-proto");
  const own = request.url.startsWith("https:") || options.behindHttps ? "https" : "http";
  const scheme = proto === "https" || proto === "http" ? proto : own;
  return host === undefined ? options.fallback : `${scheme}://${host}`;
}

const HOST = /^(?:[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

function sane(host: string | undefined): string | undefined {
  return host !== undefined && HOST.test(host) ? host : undefined;
}

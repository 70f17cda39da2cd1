import { promisify } from "node:util";
import { gzip } from "node:zlib";

const pack = promisify(gzip);

/**
 * A text file of the executable as a route's handler: `ETag` and 304, so that a new version shows at once, and gzip
 * (made once) for those who take it.
 */
export function embeddedFile(body: string | Blob, type: string): (context: { request: Request }) => Promise<Response> {
  let made: Promise<{ plain: Uint8Array<ArrayBuffer>; packed: Uint8Array<ArrayBuffer>; etag: string }> | undefined;
  const make = async () => {
    const plain = new Uint8Array(await new Blob([body]).arrayBuffer());
    return { plain, packed: new Uint8Array(await pack(plain)), etag: `"${Bun.hash.xxHash64(plain).toString(36)}"` };
  };
  return async ({ request }) => {
    made ??= make();
    const { plain, packed, etag } = await made;
    const headers: Record<string, string> = { "cache-control": "no-cache", etag, vary: "Accept-Encoding" };
    if (request.headers.get("if-none-match")?.includes(etag)) return new Response(null, { status: 304, headers });
    headers["content-type"] = `${type}; charset=utf-8`;
    const takesGzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|\s|$))/i.test(request.headers.get("accept-encoding") ?? "");
    if (!takesGzip) return new Response(plain, { headers });
    return new Response(packed, { headers: { ...headers, "content-encoding": "gzip" } });
  };
}

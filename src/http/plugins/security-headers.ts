type HeaderRecord = Readonly<Record<string, string>>;

export interface SecurityHeaderSettings {
  /** `Strict-Transport-Security` in seconds on https; 0 = none. */
  hsts: number;
  /** First segments of paths that answer with pages of ours. */
  pages: readonly string[];
}

/** Scripts and styles from our own files only; pictures and sound also from the platforms. No inline code, no frames. */
const PAGE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data: http: https:",
  "media-src 'self' http: https:",
  "connect-src 'self'",
  "font-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

const DATA: HeaderRecord = Object.freeze({ "x-content-type-options": "nosniff" });
/** What others put there (covers may be SVG) must not act as a page of ours. */
const FILE: HeaderRecord = Object.freeze({ ...DATA, "content-security-policy": "default-src 'none'; sandbox" });
const PAGE: HeaderRecord = Object.freeze({
  ...DATA,
  "content-security-policy": PAGE_POLICY,
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
  "cross-origin-opener-policy": "same-origin",
});
const FILES = new Set(["cache", "local", "webdav", "webdav-proxy", "dav"]);

/** The headers of an answer by where it comes from; the same objects each time, nothing is built for a request. */
export function createSecurityHeaders(
  settings: SecurityHeaderSettings,
): (path: string, https: boolean) => HeaderRecord {
  const pages = new Set(settings.pages);
  const hsts = settings.hsts > 0 ? { "strict-transport-security": `max-age=${settings.hsts}` } : {};
  const secure = new Map([DATA, FILE, PAGE].map((record) => [record, Object.freeze({ ...record, ...hsts })]));
  return (path, https) => {
    const end = path.indexOf("/", 1);
    const segment = end === -1 ? path.slice(1) : path.slice(1, end);
    const record = pages.has(segment) ? PAGE : FILES.has(segment) ? FILE : DATA;
    return https && settings.hsts > 0 ? (secure.get(record) ?? record) : record;
  };
}

/** `security.cors`. */
export interface CorsSettings {
  enable: boolean;
  /** `*` = all. */
  origins: readonly string[];
  /** Seconds. */
  max_age: number;
}

export interface Cors {
  /** Of an answer to this origin; empty when the request came from no other page, or from one that is not listed. */
  headers(origin: string | null): Readonly<Record<string, string>>;
  /** The answer's headers; undefined when the request is no preflight, and goes to the router. */
  preflight(request: Request): Readonly<Record<string, string>> | undefined;
}

const NONE: Readonly<Record<string, string>> = Object.freeze({});
const METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const ALLOWED =
  "Accept, Authorization, Content-Type, If-None-Match, If-Modified-Since, If-Range, Range, lxm, X-CSRF-Token, X-Request-ID, X-Request-Key";
const EXPOSED =
  "Accept-Ranges, Cache-Status, Content-Length, Content-Range, ETag, RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-ID";

/**
 * Cookies are never allowed across origins, so that `*` opens no session. A plain OPTIONS without
 * `Access-Control-Request-Method` is no preflight: it gets the router's 404, as in the original.
 */
export function createCors(settings: CorsSettings): Cors {
  const all = settings.origins.includes("*");
  const listed = new Set(settings.origins.map((origin) => origin.trim().toLowerCase().replace(/\/+$/, "")));
  const everyone = Object.freeze({ "access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED });
  const stranger = Object.freeze({ vary: "Origin" });

  function headers(origin: string | null): Readonly<Record<string, string>> {
    if (!settings.enable) return NONE;
    if (all) return everyone;
    if (origin === null || !listed.has(origin.toLowerCase())) return stranger;
    return { "access-control-allow-origin": origin, "access-control-expose-headers": EXPOSED, vary: "Origin" };
  }

  return {
    headers,
    preflight(request) {
      if (!settings.enable || request.method !== "OPTIONS") return undefined;
      if (!request.headers.has("access-control-request-method")) return undefined;
      const allowed = headers(request.headers.get("origin"));
      if (!("access-control-allow-origin" in allowed)) return allowed;
      const { "access-control-expose-headers": _exposed, ...rest } = allowed;
      return {
        ...rest,
        "access-control-allow-methods": METHODS,
        "access-control-allow-headers": ALLOWED,
        "access-control-max-age": String(Math.round(settings.max_age)),
      };
    },
  };
}

import type { Target } from "../target.ts";
import { type CorsSettings, createCors } from "./cors.ts";
import { createSecurityHeaders, type SecurityHeaderSettings } from "./security-headers.ts";

type HeaderRecord = Readonly<Record<string, string>>;

export interface AnswerHeaders {
  /** The same object for the same target, unless the origin matters. */
  forAnswer(request: Request, target: Target): HeaderRecord;
  preflight(request: Request): Response | undefined;
}

/** CORS and security headers together, in the form that the pipeline wants. Made anew when the config changes. */
export function createAnswerHeaders(cors: CorsSettings, security: SecurityHeaderSettings): AnswerHeaders {
  const crossOrigin = createCors(cors);
  const secure = createSecurityHeaders(security);
  const listed = cors.enable && !cors.origins.includes("*");
  /** There are as many as kinds of answer. */
  const merged = new Map<HeaderRecord, HeaderRecord>();
  const made = new WeakMap<Target, HeaderRecord>();

  function forEveryone(target: Target): HeaderRecord {
    const own = secure(target.path, target.secure);
    let both = merged.get(own);
    if (both === undefined) {
      both = Object.freeze({ ...own, ...crossOrigin.headers(null) });
      merged.set(own, both);
    }
    return both;
  }

  return {
    forAnswer(request, target) {
      if (listed) {
        const own = secure(target.path, target.secure);
        return { ...own, ...crossOrigin.headers(request.headers.get("origin")) };
      }
      let headers = made.get(target);
      if (headers === undefined) {
        headers = forEveryone(target);
        made.set(target, headers);
      }
      return headers;
    },
    preflight(request) {
      const headers = crossOrigin.preflight(request);
      return headers === undefined ? undefined : new Response(null, { status: 204, headers });
    },
  };
}

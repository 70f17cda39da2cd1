import { type CorsSettings, createCors } from "./cors.ts";
import { createSecurityHeaders, type SecurityHeaderSettings } from "./security-headers.ts";

export interface AnswerHeaders {
  forAnswer(request: Request, path: string): Record<string, string>;
  preflight(request: Request): Response | undefined;
}

/** CORS and security headers together, in the form that the pipeline wants. Made anew when the config changes. */
export function createAnswerHeaders(cors: CorsSettings, security: SecurityHeaderSettings): AnswerHeaders {
  const crossOrigin = createCors(cors);
  const secure = createSecurityHeaders(security);
  const listed = cors.enable && !cors.origins.includes("*");
  const merged = new Map<Readonly<Record<string, string>>, Record<string, string>>();

  return {
    forAnswer(request, path) {
      const own = secure(path, request.url.startsWith("https:"));
      if (listed) return { ...own, ...crossOrigin.headers(request.headers.get("origin")) };
      let both = merged.get(own);
      if (both === undefined) {
        both = { ...own, ...crossOrigin.headers(null) };
        merged.set(own, both);
      }
      return both;
    },
    preflight(request) {
      const headers = crossOrigin.preflight(request);
      return headers === undefined ? undefined : new Response(null, { status: 204, headers });
    },
  };
}

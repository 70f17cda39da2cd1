import { AppError, type ErrorKind, toAppError } from "../core/errors.ts";

interface Row {
  /** HTTP status of dialect A and of the management API. */
  http: number;
  /** LX envelope code of dialect A. */
  code: 1 | 2 | 4 | 5 | 6;
  /** Dialect B: body code and HTTP status alike. */
  query: number;
  /** Management API: status where it differs from `http`, and error code. */
  api: { http: number; code: string };
}

const refused = { http: 200, code: 2, query: 404, api: { http: 502, code: "UPSTREAM_ERROR" } } as const;

/** The whole contract with clients about failures, in one place. @see api.md */
export const ERRORS = {
  invalid_request: { http: 400, code: 6, query: 404, api: { http: 400, code: "VALIDATION_ERROR" } },
  unsupported: { http: 200, code: 1, query: 404, api: { http: 400, code: "VALIDATION_ERROR" } },
  unauthorized: { http: 403, code: 1, query: 403, api: { http: 401, code: "UNAUTHORIZED" } },
  forbidden: { http: 403, code: 1, query: 403, api: { http: 403, code: "FORBIDDEN" } },
  banned: { http: 403, code: 1, query: 403, api: { http: 403, code: "FORBIDDEN" } },
  rate_limited: { http: 429, code: 5, query: 429, api: { http: 429, code: "RATE_LIMIT_EXCEEDED" } },
  busy: { http: 503, code: 5, query: 503, api: { http: 503, code: "BUSY" } },
  too_large: { http: 413, code: 6, query: 413, api: { http: 413, code: "VALIDATION_ERROR" } },
  not_found: { http: 404, code: 6, query: 404, api: { http: 404, code: "NOT_FOUND" } },
  conflict: { http: 409, code: 6, query: 409, api: { http: 409, code: "CONFLICT" } },
  source_disabled: { http: 404, code: 4, query: 404, api: { http: 404, code: "NOT_FOUND" } },
  upstream_refused: refused,
  upstream_not_found: refused,
  upstream_no_copyright: refused,
  upstream_needs_login: refused,
  upstream_needs_purchase: refused,
  upstream_verify: refused,
  upstream_quality: refused,
  upstream_unreachable: { ...refused, query: 500 },
  upstream_changed: { ...refused, query: 500 },
  storage_failed: { http: 500, code: 4, query: 500, api: { http: 500, code: "DATABASE_ERROR" } },
  internal: { http: 500, code: 4, query: 500, api: { http: 500, code: "INTERNAL_ERROR" } },
} as const satisfies Record<ErrorKind, Row>;

/** One field that a management request got wrong. */
export interface FieldError {
  field: string;
  message: string;
  type: string;
}

/** A management request whose fields are wrong, with each of them. */
export class FieldsError extends AppError {
  readonly fields: FieldError[];
  constructor(message: string, fields: FieldError[]) {
    super("invalid_request", message);
    this.fields = fields;
  }
}

export type Dialect = "path" | "query" | "api";

/** Which form answers on this path have. A bare `/url`, `/info` or `/lyric` is the newer, query-style generation. */
export function dialectOf(path: string): Dialect {
  if (path.startsWith("/api/")) return "api";
  return path === "/url" || path === "/info" || path === "/lyric" ? "query" : "path";
}

/** The body and status that this failure has in this dialect. `extra` joins the envelope (dialect A). */
export function errorBody(error: unknown, dialect: Dialect, extra: object = {}): { status: number; body: object } {
  const known = toAppError(error);
  const row: Row = ERRORS[known.kind];
  switch (dialect) {
    case "path":
      return { status: row.http, body: { code: row.code, msg: known.message, data: null, ...extra } };
    case "query":
      return { status: row.query, body: { code: row.query, message: known.message } };
    case "api": {
      const fields = known instanceof FieldsError ? known.fields : undefined;
      return {
        status: row.api.http,
        body: {
          error: {
            code: row.api.code,
            message: known.message,
            ...(fields === undefined ? {} : { details: { errors: fields } }),
          },
        },
      };
    }
  }
}

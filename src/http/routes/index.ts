import { TransformDecodeError } from "@sinclair/typebox/value";
import { Elysia, NotFoundError, ParseError, ValidationError } from "elysia";
import { AppError, isAppError } from "../../core/errors.ts";
import type { Logger } from "../../ops/log.ts";
import { contextOf } from "../context.ts";
import { type FieldError, FieldsError } from "../errors.ts";
import { errorResponse } from "../server.ts";
import { pathOf } from "../target.ts";

const MAX_FIELDS = 20;
/** Elysia tells by this name that a number in a query or path is out of its bounds, and lets everything else pass. */
const DECODE_ERROR = "TransformDecodeError";

/** A group of routes, ready to be mounted. */
export type RouteGroup = Elysia<string>;

/**
 * All route groups in one router. Failures of every kind end here, in the dialect of the path; only what we did not
 * foresee is logged as an error.
 */
export function composeRoutes(groups: readonly unknown[], log: Logger) {
  // A minified build renames classes: without this, `pageSize=-1` lists everything.
  Object.defineProperty(TransformDecodeError, "name", { value: DECODE_ERROR });
  const app = new Elysia({ strictPath: true, normalize: false }).onError(({ error, request, set }) => {
    const known = request.signal.aborted ? clientLeft(error) : knownError(error, pathOf(request.url));
    if (known.kind === "internal" || known.kind === "storage_failed") {
      log.error("request failed", {
        id: idOf(request),
        path: pathOf(request.url).slice(0, 200),
        error: known.cause ?? error,
        detail: known.detail,
      });
    } else if (known.detail !== undefined) {
      log.info("request refused", {
        id: idOf(request),
        kind: known.kind,
        message: known.message,
        detail: known.detail,
      });
    }
    const response = errorResponse(known, pathOf(request.url), addressOf(request));
    // Without this the router turns a 200 of ours (a platform's "no") into a 500.
    set.status = response.status;
    return response;
  });
  for (const group of groups) app.use(group as Elysia);
  return app;
}

/** Nobody reads the answer any more, and what failed because of that is no fault of ours. */
function clientLeft(error: unknown): AppError {
  return isAppError(error) ? error : new AppError("invalid_request", "请求已中断");
}

function knownError(error: unknown, path: string): AppError {
  if (isAppError(error)) return error;
  if (error instanceof NotFoundError) return new AppError("not_found", "未找到您所请求的资源");
  if (error instanceof ParseError) return new AppError("invalid_request", "请求体格式有误");
  if (error instanceof ValidationError) return validationError(error, path);
  return new AppError("internal", "内部服务器错误", { cause: error });
}

function validationError(error: ValidationError, path: string): AppError {
  if (!path.startsWith("/api/")) return new AppError("invalid_request", "请求参数有错");
  const fields = new Map<string, FieldError>();
  for (const item of error.all) {
    const row = item as { path?: string; message?: string; type?: number };
    const field = (row.path ?? "").replace(/^\//, "").replaceAll("/", ".").slice(0, 100);
    // A field that is missing is listed twice: as absent, and as nothing of its type.
    if (fields.size >= MAX_FIELDS || fields.has(field)) continue;
    fields.set(field, { field, message: row.message ?? "invalid", type: String(row.type ?? "") });
  }
  return new FieldsError("请求参数有错", [...fields.values()]);
}

function idOf(request: Request): string | undefined {
  try {
    return contextOf(request).id;
  } catch {
    return undefined;
  }
}

function addressOf(request: Request): string | undefined {
  try {
    return contextOf(request).peer.address;
  } catch {
    return undefined;
  }
}

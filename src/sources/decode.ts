import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { AppError } from "../core/errors.ts";
import { SOURCE_NAMES, type SourceId } from "../core/types.ts";

/**
 * Checks a platform's reply against the fields that we read. Unknown fields pass; a field of another form does not.
 *
 * @throws AppError `upstream_changed` with the path of the first difference in `detail`.
 */
export function decode<T extends TSchema>(schema: T, value: unknown, source: SourceId): Static<T> {
  if (Value.Check(schema, value)) return value;
  const first = Value.Errors(schema, value).First();
  throw new AppError("upstream_changed", `${SOURCE_NAMES[source]}: 平台返回的数据格式已变化`, {
    detail: { source, path: first?.path, expected: first?.message, found: shorten(first?.value) },
  });
}

function shorten(value: unknown): string {
  return (JSON.stringify(value) ?? "undefined").slice(0, 120);
}

import { type TSchema, Type } from "@sinclair/typebox";
import { decodeEntities } from "../lrc.ts";

/** The platform writes the same number as 1, "1", "" or null, by endpoint and by mood. */
export const Loose = Type.Optional(Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()]));

/** A part that may be missing, null, or (as PHP writes an empty one) an empty list. */
export const Part = <T extends TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null(), Type.Array(Type.Unknown(), { maxItems: 0 })]));

type LooseValue = string | number | boolean | null | undefined;

/** Trimmed of nothing: names keep their spaces. Absent and null become "". */
export const textOf = (value: LooseValue): string => (value === null || value === undefined ? "" : String(value));

/** A finite number, else undefined. */
export function numberOf(value: LooseValue): number | undefined {
  if (value === null || value === undefined || value === "" || typeof value === "boolean") return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

/** More than nothing: sizes, durations and counts of 0 mean "not known". */
export function positiveOf(value: LooseValue): number | undefined {
  const number = numberOf(value);
  return number !== undefined && number > 0 ? number : undefined;
}

/** The part, or undefined for null and for the empty list. */
export function partOf<T extends object>(value: T | null | undefined | unknown[]): T | undefined {
  return value === null || value === undefined || Array.isArray(value) ? undefined : value;
}

/** Names come with HTML entities from the older endpoints, and with `<em>` from the search. */
export const plainName = (value: LooseValue): string => decodeEntities(textOf(value).replace(/<\/?em>/g, ""));

/** An object with these properties left out where they are undefined or "". */
export function compact<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } & object {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined && item !== "")) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** `{size}` replaced: 150, 240, 480 or 1080 pixels. */
export const sized = (address: string, size = 1080): string => address.replace("{size}", String(size));

/** The platform's further ids, without those that it did not give. */
export const idsOf = (ids: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(ids).filter(([, id]) => id !== ""));

import { type ObjectOptions, type TObject, type TProperties, type TSchema, Type } from "@sinclair/typebox";

/** What a key's schema carries besides its type: bilingual comment, secrecy, and whether a change needs a restart. */
export interface KeyOptions {
  /** Never printed, logged or sent. */
  secret?: boolean;
  /** A changed value is used only after a restart. */
  restart?: boolean;
}

/** Adds the comment that `config/default.yml` shows above the key. Units stand in the comment. */
export function key<T extends TSchema>(schema: T, zh: string, en: string, options: KeyOptions = {}): T {
  return { ...schema, description: `${zh} / ${en}`, ...options };
}

/** A group of keys; unknown names inside it are refused. */
export function group<T extends TProperties>(zh: string, en: string, properties: T): TObject<T> {
  const options: ObjectOptions = { additionalProperties: false };
  if (zh !== "") options.description = `${zh} / ${en}`;
  return Type.Object(properties, options);
}

export const bool = (value: boolean) => Type.Boolean({ default: value });
export const text = (value: string) => Type.String({ default: value });
export const seconds = (value: number, minimum = 0) => Type.Number({ default: value, minimum, maximum: 315_360_000 });
export const count = (value: number, minimum = 0, maximum = 1_000_000_000_000) =>
  Type.Integer({ default: value, minimum, maximum });
export const list = <T extends TSchema>(item: T, value: unknown[]) => Type.Array(item, { default: value });
/** One of these words. */
export const choice = <const T extends string[]>(value: T[number], words: T) =>
  Type.Union(
    words.map((word) => Type.Literal(word as T[number])),
    { default: value },
  );
/** Empty or an http(s) address without a trailing slash being required. */
export const address = (value: string) => Type.String({ default: value, pattern: "^(?:$|https?://[^\\s/]+.*)$" });
export const port = () => Type.Integer({ minimum: 0, maximum: 65_535 });

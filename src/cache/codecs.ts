import { type TSchema, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { type Lyric, QUALITIES, type Quality } from "../core/types.ts";
import type { CacheKind } from "./kinds.ts";
import type { Codec } from "./parsed.ts";

/** A playable address as it is stored. */
export interface StoredAddress {
  url: string;
  /** What is served, not what was asked for. */
  quality: Quality;
  /** Seconds of the platform's own life; absent = no known end. */
  lifetimeSeconds?: number;
  /** Who gave it: "kg", or "script:<name>". */
  route: string;
}

const Address = Type.Object({
  url: Type.String({ pattern: "^https?://" }),
  quality: Type.Union(QUALITIES.map((quality) => Type.Literal(quality))),
  lifetimeSeconds: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  route: Type.String(),
});

const LyricTexts = Type.Object({
  lyric: Type.String(),
  tlyric: Type.String(),
  rlyric: Type.String(),
  lxlyric: Type.String(),
});

export const addressCodec: Codec<StoredAddress> = {
  decode: (value) => (Value.Check(Address, value) ? value : undefined),
  lifetimeSeconds: (value) => value.lifetimeSeconds,
  route: (value) => value.route,
};

export const lyricCodec: Codec<Lyric> = {
  decode: (value) => (Value.Check(LyricTexts, value) ? value : undefined),
};

const named = Type.Object({ name: Type.String() });
const pageOf = <T extends TSchema>(item: T) =>
  Type.Object({ total: Type.Number(), page: Type.Number(), size: Type.Number(), list: Type.Array(item) });

/**
 * The outer form of each kind's value. Values were typed when they were stored and carry a checksum and the version of
 * their key; this keeps out what another program wrote under our name.
 */
const SHAPES: Record<CacheKind, TSchema> = {
  url: Address,
  lyric: LyricTexts,
  info: Type.Object({ source: Type.String(), songId: Type.String(), name: Type.String(), artists: Type.Array(named) }),
  pic: Type.String({ minLength: 1 }),
  search: pageOf(named),
  suggest: Type.Array(Type.String()),
  hot: Type.Array(Type.String()),
  playlist: Type.Object({ info: named, songs: pageOf(named) }),
  album: Type.Object({ info: named, songs: pageOf(named) }),
  board: Type.Union([pageOf(named), Type.Array(named)]),
  comment: pageOf(Type.Object({ text: Type.String() })),
  mv: Type.Object({ name: Type.String(), files: Type.Record(Type.String(), Type.Object({ url: Type.String() })) }),
};

/** @typeParam T what this kind's values are; a key of one kind and method always holds the same type. */
export function kindCodec<T>(kind: CacheKind): Codec<T> {
  const shape = SHAPES[kind];
  return { decode: (value) => (Value.Check(shape, value) ? (value as T) : undefined) };
}

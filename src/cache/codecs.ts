import { Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { QUALITIES, type Quality } from "../core/types.ts";
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

export const addressCodec: Codec<StoredAddress> = {
  decode: (value) => (Value.Check(Address, value) ? value : undefined),
  lifetimeSeconds: (value) => value.lifetimeSeconds,
  route: (value) => value.route,
};

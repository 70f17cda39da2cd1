import { Value } from "@sinclair/typebox/value";
import type { CacheConfig } from "../../src/cache/kinds.ts";
import { cacheSection } from "../../src/config/sections/cache.ts";

/** The default settings, with changes that reach into groups. */
export function cacheSettings(
  changes: { [K in keyof CacheConfig]?: Partial<CacheConfig[K]> | CacheConfig[K] } = {},
): CacheConfig {
  const made = Value.Create(cacheSection);
  for (const [name, value] of Object.entries(changes)) {
    const before: unknown = Reflect.get(made, name);
    const group = typeof value === "object" && !Array.isArray(value) && typeof before === "object";
    Reflect.set(made, name, group ? { ...before, ...value } : value);
  }
  if (!Value.Check(cacheSection, made)) throw new Error("these settings are not possible");
  return made;
}

/** A clock that stands until it is moved. */
export function manualClock(start = 1_700_000_000_000) {
  let time = start;
  return {
    now: () => time,
    advance(ms: number) {
      time += ms;
    },
  };
}

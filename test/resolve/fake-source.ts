import type { Quality } from "../../src/core/types.ts";
import type { AccountRunner } from "../../src/resolve/track.ts";
import type { Call, Source } from "../../src/sources/source.ts";

export const QUALITIES: Quality[] = ["128k", "320k", "flac"];

/** A platform with these abilities and no others. */
export function fakeSource(abilities: Partial<Source> = {}): Source {
  return { id: "kg", name: "酷狗", qualities: QUALITIES, normalizeId: (id) => id.toLowerCase(), ...abilities };
}

/** As a guest, with no second try. */
export const asGuest: AccountRunner = async (_source, { signal, step }, work) => {
  const call: Call = { signal, step };
  return work(call);
};

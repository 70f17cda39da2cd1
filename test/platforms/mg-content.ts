import type { MgAsk, Route } from "./mg.ts";
import { json } from "./world.ts";

/** Everything that Migu serves besides play addresses and song information. */
export const ROUTES: Record<string, Route> = {};
/** By the start of host and path. */
export const PREFIXES: Record<string, Route> = {};

export function mv(_ask: MgAsk): Response {
  return json({ code: "000000", resource: [] });
}

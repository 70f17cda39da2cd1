import type { Quality, SourceId } from "../core/types.ts";
import type { ScriptsConfig } from "./limits.ts";

export type Turn = "before" | "after" | "never";

/** When scripts are asked for this platform and quality. A line that names the quality wins over one that does not. */
export function turnOf(config: ScriptsConfig, source: SourceId, quality?: Quality): Turn {
  if (!config.enable) return "never";
  const names = quality === undefined ? [source] : [`${source}/${quality}`, source];
  for (const name of names) {
    for (const turn of ["never", "before", "after"] as const) if (config[turn].includes(name)) return turn;
  }
  return config.when as Turn;
}

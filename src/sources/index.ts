import type { Config } from "../config/schema.ts";
import type { SourceId } from "../core/types.ts";
import { createKg } from "./kg/index.ts";
import { createKw } from "./kw/index.ts";
import { createMg } from "./mg/index.ts";
import type { Source, SourceDeps } from "./source.ts";
import { createTx } from "./tx/index.ts";
import { createWy } from "./wy/index.ts";

/** The five platforms. Nothing is found by scanning folders: a new one joins this list. */
export function createSources(
  config: Config["module"],
  deps: Omit<SourceDeps<unknown>, "config">,
): ReadonlyMap<SourceId, Source> {
  const sources: Source[] = [
    createKg({ ...deps, config: config.kg }),
    createTx({ ...deps, config: config.tx }),
    createWy({ ...deps, config: config.wy }),
    createMg({ ...deps, config: config.mg }),
    createKw({ ...deps, config: config.kw }),
  ];
  return new Map(sources.map((source) => [source.id, source]));
}

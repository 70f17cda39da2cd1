import type { Config } from "./config/schema.ts";
import type { RootLogger } from "./ops/log.ts";

/** The composed application. */
export interface App {
  readonly config: Config;
  readonly log: RootLogger;
  close(): Promise<void>;
}

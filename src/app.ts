import type { Config } from "./config/schema.ts";
import type { RootLogger } from "./ops/log.ts";

/** The composed application. */
export interface App {
  config(): Config;
  readonly log: RootLogger;
  /** Shown once on the first start, while there is no admin yet. */
  readonly setupToken: string | undefined;
  /** "?key=…" when `/script` wants a key. */
  scriptQuery(): string;
  /** Opens the listeners. @returns their addresses */
  start(): Promise<string[]>;
  /** Stops accepting, lets running requests end (within the configured deadline), flushes, closes. */
  close(): Promise<void>;
}

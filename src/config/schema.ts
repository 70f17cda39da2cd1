import type { Static } from "@sinclair/typebox";
import { group } from "./key.ts";
import { commonSection } from "./sections/common.ts";
import { securitySection } from "./sections/security.ts";
import { moduleSection } from "./sections/sources.ts";

/**
 * Every config key, once: type, default, limits, comment, secrecy. `config/default.yml` is generated from it.
 * The names and meanings of the original's keys are kept; new keys join them under the same roots.
 */
export const configSchema = group("", "", {
  common: commonSection,
  security: securitySection,
  module: moduleSection,
});

export type Config = Static<typeof configSchema>;

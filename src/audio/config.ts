import type { Static } from "@sinclair/typebox";
import type { audioSection } from "../config/sections/audio.ts";

/** `common.remote_cache` */
export type AudioConfig = Static<typeof audioSection>;

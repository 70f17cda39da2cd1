import { join } from "node:path";
import { renderDefault } from "./render.ts";

// `bun src/config/generate.ts` rewrites config/default.yml after a change of the schema.
if (import.meta.main) await Bun.write(join(import.meta.dir, "../../config/default.yml"), renderDefault());

import { join } from "node:path";
import { renderDefault } from "./render.ts";

// `bun src/config/generate.ts` rewrites config/default.yml after a change of the schema; `--check` only compares.
if (import.meta.main) {
  const file = join(import.meta.dir, "../../config/default.yml");
  const text = renderDefault();
  if (!process.argv.includes("--check")) await Bun.write(file, text);
  else if ((await Bun.file(file).text()) !== text) {
    console.error("config/default.yml is not what the schema says; run: bun src/config/generate.ts");
    process.exit(1);
  }
}

// The entry of a script process in tests: `… __script-host WORKER_URL`.
import { runScriptHost } from "../../src/scripts/child.ts";

runScriptHost(process.argv.at(-1) ?? "");

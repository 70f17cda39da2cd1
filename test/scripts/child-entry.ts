// The entry of a script process in tests, and of the small executable that the compiled test builds.
import { runScriptHost, SCRIPT_HOST_ARGUMENT } from "../../src/scripts/child.ts";

if (process.argv.includes(SCRIPT_HOST_ARGUMENT)) {
  runScriptHost(new URL("../../src/scripts/worker.ts", import.meta.url).href);
}

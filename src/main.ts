import defaultText from "../config/default.yml" with { type: "text" };
import { version } from "../package.json";
import { openApp } from "./app.ts";
import { configCommands } from "./cli/config.ts";
import { runCli } from "./cli/index.ts";
import { serveCommand } from "./cli/serve.ts";
import { versionCommand } from "./cli/version.ts";

const environment = { ...process.env };
const workers = { libraryScan: new URL("./library/scan-worker.ts", import.meta.url).href };

process.exitCode = await runCli(
  [
    serveCommand(version),
    ...configCommands({ defaultText: String(defaultText), environment }),
    versionCommand(version),
  ],
  {
    argv: process.argv.slice(2),
    env: environment,
    stdout: (text) => void process.stdout.write(text),
    stderr: (text) => void process.stderr.write(text),
    stderrIsTerminal: process.stderr.isTTY === true,
    openApp: (place) =>
      openApp({
        ...place,
        workers,
        version,
        defaultText: String(defaultText),
        environment: { ...environment, ...place.overrides },
      }),
  },
);
process.exit();

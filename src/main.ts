import defaultText from "../config/default.yml" with { type: "text" };
import { version } from "../package.json";
import { openApp } from "./app.ts";
import { accountCommands } from "./cli/account.ts";
import { audioCommands } from "./cli/audio.ts";
import { banCommands } from "./cli/ban.ts";
import { cacheCommands } from "./cli/cache.ts";
import { certCommands } from "./cli/cert.ts";
import { clientScriptCommand } from "./cli/client-script.ts";
import type { CommandContext } from "./cli/command.ts";
import { configCommands } from "./cli/config.ts";
import { runCli } from "./cli/index.ts";
import { keyCommands } from "./cli/key.ts";
import { libraryCommands } from "./cli/library.ts";
import { serveCommand } from "./cli/serve.ts";
import { sourceCommands } from "./cli/source.ts";
import { tagCommands } from "./cli/tag.ts";
import { userCommands } from "./cli/user.ts";
import { versionCommand } from "./cli/version.ts";

const environment = { ...process.env };
const workers = {
  libraryScan: new URL("./library/scan-worker.ts", import.meta.url).href,
  audioTag: new URL("./audio/tag-worker.ts", import.meta.url).href,
};

const access = async (context: CommandContext) => (await context.app()).access;
const commands = [
  serveCommand(version),
  ...configCommands({ defaultText: String(defaultText), environment }),
  clientScriptCommand((context) => context.app()),
  ...sourceCommands((context) => context.app()),
  ...accountCommands(async (context) => (await context.app()).pool),
  ...certCommands((context) => context.app()),
  ...cacheCommands(async (context) => (await context.app()).operator),
  ...audioCommands(
    async (context) => {
      const { audio } = await context.app();
      await audio.open();
      return audio;
    },
    async (context) => {
      const { tagsOf } = await context.app();
      return (file) => tagsOf(file.source, file.songId);
    },
  ),
  ...tagCommands,
  ...libraryCommands(async (context) => (await context.app()).library),
  ...banCommands(access),
  ...keyCommands(access),
  ...userCommands(access),
  versionCommand(version),
];

process.exitCode = await runCli(commands, {
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
});
// A pipe takes 64 KiB at once: leave only when its reader has everything.
await new Promise<void>((done) => void process.stdout.end(() => done()));
process.exit();

import defaultText from "../../config/default.yml" with { type: "text" };
import { version } from "../../package.json";
import { type AppWorkers, openApp } from "../app.ts";
import { accountCommands } from "./account.ts";
import { audioCommands } from "./audio.ts";
import { banCommands } from "./ban.ts";
import { cacheCommands } from "./cache.ts";
import { certCommands } from "./cert.ts";
import { clientScriptCommand } from "./client-script.ts";
import type { Command, CommandContext } from "./command.ts";
import { configCommands } from "./config.ts";
import { runCli } from "./index.ts";
import { keyCommands } from "./key.ts";
import { libraryCommands } from "./library.ts";
import { scriptCommands } from "./script.ts";
import { serveCommand } from "./serve.ts";
import { sourceCommands } from "./source.ts";
import { tagCommands } from "./tag.ts";
import { userCommands } from "./user.ts";
import { versionCommand } from "./version.ts";

/** Every command, in the order of the help. */
function commandTable(environment: Record<string, string | undefined>): Command[] {
  const access = async (context: CommandContext) => (await context.app()).access;
  return [
    serveCommand(version),
    ...configCommands({ defaultText: String(defaultText), environment }),
    clientScriptCommand((context) => context.app()),
    ...sourceCommands((context) => context.app()),
    ...accountCommands(async (context) => (await context.app()).pool),
    ...scriptCommands(async (context) => (await context.app()).scripts),
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
    ...certCommands((context) => context.app()),
    ...banCommands(access),
    ...keyCommands(access),
    ...userCommands(access),
    versionCommand(version),
  ];
}

/** The command line of this process. @returns the exit code, when everything printed has been taken. */
export async function runCommandLine(workers: AppWorkers): Promise<number> {
  const environment = { ...process.env };
  const code = await runCli(commandTable(environment), {
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
  return code;
}

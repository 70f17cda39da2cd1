import { existsSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { parseConfig } from "../config/load.ts";
import { maskConfig } from "../config/render.ts";
import { loadConfig, writeAtomic } from "../config/store.ts";
import { AppError } from "../core/errors.ts";
import type { Command, CommandContext } from "./command.ts";

export interface ConfigCommandDeps {
  defaultText: string;
  environment: Record<string, string | undefined>;
}

export function configCommands(deps: ConfigCommandDeps): Command[] {
  const fileOf = (context: CommandContext) => context.configFile ?? join(context.dataDir, "config", "config.yml");
  const read = async (context: CommandContext) => {
    const file = fileOf(context);
    if (!existsSync(file)) {
      throw new AppError("invalid_request", `${file} does not exist; write one with: lx-music-api-server config init`);
    }
    return loadConfig({ dataDir: context.dataDir, file, defaultText: deps.defaultText, environment: deps.environment });
  };
  return [
    {
      name: "config init",
      summary: "write the commented default config",
      options: { force: { type: "boolean" } },
      help: "--force    replace a file that is already there",
      arity: [0, 0],
      async run(context) {
        const file = fileOf(context);
        if (existsSync(file) && context.values["force"] !== true) {
          throw new AppError("conflict", `${file} already exists; --force replaces it`);
        }
        await writeAtomic(file, deps.defaultText);
        context.result({ file }, `wrote ${file}`);
        return 0;
      },
    },
    {
      name: "config check",
      summary: "say whether the config is valid",
      arity: [0, 0],
      async run(context) {
        const { file } = await read(context);
        context.result({ file, valid: true }, `${file} is valid`);
        return 0;
      },
    },
    {
      name: "config print",
      summary: "show the config in force, secrets masked",
      options: { defaults: { type: "boolean" } },
      help: "--defaults    show the built-in values instead",
      arity: [0, 0],
      async run(context) {
        const config = context.values["defaults"] === true ? parseConfig("") : (await read(context)).config;
        const masked = maskConfig(config);
        context.result(masked, stringify(masked, { lineWidth: 0 }).trimEnd());
        return 0;
      },
    },
  ];
}

import { existsSync } from "node:fs";
import { mkdir, open, readFile, realpath, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError } from "../core/errors.ts";
import { fileFault } from "../core/file-fault.ts";
import { parseConfig } from "./load.ts";
import type { Config } from "./schema.ts";

export interface LoadedConfig {
  config: Config;
  file: string;
  /** The file did not exist and has been written. */
  created: boolean;
}

export interface ConfigPlace {
  dataDir: string;
  /** `--config`; by default `<data>/config/config.yml`. */
  file?: string | undefined;
  /** Text of `config/default.yml`, embedded in the executable. */
  defaultText: string;
  environment: Record<string, string | undefined>;
}

/** Reads the config; on the first start writes the commented default one. */
export async function loadConfig(place: ConfigPlace): Promise<LoadedConfig> {
  const file = place.file ?? join(place.dataDir, "config", "config.yml");
  const created = !existsSync(file);
  if (created) {
    if (place.file !== undefined)
      throw new AppError(
        "invalid_request",
        `config file ${file} does not exist; make one with: config init --config ${file}`,
      );
    await writeDefault(file, place.defaultText);
  }
  return { config: configOf(await readText(file), file, place), file, created };
}

/**
 * Reads the config of a running server again. A file that has gone or is empty is one that is being saved, or was saved
 * on a full disk: to take it for the defaults would let everybody in.
 */
export async function rereadConfig(file: string, place: ConfigPlace): Promise<Config> {
  const text = await readText(file);
  if (text.trim() === "") throw new AppError("invalid_request", `config file ${file} is empty`);
  return configOf(text, file, place);
}

function configOf(text: string, file: string, place: ConfigPlace): Config {
  try {
    return parseConfig(text, place.environment);
  } catch (error) {
    if (error instanceof AppError) throw new AppError(error.kind, `${placeOf(file, place)}:\n${error.message}`);
    throw error;
  }
}

/** Where a wrong value may stand. */
function placeOf(file: string, place: ConfigPlace): string {
  const overridden = Object.keys(place.environment).some((name) => name.startsWith("LX__"));
  return overridden ? `${file} and the LX__ variables` : file;
}

async function writeDefault(file: string, text: string): Promise<void> {
  try {
    await writeAtomic(file, text);
  } catch (error) {
    throw new AppError("storage_failed", `config file ${file} cannot be written: ${fileFault(error, file)}`);
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new AppError("invalid_request", `config file ${file} cannot be read: ${fileFault(error, file)}`);
  }
}

/**
 * Writes to a temporary name beside it, flushes, renames: a kill at any moment leaves the old file or the new one. A
 * link to the file stays a link.
 */
export async function writeAtomic(file: string, text: string, mode = 0o600): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const target = await realpath(file).catch(() => file);
  const temporary = `${target}.${crypto.randomUUID()}.tmp`;
  try {
    const handle = await open(temporary, "wx", mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

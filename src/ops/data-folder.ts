import { accessSync, constants, mkdirSync } from "node:fs";
import { AppError } from "../core/errors.ts";
import { fileFault } from "../core/file-fault.ts";

/**
 * Makes the data folder when it is missing, and makes sure that it can be written.
 *
 * @returns whether it was made now
 * @throws AppError `storage_failed` that says which folder, why not, and what to do
 */
export function openDataFolder(path: string): boolean {
  try {
    const created = mkdirSync(path, { recursive: true }) !== undefined;
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    return created;
  } catch (error) {
    const reason = isExisting(error) ? "it is a file, not a folder" : fileFault(error, path);
    throw new AppError(
      "storage_failed",
      `cannot use the data folder ${path}: ${reason}; choose another with --data DIR`,
    );
  }
}

function isExisting(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "EEXIST";
}

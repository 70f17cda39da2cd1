import { readFile } from "node:fs/promises";
import { isMap, isSeq, parseDocument, type YAMLMap } from "yaml";
import { AppError } from "../core/errors.ts";
import { writeAtomic } from "./store.ts";

export interface CredentialChange {
  source: string;
  before: Readonly<Record<string, string>>;
  after: Readonly<Record<string, string>>;
}

/**
 * Puts new credentials in place of the old ones, in `module.<source>.user` or the entry of `module.cookiepool.<source>`
 * that holds the old ones. Comments, order and every other key stay as they are; keys that the entry does not have are
 * not added. The file is replaced in one step.
 *
 * @throws AppError `conflict` when no entry holds the old values: someone has edited the file meanwhile
 */
export async function writeCredentials(file: string, change: CredentialChange): Promise<void> {
  const document = parseDocument(await readFile(file, "utf8"));
  const [problem] = document.errors;
  if (problem !== undefined) throw new AppError("conflict", `${file}: ${problem.message}`);
  const changed = Object.entries(change.after).filter(([name, value]) => change.before[name] !== value);
  const pool: unknown = document.getIn(["module", "cookiepool", change.source]);
  const single: unknown = document.getIn(["module", change.source, "user"]);
  const entries = [single, ...(isSeq(pool) ? pool.items : [])].filter((item) => isMap(item));
  const holders = entries.filter((entry) => holdsOld(entry, changed, change.before));
  if (holders.length === 0) {
    throw new AppError("conflict", `${file}: no account of module.${change.source} holds the credentials to replace`);
  }
  for (const entry of holders) {
    for (const [name, value] of changed) if (entry.has(name)) entry.set(name, value);
  }
  await writeAtomic(file, document.toString({ lineWidth: 0 }));
}

/** At least one of the changed values stands there as it was, and none as something else. */
function holdsOld(entry: YAMLMap, changed: [string, string][], before: Readonly<Record<string, string>>): boolean {
  const own = changed.filter(([name]) => entry.has(name));
  return own.length > 0 && own.every(([name]) => String(entry.get(name) ?? "") === (before[name] ?? ""));
}

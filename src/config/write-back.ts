import { readFile } from "node:fs/promises";
import { isMap, isScalar, isSeq, parseDocument, type YAMLMap } from "yaml";
import { AppError } from "../core/errors.ts";
import { writeAtomic } from "./store.ts";

export interface CredentialChange {
  source: string;
  before: Readonly<Record<string, string>>;
  after: Readonly<Record<string, string>>;
}

/** Writes to one file; changes that come together are made one after the other, so that none undoes another. */
export function createCredentialWriter(file: string): (change: CredentialChange) => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  return (change) => {
    const mine = last.catch(() => undefined).then(() => writeCredentials(file, change));
    last = mine;
    return mine;
  };
}

/**
 * Puts new credentials in place of the old ones, in `module.<source>.user` or the entry of `module.cookiepool.<source>`
 * that holds the old ones. Only the values' own characters change: comments, order, quotes and spaces of everything
 * else stay. Keys that the entry does not have are not added. The file is replaced in one step.
 *
 * @throws AppError `conflict` when no entry holds the old values: someone has edited the file meanwhile
 */
async function writeCredentials(file: string, change: CredentialChange): Promise<void> {
  const text = await readFile(file, "utf8");
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined) throw new AppError("conflict", `${file}: ${problem.code} at ${problem.pos[0]}`);
  const changed = Object.entries(change.after).filter(([name, value]) => change.before[name] !== value);
  const pool: unknown = document.getIn(["module", "cookiepool", change.source]);
  const single: unknown = document.getIn(["module", change.source, "user"]);
  const entries = [single, ...(isSeq(pool) ? pool.items : [])].filter((item) => isMap(item));
  const edits = entries.flatMap((entry) => editsOf(entry, changed, change.before));
  if (edits.length === 0) {
    throw new AppError("conflict", `${file}: no account of module.${change.source} holds the credentials to replace`);
  }
  await writeAtomic(file, applied(text, edits));
}

interface Edit {
  start: number;
  end: number;
  value: string;
}

/** Nothing, unless every changed value that the entry has stands there as it was. */
function editsOf(entry: YAMLMap, changed: [string, string][], before: Readonly<Record<string, string>>): Edit[] {
  const edits: Edit[] = [];
  for (const [name, value] of changed) {
    const node: unknown = entry.get(name, true);
    if (node === undefined) continue;
    if (!isScalar(node) || !node.range || String(node.value ?? "") !== (before[name] ?? "")) return [];
    edits.push({ start: node.range[0], end: node.range[1], value });
  }
  return edits;
}

/** Double quotes are right in every place of a YAML file. */
function applied(text: string, edits: Edit[]): string {
  let result = text;
  for (const edit of edits.toSorted((a, b) => b.start - a.start)) {
    result = result.slice(0, edit.start) + JSON.stringify(edit.value) + result.slice(edit.end);
  }
  return result;
}
